/*
 * Memory: small allocations of our own that end the process when they fail,
 * and an arena for everything that belongs to one request.
 */
#ifndef ENVD_BASE_MEM_H
#define ENVD_BASE_MEM_H

#include <stddef.h>

/*
 * Allocate zeroed memory for one of our own structs; never for a size that a
 * peer chose.  Never returns NULL: the process ends when memory is exhausted.
 * The caller frees it with free(3).
 *
 * Context: any.
 */
void *xcalloc(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));

/* Copy a string; as xcalloc().  The caller frees it. */
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));

/* free(*p), for SCOPE(scope_free). */
void scope_free(void *p);

/*
 * An arena: many small allocations that die together.  Zero-initialise it, or
 * use arena_init(); end it with arena_done().  It takes memory in blocks that
 * grow, and holds at most `limit` bytes (0: no limit); beyond that, and when
 * memory is exhausted, arena_alloc() returns NULL.
 */
struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes used of the newest block */
    size_t total;               /* bytes of all blocks */
    size_t limit;               /* bytes, 0: none */
};

void arena_init(struct arena *a, size_t limit);

/*
 * `size` bytes aligned for any type, not zeroed; NULL when the limit is
 * reached.  Valid until arena_done().  Context: any.
 */
void *arena_alloc(struct arena *a, size_t size);

/* Frees all blocks; the arena can be used again. */
void arena_done(struct arena *a);

#endif
