/*
 * Where we are among the cgroups, and what must go on with us.
 *
 * A frozen cgroup stops all below it.  So one that has something allowed below
 * it is never frozen itself: its children are looked at instead.
 */
#include "guest/freeze_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/mounts.h"
#include "base/scope.h"
#include "guest/cgroup_tree.h"

#define SELF_BYTES ((size_t)64 * 1024)

const char *const freeze_statics[FREEZE_STATICS] = {"user", "ptys"};

/*
 * A resume mounts network volumes before it thaws: for that the service
 * manager starts statd, which asks the port mapper.  The journal must drain
 * what we log.  Ports are forwarded by ourselves.
 */
static const char *const allowed[] = {
    "init.scope",
    "system.slice/systemd-journald.service",
    "system.slice/rpcbind.service",
    "system.slice/rpcbind.socket",
    "system.slice/rpc-statd.service",
    "socats",
};

bool
freeze_is_static(const char *path)
{
    for (size_t i = 0; i < FREEZE_STATICS; i++)
        if (strcmp(path, freeze_statics[i]) == 0)
            return true;
    return false;
}

bool
freeze_on_chain(const char *self, const char *path)
{
    return *path == '\0' || path_is_below(self, path);
}

bool
freeze_is_allowed(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (path_is_below(path, allowed[i]))
            return true;
    return false;
}

static bool
is_above_allowed(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (path_is_below(allowed[i], path) && strcmp(allowed[i], path) != 0)
            return true;
    return false;
}

bool
freeze_is_descended(const char *self, const char *path)
{
    return freeze_on_chain(self, path) || is_above_allowed(path);
}

/* The first `parts` parts of a path; NULL when it has fewer. */
static char *
first_parts(const char *path, size_t parts)
{
    size_t len = 0;

    if (parts > 0 && *path == '\0')
        return NULL;
    for (size_t i = 0; i < parts; i++) {
        if (i > 0 && path[len++] == '\0')
            return NULL;
        len += strcspn(path + len, "/");
    }
    return str_dup((struct str){path, len});
}

/* The n-th proper part of an allowed path that is not on the chain. */
static char *
above_allowed(const char *self, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        char *path;

        for (size_t parts = 1; (path = first_parts(allowed[i], parts)) != NULL;
             parts++) {
            bool seen =
                freeze_on_chain(self, path) || strcmp(path, allowed[i]) == 0;

            for (size_t k = 0; k < i && !seen; k++)
                seen = path_is_below(allowed[k], path);
            if (!seen && n-- == 0)
                return path;
            free(path);
        }
    }
    return NULL;
}

char *
freeze_descended(const char *self, size_t i)
{
    char *path = first_parts(self, i);
    size_t chain = 1;

    if (path != NULL)
        return path;
    if (*self != '\0')
        chain++;
    for (const char *at = self; *at != '\0'; at++)
        chain += *at == '/' ? 1 : 0;
    return i < chain ? NULL : above_allowed(self, i - chain);
}

int
freeze_self_parse(struct str text, const char *prefix, char **ret)
{
    while (text.len > 0) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        struct str line = {text.data, len};
        SCOPE(scope_free) char *path = NULL;
        const char *below;

        text.data += len + (end != NULL ? 1 : 0);
        text.len -= len + (end != NULL ? 1 : 0);
        if (!str_starts(line, "0::"))
            continue;
        path = str_dup((struct str){line.data + 3, line.len - 3});
        if (path == NULL)
            return -ENOMEM;
        below = path_is_below(path, prefix) ? path + strlen(prefix) : "";
        while (*below == '/')
            below++;
        /* Seen from a cgroup namespace: beside or above its root. */
        if (strncmp(below, "..", 2) == 0)
            below = "";
        *ret = str_dup(str_from(below));
        return *ret == NULL ? -ENOMEM : 0;
    }
    return -ENOENT;
}

int
freeze_self_read(const struct cgroup_tree *t, char **ret)
{
    SCOPE(scope_free) char *text = NULL;
    size_t len;
    int r = fd_read_file(t->self_file, SELF_BYTES, &text, &len);

    return r < 0 ? r
                 : freeze_self_parse((struct str){text, len}, t->prefix, ret);
}

/* ---- the root ------------------------------------------------------------ */

/* The number of the mount that a descriptor is in; 0 when not known. */
static uint64_t
mount_of(int fd)
{
    SCOPE(scope_free) char *text = NULL;
    char path[48];
    const char *at;
    uint64_t id = 0;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    if (fd_read_file(path, SELF_BYTES, &text, NULL) < 0)
        return 0;
    at = strstr(text, "mnt_id:");
    if (at == NULL)
        return 0;
    at += strlen("mnt_id:");
    if (str_to_u64(str_trim((struct str){at, strcspn(at, "\n")}), UINT64_MAX,
                   &id) < 0)
        return 0;
    return id;
}

/* One blank-delimited field, which *line is advanced behind. */
static struct str
next_field(const char **line)
{
    struct str field = {*line, strcspn(*line, " \n")};

    *line += field.len;
    if (**line == ' ')
        (*line)++;
    return field;
}

/* What of the file system a mount shows, and where. */
static bool
find_mount(const char *table, uint64_t id, struct str *ret_root,
           struct str *ret_point)
{
    while (*table != '\0') {
        const char *line = table;
        uint64_t found = 0;

        table += strcspn(table, "\n");
        table += *table == '\n' ? 1 : 0;
        if (str_to_u64(next_field(&line), UINT64_MAX, &found) < 0 ||
            found != id)
            continue;
        (void)next_field(&line);
        (void)next_field(&line);
        *ret_root = next_field(&line);
        *ret_point = next_field(&line);
        return true;
    }
    return false;
}

char *
freeze_root_prefix(int root_fd)
{
    SCOPE(scope_free) char *table = mounts_read();
    char link[48];
    char path[4096];
    struct str root;
    struct str point;
    char *prefix = NULL;
    ssize_t len;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", root_fd);
    len = readlink(link, path, sizeof(path) - 1);
    if (table != NULL && len > 0 &&
        find_mount(table, mount_of(root_fd), &root, &point) &&
        (size_t)len >= point.len && memcmp(path, point.data, point.len) == 0) {
        const char *rest = path + point.len;

        path[len] = '\0';
        if (root.len == 1)
            root.len = 0;
        if (asprintf(&prefix, "%.*s%s", (int)root.len, root.data, rest) < 0)
            prefix = NULL;
    }
    if (prefix != NULL && *prefix != '\0')
        return prefix;
    free(prefix);
    return xstrdup("/");
}
