/*
 * The answer's half of an exchange: its head, its framing, its end.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/scope.h"
#include "http/conn.h"
#include "http/exchange.h"
#include "limits.h"

/* Bodies from here on are moved to the socket's queue, not copied. */
#define MOVE_BYTES 16384U

/* Room before a piece for its size in hexadecimal, CR and LF. */
#define CHUNK_HEAD 10

/* More than all lines together that are not the handler's. */
#define OWN_LINES 256

/* ---- header lines -------------------------------------------------------- */

void
http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    size_t len = 0;

    assert(!x->begun);
    while ((uint8_t)value[len] >= ' ' && value[len] != 0x7f)
        len++;
    http_pool_take(&conn_of(x)->server->pool, &x->added, false);
    buf_append_str(&x->added, name);
    buf_append(&x->added, ": ", 2);
    buf_append(&x->added, value, len);
    buf_append(&x->added, "\r\n", 2);
}

struct str
http_added_header(const struct http_exchange *x, const char *name)
{
    const char *at = (const char *)buf_data(&x->added);
    size_t left = x->added.len;
    size_t len = strlen(name);

    while (left > 0) {
        size_t line = (size_t)((const char *)memchr(at, '\n', left) - at) + 1;

        if (line > len + 2 && strncasecmp(at, name, len) == 0 && at[len] == ':')
            return (struct str){at + len + 2, line - len - 4};
        at += line;
        left -= line;
    }
    return (struct str){0};
}

void
http_drop_header(struct http_exchange *x, const char *name)
{
    size_t name_len = strlen(name);
    char *from;
    char *end;
    char *to;

    if (x->added.len == 0)
        return;
    from = (char *)buf_data(&x->added);
    end = from + x->added.len;
    to = from;
    while (from < end) {
        char *next = (char *)memchr(from, '\n', (size_t)(end - from)) + 1;

        if (strncasecmp(from, name, name_len) != 0 || from[name_len] != ':') {
            memmove(to, from, (size_t)(next - from));
            to += next - from;
        }
        from = next;
    }
    buf_truncate(&x->added, x->added.len - (size_t)(end - to));
}

/* Whether the connection can serve another request behind this answer. */
static bool
exchange_keeps(struct http_exchange *x)
{
    struct http_conn *c = conn_of(x);

    if (!c->keep || x->close_after || x->body_err != 0)
        return false;
    if (c->body_done)
        return true;
    /* Nobody knows whether a body follows that was waiting for a 100. */
    return !x->expect_continue &&
           (c->chunks != NULL || c->body_left <= LIMIT_HTTP_DRAIN_BYTES);
}

static char *
put(char *at, const char *text)
{
    return stpcpy(at, text);
}

static char *
put_number(char *at, uint64_t value)
{
    char digits[20];
    size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(at, digits + i, sizeof(digits) - i);
    return at + sizeof(digits) - i;
}

static char *
put_framing(char *at, const struct http_exchange *x, bool keep)
{
    if (x->chunked) {
        at = put(at, "Transfer-Encoding: chunked\r\n");
    } else if (x->answer_left >= 0) {
        at = put(at, "Content-Length: ");
        at = put_number(at, (uint64_t)x->answer_left);
        at = put(at, "\r\n");
    }
    if (!keep && !x->http_1_0)
        at = put(at, "Connection: close\r\n");
    else if (keep && x->http_1_0)
        at = put(at, "Connection: keep-alive\r\n");
    return put(at, "\r\n");
}

