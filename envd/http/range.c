/*
 * Ranges of bytes, as tolerant as the clients of the contract need: blanks
 * around numbers, empty items, a plus sign.
 */
#include "http/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/scope.h"
#include "limits.h"

#define UNIT "bytes="

enum item {
    ITEM_RANGE,
    ITEM_EMPTY,
    ITEM_BEHIND, /* begins behind the end */
    ITEM_BAD,
};

/* A position; those that do not fit lie behind every end. */
static bool
read_position(struct str s, int64_t *ret)
{
    s = str_trim(s);
    return str_to_i64(s, ret) != -EINVAL && *ret >= 0;
}

static enum item
read_item(struct str s, int64_t size, struct byte_range *ret)
{
    const char *dash;
    struct str first, last;
    int64_t end = INT64_MAX;

    s = str_trim(s);
    if (s.len == 0)
        return ITEM_EMPTY;
    dash = memchr(s.data, '-', s.len);
    if (dash == NULL)
        return ITEM_BAD;
    first = (struct str){s.data, (size_t)(dash - s.data)};
    last = str_trim((struct str){dash + 1, s.len - first.len - 1});
    if (str_trim(first).len == 0) {
        if (!read_position(last, &end))
            return ITEM_BAD;
        ret->len = MIN(end, size);
        ret->first = size - ret->len;
        return ITEM_RANGE;
    }
    if (!read_position(first, &ret->first))
        return ITEM_BAD;
    if (ret->first >= size)
        return ITEM_BEHIND;
    if (last.len > 0 && (!read_position(last, &end) || end < ret->first))
        return ITEM_BAD;
    ret->len = MIN(end, size - 1) - ret->first + 1;
    return ITEM_RANGE;
}

static size_t
count_items(struct str s)
{
    size_t count = 1;

    for (size_t i = 0; i < s.len; i++)
        count += s.data[i] == ',' ? 1 : 0;
    return count;
}

/* Read all items into a list with room for them. */
static enum byte_ranges_kind
read_items(struct str s, int64_t size, struct byte_ranges *r)
{
    int64_t left = size;
    bool behind = false;

    while (s.data != NULL) {
        const char *comma = memchr(s.data, ',', s.len);
        struct str item = s;

        s = (struct str){0};
        if (comma != NULL) {
            s.data = comma + 1;
            s.len = item.len - (size_t)(s.data - item.data);
            item.len = (size_t)(comma - item.data);
        }
        switch (read_item(item, size, &r->list[r->count])) {
        case ITEM_RANGE:
            /* Their sum, from above: it never overflows. */
            left -= left >= 0 ? r->list[r->count].len : 0;
            r->count++;
            break;
        case ITEM_BEHIND:
            behind = true;
            break;
        case ITEM_EMPTY:
            break;
        case ITEM_BAD:
            return BYTE_RANGES_MALFORMED;
        }
    }
    if (size == 0 || left < 0 || (r->count == 0 && !behind))
        return BYTE_RANGES_WHOLE;
    return r->count > 0 ? BYTE_RANGES_SOME : BYTE_RANGES_UNSATISFIABLE;
}

enum byte_ranges_kind
byte_ranges_parse(struct str header, int64_t size, struct byte_ranges *ret)
{
    struct byte_ranges r = {0};
    enum byte_ranges_kind kind;
    size_t items;

    if (header.len == 0)
        return BYTE_RANGES_WHOLE;
    if (!str_starts(header, UNIT))
        return BYTE_RANGES_MALFORMED;
    header.data += sizeof(UNIT) - 1;
    header.len -= sizeof(UNIT) - 1;
    items = count_items(header);
    if (items > LIMIT_HTTP_RANGES)
        return BYTE_RANGES_WHOLE;
    r.list = calloc(items, sizeof(*r.list));
    if (r.list == NULL)
        return BYTE_RANGES_WHOLE;
    kind = read_items(header, size, &r);
    if (kind == BYTE_RANGES_SOME)
        *ret = r;
    else
        byte_ranges_done(&r);
    return kind;
}

void
byte_ranges_done(struct byte_ranges *r)
{
    free(r->list);
    *r = (struct byte_ranges){0};
}

void
content_range_format(const struct byte_range *range, int64_t size,
                     char out[CONTENT_RANGE_SIZE])
{
    if (range == NULL)
        (void)snprintf(out, CONTENT_RANGE_SIZE, "bytes */%" PRId64, size);
    else
        (void)snprintf(out, CONTENT_RANGE_SIZE,
                       "bytes %" PRId64 "-%" PRId64 "/%" PRId64, range->first,
                       range->first + range->len - 1, size);
}

void
byte_parts_init(struct byte_parts *p)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[(BYTE_RANGES_BOUNDARY_SIZE - 1) / 2] = {0};

    /* Nobody who writes a file is to know what would end a part of it. */
    (void)!getrandom(bytes, sizeof(bytes), GRND_NONBLOCK);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        p->boundary[2 * i] = hex[bytes[i] >> 4];
        p->boundary[2 * i + 1] = hex[bytes[i] & 15];
    }
    p->boundary[sizeof(p->boundary) - 1] = '\0';
}

void
byte_parts_frame(const struct byte_parts *p, size_t i, struct buf *out)
{
    char range[CONTENT_RANGE_SIZE];

    buf_appendf(out, "%s--%s", i > 0 ? "\r\n" : "", p->boundary);
    if (i == p->ranges.count) {
        buf_append_str(out, "--\r\n");
        return;
    }
    content_range_format(&p->ranges.list[i], p->size, range);
    buf_appendf(out, "\r\nContent-Range: %s\r\nContent-Type: %s\r\n\r\n", range,
                p->type);
}

int64_t
byte_parts_length(const struct byte_parts *p)
{
    SCOPE(buf_done) struct buf frame = {0};
    int64_t len = 0;

    for (size_t i = 0; i <= p->ranges.count; i++) {
        byte_parts_frame(p, i, &frame);
        if (ckd_add(&len, len, (int64_t)frame.len) ||
            (i < p->ranges.count && ckd_add(&len, len, p->ranges.list[i].len)))
            return -1;
        buf_truncate(&frame, 0);
    }
    return len;
}
