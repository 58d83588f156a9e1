/*
 * Range headers: what is to be sent lies inside the content, is no more than
 * all of it, and has the length that is announced.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/scope.h"
#include "http/range.h"
#include "limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_frames(struct byte_parts *p)
{
    SCOPE(buf_done) struct buf out = {0};
    int64_t len = byte_parts_length(p);

    for (size_t i = 0; i <= p->ranges.count; i++)
        byte_parts_frame(p, i, &out);
    for (size_t i = 0; i < p->ranges.count; i++)
        len -= len >= 0 ? p->ranges.list[i].len : 0;
    assert(len < 0 || len == (int64_t)out.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct byte_parts p = {.type = "text/plain", .boundary = "B"};
    int64_t left;

    if (size < sizeof(p.size))
        return 0;
    memcpy(&p.size, data, sizeof(p.size));
    p.size &= INT64_MAX;
    if (byte_ranges_parse((struct str){(const char *)data + sizeof(p.size),
                                       size - sizeof(p.size)},
                          p.size, &p.ranges) != BYTE_RANGES_SOME) {
        assert(p.ranges.list == NULL);
        return 0;
    }
    assert(p.ranges.count > 0 && p.ranges.count <= LIMIT_HTTP_RANGES);
    left = p.size;
    for (size_t i = 0; i < p.ranges.count; i++) {
        const struct byte_range *r = &p.ranges.list[i];

        assert(r->first >= 0 && r->len >= 0 && r->len <= p.size - r->first);
        assert(r->len <= left);
        left -= r->len;
    }
    check_frames(&p);
    byte_ranges_done(&p.ranges);
    return 0;
}