/* Write the head of the answer.  length  of the body, -1 when unknown */
static void
reply_head(struct http_exchange *x, int status, int64_t length)
{
    struct http_conn *c = conn_of(x);
    bool no_length = status == 204 || status == 304;
    struct buf *out = conn_out(c);
    char *start = (char *)buf_reserve(out, OWN_LINES + x->added.len);
    char *at = start;

    assert(!x->begun && !x->ended && status >= 200 && status <= 999);
    x->begun = true;
    conn_count_answer(c, status);
    x->bodiless = no_length || x->request.method == HTTP_HEAD;
    x->chunked = length < 0 && !x->bodiless && !x->http_1_0;
    x->ends_by_close = length < 0 && !x->bodiless && x->http_1_0;
    x->answer_left = no_length ? -1 : length;
    c->keep = exchange_keeps(x) && !x->ends_by_close;
    if (start == NULL || x->added.failed) {
        out->failed = true; /* the connection ends at its next work */
        return;
    }
    at = put(at, x->http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ");
    at = put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = put(at, http_status_text(status));
    at = put(at, "\r\nDate: ");
    at = put(at, http_clock_text(&c->server->clock));
    at = put(at, "\r\n");
    if (x->added.len > 0)
        at = mempcpy(at, buf_data(&x->added), x->added.len);
    at = put_framing(at, x, c->keep);
    buf_commit(out, (size_t)(at - start));
}

static void
reply_end(struct http_exchange *x)
{
    x->ended = true;
    conn_wake(conn_of(x));
}

/* ---- whole answers ------------------------------------------------------- */

void
http_reply(struct http_exchange *x, int status, const void *body, size_t len)
{
    reply_head(x, status, (int64_t)len);
    if (!x->bodiless && len > 0) {
        conn_answers(conn_of(x))->sent += len;
        buf_append(&conn_of(x)->out, body, len);
    }
    reply_end(x);
}

void
http_reply_text(struct http_exchange *x, int status, const char *text)
{
    http_add_header(x, "Content-Type", "text/plain; charset=utf-8");
    http_add_header(x, "X-Content-Type-Options", "nosniff");
    http_reply(x, status, text, strlen(text));
}

void
http_reply_buf(struct http_exchange *x, int status, struct buf *body)
{
    struct http_conn *c = conn_of(x);

    reply_head(x, status, (int64_t)body->len);
    if (!x->bodiless)
        conn_answers(c)->sent += body->len;
    if (body->failed) {
        c->out.failed = true;
    } else if (!x->bodiless && body->len >= MOVE_BYTES) {
        c->tail = *body;
        *body = (struct buf){0};
    } else if (!x->bodiless && body->len > 0) {
        buf_append(&c->out, buf_data(body), body->len);
    }
    buf_done(body);
    reply_end(x);
}

/* ---- streamed answers ---------------------------------------------------- */

void
http_reply_begin(struct http_exchange *x, int status, int64_t length)
{
    reply_head(x, status, length);
    conn_wake(conn_of(x));
}

bool
http_reply_begun(const struct http_exchange *x)
{
    return x->begun;
}

struct buf *
http_piece_open(struct http_exchange *x)
{
    struct buf *out = conn_out(conn_of(x));

    assert(x->begun && !x->ended);
    x->piece_at = out->len;
    if (x->chunked && buf_reserve(out, CHUNK_HEAD) != NULL)
        buf_commit(out, CHUNK_HEAD);
    return out;
}

/* Frame the piece of `len` bytes behind its CHUNK_HEAD. */
static void
close_chunk(struct http_exchange *x, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    struct buf *out = &conn_of(x)->out;
    uint8_t *head = buf_data(out) + x->piece_at;

    for (size_t i = 0; i < 8; i++)
        head[i] = (uint8_t)hex[len >> (28 - 4 * i) & 0xf];
    head[8] = '\r';
    head[9] = '\n';
    buf_append(out, "\r\n", 2);
}

void
http_piece_close(struct http_exchange *x)
{
    struct http_conn *c = conn_of(x);
    size_t head = x->chunked ? CHUNK_HEAD : 0;
    size_t len;

    conn_wake(c);
    if (c->out.failed)
        return;
    len = c->out.len - x->piece_at - head;
    if (x->bodiless)
        len = 0;
    else if (!x->chunked && !x->ends_by_close && (int64_t)len > x->answer_left)
        len = (size_t)x->answer_left;
    if (len > UINT32_MAX)
        c->out.failed = true;
    else if (len == 0)
        buf_truncate(&c->out, x->piece_at);
    else if (x->chunked)
        close_chunk(x, len);
    else
        buf_truncate(&c->out, x->piece_at + len);
    http_sent(x, len);
    if (!http_has_room(x))
        x->was_full = true;
}

void
http_sent(struct http_exchange *x, size_t len)
{
    if (x->bodiless)
        return;
    conn_answers(conn_of(x))->sent += len;
    if (x->answer_left > 0)
        x->answer_left -= MIN((int64_t)len, x->answer_left);
}

bool
http_has_room(const struct http_exchange *x)
{
    return http_pending(x) < LIMIT_HTTP_OUTPUT_BYTES;
}

size_t
http_pending(const struct http_exchange *x)
{
    return conn_pending(conn_of_const(x));
}

void
http_reply_end(struct http_exchange *x, const char *trailers)
{
    struct http_conn *c = conn_of(x);

    assert(x->begun && !x->ended);
    if (!x->bodiless && x->answer_left > 0) {
        http_abort(x); /* less came than was promised */
        return;
    }
    if (x->chunked) {
        struct buf *out = conn_out(c);

        buf_append_str(out, "0\r\n");
        buf_append_str(out, trailers != NULL ? trailers : "");
        buf_append_str(out, "\r\n");
    }
    reply_end(x);
}

void
http_abort(struct http_exchange *x)
{
    x->aborted = true;
    reply_end(x);
}

void
http_close_after(struct http_exchange *x)
{
    x->close_after = true;
}
