/*
 * The listening sockets, and what all connections share.
 */
#include "guest/forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/forward_internal.h"
#include "limits.h"

#define BACKLOG          128
#define ACCEPTS_PER_TURN 16
#define REST_MS          100 /* when there are no descriptors, or no memory */

struct forward {
    TAILQ_ENTRY(forward) link;
    struct forwarder *forwarder;
    struct loop_io io;
    int fd;
    uint16_t port;
    uint32_t inode;
    uint8_t target[16];
};

/* ---- accepting ----------------------------------------------------------- */

static bool
is_exhaustion(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void
rest(struct forwarder *f)
{
    struct forward *fw;

    if (f->resting)
        return;
    f->resting = true;
    TAILQ_FOREACH (fw, &f->forwards, link)
        loop_io_disarm(&fw->io);
    loop_timer_set(&f->rest, REST_MS);
}

static void
on_rested(struct loop_timer *t)
{
    struct forwarder *f = container_of(t, struct forwarder, rest);
    struct forward *fw;

    f->resting = false;
    TAILQ_FOREACH (fw, &f->forwards, link)
        loop_io_arm(&fw->io);
}

static void
take(struct forward *fw, int fd)
{
    struct forwarder *f = fw->forwarder;
    int r;

    if (f->stats.connections >= f->options.connections_max) {
        f->stats.refused++;
        socket_reset(fd);
        return;
    }
    r = forward_conn_open(f, fd, fw->target, fw->port);
    if (r == 0)
        return;
    if (is_exhaustion(-r)) {
        f->stats.refused++;
        rest(f);
        return;
    }
    f->stats.failed++;
    if (f->options.on_failed != NULL)
        f->options.on_failed(f->options.ctx);
}

static void
on_connection(struct loop_io *io)
{
    struct forward *fw = container_of(io, struct forward, io);

    for (int i = 0; i < ACCEPTS_PER_TURN && fw->io.armed; i++) {
        int fd = accept4(fw->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            take(fw, fd);
        else if (errno == EAGAIN)
            return;
        else if (is_exhaustion(errno))
            rest(fw->forwarder);
        /* Other errors are those of one connection. */
    }
}

/* ---- forwards ------------------------------------------------------------ */

/* Returns a listening socket or -errno. */
static int
listen_at(struct in_addr address, uint16_t port)
{
    const struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = address,
    };
    SCOPE(fd_close)
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    socket_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    socket_tune(fd); /* what it accepts inherits that */
    if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int
forward_open(struct forwarder *f, struct in_addr address, uint16_t port,
             const uint8_t target[16], struct forward **ret)
{
    int fd = listen_at(address, port);
    struct forward *fw;
    struct stat st;

    if (fd < 0)
        return fd;
    fw = xcalloc(1, sizeof(*fw));
    fw->forwarder = f;
    fw->fd = fd;
    fw->port = port;
    fw->inode = fstat(fd, &st) == 0 ? (uint32_t)st.st_ino : 0;
    memcpy(fw->target, target, sizeof(fw->target));
    loop_io_init(f->loop, &fw->io, fd, EV_READ, on_connection);
    TAILQ_INSERT_TAIL(&f->forwards, fw, link);
    if (!f->resting)
        loop_io_arm(&fw->io);
    *ret = fw;
    return 0;
}

void
forward_set_target(struct forward *fw, const uint8_t target[16])
{
    memcpy(fw->target, target, sizeof(fw->target));
}

uint32_t
forward_inode(const struct forward *fw)
{
    return fw->inode;
}

void
forward_close(struct forward *fw)
{
    loop_io_disarm(&fw->io);
    TAILQ_REMOVE(&fw->forwarder->forwards, fw, link);
    fd_close(&fw->fd);
    free(fw);
}

/* ---- the forwarder ------------------------------------------------------- */

struct forwarder *
forwarder_new(struct loop *loop, const struct forwarder_options *o)
{
    struct forwarder *f = xcalloc(1, sizeof(*f));

    f->loop = loop;
    f->options = *o;
    /* Where descriptors are few, their pipes do not take the rest of them. */
    f->pipes.max = MIN((size_t)LIMIT_FORWARD_PIPES, o->connections_max / 2 + 1);
    TAILQ_INIT(&f->conns);
    TAILQ_INIT(&f->forwards);
    loop_timer_init(loop, &f->rest, on_rested);
    return f;
}

void
forwarder_abort(struct forwarder *f)
{
    while (!TAILQ_EMPTY(&f->conns))
        forward_conn_abort(TAILQ_FIRST(&f->conns));
}

void
forwarder_free(struct forwarder *f)
{
    struct forward *fw;

    if (f == NULL)
        return;
    while ((fw = TAILQ_FIRST(&f->forwards)) != NULL)
        forward_close(fw);
    forwarder_abort(f);
    flow_pipes_done(&f->pipes);
    loop_timer_cancel(&f->rest);
    free(f);
}

const struct forwarder_stats *
forwarder_stats(const struct forwarder *f)
{
    return &f->stats;
}
