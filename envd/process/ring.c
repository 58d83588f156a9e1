/*
 * Chunks of output, bounded for each process and for all together.
 */
#include "process/ring.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/scope.h"

/* Bytes of a ring's first and second chunk; the others are of full size. */
#define FIRST_CHUNK_BYTES  ((size_t)384)
#define SECOND_CHUNK_BYTES ((size_t)4 * 1024)

/* A chunk has a record for so many bytes: more are used when two sources
 * alternate in shorter pieces, and then it is full before its bytes are. */
#define BYTES_PER_RECORD 32
#define RECORD_SHIFT     2
#define RECORD_SOURCE    3U

struct ring_chunk {
    TAILQ_ENTRY(ring_chunk) link; /* in its ring */
    TAILQ_ENTRY(ring_chunk) age;  /* in its pool */
    struct ring *ring;
    uint64_t offset; /* of its first byte */
    size_t memory;   /* bytes of this allocation */
    uint32_t cap;    /* bytes it can hold */
    uint32_t used;
    uint32_t records_max;
    uint32_t record_count;
    /*
     * From which byte on the output is of which source: the position shifted
     * left by RECORD_SHIFT, and the source.  Behind them are the bytes.
     */
    uint32_t records[];
};

static uint8_t *
chunk_bytes(struct ring_chunk *c)
{
    return (uint8_t *)(c->records + c->records_max);
}

/* Memory of a chunk for `cap` bytes of output. */
static size_t
chunk_memory(size_t cap)
{
    return sizeof(struct ring_chunk) +
           (cap / BYTES_PER_RECORD + 1) * sizeof(uint32_t) + cap;
}

