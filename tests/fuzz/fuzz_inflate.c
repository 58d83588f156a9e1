/* Gzip as a peer may send it: all at once and in pieces are the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/scope.h"
#include "http/encoding.h"

#define MAX_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum gzip_fault
inflate_pieces(const uint8_t *data, size_t size, size_t step, size_t room,
               struct buf *out)
{
    struct gzip_inflate *g = gzip_inflate_new();
    enum gzip_fault fault = GZIP_FINE;
    size_t written = 0;

    assert(g != NULL);
    while (fault == GZIP_FINE && out->len <= MAX_BYTES && size > 0) {
        size_t len = MIN(step, size);

        size -= len;
        do {
            uint8_t *to = buf_reserve(out, room);

            assert(to != NULL);
            fault = gzip_inflate_run(g, &data, &len, to, room, &written);
            buf_commit(out, written);
        } while (fault == GZIP_FINE && out->len <= MAX_BYTES &&
                 (len > 0 || written == room));
    }
    if (fault == GZIP_FINE)
        fault = gzip_inflate_end(g);
    gzip_inflate_free(g);
    return fault;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = {0};
    struct buf pieces = {0};
    enum gzip_fault fault;
    size_t step, room;

    if (size < 2)
        return 0;
    step = (size_t)data[0] + 1;
    room = (size_t)data[1] + 1;
    data += 2;
    size -= 2;
    fault = gzip_inflate_all(data, size, MAX_BYTES, &whole);
    assert(whole.len <= MAX_BYTES + 1);
    if (fault != GZIP_TOO_LARGE) {
        assert(fault == inflate_pieces(data, size, step, room, &pieces));
        assert(pieces.len == whole.len);
        if (whole.len > 0)
            assert(memcmp(buf_data(&pieces), buf_data(&whole), whole.len) == 0);
    }
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
