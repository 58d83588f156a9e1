/*
 * The life of one connection: read a head, hand the request out, let its body
 * and its answer flow, and go round again or close.  One request at a time; a
 * pipelined one waits in the input.
 */
#include "http/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "http/peer.h"
#include "limits.h"

/* Rounds of one connection's work before others have their turn. */
#define ROUNDS_PER_TURN 8

static void
conn_set_phase(struct http_conn *c, enum conn_phase phase)
{
    c->phase = phase;
    c->since = c->now;
}

/* Close the socket; the memory goes at the end of the turn. */
static void
conn_kill(struct http_conn *c)
{
    struct http_server *s = c->server;

    if (c->phase == CONN_DEAD)
        return;
    c->phase = CONN_DEAD;
    loop_io_disarm(&c->io);
    loop_io_disarm(&c->writable);
    if (c->timer_at != 0)
        loop_timer_cancel(&c->timer);
    if (c->shared)
        (void)shutdown(c->fd, SHUT_RDWR);
    fd_close(&c->fd);
    TAILQ_REMOVE(&s->conns, c, link);
    if (c->busy)
        TAILQ_REMOVE(&s->busy, c, busy_link);
    if (--s->conn_count == 0)
        http_pool_trim(&s->pool);
    loop_defer(s->loop, &c->end_of_turn);
}

static void
conn_free(struct http_conn *c)
{
    struct http_pool *pool = &c->server->pool;

    exchange_done(c);
    http_pool_give(pool, &c->kept);
    http_pool_give(pool, &c->out);
    buf_done(&c->tail);
    http_chunks_free(c->chunks);
    free(c);
}

static void
on_end_of_turn(struct loop_deferred *d)
{
    struct http_conn *c = container_of(d, struct http_conn, end_of_turn);

    if (c->phase == CONN_DEAD)
        conn_free(c);
    else
        conn_work(c);
}

void
conn_wake(struct http_conn *c)
{
    if (!c->working && c->phase != CONN_DEAD)
        loop_defer(c->server->loop, &c->end_of_turn);
}

void
conn_gone(struct http_conn *c)
{
    struct http_exchange *x = &c->x;

    if (c->phase == CONN_EXCHANGE && !x->ended && !x->aborted &&
        x->handler != NULL) {
        x->ended = true;
        x->handler->on_cancel(x, x->ctx);
    }
    conn_kill(c);
}

void
conn_cut(struct http_conn *c)
{
    if (c->working)
        c->cut = true;
    else
        conn_gone(c);
}

