/*
 * Buffers that lie ready for the next request, so that busy connections
 * allocate nothing and idle ones hold nothing.
 */
#ifndef ENVD_HTTP_POOL_H
#define ENVD_HTTP_POOL_H

#include <stddef.h>

#include "base/buf.h"

/* Up to this size a buffer is small: a head, or a short answer. */
#define HTTP_POOL_SMALL 4096

enum {
    HTTP_POOL_SMALL_COUNT = 64,
    HTTP_POOL_LARGE_COUNT = 4,
    HTTP_POOL_LARGE_MAX = 512 * 1024, /* larger ones are given back at once */
};

/* Zero-initialise it; end it with http_pool_done(). */
struct http_pool {
    struct buf small[HTTP_POOL_SMALL_COUNT];
    struct buf large[HTTP_POOL_LARGE_COUNT];
    size_t small_count;
    size_t large_count;
};

/* Give an empty buffer without memory some, if there is any ready. */
void http_pool_take(struct http_pool *pool, struct buf *b, bool large);

/* Take the memory of a buffer back; it is empty then. */
void http_pool_give(struct http_pool *pool, struct buf *b);

/* Free the large ones: nobody is about to need them. */
void http_pool_trim(struct http_pool *pool);

void http_pool_done(struct http_pool *pool);

#endif
