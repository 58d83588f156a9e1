/*
 * Answers of servers: in one piece and byte by byte they are the same, and the
 * body keeps within its bound.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "guest/http_answer.h"

#define BODY_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_answer whole = {0};
    struct http_answer pieces = {0};
    struct buf in = {0};
    struct buf drops = {0};
    int r;
    int s = 0;

    http_answer_begin(&whole, BODY_MAX);
    http_answer_begin(&pieces, BODY_MAX);
    buf_append(&in, data, size);
    r = http_answer_feed(&whole, &in);
    for (size_t i = 0; i < size && s == 0; i++) {
        buf_append_byte(&drops, data[i]);
        s = http_answer_feed(&pieces, &drops);
    }
    if (size > 0)
        assert((r < 0) == (s < 0) && (r > 0) == (s > 0));
    assert(whole.body.len <= BODY_MAX);
    if (r >= 0) {
        assert(whole.status == pieces.status && whole.keep == pieces.keep);
        assert(whole.body.len == pieces.body.len);
        assert(whole.body.len == 0 ||
               memcmp(buf_data(&whole.body), buf_data(&pieces.body),
                      whole.body.len) == 0);
    }
    http_answer_done(&whole);
    http_answer_done(&pieces);
    buf_done(&in);
    buf_done(&drops);
    return 0;
}
