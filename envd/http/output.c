/*
 * Bytes out: gathered in one buffer per connection and sent together when the
 * connection's work ends.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/scope.h"
#include "http/conn.h"

struct buf *
conn_out(struct http_conn *c)
{
    http_pool_take(&c->server->pool, &c->out, c->out_large);
    return &c->out;
}

void
conn_out_idle(struct http_conn *c)
{
    if (c->out.len > 0 || c->out.mem == NULL)
        return;
    c->out_large = c->out.cap > HTTP_POOL_SMALL;
    http_pool_give(&c->server->pool, &c->out);
}

/* Send once what waits. */
static ssize_t
conn_send(struct http_conn *c, int flags)
{
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (c->tail.len == 0)
        return send(c->fd, buf_data(&c->out), c->out.len, flags);
    if (c->out.len == 0)
        return send(c->fd, buf_data(&c->tail), c->tail.len, flags);
    parts[0] = (struct iovec){buf_data(&c->out), c->out.len};
    parts[1] = (struct iovec){buf_data(&c->tail), c->tail.len};
    return sendmsg(c->fd, &message, flags);
}

static void
conn_sent(struct http_conn *c, size_t len)
{
    size_t out = MIN(len, c->out.len);

    buf_consume(&c->out, out);
    buf_consume(&c->tail, len - out);
    if (c->tail.len == 0)
        buf_done(&c->tail);
}

int
conn_flush(struct http_conn *c)
{
    /* A head whose file is about to be sent by a worker goes with it. */
    int more =
        c->phase == CONN_EXCHANGE && c->x.await_writable && c->x.answer_left > 0
            ? MSG_MORE
            : 0;

    while (conn_pending(c) > 0 && !c->write_blocked) {
        ssize_t n = conn_send(c, MSG_NOSIGNAL | MSG_DONTWAIT | more);

        if (n >= 0) {
            conn_sent(c, (size_t)n);
            if (c->check_at == 0)
                c->check_at = c->now + c->server->limits.write_stall_ms;
        } else if (errno == EAGAIN) {
            c->write_blocked = true;
            loop_io_arm(&c->writable);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    conn_out_idle(c);
    return 0;
}

bool
conn_is_writable(struct http_conn *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLOUT};

    if (c->write_blocked)
        return false;
    loop_io_arm(&c->writable);
    c->write_blocked = poll(&p, 1, 0) == 0;
    return !c->write_blocked;
}
