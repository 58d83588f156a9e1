/*
 * Envelopes: one byte of flags, four of length (big-endian), the payload.
 *
 * Rule: the Connect protocol's "enveloped message", gRPC's length-prefixed
 * message.  Context: any.
 */
#ifndef ENVD_CONNECT_ENVELOPE_H
#define ENVD_CONNECT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define ENVELOPE_PREFIX_LEN 5

enum {
    ENVELOPE_COMPRESSED = 0x01,
    ENVELOPE_END_STREAM = 0x02, /* Connect */
    ENVELOPE_TRAILERS = 0x80,   /* gRPC-Web */
};

/* What a reader accepts. */
struct envelope_rules {
    bool gzip;        /* the compressed flag was negotiated */
    uint8_t end_flag; /* marks the end of the stream; 0: none does */
    size_t max;       /* bytes of one message, as sent and inflated */
};

struct envelope {
    uint8_t flags;
    uint8_t *data; /* into the bytes it was read from */
    size_t len;
};

enum envelope_step {
    ENVELOPE_MORE, /* not all of it is here */
    ENVELOPE_ONE,
    ENVELOPE_BAD, /* refused; nothing behind it can be read */
};

/*
 * Look at the envelope at the front of `len` bytes.  Flags and length are
 * judged as soon as the prefix is there.
 *
 * ret  set for ENVELOPE_ONE; it takes ENVELOPE_PREFIX_LEN + ret->len bytes
 * st   set for ENVELOPE_BAD
 */
enum envelope_step envelope_read(const struct envelope_rules *rules,
                                 uint8_t *data, size_t len,
                                 struct envelope *ret, struct status *st);

/*
 * Say why a body that ended before an envelope was complete is refused.
 *
 * len  bytes there, at least 1 if `why` is 0
 * err  0, or the reason the body ended: -errno
 *
 * Sets `st` and returns -1.
 */
int envelope_cut(const uint8_t *data, size_t len, int err, struct status *st);

/*
 * Inflate one message.
 *
 * max  bytes of the result
 * out  appended to
 *
 * Returns 0, or -1 with `st` set.
 */
int envelope_inflate(const uint8_t *data, size_t len, size_t max,
                     struct buf *out, struct status *st);

/*
 * Begin an envelope at the end of `out`, in place: what is appended until
 * envelope_close() is its payload.  Returns where it begins.
 */
size_t envelope_open(struct buf *out);

/*
 * Set flags and length of the envelope begun at `at`.
 *
 * Returns 0, or -1 with `st` set when it is larger than an envelope can be or
 * memory was exhausted.
 */
int envelope_close(struct buf *out, size_t at, uint8_t flags,
                   struct status *st);

/*
 * Say that a message is too large.
 * size  bytes, or 0 when it is not known
 */
int envelope_too_large(uint64_t size, size_t max, struct status *st);

#endif
