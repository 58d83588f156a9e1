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

/*
 * Read one value into `ret`.  Returns 1; 0 when the entry is to be left out;
 * -EACCES.
 */
static int
read_one(const char *path, const char *name, struct arena *arena,
         struct metadata *ret)
{
    const char *key = name + strlen(METADATA_PREFIX);
    SCOPE(scope_free) char *large = NULL;
    char small[VALUE_BYTES];
    char *value = small;
    ssize_t len = getxattr(path, name, small, sizeof(small));

    if (len < 0 && errno == ERANGE) {
        value = large = malloc(VALUE_BYTES_MAX);
        if (large == NULL)
            return 0;
        len = getxattr(path, name, large, VALUE_BYTES_MAX);
    }
    if (len < 0 && errno == EACCES)
        return -EACCES;
    if (len < 0 || !utf8_valid(key, strlen(key)) ||
        !utf8_valid(value, (size_t)len) ||
        memchr(value, '\0', (size_t)len) != NULL)
        return 0;
    ret->key = arena_text(arena, key, strlen(key));
    ret->value = arena_text(arena, value, (size_t)len);
    return ret->key != NULL && ret->value != NULL ? 1 : 0;
}

/* Read the values of those names in a list that are ours. */
static ssize_t
read_listed(const char *path, const char *list, size_t len, struct arena *arena,
            struct metadata **ret)
{
    const char *end = list + len;
    struct metadata *all;
    size_t count = 0;

    for (const char *name = list; name < end; name += strlen(name) + 1)
        count += is_ours(name) ? 1 : 0;
    all = count > 0 ? arena_alloc(arena, count * sizeof(*all)) : NULL;
    if (all == NULL)
        return 0;
    count = 0;
    for (const char *name = list; name < end; name += strlen(name) + 1) {
        int r = is_ours(name) ? read_one(path, name, arena, &all[count]) : 0;

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
read_all(const char *path, struct arena *arena, struct metadata **ret)
{
    SCOPE(scope_free) char *large = NULL;
    char small[LIST_BYTES];
    char *list = small;
    ssize_t len = listxattr(path, small, sizeof(small));

    if (len < 0 && errno == ERANGE) {
        list = large = malloc(LIST_BYTES_MAX);
        if (large == NULL)
            return 0;
        len = listxattr(path, large, LIST_BYTES_MAX);
    }
    if (len < 0)
        return -errno;
    return len > 0 ? read_listed(path, list, (size_t)len, arena, ret) : 0;
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
    n = read_all(name, arena, ret);
    caller_unlend();
    return n;
}

size_t
metadata_read(const char *path, struct arena *arena, struct metadata **ret)
{
    ssize_t n;

    *ret = NULL;
    n = read_all(path, arena, ret);
    if (n == -EACCES)
        n = read_lent(path, arena, ret);
    return n > 0 ? (size_t)n : 0;
}
