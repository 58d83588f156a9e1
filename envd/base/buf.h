/*
 * A byte buffer: contiguous, consumed at the front, grown at the back.
 *
 * Contiguous on purpose: a parser sees one range, an encoder writes in place
 * and patches a length afterwards, and base64 runs over it in wide steps.
 * Growing can fail; the failure sticks (`failed`), so that an encoder appends
 * without checks and its caller looks once at the end.
 *
 * Zero-initialise it; end it with buf_done().  Context: any, one thread.
 */
#ifndef ENVD_BASE_BUF_H
#define ENVD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *mem; /* the allocation */
    size_t off;   /* consumed bytes at its front */
    size_t len;   /* bytes of content, from mem + off */
    size_t cap;   /* size of the allocation, bytes */
    bool failed;  /* memory was exhausted: content is incomplete */
};

/* First byte of the content; valid until the buffer is changed. */
static inline uint8_t *
buf_data(const struct buf *b)
{
    return b->mem + b->off;
}

/*
 * Make room for `len` bytes behind the content and return where they go, or
 * NULL (and set `failed`) when memory is exhausted.  buf_commit() then makes
 * them content.
 */
uint8_t *buf_reserve(struct buf *b, size_t len);

/* Make `len` bytes, written after buf_reserve(), part of the content. */
static inline void
buf_commit(struct buf *b, size_t len)
{
    b->len += len;
}

/* Append bytes; on exhausted memory set `failed` and leave the content. */
void buf_append(struct buf *b, const void *data, size_t len);

/* Append a NUL-terminated string, without its NUL. */
static inline void
buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

static inline void
buf_append_byte(struct buf *b, uint8_t byte)
{
    uint8_t *p = buf_reserve(b, 1);

    if (p != NULL) {
        *p = byte;
        b->len++;
    }
}

/* Append the decimal form of a number. */
void buf_append_u64(struct buf *b, uint64_t value);
void buf_append_i64(struct buf *b, int64_t value);

/* Append as printf(3). */
void buf_appendf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drop `len` bytes of content from the front; at most what there is. */
void buf_consume(struct buf *b, size_t len);

/* Cut the content to its first `len` bytes; `len` at most what there is. */
void buf_truncate(struct buf *b, size_t len);

/* Empty it, and give memory above `keep` bytes back to the system. */
void buf_reset(struct buf *b, size_t keep);

/* Free the memory; the buffer is then empty and may be used again. */
void buf_done(struct buf *b);

#endif
