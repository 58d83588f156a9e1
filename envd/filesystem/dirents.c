/*
 * getdents64 without readdir(3) around it.
 */
#include "filesystem/dirents.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

int
dirents_fill(struct dirents_batch *b, int fd)
{
    ssize_t n = getdents64(fd, b->data, DIRENTS_BATCH_BYTES);

    b->at = 0;
    b->len = n > 0 ? (size_t)n : 0;
    if (n < 0 && errno != ENOENT)
        return -errno;
    return n > 0 ? 1 : 0;
}

static bool
is_dots(const char *name)
{
    return name[0] == '.' &&
           (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

bool
dirents_next(struct dirents_batch *b, struct dirent_ref *ret)
{
    while (b->at < b->len) {
        const struct dirent64 *d = (const void *)(b->data + b->at);

        b->at += d->d_reclen;
        if (is_dots(d->d_name))
            continue;
        *ret = (struct dirent_ref){d->d_name, d->d_type, d->d_off};
        return true;
    }
    return false;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Make the array of names of what lies, NUL after NUL, in `text`. */
static int
index_names(struct buf *text, size_t count, struct dirents *ret)
{
    char *at;

    if (count == 0)
        return 0;
    if (text->failed)
        return -ENOMEM;
    ret->names = reallocarray(NULL, count, sizeof(*ret->names));
    if (ret->names == NULL)
        return -ENOMEM;
    /* Deep trees keep one of these per level: give back what is not used. */
    ret->mem = realloc(text->mem, text->len);
    if (ret->mem == NULL)
        ret->mem = (char *)text->mem;
    *text = (struct buf){0};
    ret->count = count;
    at = ret->mem;
    for (size_t i = 0; i < count; i++) {
        ret->names[i] = at;
        at += strlen(at) + 1;
    }
    qsort(ret->names, count, sizeof(*ret->names), compare_names);
    return 0;
}

int
dirents_read(int fd, char *batch, const atomic_bool *cancel,
             struct dirents *ret)
{
    struct dirents_batch b = {.data = batch};
    struct buf text = {0};
    struct dirent_ref d;
    size_t count = 0;
    int r;

    while ((r = dirents_fill(&b, fd)) > 0) {
        if (atomic_load_explicit(cancel, memory_order_relaxed)) {
            r = -ECANCELED;
            break;
        }
        while (dirents_next(&b, &d)) {
            buf_append(&text, d.name, strlen(d.name) + 1);
            count++;
        }
    }
    if (r == 0)
        r = index_names(&text, count, ret);
    buf_done(&text);
    return r;
}

void
dirents_done(struct dirents *d)
{
    free(d->names);
    free(d->mem);
    *d = (struct dirents){0};
}
