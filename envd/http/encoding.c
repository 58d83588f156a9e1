/*
 * Gzip by zlib, which is seen here only.
 *
 * zlib stops at the end of each member; going on with the next one, telling
 * apart a short stream from a broken one, and keeping the output within its
 * bounds is what this file adds.
 */
#include "http/encoding.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

/* zlib's window bits: 15 is the largest window, 16 more mean gzip. */
#define GZIP_WINDOW_BITS (MAX_WBITS + 16)

/* A message below this many bytes is deflated with a window of its size. */
#define GZIP_SMALL_BYTES       4096
#define GZIP_SMALL_WINDOW_BITS (12 + 16)
#define GZIP_SMALL_MEM_LEVEL   5
#define GZIP_MEM_LEVEL         8

#define GZIP_OUT_STEP (16UL * 1024)

/* A gzip stream of one member: its smallest size, and where ISIZE stands. */
#define GZIP_MEMBER_MIN   18
#define GZIP_ISIZE_LENGTH 4

/* The part of a header that each has. */
#define GZIP_HEAD_MIN 10

enum gzip_state {
    GZIP_HEAD,    /* nothing, or a part of the first header */
    GZIP_BODY,    /* the first header is complete: inside some member */
    GZIP_BETWEEN, /* behind a complete member, less than a header after it */
    GZIP_FAILED,  /* a fault was found; it stays */
};

struct gzip_inflate {
    z_stream z;
    gz_header head; /* of the first member; zlib says when it is complete */
    enum gzip_state state;
    enum gzip_fault fault;
    /* A header is judged when it has its least length, not at byte one. */
    uint8_t first[GZIP_HEAD_MIN];
    size_t first_len;
};

struct gzip_deflate {
    z_stream z;
};

const char *
gzip_fault_text(enum gzip_fault fault)
{
    switch (fault) {
    case GZIP_FINE:
        break;
    case GZIP_EMPTY:
        return "EOF";
    case GZIP_TRUNCATED_HEAD:
    case GZIP_TRUNCATED:
        return "unexpected EOF";
    case GZIP_BAD_HEAD:
    case GZIP_BAD_MEMBER:
        return "gzip: invalid header";
    case GZIP_BAD_DATA:
        return "flate: corrupt input";
    case GZIP_BAD_CHECKSUM:
        return "gzip: invalid checksum";
    case GZIP_TOO_LARGE:
        return "too large";
    case GZIP_NO_MEMORY:
        return "out of memory";
    }
    return "";
}

bool
gzip_fault_in_head(enum gzip_fault fault)
{
    return fault == GZIP_EMPTY || fault == GZIP_TRUNCATED_HEAD ||
           fault == GZIP_BAD_HEAD;
}

struct gzip_inflate *
gzip_inflate_new(void)
{
    struct gzip_inflate *g = xcalloc(1, sizeof(*g));

    if (inflateInit2(&g->z, GZIP_WINDOW_BITS) != Z_OK) {
        free(g);
        return NULL;
    }
    (void)inflateGetHeader(&g->z, &g->head);
    return g;
}

void
gzip_inflate_free(struct gzip_inflate *g)
{
    if (g == NULL)
        return;
    (void)inflateEnd(&g->z);
    free(g);
}

