/*
 * The life of one connection: when it works, for how long it waits, how it
 * ends.  What it does in each phase is in steps.c.
 */
#include "http/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "http/peer.h"
#include "limits.h"

/* Looks at a peer that takes its time, in the time it may be silent. */
#define CHECKS_PER_STALL 5

/* Rounds of one connection's work before others have their turn. */
#define ROUNDS_PER_TURN 8

void
conn_set_phase(struct http_conn *c, enum conn_phase phase)
{
    c->phase = phase;
    c->since = c->now;
}

void
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

void
conn_close_resets(const struct http_conn *c)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

void
conn_reset(struct http_conn *c)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    conn_close_resets(c);
    /* A worker's descriptor would keep the socket from being closed. */
    if (c->shared)
        (void)connect(c->fd, &nobody, sizeof(nobody));
    conn_cut(c);
}

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
        c->check_at = c->now + MAX(stall_ms / CHECKS_PER_STALL, 1);
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
