/*
 * Two stacks of empty buffers, the one used last on top: its memory is still
 * in the processor's cache.
 */
#include "http/pool.h"

void
http_pool_take(struct http_pool *pool, struct buf *b, bool large)
{
    if (b->mem != NULL)
        return;
    if (large && pool->large_count > 0)
        *b = pool->large[--pool->large_count];
    else if (pool->small_count > 0)
        *b = pool->small[--pool->small_count];
}

void
http_pool_give(struct http_pool *pool, struct buf *b)
{
    if (b->mem == NULL)
        return;
    buf_reset(b, HTTP_POOL_LARGE_MAX);
    if (b->cap == 0)
        return;
    if (b->cap <= HTTP_POOL_SMALL && pool->small_count < HTTP_POOL_SMALL_COUNT)
        pool->small[pool->small_count++] = *b;
    else if (b->cap > HTTP_POOL_SMALL &&
             pool->large_count < HTTP_POOL_LARGE_COUNT)
        pool->large[pool->large_count++] = *b;
    else
        buf_done(b);
    *b = (struct buf){0};
}

void
http_pool_trim(struct http_pool *pool)
{
    while (pool->large_count > 0)
        buf_done(&pool->large[--pool->large_count]);
}

void
http_pool_done(struct http_pool *pool)
{
    http_pool_trim(pool);
    while (pool->small_count > 0)
        buf_done(&pool->small[--pool->small_count]);
}
