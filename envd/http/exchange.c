/*
 * The request's half of an exchange: its head, its body, and when a handler is
 * called.
 */
#include "http/exchange.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "base/scope.h"
#include "http/conn.h"
#include "limits.h"

const struct http_request *
http_request(const struct http_exchange *x)
{
    return &x->request;
}

struct str
http_header(const struct http_exchange *x, const char *name)
{
    const struct http_request *r = &x->request;
    size_t len = strlen(name);

    for (size_t i = 0; i < r->header_count; i++)
        if (r->headers[i].name.len == len &&
            strncasecmp(r->headers[i].name.data, name, len) == 0)
            return r->headers[i].value;
    return (struct str){0};
}

void
http_set_kind(struct http_exchange *x, unsigned int kind)
{
    assert(kind < HTTP_KINDS);
    x->kind = (uint8_t)kind;
}

void
http_accept(struct http_exchange *x, const struct http_handler *h, void *ctx)
{
    assert(x->handler == NULL);
    x->handler = h;
    x->ctx = ctx;
    conn_wake(conn_of(x));
}

void
http_body_resume(struct http_exchange *x)
{
    struct http_conn *c = conn_of(x);

    if (x->body_wanted)
        return;
    x->body_wanted = true;
    c->since = c->working ? c->now : loop_now_ms();
    if (x->expect_continue && !x->begun && c->at.len == 0)
        buf_append_str(conn_out(c), "HTTP/1.1 100 Continue\r\n\r\n");
    x->expect_continue = false;
    conn_wake(c);
}

void
http_body_pause(struct http_exchange *x)
{
    x->body_wanted = false;
}

void
http_body_into(struct http_exchange *x, struct buf *into, size_t max)
{
    x->into = into;
    x->into_max = max;
}

void
http_body_allow_silence(struct http_exchange *x)
{
    x->silence_ok = true;
}

void
http_body_secret(struct http_exchange *x)
{
    x->secret = true;
}

static void
exchange_give_piece(struct http_exchange *x, struct str piece)
{
    bool secret = x->secret;

    x->handler->on_body(x, x->ctx, (const uint8_t *)piece.data, piece.len);
    if (secret) /* it lies in our scratch, or in what was kept */
        explicit_bzero((void *)(uintptr_t)piece.data, piece.len);
}

/* Hand out the next piece of the body, or its end. */
static bool
exchange_step_body(struct http_conn *c)
{
    struct http_exchange *x = &c->x;
    size_t news = x->into_news;
    struct str piece;
    int r;

    if (news > 0) {
        x->into_news = 0;
        x->handler->on_body(x, x->ctx, NULL, news);
        return true;
    }
    if (c->body_done || x->body_err != 0) {
        x->body_told = true;
        x->handler->on_body_end(x, x->ctx, c->body_done ? 0 : x->body_err);
        return true;
    }
    r = conn_body_next(c, &piece);
    if (r == 0 && !c->eof)
        return false;
    if (r <= 0)
        x->body_err = r < 0 ? r : -ECONNRESET;
    else if (piece.len > 0)
        exchange_give_piece(x, piece);
    return true;
}

/* Whether the handler waits for on_room and has it now. */
static bool
exchange_has_news(struct http_conn *c)
{
    struct http_exchange *x = &c->x;

    if (x->was_full && conn_pending(c) <= LIMIT_HTTP_OUTPUT_BYTES / 2) {
        x->was_full = false;
        return true;
    }
    if (x->await_writable && conn_pending(c) == 0 && conn_is_writable(c)) {
        x->await_writable = false;
        return true;
    }
    return false;
}

bool
exchange_step(struct http_conn *c)
{
    struct http_exchange *x = &c->x;
    const struct http_handler *h = x->handler;

    if (h == NULL)
        return false;
    if (x->body_wanted && !x->body_told && exchange_step_body(c))
        return true;
    if (c->peer_shut && c->body_done && !x->half_close_told) {
        x->half_close_told = true;
        if (h->on_half_close != NULL)
            h->on_half_close(x, x->ctx);
        return true;
    }
    if (exchange_has_news(c)) {
        if (h->on_room != NULL)
            h->on_room(x, x->ctx);
        return true;
    }
    return false;
}

void
exchange_done(struct http_conn *c)
{
    struct http_exchange *x = &c->x;

    http_pool_give(&c->server->pool, &x->head);
    http_pool_give(&c->server->pool, &x->added);
    *x = (struct http_exchange){0};
}

int
http_socket(const struct http_exchange *x)
{
    return conn_of_const(x)->fd;
}

int
http_socket_dup(struct http_exchange *x)
{
    struct http_conn *c = conn_of(x);
    int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    c->shared = true;
    return fd;
}

void
http_await_writable(struct http_exchange *x)
{
    x->await_writable = true;
    conn_wake(conn_of(x));
}
