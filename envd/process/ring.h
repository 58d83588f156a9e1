/*
 * The recent output of one process: bytes of several sources in the order they
 * were read, each with an absolute offset that counts the bytes of all sources.
 *
 * A ring is a list of chunks.  A chunk holds bytes, and records that say from
 * where on they are of which source; bytes are read(2) straight into it and
 * handed out from there.  Chunks begin small, so that a command with little
 * output costs little, and the oldest is used again for the newest once the
 * ring has its full size.
 *
 * All rings share a pool, which bounds them together: beyond its bound the
 * oldest chunks go, those of ended processes first.  A chunk that an attached
 * reader still needs never goes.
 */
#ifndef ENVD_PROCESS_RING_H
#define ENVD_PROCESS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "process/process.h"

/* The bytes of the largest chunk: one read(2) of a full pipe. */
#define RING_CHUNK_BYTES ((size_t)64 * 1024)

struct ring_chunk;
TAILQ_HEAD(ring_chunks, ring_chunk);

/* What all rings share. */
struct ring_pool {
    struct ring_chunks ended; /* chunks of retired rings, oldest first */
    struct ring_chunks live;  /* of the others, oldest first */
    size_t bytes;             /* memory of both */
    size_t bytes_max;

    /* Ever. */
    uint64_t written;     /* bytes */
    uint64_t missed;      /* bytes, by readers that came too late */
    uint64_t readers_cut; /* for want of progress */
};

struct ring {
    struct ring_pool *pool;
    struct ring_chunks chunks; /* oldest first */
    size_t bytes;              /* memory of them */
    size_t bytes_max;
    uint64_t begin; /* offset of the oldest byte kept */
    uint64_t end;   /* offset of the next byte to come */
    bool retired;   /* its process has ended */
    /* The lowest offset that is still needed; UINT64_MAX for none. */
    uint64_t (*floor)(struct ring *r);
};

void ring_pool_init(struct ring_pool *pool, size_t bytes_max);

/* `bytes_max` bounds the memory of this ring; `floor` may not be NULL. */
void ring_init(struct ring *r, struct ring_pool *pool, size_t bytes_max,
               uint64_t (*floor)(struct ring *r));

/* Free the memory; begin catches up with end. */
void ring_done(struct ring *r);

/* Its process has ended: its chunks are the first to go now. */
void ring_retire(struct ring *r);

/* Whether ring_reserve() would give room. */
bool ring_has_room(struct ring *r);

/*
 * Room for the next bytes, dropping old ones that nobody needs.
 *
 * ret_len  on success the bytes that fit there, at least 1
 *
 * Returns where they go; NULL when a reader must make room first, or memory is
 * exhausted.
 */
uint8_t *ring_reserve(struct ring *r, size_t *ret_len);

/* The first `len` bytes of what was reserved last are output of `source`. */
void ring_commit(struct ring *r, enum process_source source, size_t len);

/*
 * The bytes at `offset`, begin <= offset < end, as far as they are of one
 * source and lie together.
 *
 * Returns where they are; valid until the ring is changed.
 */
const uint8_t *ring_at(const struct ring *r, uint64_t offset,
                       enum process_source *ret_source, size_t *ret_len);

/* The offset behind the oldest chunk: who reads below holds its memory. */
uint64_t ring_oldest_end(const struct ring *r);

#endif