/* zlib tells its data errors apart by their words only. */
static enum gzip_fault
inflate_data_fault(const struct gzip_inflate *g)
{
    static const struct {
        const char *words;
        bool checksum;
    } known[] = {
        {"incorrect data check", true},
        {"incorrect length check", true},
        {"incorrect header check", false},
        {"unknown compression method", false},
        {"unknown header flags set", false},
        {"header crc mismatch", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (g->z.msg == NULL || strcmp(g->z.msg, known[i].words) != 0)
            continue;
        if (known[i].checksum)
            return GZIP_BAD_CHECKSUM;
        return g->state == GZIP_HEAD ? GZIP_BAD_HEAD : GZIP_BAD_MEMBER;
    }
    return GZIP_BAD_DATA;
}

/* One call of zlib, and what it means. */
static enum gzip_fault
inflate_step(struct gzip_inflate *g)
{
    int err = inflate(&g->z, Z_NO_FLUSH);

    if (g->head.done == 1)
        g->state = GZIP_BODY;
    switch (err) {
    case Z_OK:
    case Z_BUF_ERROR: /* no room, or no input left */
        return GZIP_FINE;
    case Z_STREAM_END:
        (void)inflateReset(&g->z);
        g->state = GZIP_BETWEEN;
        g->first_len = 0;
        return GZIP_FINE;
    case Z_MEM_ERROR:
        return GZIP_NO_MEMORY;
    default:
        return inflate_data_fault(g);
    }
}

/* Collect the fixed part of a member's header, then hand it on. */
static enum gzip_fault
inflate_head(struct gzip_inflate *g, const uint8_t **in, size_t *len,
             uint8_t *out)
{
    size_t n = MIN(GZIP_HEAD_MIN - g->first_len, *len);

    memcpy(g->first + g->first_len, *in, n);
    g->first_len += n;
    *in += n;
    *len -= n;
    if (g->first_len < GZIP_HEAD_MIN)
        return GZIP_FINE;
    g->z.next_in = g->first;
    g->z.avail_in = GZIP_HEAD_MIN;
    g->z.next_out = out;
    g->z.avail_out = 0;
    return inflate_step(g);
}

enum gzip_fault
gzip_inflate_run(struct gzip_inflate *g, const uint8_t **in, size_t *len,
                 uint8_t *out, size_t room, size_t *ret_len)
{
    size_t written = 0;
    enum gzip_fault fault = GZIP_FINE;

    *ret_len = 0;
    if (g->state == GZIP_FAILED)
        return g->fault;
    while (fault == GZIP_FINE && written < room) {
        uInt in_now, out_now;

        if (g->first_len < GZIP_HEAD_MIN) {
            if (*len == 0)
                break;
            fault = inflate_head(g, in, len, out);
            continue;
        }
        in_now = (uInt)MIN(*len, (size_t)UINT_MAX);
        out_now = (uInt)MIN(room - written, (size_t)UINT_MAX);
        g->z.next_in = *in;
        g->z.avail_in = in_now;
        g->z.next_out = out + written;
        g->z.avail_out = out_now;
        fault = inflate_step(g);
        in_now -= g->z.avail_in;
        out_now -= g->z.avail_out;
        *in += in_now;
        *len -= in_now;
        written += out_now;
        if (in_now == 0 && out_now == 0 && g->first_len == GZIP_HEAD_MIN)
            break;
    }
    *ret_len = written;
    if (fault == GZIP_FINE)
        return GZIP_FINE;
    g->state = GZIP_FAILED;
    g->fault = fault;
    return written > 0 ? GZIP_FINE : fault;
}

enum gzip_fault
gzip_inflate_end(const struct gzip_inflate *g)
{
    switch (g->state) {
    case GZIP_HEAD:
        return g->first_len > 0 ? GZIP_TRUNCATED_HEAD : GZIP_EMPTY;
    case GZIP_BODY:
        return GZIP_TRUNCATED;
    case GZIP_BETWEEN:
        return g->first_len > 0 ? GZIP_TRUNCATED : GZIP_FINE;
    case GZIP_FAILED:
        return g->fault;
    }
    return GZIP_BAD_DATA;
}

bool
gzip_inflate_began(const struct gzip_inflate *g)
{
    return g->head.done == 1;
}

/*
 * A guess at the output's size, so that it grows once: what the last member
 * says of itself, within what so many bytes can inflate to.
 */
static size_t
inflate_guess(const uint8_t *in, size_t len, size_t max)
{
    const uint8_t *p;
    size_t said, most;

    if (len < GZIP_MEMBER_MIN)
        return 0;
    p = in + len - GZIP_ISIZE_LENGTH;
    said = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 |
           (size_t)p[3] << 24;
    if (ckd_mul(&most, len, (size_t)LIMIT_RPC_INFLATE_RATIO) || most > max)
        most = max;
    return MIN(said, most);
}

static enum gzip_fault
inflate_rest(struct gzip_inflate *g, const uint8_t *in, size_t len, size_t max,
             struct buf *out)
{
    const size_t before = out->len;
    size_t step = MAX(inflate_guess(in, len, max), GZIP_OUT_STEP);

    for (;;) {
        /* One byte of room beyond `max` shows that there is more. */
        size_t left = max - (out->len - before) + 1;
        size_t room = MIN(step, left);
        uint8_t *to = buf_reserve(out, room);
        enum gzip_fault fault;
        size_t written;

        if (to == NULL)
            return GZIP_NO_MEMORY;
        fault = gzip_inflate_run(g, &in, &len, to, room, &written);
        buf_commit(out, written);
        if (fault != GZIP_FINE)
            return fault;
        if (out->len - before > max)
            return GZIP_TOO_LARGE;
        if (written < room && len == 0)
            return gzip_inflate_end(g);
        step = MAX(out->len - before, GZIP_OUT_STEP);
    }
}

enum gzip_fault
gzip_inflate_all(const uint8_t *in, size_t len, size_t max, struct buf *out)
{
    struct gzip_inflate *g = gzip_inflate_new();
    enum gzip_fault fault;

    if (g == NULL)
        return GZIP_NO_MEMORY;
    fault = inflate_rest(g, in, len, max, out);
    gzip_inflate_free(g);
    return fault;
}

struct gzip_deflate *
gzip_deflate_new(size_t size)
{
    struct gzip_deflate *g = xcalloc(1, sizeof(*g));
    bool small = size < GZIP_SMALL_BYTES;

    if (deflateInit2(&g->z, Z_BEST_SPEED, Z_DEFLATED,
                     small ? GZIP_SMALL_WINDOW_BITS : GZIP_WINDOW_BITS,
                     small ? GZIP_SMALL_MEM_LEVEL : GZIP_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(g);
        return NULL;
    }
    return g;
}

void
gzip_deflate_free(struct gzip_deflate *g)
{
    if (g == NULL)
        return;
    (void)deflateEnd(&g->z);
    free(g);
}

int
gzip_deflate_run(struct gzip_deflate *g, const uint8_t *in, size_t len,
                 bool last, struct buf *out)
{
    size_t step = deflateBound(&g->z, MIN(len, (size_t)GZIP_OUT_STEP));
    int err;

    do {
        uInt in_now = (uInt)MIN(len, (size_t)UINT_MAX);
        uint8_t *to = buf_reserve(out, step);

        if (to == NULL)
            return -ENOMEM;
        g->z.next_in = in;
        g->z.avail_in = in_now;
        g->z.next_out = to;
        g->z.avail_out = (uInt)step;
        err = deflate(&g->z, last && in_now == len ? Z_FINISH : Z_NO_FLUSH);
        assert(err != Z_STREAM_ERROR && "the stream is ours");
        in += in_now - g->z.avail_in;
        len -= in_now - g->z.avail_in;
        buf_commit(out, step - g->z.avail_out);
    } while (len > 0 || g->z.avail_out == 0 || (last && err != Z_STREAM_END));
    return 0;
}

int
gzip_deflate_all(const uint8_t *in, size_t len, struct buf *out)
{
    struct gzip_deflate *g = gzip_deflate_new(len);
    int err;

    if (g == NULL)
        return -ENOMEM;
    err = gzip_deflate_run(g, in, len, /* last= */ true, out);
    gzip_deflate_free(g);
    return err;
}
