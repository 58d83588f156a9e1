/*
 * Extended attributes as keys and values.  Nearly every file has none, so the
 * first system call is the only one that has to be cheap.
 */
#include "filesystem/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "filesystem/caller.h"
#include "filesystem/place.h"

#define LIST_BYTES  1024
#define VALUE_BYTES 256
/* The kernel's own limits for a list and for a value. */
#define LIST_BYTES_MAX  65536
#define VALUE_BYTES_MAX 65536

static bool
is_ours(const char *name)
{
    return strncmp(name, METADATA_PREFIX, strlen(METADATA_PREFIX)) == 0;
}

static int
compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct metadata *)a)->key,
                  ((const struct metadata *)b)->key);
}

static char *
arena_text(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* A file, by its path or by its descriptor (path is NULL). */
struct source {
    const char *path;
    int fd;
    bool any; /* also what is not text */
};

/* The names of a file's attributes, each ended by a NUL. */
struct names {
    const char *list;
    size_t len;
    char *large; /* owned; NULL while `small` is enough */
    char small[LIST_BYTES];
};

static void
names_done(struct names *n)
{
    free(n->large);
}

static ssize_t
list_names(const struct source *s, char *list, size_t size)
{
    return s->path != NULL ? listxattr(s->path, list, size)
                           : flistxattr(s->fd, list, size);
}

/* Returns 0 or -errno. */
static int
names_read(const struct source *s, struct names *n)
{
    ssize_t len = list_names(s, n->small, sizeof(n->small));

    n->large = NULL;
    n->list = n->small;
    if (len < 0 && errno == ERANGE) {
        n->list = n->large = malloc(LIST_BYTES_MAX);
        if (n->large == NULL)
            return -ENOMEM;
        len = list_names(s, n->large, LIST_BYTES_MAX);
    }
    n->len = len > 0 ? (size_t)len : 0;
    return len < 0 ? -errno : 0;
}

static ssize_t
get_value(const struct source *s, const char *name, char *value, size_t size)
{
    return s->path != NULL ? getxattr(s->path, name, value, size)
                           : fgetxattr(s->fd, name, value, size);
}

static bool
is_text(const char *s, size_t len)
{
    return utf8_valid(s, len) && memchr(s, '\0', len) == NULL;
}

/*
 * Read one value into `ret`.  Returns 1; 0 when the entry is to be left out;
 * -EACCES.
 */
static int
read_one(const struct source *s, const char *name, struct arena *arena,
         struct metadata *ret)
{
    const char *key = name + strlen(METADATA_PREFIX);
    SCOPE(scope_free) char *large = NULL;
    char small[VALUE_BYTES];
    char *value = small;
    ssize_t len = get_value(s, name, small, sizeof(small));

    if (len < 0 && errno == ERANGE) {
        value = large = malloc(VALUE_BYTES_MAX);
        if (large == NULL)
            return 0;
        len = get_value(s, name, large, VALUE_BYTES_MAX);
    }
    if (len < 0 && errno == EACCES)
        return -EACCES;
    if (len < 0 || (!s->any && (!is_text(key, strlen(key)) ||
                                !is_text(value, (size_t)len))))
        return 0;
    ret->key = arena_text(arena, key, strlen(key));
    ret->value = arena_text(arena, value, (size_t)len);
    ret->len = (size_t)len;
    return ret->key != NULL && ret->value != NULL ? 1 : 0;
}

/* Read the values of those names that are ours. */
static ssize_t
read_listed(const struct source *s, const struct names *n, struct arena *arena,
            struct metadata **ret)
{
    const char *end = n->list + n->len;
    struct metadata *all;
    size_t count = 0;

    for (const char *name = n->list; name < end; name += strlen(name) + 1)
        count += is_ours(name) ? 1 : 0;
    all = count > 0 ? arena_alloc(arena, count * sizeof(*all)) : NULL;
    if (all == NULL)
        return 0;
    count = 0;
    for (const char *name = n->list; name < end; name += strlen(name) + 1) {
        int r = is_ours(name) ? read_one(s, name, arena, &all[count]) : 0;

        if (r < 0)
            return r;
        count += (size_t)r;
    }
    qsort(all, count, sizeof(*all), compare_keys);
    *ret = all;
    return (ssize_t)count;
}

/* Returns the number of entries, or -errno when it cannot be told. */
static ssize_t
read_source(const struct source *s, struct arena *arena, struct metadata **ret)
{
    SCOPE(names_done) struct names n;
    int r;

    *ret = NULL;
    r = names_read(s, &n);
    return r == 0 ? read_listed(s, &n, arena, ret) : r;
}

/* Once more, after a refusal, with rights that are lent. */
static ssize_t
read_lent(const char *path, struct arena *arena, struct metadata **ret)
{
    SCOPE(fd_close) int fd = -1;
    char name[32];
    ssize_t n = 0;

    errno = EACCES;
    fd = place_open_lent(path, O_PATH | O_CLOEXEC);
    errno = EACCES;
    if (fd < 0 || !caller_lend())
        return 0;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    n = read_source(&(struct source){.path = name}, arena, ret);
    caller_unlend();
    return n;
}

size_t
metadata_read(const char *path, struct arena *arena, struct metadata **ret)
{
    ssize_t n;

    n = read_source(&(struct source){.path = path}, arena, ret);
    if (n == -EACCES)
        n = read_lent(path, arena, ret);
    return n > 0 ? (size_t)n : 0;
}

size_t
metadata_read_all(int fd, struct arena *arena, struct metadata **ret)
{
    const struct source s = {.fd = fd, .any = true};
    ssize_t n = read_source(&s, arena, ret);

    return n > 0 ? (size_t)n : 0;
}

bool
metadata_is_all(int fd)
{
    const struct source s = {.fd = fd};
    SCOPE(names_done) struct names n;
    int r = names_read(&s, &n);

    for (const char *name = n.list; r == 0 && name < n.list + n.len;
         name += strlen(name) + 1)
        if (!is_ours(name))
            return false;
    return r == 0 || r == -ENOTSUP;
}

/* ---- writing ------------------------------------------------------------- */

/* The first byte that is not printable ASCII; `len` when there is none. */
static size_t
first_odd(const char *s, size_t len)
{
    size_t at = 0;

    while (at < len && s[at] >= ' ' && s[at] <= '~')
        at++;
    return at;
}

static int
check_one(const struct metadata *m, struct status *st)
{
    size_t key_len = strlen(m->key);
    size_t at = first_odd(m->key, key_len);

    if (key_len > METADATA_KEY_MAX)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "metadata key \"%s\" exceeds %d bytes", m->key,
                          METADATA_KEY_MAX);
    if (at < key_len)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "metadata key contains non-printable-ASCII byte "
                          "0x%02x at offset %zu",
                          (unsigned int)(unsigned char)m->key[at], at);
    at = first_odd(m->value, m->len);
    if (at < m->len)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "metadata value for key \"%s\" contains "
                          "non-printable-ASCII byte 0x%02x at offset %zu",
                          m->key, (unsigned int)(unsigned char)m->value[at],
                          at);
    return key_len > 0 ? 0
                       : status_set(st, RPC_INVALID_ARGUMENT,
                                    "metadata key must not be empty");
}

