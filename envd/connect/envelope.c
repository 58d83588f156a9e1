/*
 * Reading and writing envelopes.
 */
#include "connect/envelope.h"

#include <errno.h>

#include "http/encoding.h"

static uint32_t
read_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           (uint32_t)p[3];
}

int
envelope_too_large(uint64_t size, size_t max, struct status *st)
{
    if (size == 0)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "message size exceeds limit %zu bytes", max);
    return status_set(st, RPC_RESOURCE_EXHAUSTED,
                      "message size %llu exceeds limit %zu bytes",
                      (unsigned long long)size, max);
}

static int
check_prefix(const struct envelope_rules *rules, uint8_t flags, uint32_t size,
             struct status *st)
{
    unsigned int known = ENVELOPE_COMPRESSED | (unsigned int)rules->end_flag;

    if (size > rules->max)
        return envelope_too_large(size, rules->max, st);
    if ((flags & ENVELOPE_COMPRESSED) != 0 && !rules->gzip)
        return status_set(st, RPC_INTERNAL,
                          "protocol error: sent compressed message without "
                          "compression support");
    if ((flags & ~known) != 0)
        return status_set(st, RPC_INTERNAL,
                          "protocol error: invalid envelope flags %u",
                          (unsigned int)flags);
    return 0;
}

enum envelope_step
envelope_read(const struct envelope_rules *rules, uint8_t *data, size_t len,
              struct envelope *ret, struct status *st)
{
    uint32_t size;

    if (len < ENVELOPE_PREFIX_LEN)
        return ENVELOPE_MORE;
    size = read_be32(data + 1);
    if (check_prefix(rules, data[0], size, st) < 0)
        return ENVELOPE_BAD;
    if (len - ENVELOPE_PREFIX_LEN < size)
        return ENVELOPE_MORE;
    *ret = (struct envelope){
        .flags = data[0],
        .data = data + ENVELOPE_PREFIX_LEN,
        .len = size,
    };
    return ENVELOPE_ONE;
}

int
envelope_cut(const uint8_t *data, size_t len, int err, struct status *st)
{
    if (err == -ETIMEDOUT)
        return status_set(st, RPC_DEADLINE_EXCEEDED,
                          "protocol error: incomplete envelope: the body "
                          "stalled");
    if (err == -EBADMSG)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "protocol error: incomplete envelope: malformed "
                          "chunked encoding");
    if (len < ENVELOPE_PREFIX_LEN)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "protocol error: incomplete envelope: unexpected "
                          "EOF");
    return status_set(st, RPC_INVALID_ARGUMENT,
                      "protocol error: promised %u bytes in enveloped "
                      "message, got %zu bytes",
                      read_be32(data + 1), len - ENVELOPE_PREFIX_LEN);
}

int
envelope_inflate(const uint8_t *data, size_t len, size_t max, struct buf *out,
                 struct status *st)
{
    enum gzip_fault fault = gzip_inflate_all(data, len, max, out);

    if (fault == GZIP_FINE)
        return 0;
    if (fault == GZIP_TOO_LARGE)
        return envelope_too_large(0, max, st);
    if (fault == GZIP_NO_MEMORY)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return status_set(st, RPC_INVALID_ARGUMENT, "%s: %s",
                      gzip_fault_in_head(fault) ? "get decompressor"
                                                : "decompress",
                      gzip_fault_text(fault));
}

size_t
envelope_open(struct buf *out)
{
    static const uint8_t blank[ENVELOPE_PREFIX_LEN];
    size_t at = out->len;

    buf_append(out, blank, sizeof(blank));
    return at;
}

int
envelope_close(struct buf *out, size_t at, uint8_t flags, struct status *st)
{
    size_t size;
    uint8_t *p;

    if (out->failed)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    size = out->len - at - ENVELOPE_PREFIX_LEN;
    if (size > UINT32_MAX)
        return envelope_too_large(size, UINT32_MAX, st);
    p = buf_data(out) + at;
    p[0] = flags;
    p[1] = (uint8_t)(size >> 24);
    p[2] = (uint8_t)(size >> 16);
    p[3] = (uint8_t)(size >> 8);
    p[4] = (uint8_t)size;
    return 0;
}
