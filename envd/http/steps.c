/*
 * What a connection does in each phase: read a head, hand the request out, let
 * its body and its answer flow, and go round again or close.  One request at a
 * time; a pipelined one waits in the input.
 */
#include <string.h>
#include <sys/socket.h>

#include "base/scope.h"
#include "http/conn.h"
#include "limits.h"

void
conn_refuse(struct http_conn *c, int status, const char *why)
{
    const char *phrase = http_status_text(status);
    struct buf *out = conn_out(c);
    size_t len = strlen(phrase) + 4 + (why != NULL ? strlen(why) + 2 : 0);
    bool empty = status == 417;

    buf_appendf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, phrase,
                http_clock_text(&c->server->clock));
    if (!empty)
        buf_append_str(out, "Content-Type: text/plain; charset=utf-8\r\n");
    buf_appendf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                empty ? 0 : len);
    if (!empty)
        buf_appendf(out, "%d %s%s%s", status, phrase, why != NULL ? ": " : "",
                    why != NULL ? why : "");
    conn_count_answer(c, status);
    c->linger = true;
    conn_set_phase(c, CONN_CLOSING);
}

/* Hand the request out whose head is the first `len` bytes at hand. */
static void
conn_dispatch(struct http_conn *c, size_t len)
{
    struct http_server *s = c->server;
    struct http_exchange *x = &c->x;
    size_t lines = c->scan.lines - 1;
    size_t items_at = (len + 15) / 16 * 16;
    struct http_head head;
    const char *why;
    uint8_t *mem;
    int status;

    http_pool_take(&s->pool, &x->head, false);
    mem = buf_reserve(&x->head, items_at + lines * sizeof(struct http_header));
    if (mem == NULL) {
        conn_refuse(c, 503, NULL);
        return;
    }
    memcpy(mem, c->at.data, len);
    conn_consume(c, len);
    c->scan = (struct http_head_scan){0};
    c->head_since = 0;
    status = http_head_parse(s->parser, (struct str){(const char *)mem, len},
                             (struct http_header *)(void *)(mem + items_at),
                             lines, &head, &why);
    if (status == 0 && head.chunked) {
        c->chunks = http_chunks_new(s->parser);
        if (c->chunks == NULL)
            status = 503;
    }
    if (status != 0) {
        conn_refuse(c, status, why);
        return;
    }
    x->request = head.request;
    x->http_1_0 = head.http_1_0;
    x->expect_continue = head.expect_continue;
    c->keep = head.keep_alive;
    c->body_left = head.request.content_length;
    c->body_done = !head.request.has_body;
    conn_set_phase(c, CONN_EXCHANGE);
    s->on_request(x, s->ctx);
}

static bool
conn_step_head(struct http_conn *c)
{
    ptrdiff_t len;
    size_t size;

    while (c->at.len >= 2 && memcmp(c->at.data, "\r\n", 2) == 0)
        conn_consume(c, 2); /* some clients end a body with one too many */
    if (c->at.len == 0) {
        c->head_since = 0;
        if (c->eof)
            conn_set_phase(c, CONN_CLOSING);
        return c->eof;
    }
    if (c->tail.len > 0 || conn_pending(c) >= LIMIT_HTTP_OUTPUT_BYTES)
        return false; /* answers wait: no more for now */
    len = c->at.len == 1 && c->at.data[0] == '\r'
              ? 0
              : http_head_scan(&c->scan, c->at.data, c->at.len);
    size = len > 0 ? (size_t)len : c->at.len;
    if (len < 0 || (len == 0 && c->eof)) {
        conn_refuse(c, 400, NULL);
    } else if (size > LIMIT_HTTP_HEAD_BYTES ||
               c->scan.lines > LIMIT_HTTP_HEADERS + 1) {
        conn_refuse(c, 431, NULL);
    } else if (len > 0) {
        conn_dispatch(c, size);
    } else {
        if (c->head_since == 0)
            c->head_since = c->now;
        return false;
    }
    return true;
}

/* The exchange has ended: what becomes of the connection. */
static void
conn_answered(struct http_conn *c)
{
    bool aborted = c->x.aborted;
    bool reset = aborted && c->x.ends_by_close;

    exchange_done(c);
    if (aborted) {
        /* Where the close ends the answer, only a reset shows it broken. */
        if (reset)
            conn_close_resets(c);
        else
            (void)conn_flush(c);
        conn_kill(c);
        return;
    }
    if (!c->keep) {
        c->linger = !c->body_done;
        conn_set_phase(c, CONN_CLOSING);
        return;
    }
    c->drained = 0;
    conn_set_phase(c, CONN_DRAIN);
}

static bool
conn_step_drain(struct http_conn *c)
{
    struct str piece;
    int r;

    if (c->body_done) {
        http_chunks_free(c->chunks);
        c->chunks = NULL;
        conn_set_phase(c, CONN_HEAD);
        return true;
    }
    r = conn_body_next(c, &piece);
    if (r > 0) {
        c->drained += piece.len;
        if (c->drained <= LIMIT_HTTP_DRAIN_BYTES)
            return true;
    } else if (r == 0 && !c->eof) {
        return false;
    }
    c->linger = true;
    conn_set_phase(c, CONN_CLOSING);
    return true;
}

/* The last answer is sent: close, but not so that it is lost on the way. */
static void
conn_finish(struct http_conn *c)
{
    if (c->eof || (!c->linger && !c->readable && c->at.len == 0)) {
        conn_kill(c);
        return;
    }
    (void)shutdown(c->fd, SHUT_WR);
    conn_set_phase(c, CONN_LINGER);
}

bool
conn_step(struct http_conn *c)
{
    if (c->cut) {
        c->cut = false;
        conn_gone(c);
    }
    switch (c->phase) {
    case CONN_HEAD:
        return conn_step_head(c);
    case CONN_EXCHANGE:
        if (!c->x.ended)
            return exchange_step(c);
        conn_answered(c);
        return true;
    case CONN_DRAIN:
        return conn_step_drain(c);
    case CONN_CLOSING:
        if (conn_pending(c) > 0)
            return false;
        conn_finish(c);
        return true;
    case CONN_LINGER:
        c->at.len = 0;
        if (c->eof)
            conn_kill(c);
        return false;
    case CONN_DEAD:
        break;
    }
    return false;
}
