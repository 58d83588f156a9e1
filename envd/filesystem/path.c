/*
 * Paths as text: what a request means by one, and the shortest form of it.
 */
#include "filesystem/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"

/* Take the last component off a cleaned path under construction. */
static size_t
drop_last(const char *out, size_t len, size_t floor)
{
    while (len > floor && out[len - 1] != '/')
        len--;
    return len > floor ? len - 1 : len;
}

/*
 * Append one component to the cleaned text in `out` (`len` bytes, of which the
 * first `floor` are not given up); returns the new length.
 */
static size_t
clean_component(char *out, size_t len, size_t *floor, struct str name)
{
    bool rooted = out[0] == '/';

    if (str_eq(name, "."))
        return len;
    if (str_eq(name, "..")) {
        if (len > *floor)
            return drop_last(out, len, *floor);
        if (rooted)
            return len;
    }
    if (len > 0 && out[len - 1] != '/')
        out[len++] = '/';
    memcpy(out + len, name.data, name.len);
    len += name.len;
    if (str_eq(name, ".."))
        *floor = len;
    return len;
}

/* path_clean() of a range. */
static char *
clean(struct str path)
{
    char *out = calloc(1, path.len + 2);
    size_t floor;
    size_t len;
    size_t i = 0;

    if (out == NULL)
        return NULL;
    if (path.len > 0 && path.data[0] == '/')
        out[0] = '/';
    floor = len = out[0] == '/' ? 1 : 0;
    while (i < path.len) {
        struct str name = {path.data + i, 0};

        while (i + name.len < path.len && name.data[name.len] != '/')
            name.len++;
        if (name.len > 0)
            len = clean_component(out, len, &floor, name);
        i += name.len + 1;
    }
    if (len == 0)
        out[len++] = '.';
    out[len] = '\0';
    return out;
}

char *
path_clean(const char *path)
{
    return clean(str_from(path));
}

/* path_join() with a range for a name. */
static char *
join(const char *dir, struct str name)
{
    size_t dir_len = strlen(dir);
    SCOPE(scope_free) char *text = malloc(dir_len + name.len + 2);
    size_t len = 0;

    if (text == NULL)
        return NULL;
    memcpy(text, dir, dir_len);
    len += dir_len;
    if (dir_len > 0)
        text[len++] = '/';
    if (name.len > 0)
        memcpy(text + len, name.data, name.len);
    return clean((struct str){text, len + name.len});
}

char *
path_join(const char *dir, const char *name)
{
    return join(dir, str_from(name));
}

/* The length of a path up to, not with, its last component. */
static size_t
dir_len(struct str path)
{
    size_t len = path.len;

    while (len > 0 && path.data[len - 1] != '/')
        len--;
    return len;
}

char *
path_dir(const char *path)
{
    struct str all = str_from(path);

    all.len = dir_len(all);
    return clean(all);
}

char *
path_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str dir = STR(".");

    if (slash != NULL)
        dir = (struct str){path, MAX((size_t)(slash - path), (size_t)1)};
    return str_dup(dir);
}

char *
path_base(const char *path)
{
    struct str all = str_from(path);
    size_t start;

    if (all.len == 0)
        return str_dup(STR("."));
    while (all.len > 1 && path[all.len - 1] == '/')
        all.len--;
    if (str_eq(all, "/"))
        return str_dup(all);
    start = dir_len(all);
    return str_dup((struct str){path + start, all.len - start});
}

bool
path_is_root(const char *path)
{
    SCOPE(scope_free) char *text = path_clean(path);

    return text == NULL || strcmp(text, "/") == 0;
}

bool
path_is_implicit(struct str path)
{
    SCOPE(scope_free) char *text = clean(path);

    return text == NULL || strcmp(text, ".") == 0;
}

int
path_resolve(struct str path, const char *user, const char *home,
             const char *workdir, char **ret, struct status *st)
{
    char *text;

    if (path.len == 0 && workdir != NULL)
        path = str_from(workdir);
    if (path.len > 0 && (memchr(path.data, '\0', path.len) != NULL ||
                         memmem(path.data, path.len, UTF8_NUL, 2) != NULL))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "the path holds a NUL byte: invalid argument");
    if (path.len > 1 && path.data[0] == '~' && path.data[1] != '/' &&
        path.data[1] != '\\')
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "failed to expand path '' for user '%s': "
                          "cannot expand user-specific home dir",
                          user);
    if (path.len > 0 && path.data[0] == '~') {
        path.data++;
        path.len--;
    } else if (path.len > 0 && path.data[0] == '/') {
        home = NULL;
    }
    text =
        home != NULL ? join(*home != '\0' ? home : "/", path) : str_dup(path);
    if (text == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    *ret = text;
    return 0;
}
