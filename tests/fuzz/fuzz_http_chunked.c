/*
 * Chunked bodies.  The first byte says in what steps the rest arrives; the
 * body and its end must not depend on it.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/scope.h"
#include "http/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the bytes taken, -EAGAIN when the end did not come, or -EBADMSG. */
static ptrdiff_t
decode(const struct http_parser *parser, const uint8_t *data, size_t size,
       size_t step, struct buf *body)
{
    struct http_chunks *chunks = http_chunks_new(parser);
    size_t taken = 0;
    size_t given = 0;
    ptrdiff_t n = 0;

    while (n >= 0 && !http_chunks_done(chunks) && taken < size) {
        struct str piece;

        if (given == taken)
            given = MIN(given + step, size);
        n = http_chunks_next(chunks, data + taken, given - taken, &piece);
        if (n < 0)
            break;
        assert((size_t)n <= given - taken && piece.len <= (size_t)n);
        if (piece.len > 0)
            buf_append(body, piece.data, piece.len);
        taken += (size_t)n;
    }
    if (n >= 0)
        n = http_chunks_done(chunks) ? (ptrdiff_t)taken : -EAGAIN;
    http_chunks_free(chunks);
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_parser *parser;
    struct buf whole = {0};
    struct buf stepped = {0};
    ptrdiff_t end;

    if (size < 2)
        return 0;
    parser = http_parser_new();
    end = decode(parser, data + 1, size - 1, size, &whole);
    assert(decode(parser, data + 1, size - 1, data[0] % 32U + 1, &stepped) ==
           end);
    assert(end < 0 || (end >= 5 && memcmp(data + end - 1, "\r\n", 2) == 0));
    if (end != -EBADMSG) {
        assert(whole.len == stepped.len);
        assert(whole.len == 0 ||
               memcmp(buf_data(&whole), buf_data(&stepped), whole.len) == 0);
    }
    buf_done(&whole);
    buf_done(&stepped);
    http_parser_free(parser);
    return 0;
}
