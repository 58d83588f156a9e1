/*
 * Content coding: gzip in and out.
 *
 * Inflating is bounded by whoever calls: the streaming form writes into memory
 * it is given, the one-shot form has a maximum.  Concatenated members are one
 * stream; length and checksum of each are verified; anything else behind a
 * member is a fault.
 *
 * Rule: RFC 1952, RFC 9110 section 8.4.  Context: any, one thread at a time.
 */
#ifndef ENVD_HTTP_ENCODING_H
#define ENVD_HTTP_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* What is wrong with gzip data. */
enum gzip_fault {
    GZIP_FINE,
    GZIP_EMPTY,          /* no byte at all */
    GZIP_TRUNCATED_HEAD, /* it ends inside its first header */
    GZIP_BAD_HEAD,       /* it does not begin with a gzip header */
    GZIP_TRUNCATED,      /* it ends inside a member */
    GZIP_BAD_MEMBER,     /* what follows a member is none */
    GZIP_BAD_DATA,       /* not a deflate stream */
    GZIP_BAD_CHECKSUM,   /* length or checksum of a member */
    GZIP_TOO_LARGE,      /* more than the caller allows */
    GZIP_NO_MEMORY,
};

/* The words for a fault, as clients know them; static. */
const char *gzip_fault_text(enum gzip_fault fault);

/* Whether the fault showed before the first header was complete. */
bool gzip_fault_in_head(enum gzip_fault fault);

/* The state of one stream being inflated. */
struct gzip_inflate;

/* Returns NULL when memory is exhausted; gzip_inflate_free() takes NULL. */
struct gzip_inflate *gzip_inflate_new(void);
void gzip_inflate_free(struct gzip_inflate *g);

/*
 * Inflate what fits.
 *
 * in, len   input; advanced past what was consumed
 * out       room for `room` bytes
 * ret_len   on success the bytes written to `out`
 *
 * Returns GZIP_FINE, or the fault, after which the state stays failed.  Output
 * that was complete before a fault is delivered first.  Call again
 * while `*len > 0` or the room was filled.
 */
enum gzip_fault gzip_inflate_run(struct gzip_inflate *g, const uint8_t **in,
                                 size_t *len, uint8_t *out, size_t room,
                                 size_t *ret_len);

/* There is no more input: GZIP_FINE when the last member was complete. */
enum gzip_fault gzip_inflate_end(const struct gzip_inflate *g);

/* Whether the first header was read. */
bool gzip_inflate_began(const struct gzip_inflate *g);

/*
 * Inflate a whole message, appending to `out`.
 *
 * max  bytes of output that are allowed
 *
 * Returns GZIP_FINE or the fault; `out` then holds a part.
 */
enum gzip_fault gzip_inflate_all(const uint8_t *in, size_t len, size_t max,
                                 struct buf *out);

/* The state of one stream being deflated. */
struct gzip_deflate;

/*
 * size  bytes to come, if they are known to be few (a smaller window is then
 *       enough), else SIZE_MAX
 *
 * Returns NULL when memory is exhausted; gzip_deflate_free() takes NULL.
 */
struct gzip_deflate *gzip_deflate_new(size_t size);
void gzip_deflate_free(struct gzip_deflate *g);

/*
 * Deflate `len` bytes at the fastest level, appending what comes out to `out`.
 *
 * last  these are the last bytes: complete the stream
 *
 * Returns 0, or -ENOMEM (`out` has then failed).
 */
int gzip_deflate_run(struct gzip_deflate *g, const uint8_t *in, size_t len,
                     bool last, struct buf *out);

/* Deflate a whole message, appending to `out`.  Returns 0 or -ENOMEM. */
int gzip_deflate_all(const uint8_t *in, size_t len, struct buf *out);

#endif