/* Large chunks are mapped, so that they go back to the system when freed. */
static struct ring_chunk *
chunk_new(size_t cap)
{
    size_t memory = chunk_memory(cap);
    struct ring_chunk *c;

    if (cap < RING_CHUNK_BYTES) {
        c = malloc(memory);
    } else {
        c = mmap(NULL, memory, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (c == MAP_FAILED)
            c = NULL;
        else
            (void)madvise(c, memory, MADV_DONTFORK); /* no child reads it */
    }
    if (c == NULL)
        return NULL;
    c->memory = memory;
    c->cap = (uint32_t)cap;
    c->records_max = (uint32_t)(cap / BYTES_PER_RECORD + 1);
    return c;
}

static void
chunk_free(struct ring_chunk *c)
{
    if (c->cap < RING_CHUNK_BYTES)
        free(c);
    else
        (void)munmap(c, c->memory);
}

static struct ring_chunks *
pool_list(const struct ring *r)
{
    return r->retired ? &r->pool->ended : &r->pool->live;
}

static void
chunk_insert(struct ring *r, struct ring_chunk *c)
{
    c->ring = r;
    c->offset = r->end;
    c->used = 0;
    c->record_count = 0;
    TAILQ_INSERT_TAIL(&r->chunks, c, link);
    TAILQ_INSERT_TAIL(pool_list(r), c, age);
    r->bytes += c->memory;
    r->pool->bytes += c->memory;
}

/* Take the oldest chunk out of its ring; its bytes are lost. */
static struct ring_chunk *
chunk_take(struct ring *r)
{
    struct ring_chunk *c = TAILQ_FIRST(&r->chunks);

    TAILQ_REMOVE(&r->chunks, c, link);
    TAILQ_REMOVE(pool_list(r), c, age);
    r->bytes -= c->memory;
    r->pool->bytes -= c->memory;
    r->begin = c->offset + c->used;
    return c;
}

/* Whether the ring's oldest chunk may go. */
static bool
oldest_unneeded(struct ring *r)
{
    struct ring_chunk *c = TAILQ_FIRST(&r->chunks);

    return c != NULL && c->offset + c->used <= r->floor(r);
}

/* The oldest chunk of a list of the pool that may go, or NULL. */
static struct ring_chunk *
list_victim(const struct ring_chunks *list)
{
    struct ring_chunk *c;

    TAILQ_FOREACH (c, list, age) {
        if (TAILQ_FIRST(&c->ring->chunks) == c && oldest_unneeded(c->ring))
            return c;
    }
    return NULL;
}

static struct ring_chunk *
pool_victim(const struct ring_pool *pool)
{
    struct ring_chunk *c = list_victim(&pool->ended);

    return c != NULL ? c : list_victim(&pool->live);
}

/*
 * Bytes of the next chunk: grows in steps, and at least four of them make up
 * a ring.
 */
static size_t
next_cap(const struct ring *r)
{
    size_t cap = RING_CHUNK_BYTES;

    if (r->bytes == 0)
        return FIRST_CHUNK_BYTES;
    if (r->bytes < SECOND_CHUNK_BYTES)
        return SECOND_CHUNK_BYTES;
    while (cap > SECOND_CHUNK_BYTES && chunk_memory(cap) > r->bytes_max / 4)
        cap /= 2;
    return cap;
}

/* Whether the chunk that is being filled takes a byte of any source. */
static bool
chunk_open(const struct ring_chunk *c)
{
    return c != NULL && c->used < c->cap && c->record_count < c->records_max;
}

/* Whether it also is worth a read(2) of its own. */
static bool
chunk_roomy(const struct ring_chunk *c)
{
    return chunk_open(c) && c->cap - c->used >= c->cap / 8;
}

/*
 * The chunk that must go for the next one, of `memory` bytes.  Returns false
 * when there must be one but none may go.
 */
static bool
ring_victim(struct ring *r, size_t memory, struct ring_chunk **ret)
{
    *ret = NULL;
    if (r->bytes != 0 && r->bytes + memory > r->bytes_max) {
        if (!oldest_unneeded(r))
            return false;
        *ret = TAILQ_FIRST(&r->chunks);
        return true;
    }
    if (r->pool->bytes + memory <= r->pool->bytes_max)
        return true;
    *ret = pool_victim(r->pool);
    /* Beyond all bounds every process has its first, small chunk. */
    return *ret != NULL || r->bytes == 0;
}

/*
 * Make a chunk for the bytes to come; NULL when there is no memory for it.
 * One chunk goes at most, and is used again unless it is larger than wanted.
 */
static struct ring_chunk *
ring_grow(struct ring *r)
{
    size_t cap = next_cap(r);
    struct ring_chunk *c;

    if (!ring_victim(r, chunk_memory(cap), &c))
        return NULL;
    if (c != NULL)
        c = chunk_take(c->ring);
    if (c == NULL || c->cap > cap) {
        struct ring_chunk *fresh = chunk_new(cap);

        if (fresh != NULL && c != NULL)
            chunk_free(c);
        if (fresh != NULL)
            c = fresh;
        else if (c == NULL && oldest_unneeded(r))
            c = chunk_take(r);
    }
    if (c != NULL)
        chunk_insert(r, c);
    return c;
}

void
ring_pool_init(struct ring_pool *pool, size_t bytes_max)
{
    *pool = (struct ring_pool){.bytes_max = bytes_max};
    TAILQ_INIT(&pool->ended);
    TAILQ_INIT(&pool->live);
}

void
ring_init(struct ring *r, struct ring_pool *pool, size_t bytes_max,
          uint64_t (*floor)(struct ring *r))
{
    *r = (struct ring){.pool = pool, .bytes_max = bytes_max, .floor = floor};
    TAILQ_INIT(&r->chunks);
}

void
ring_done(struct ring *r)
{
    while (!TAILQ_EMPTY(&r->chunks))
        chunk_free(chunk_take(r));
}

void
ring_retire(struct ring *r)
{
    struct ring_chunk *c;

    if (r->retired)
        return;
    if (r->begin == r->end)
        ring_done(r); /* a chunk that no byte came for */
    r->retired = true;
    TAILQ_FOREACH (c, &r->chunks, link) {
        TAILQ_REMOVE(&r->pool->live, c, age);
        TAILQ_INSERT_TAIL(&r->pool->ended, c, age);
    }
}

bool
ring_has_room(struct ring *r)
{
    struct ring_chunk *victim;

    return chunk_open(TAILQ_LAST(&r->chunks, ring_chunks)) ||
           ring_victim(r, chunk_memory(next_cap(r)), &victim);
}

uint8_t *
ring_reserve(struct ring *r, size_t *ret_len)
{
    struct ring_chunk *c = TAILQ_LAST(&r->chunks, ring_chunks);

    if (!chunk_roomy(c)) {
        c = ring_grow(r);
        if (c == NULL)
            c = TAILQ_LAST(&r->chunks, ring_chunks);
        if (!chunk_open(c))
            return NULL;
    }
    *ret_len = c->cap - c->used;
    return chunk_bytes(c) + c->used;
}

void
ring_commit(struct ring *r, enum process_source source, size_t len)
{
    struct ring_chunk *c = TAILQ_LAST(&r->chunks, ring_chunks);

    assert(c != NULL && len <= c->cap - c->used);
    if (len == 0)
        return;
    if (c->record_count == 0 ||
        (c->records[c->record_count - 1] & RECORD_SOURCE) != (uint32_t)source)
        c->records[c->record_count++] =
            c->used << RECORD_SHIFT | (uint32_t)source;
    c->used += (uint32_t)len;
    r->end += len;
    r->pool->written += len;
}

/* The last record that starts at or before `pos`. */
static uint32_t
record_find(const struct ring_chunk *c, uint32_t pos)
{
    uint32_t low = 0;
    uint32_t high = c->record_count;

    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;

        if (c->records[mid] >> RECORD_SHIFT <= pos)
            low = mid;
        else
            high = mid;
    }
    return low;
}

const uint8_t *
ring_at(const struct ring *r, uint64_t offset, enum process_source *ret_source,
        size_t *ret_len)
{
    struct ring_chunk *c;
    uint32_t pos;
    uint32_t record;
    uint32_t end;

    assert(offset >= r->begin && offset < r->end);
    TAILQ_FOREACH_REVERSE (c, &r->chunks, ring_chunks, link) {
        if (c->offset <= offset)
            break;
    }
    assert(c != NULL);
    pos = (uint32_t)(offset - c->offset);
    record = record_find(c, pos);
    end = record + 1 < c->record_count ? c->records[record + 1] >> RECORD_SHIFT
                                       : c->used;
    *ret_source = (enum process_source)(c->records[record] & RECORD_SOURCE);
    *ret_len = end - pos;
    return chunk_bytes(c) + pos;
}

uint64_t
ring_oldest_end(const struct ring *r)
{
    struct ring_chunk *c = TAILQ_FIRST(&r->chunks);

    return c != NULL ? c->offset + c->used : r->end;
}