/* ---- steps --------------------------------------------------------------- */

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
    status =
        http_head_parse(s->parser, (struct str){(const char *)mem, len},
                        (struct http_header *)(void *)(mem + items_at), lines,
                        &head, &why);
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
    if (len < 0) {
        conn_refuse(c, 400, NULL);
    } else if (size > LIMIT_HTTP_HEAD_BYTES ||
               c->scan.lines > LIMIT_HTTP_HEADERS + 1) {
        conn_refuse(c, 431, NULL);
    } else if (len > 0) {
        conn_dispatch(c, size);
    } else if (c->eof) {
        conn_refuse(c, 400, NULL);
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
        struct linger none = {.l_onoff = 1, .l_linger = 0};

        /* Where the close ends the answer, only a reset shows it broken. */
        if (reset)
            (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
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

static bool
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

/* ---- the work ------------------------------------------------------------ */

static bool
conn_wants_input(const struct http_conn *c)
{
    switch (c->phase) {
    case CONN_HEAD:
        return c->at.len == 0 || c->head_since != 0;
    case CONN_EXCHANGE:
        return c->at.len == 0 && c->x.body_wanted && !c->body_done &&
               c->x.body_err == 0;
    case CONN_DRAIN:
    case CONN_LINGER:
        return true;
    case CONN_CLOSING:
    case CONN_DEAD:
        break;
    }
    return false;
}

/* When the phase has lasted too long; 0 for never. */
static int64_t
conn_deadline(const struct http_conn *c)
{
    const struct http_limits *limits = &c->server->limits;

    switch (c->phase) {
    case CONN_HEAD:
        return c->head_since != 0 ? c->head_since + limits->head_timeout_ms
                                  : c->since + limits->idle_timeout_ms;
    case CONN_EXCHANGE:
        return conn_wants_input(c) && !c->x.silence_ok
                   ? c->since + limits->body_stall_ms
                   : 0;
    case CONN_DRAIN:
        return c->since + limits->body_stall_ms;
    case CONN_CLOSING:
        return c->since + limits->idle_timeout_ms;
    case CONN_LINGER:
        return c->since + limits->linger_ms;
    case CONN_DEAD:
        break;
    }
    return 0;
}

/* Have the timer fire when it is needed or before, which then sets it anew. */
static void
conn_set_timer(struct http_conn *c)
{
    int64_t at = conn_deadline(c);

    if (at == 0 || (c->check_at != 0 && c->check_at < at))
        at = c->check_at;
    if (at == 0 || (c->timer_at != 0 && c->timer_at <= at))
        return;
    c->timer_at = at;
    loop_timer_set(&c->timer, at - c->now);
}

/* Output has been on its way for a while: did the peer get it? */
static void
conn_check_output(struct http_conn *c)
{
    int64_t stall_ms = c->server->limits.write_stall_ms;

    c->check_at = 0;
    switch (peer_output(c->fd, stall_ms)) {
    case PEER_HAS_ALL:
        break;
    case PEER_TAKES_TIME:
        c->check_at = c->now + stall_ms;
        break;
    case PEER_SAYS_NOTHING:
        conn_gone(c);
        break;
    }
}

/* The phase has lasted too long. */
static void
conn_expire(struct http_conn *c)
{
    switch (c->phase) {
    case CONN_HEAD:
        if (c->head_since == 0)
            conn_kill(c);
        else
            conn_refuse(c, 408, NULL);
        break;
    case CONN_EXCHANGE:
        c->x.body_err = -ETIMEDOUT;
        break;
    case CONN_DRAIN:
    case CONN_CLOSING:
    case CONN_LINGER:
        conn_kill(c);
        break;
    case CONN_DEAD:
        break;
    }
}

/* Go on in the next turn. */
static void
conn_set_busy(struct http_conn *c)
{
    struct http_server *s = c->server;

    if (c->busy)
        return;
    c->busy = true;
    if (TAILQ_EMPTY(&s->busy))
        loop_timer_set(&s->next_turn, 0);
    TAILQ_INSERT_TAIL(&s->busy, c, busy_link);
}

/* One round: what can be done, what can be sent, what can be received. */
static bool
conn_round(struct http_conn *c)
{
    size_t waited;

    while (conn_step(c))
        ;
    waited = conn_pending(c);
    if (c->phase == CONN_DEAD)
        return false;
    if (c->out.failed || conn_flush(c) < 0) {
        conn_gone(c);
        return false;
    }
    if (conn_pending(c) < waited)
        return true;
    if (!c->readable || !conn_wants_input(c))
        return false;
    if (conn_receive(c) < 0) {
        conn_gone(c);
        return false;
    }
    return true;
}

void
conn_work(struct http_conn *c)
{
    int rounds = ROUNDS_PER_TURN;

    c->working = true;
    c->now = loop_now_ms();
    conn_input_open(c);
    while (conn_round(c)) {
        if (--rounds == 0) {
            conn_set_busy(c);
            break;
        }
    }
    c->working = false;
    if (c->phase == CONN_DEAD)
        return;
    /* Input that nobody wants now may also have been the peer's reset. */
    if (!conn_input_keep(c) ||
        (c->events && c->readable && peer_is_reset(c->fd))) {
        conn_gone(c);
        return;
    }
    c->events = false;
    conn_set_timer(c);
    loop_io_arm(&c->io);
}

static void
on_input(struct loop_io *io)
{
    struct http_conn *c = container_of(io, struct http_conn, io);

    c->readable = true;
    c->events = true;
    if ((io->ev.ev_res & EV_CLOSED) != 0)
        c->peer_shut = true;
    conn_work(c);
}

static void
on_writable(struct loop_io *io)
{
    struct http_conn *c = container_of(io, struct http_conn, writable);

    c->write_blocked = false;
    conn_work(c);
}

static void
on_time(struct loop_timer *t)
{
    struct http_conn *c = container_of(t, struct http_conn, timer);
    int64_t deadline = conn_deadline(c);

    c->timer_at = 0;
    c->now = loop_now_ms();
    if (c->check_at != 0 && c->now >= c->check_at)
        conn_check_output(c);
    if (deadline != 0 && c->now >= deadline)
        conn_expire(c);
    conn_work(c);
}

void
conn_open(struct http_server *s, int fd)
{
    struct http_conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        (void)close(fd);
        return;
    }
    c->server = s;
    c->fd = fd;
    c->end_of_turn.run = on_end_of_turn;
    loop_io_init(s->loop, &c->io, fd, EV_READ | EV_CLOSED | EV_ET, on_input);
    loop_io_init(s->loop, &c->writable, fd, EV_WRITE | EV_ET, on_writable);
    loop_timer_init(s->loop, &c->timer, on_time);
    TAILQ_INSERT_TAIL(&s->conns, c, link);
    s->conn_count++;

    /* Its request has often come already: try before waiting for events. */
    c->now = loop_now_ms();
    c->since = c->now;
    c->readable = true;
    conn_work(c);
}
