/*
 * One forwarded connection: two sockets, two directions.
 *
 * Both sockets are watched for edges, once and for all: what an edge says is
 * noted, and the connection queued for the end of the turn.  A reset of one end
 * reaches the other one as a reset, behind what came before it.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/forward_internal.h"

#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 15

/* A reset waits so long for bytes that the peer has no room for. */
#define LINGER_STEP_MS 20
#define LINGER_STEPS   50

enum { CLIENT, PROGRAM };

struct forward_conn {
    TAILQ_ENTRY(forward_conn) link;
    struct forwarder *forwarder;
    struct flow_end ends[2];
    struct loop_io ios[2];
    struct flow flows[2]; /* by their sender */
    struct loop_slack work;
    struct loop_timer linger;
    unsigned int linger_steps;
    bool dialing;
    bool broken;      /* one end was reset */
    bool doubtful[2]; /* it may have been, see is_lost() */
};

void
socket_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void
socket_tune(int fd)
{
    socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    socket_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    socket_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    socket_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
}

void
socket_reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(fd);
}

/* ---- its end ------------------------------------------------------------- */

static void
close_end(struct forward_conn *c, int which, bool reset)
{
    struct flow_end *end = &c->ends[which];

    if (end->fd < 0)
        return;
    loop_io_disarm(&c->ios[which]);
    if (reset)
        socket_reset(end->fd);
    else
        (void)close(end->fd);
    end->fd = -1;
}

static void
conn_free(struct forward_conn *c, bool reset)
{
    struct forwarder *f = c->forwarder;

    for (int i = 0; i < 2; i++) {
        close_end(c, i, reset);
        flow_done(&c->flows[i], &f->pipes);
    }
    loop_slack_cancel(f->loop, &c->work);
    loop_timer_cancel(&c->linger);
    TAILQ_REMOVE(&f->conns, c, link);
    f->stats.connections--;
    free(c);
}

void
forward_conn_abort(struct forward_conn *c)
{
    conn_free(c, /* reset= */ true);
}

static bool
has_unsent(int fd)
{
    int count = 0;

    return fd >= 0 && ioctl(fd, SIOCOUTQNSD, &count) == 0 && count > 0;
}

static void
on_linger(struct loop_timer *t)
{
    struct forward_conn *c = container_of(t, struct forward_conn, linger);

    if (++c->linger_steps < LINGER_STEPS && has_unsent(c->ends[CLIENT].fd))
        loop_timer_set(&c->linger, LINGER_STEP_MS);
    else
        forward_conn_abort(c);
}

/*
 * One end was reset, and all that came from it is passed on.  What the other
 * one has not taken yet would be lost by a reset; an orderly end would let it
 * believe that it has everything.
 */
static void
break_up(struct forward_conn *c)
{
    struct flow_pipes *pipes = &c->forwarder->pipes;

    if (!has_unsent(c->ends[CLIENT].fd)) {
        forward_conn_abort(c);
        return;
    }
    close_end(c, PROGRAM, /* reset= */ true);
    loop_io_disarm(&c->ios[CLIENT]);
    flow_done(&c->flows[CLIENT], pipes);
    flow_done(&c->flows[PROGRAM], pipes);
    loop_timer_set(&c->linger, LINGER_STEP_MS);
}

/*
 * Whether an end was reset that its flow does not read: all was read, or what
 * comes from the client has nowhere to go.  Without this a program that stands
 * still would keep each connection of clients that have long given up.
 */
static bool
is_lost(struct forward_conn *c, int which)
{
    struct pollfd p = {.fd = c->ends[which].fd};

    if (!c->doubtful[which] ||
        (!c->flows[which].over &&
         (which == PROGRAM || c->ends[PROGRAM].writable)))
        return false;
    c->doubtful[which] = false;
    if (poll(&p, 1, 0) <= 0)
        return false;
    /* Where both directions were ended in order, it hangs up, too. */
    return (p.revents & POLLERR) != 0 ||
           ((p.revents & POLLHUP) != 0 &&
            (c->broken || !c->flows[!which].over));
}

/* ---- its life ------------------------------------------------------------ */

