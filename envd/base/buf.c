/*
 * The growing byte buffer behind every parser and encoder.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"

#define BUF_MIN 512

static bool
buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
    uint8_t *mem;

    while (cap < need)
        if (ckd_mul(&cap, cap, 2U))
            return false;
    mem = realloc(b->mem, cap);
    if (mem == NULL)
        return false;
    b->mem = mem;
    b->cap = cap;
    return true;
}

uint8_t *
buf_reserve(struct buf *b, size_t len)
{
    size_t need;

    if (b->failed || ckd_add(&need, b->len, len)) {
        b->failed = true;
        return NULL;
    }
    if (b->cap - b->off >= need)
        return b->mem + b->off + b->len;

    /* Half empty at the front: moving is cheaper than growing. */
    if (b->off > 0 && b->cap >= need && b->off >= b->len) {
        memcpy(b->mem, b->mem + b->off, b->len);
        b->off = 0;
        return b->mem + b->len;
    }
    if (ckd_add(&need, need, b->off) || !buf_grow(b, need)) {
        b->failed = true;
        return NULL;
    }
    return b->mem + b->off + b->len;
}

void
buf_append(struct buf *b, const void *data, size_t len)
{
    uint8_t *p = len > 0 ? buf_reserve(b, len) : NULL;

    if (p == NULL)
        return;
    memcpy(p, data, len);
    b->len += len;
}

void
buf_append_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    buf_append(b, digits + at, sizeof(digits) - at);
}

void
buf_append_i64(struct buf *b, int64_t value)
{
    if (value < 0)
        buf_append_byte(b, '-');
    buf_append_u64(b, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void
buf_appendf(struct buf *b, const char *format, ...)
{
    va_list args;
    int len;
    uint8_t *p;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return;
    p = buf_reserve(b, (size_t)len + 1);
    if (p == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf((char *)p, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void
buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->off += len;
    b->len -= len;
    if (b->len == 0)
        b->off = 0;
}

void
buf_truncate(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len = len;
}

void
buf_reset(struct buf *b, size_t keep)
{
    if (b->cap > keep) {
        buf_done(b);
        return;
    }
    b->off = 0;
    b->len = 0;
    b->failed = false;
}

void
buf_done(struct buf *b)
{
    free(b->mem);
    *b = (struct buf){0};
}