int
metadata_check(const struct metadata *entries, size_t count, struct status *st)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (check_one(&entries[i], st) < 0)
            return -1;
        total +=
            strlen(METADATA_PREFIX) + strlen(entries[i].key) + entries[i].len;
    }
    if (total > METADATA_TOTAL_MAX)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "total metadata size %zu exceeds %d bytes", total,
                          METADATA_TOTAL_MAX);
    return 0;
}

static bool
has_key(const struct metadata *entries, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].key, key) == 0)
            return true;
    return false;
}

/* Remove what is ours and not among the entries. */
static int
remove_others(int fd, const struct names *n, const struct metadata *entries,
              size_t count)
{
    const char *end = n->list + n->len;

    for (const char *name = n->list; name < end; name += strlen(name) + 1) {
        if (!is_ours(name) ||
            has_key(entries, count, name + strlen(METADATA_PREFIX)))
            continue;
        if (CALLER_LEND(fremovexattr(fd, name)) < 0 && errno != ENODATA)
            return -errno;
    }
    return 0;
}

static int
set_all(int fd, const struct metadata *entries, size_t count)
{
    char name[256] = METADATA_PREFIX;

    for (size_t i = 0; i < count; i++) {
        int len =
            snprintf(name, sizeof(name), METADATA_PREFIX "%s", entries[i].key);

        if (len >= (int)sizeof(name))
            return -ERANGE;
        if (CALLER_LEND(
                fsetxattr(fd, name, entries[i].value, entries[i].len, 0)) < 0)
            return -errno;
    }
    return 0;
}

int
metadata_replace(int fd, const struct metadata *entries, size_t count)
{
    const struct source s = {.fd = fd};
    SCOPE(names_done) struct names n;
    int r = names_read(&s, &n);

    /* Removing comes first: it makes room. */
    if (r == 0)
        r = remove_others(fd, &n, entries, count);
    return r < 0 ? r : set_all(fd, entries, count);
}