/* Move one direction; false when the connection has come to its end. */
static bool
work_flow(struct forward_conn *c, int from)
{
    struct forwarder *f = c->forwarder;
    struct flow *flow = &c->flows[from];
    uint64_t *bytes = from == CLIENT ? &f->stats.bytes_in : &f->stats.bytes_out;

    if (flow->over)
        return true;
    switch (
        flow_move(flow, &f->pipes, &c->ends[from], &c->ends[!from], bytes)) {
    case FLOW_WAITS:
        break;
    case FLOW_MORE:
        loop_slack_queue(f->loop, &c->work);
        break;
    case FLOW_OVER:
        flow->over = true;
        /* Of a receiver that was reset an orderly end is not to be told. */
        if (!c->broken)
            (void)shutdown(c->ends[!from].fd, SHUT_WR);
        break;
    case FLOW_READ_FAILED:
        c->broken = true;
        return false;
    case FLOW_WRITE_FAILED:
        /* It may have said something before. */
        c->broken = flow->over = true;
        flow_done(flow, &f->pipes);
        break;
    }
    return true;
}

static void
on_work(struct loop_slack *s)
{
    struct forward_conn *c = container_of(s, struct forward_conn, work);

    if (!work_flow(c, CLIENT) || !work_flow(c, PROGRAM)) {
        break_up(c);
        return;
    }
    if (c->flows[CLIENT].over && c->flows[PROGRAM].over) {
        if (c->broken)
            break_up(c);
        else
            conn_free(c, /* reset= */ false);
    } else if (is_lost(c, CLIENT)) {
        forward_conn_abort(c);
    } else if (is_lost(c, PROGRAM)) {
        break_up(c);
    }
}

static void
note_edges(struct forward_conn *c, int which)
{
    short ready = loop_io_ready(&c->ios[which]);
    struct flow_end *end = &c->ends[which];

    end->readable = end->readable || (ready & EV_READ) != 0;
    end->writable = end->writable || (ready & EV_WRITE) != 0;
    c->doubtful[which] = c->doubtful[which] || (ready & EV_READ) != 0;
    if (!c->dialing)
        loop_slack_queue(c->forwarder->loop, &c->work);
}

static void
on_client(struct loop_io *io)
{
    struct forward_conn *c = container_of(io, struct forward_conn, ios[CLIENT]);

    note_edges(c, CLIENT);
    if (c->dialing && is_lost(c, CLIENT))
        forward_conn_abort(c);
}

static void
dial_failed(struct forward_conn *c)
{
    struct forwarder *f = c->forwarder;

    f->stats.failed++;
    forward_conn_abort(c);
    if (f->options.on_failed != NULL)
        f->options.on_failed(f->options.ctx);
}

static void
on_program(struct loop_io *io)
{
    struct forward_conn *c =
        container_of(io, struct forward_conn, ios[PROGRAM]);
    socklen_t len = sizeof(int);
    int error = 0;

    if (c->dialing) {
        if (getsockopt(c->ends[PROGRAM].fd, SOL_SOCKET, SO_ERROR, &error,
                       &len) < 0 ||
            error != 0) {
            dial_failed(c);
            return;
        }
        c->dialing = (loop_io_ready(io) & EV_WRITE) == 0;
    }
    note_edges(c, PROGRAM);
}

/* ---- its beginning ------------------------------------------------------- */

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* Returns a socket that connects, or has, or -errno. */
static int
dial(const uint8_t target[16], uint16_t port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t len = sizeof(a.v6);
    int fd;

    if (memcmp(target, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(port);
        memcpy(&a.v4.sin_addr, target + 12, 4);
        len = sizeof(a.v4);
    } else {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(port);
        memcpy(&a.v6.sin6_addr, target, 16);
    }
    fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    socket_tune(fd);
    if (connect(fd, &a.any, len) < 0 && errno != EINPROGRESS) {
        int err = errno;

        (void)close(fd);
        return -err;
    }
    return fd;
}

int
forward_conn_open(struct forwarder *f, int fd, const uint8_t target[16],
                  uint16_t port)
{
    int program = dial(target, port);
    struct forward_conn *c;

    if (program < 0) {
        socket_reset(fd);
        return program;
    }
    c = xcalloc(1, sizeof(*c));
    c->forwarder = f;
    c->dialing = true;
    c->ends[CLIENT].fd = fd;
    c->ends[PROGRAM].fd = program;
    c->work.run = on_work;
    loop_timer_init(f->loop, &c->linger, on_linger);
    loop_io_init(f->loop, &c->ios[CLIENT], fd, EV_READ | EV_WRITE | EV_ET,
                 on_client);
    loop_io_init(f->loop, &c->ios[PROGRAM], program, EV_READ | EV_WRITE | EV_ET,
                 on_program);
    TAILQ_INSERT_TAIL(&f->conns, c, link);
    f->stats.connections++;
    f->stats.connections_total++;
    loop_io_arm(&c->ios[CLIENT]);
    loop_io_arm(&c->ios[PROGRAM]);
    if (c->ios[CLIENT].armed && c->ios[PROGRAM].armed)
        return 0;
    forward_conn_abort(c);
    return -ENOMEM;
}
