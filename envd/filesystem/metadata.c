/*
 * Extended attributes as keys and values.  Nearly every file has none, so the
 * first system call is the only one that has to be cheap.
 */
#include "filesystem/metadata.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"

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

/* Read one value into `ret`; false when the entry is to be left out. */
static bool
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
            return false;
        len = getxattr(path, name, large, VALUE_BYTES_MAX);
    }
    if (len < 0 || !utf8_valid(key, strlen(key)) ||
        !utf8_valid(value, (size_t)len) ||
        memchr(value, '\0', (size_t)len) != NULL)
        return false;
    ret->key = arena_text(arena, key, strlen(key));
    ret->value = arena_text(arena, value, (size_t)len);
    return ret->key != NULL && ret->value != NULL;
}

/* Read the values of those names in a list that are ours. */
static size_t
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
    for (const char *name = list; name < end; name += strlen(name) + 1)
        if (is_ours(name) && read_one(path, name, arena, &all[count]))
            count++;
    qsort(all, count, sizeof(*all), compare_keys);
    *ret = all;
    return count;
}

size_t
metadata_read(const char *path, struct arena *arena, struct metadata **ret)
{
    SCOPE(scope_free) char *large = NULL;
    char small[LIST_BYTES];
    char *list = small;
    ssize_t len = listxattr(path, small, sizeof(small));

    *ret = NULL;
    if (len < 0 && errno == ERANGE) {
        list = large = malloc(LIST_BYTES_MAX);
        if (large == NULL)
            return 0;
        len = listxattr(path, large, LIST_BYTES_MAX);
    }
    return len > 0 ? read_listed(path, list, (size_t)len, arena, ret) : 0;
}
