/*
 * Allocation: what may fail says so, what may not ends the process.
 */
#include "base/mem.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

#define ARENA_BLOCK_MIN 1024
#define ARENA_BLOCK_MAX (64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t size; /* bytes of data */
    alignas(max_align_t) unsigned char data[];
};

void *
xcalloc(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (p == NULL)
        abort();
    return p;
}

char *
xstrdup(const char *s)
{
    char *copy = strdup(s);

    if (copy == NULL)
        abort();
    return copy;
}

void
scope_free(void *p)
{
    free(*(void **)p);
}

void
arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit};
}

static struct arena_block *
arena_grow(struct arena *a, size_t size)
{
    size_t want = a->blocks != NULL ? a->blocks->size * 2 : ARENA_BLOCK_MIN;
    struct arena_block *b;
    size_t total;

    if (want > ARENA_BLOCK_MAX)
        want = ARENA_BLOCK_MAX;
    if (want < size)
        want = size;
    if (a->limit != 0 && (ckd_add(&total, a->total, size) || total > a->limit))
        return NULL;
    if (ckd_add(&total, want, sizeof(*b)))
        return NULL;
    b = malloc(total);
    if (b == NULL)
        return NULL;
    b->size = want;
    b->next = a->blocks;
    a->blocks = b;
    a->used = 0;
    a->total += want;
    return b;
}

void *
arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = a->blocks;
    size_t need;
    void *p;

    if (ckd_add(&need, size, alignof(max_align_t) - 1))
        return NULL;
    need &= ~(alignof(max_align_t) - 1);
    if (b == NULL || b->size - a->used < need)
        b = arena_grow(a, need);
    if (b == NULL)
        return NULL;
    p = b->data + a->used;
    a->used += need;
    return p;
}

void
arena_done(struct arena *a)
{
    struct arena_block *b = a->blocks;

    while (b != NULL) {
        struct arena_block *next = b->next;

        free(b);
        b = next;
    }
    arena_init(a, a->limit);
}
