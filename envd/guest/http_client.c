/*
 * One connection, on the loop.
 */
#include "guest/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "base/str.h"
#include "limits.h"

#define READ_BYTES ((size_t)4096)
#define KEEP_BYTES ((size_t)16 * 1024) /* of buffers, between requests */

static void connection_open(struct http_client *c);

/* ---- targets ------------------------------------------------------------- */

static int
parse_port(struct str text, in_port_t *ret)
{
    uint64_t port = 80;

    if (text.len > 0 && (text.data[0] != ':' || text.len == 1 ||
                         str_to_u64((struct str){text.data + 1, text.len - 1},
                                    UINT16_MAX, &port) < 0 ||
                         port == 0))
        return -EINVAL;
    *ret = htons((in_port_t)port);
    return 0;
}

int
http_target_parse(const char *url, struct http_target *ret,
                  const char **ret_path)
{
    static const char scheme[] = "http://";
    char text[64];
    const char *host = url + sizeof(scheme) - 1;
    size_t len;
    size_t name;
    bool v6;

    *ret = (struct http_target){0};
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return -EINVAL;
    len = strcspn(host, "/?#");
    if (len == 0 || len >= sizeof(ret->host) || host[len] == '?')
        return -EINVAL;
    for (const char *p = url; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f || *p == '#')
            return -EINVAL;
    v6 = host[0] == '[';
    name = strcspn(host, v6 ? "]" : ":/");
    if (name > len || (v6 && host[name] != ']'))
        return -EINVAL;
    memcpy(text, host + v6, name - v6);
    text[name - v6] = '\0';
    name += v6;
    if (v6) {
        ret->address.v6.sin6_family = AF_INET6;
        if (inet_pton(AF_INET6, text, &ret->address.v6.sin6_addr) != 1)
            return -EINVAL;
    } else {
        ret->address.v4.sin_family = AF_INET;
        if (inet_pton(AF_INET, text, &ret->address.v4.sin_addr) != 1)
            return -EINVAL;
    }
    memcpy(ret->host, host, len);
    *ret_path = host + len;
    /* The port stands at the same place in both. */
    return parse_port((struct str){host + name, len - name},
                      &ret->address.v4.sin_port);
}

void
http_target_v4(const struct sockaddr_in *address, struct http_target *ret)
{
    const uint8_t *ip = (const uint8_t *)&address->sin_addr;
    unsigned int port = ntohs(address->sin_port);
    int len;

    *ret = (struct http_target){.address.v4 = *address};
    len = snprintf(ret->host, sizeof(ret->host), "%u.%u.%u.%u", ip[0], ip[1],
                   ip[2], ip[3]);
    if (port != 80)
        (void)snprintf(ret->host + len, sizeof(ret->host) - (size_t)len, ":%u",
                       port);
}

/* ---- a connection -------------------------------------------------------- */

static void
connection_close(struct http_client *c)
{
    if (c->fd < 0)
        return;
    loop_io_disarm(&c->readable);
    loop_io_disarm(&c->writable);
    fd_close(&c->fd);
    buf_reset(&c->in, 0);
}

/* The request is over; what is done may begin another. */
static void
finish(struct http_client *c, int error)
{
    bool keep = error == 0 && c->keep && c->answer.keep && !c->moved &&
                c->in.len == 0 && c->sent == c->out.len;

    loop_timer_cancel(&c->limit);
    loop_defer_cancel(c->loop, &c->failed);
    c->busy = false;
    if (keep) {
        loop_io_disarm(&c->writable);
        c->reused = true;
        buf_reset(&c->in, KEEP_BYTES);
    } else {
        connection_close(c);
    }
    c->done(c, error);
}

/* It has not worked; once more, when that may be the kept connection's age. */
static void
fail(struct http_client *c, int error)
{
    bool again = c->reused && c->answer.status == 0 && c->in.len == 0 &&
                 (error == -EPIPE || error == -ECONNRESET);

    if (!again) {
        finish(c, error);
        return;
    }
    connection_close(c);
    connection_open(c);
}

static void
on_limit(struct loop_timer *t)
{
    finish(container_of(t, struct http_client, limit), -ETIMEDOUT);
}

static void
on_failed(struct loop_deferred *d)
{
    struct http_client *c = container_of(d, struct http_client, failed);

    fail(c, c->error);
}

/* Report it, but not from inside of the caller's call. */
static void
fail_later(struct http_client *c, int error)
{
    c->error = error;
    loop_defer(c->loop, &c->failed);
}

static void
on_readable(struct loop_io *io)
{
    struct http_client *c = container_of(io, struct http_client, readable);
    uint8_t *room = buf_reserve(&c->in, READ_BYTES);
    ssize_t n = room != NULL ? recv(c->fd, room, READ_BYTES, 0) : -1;
    int r;

    if (n < 0 && room != NULL && (errno == EAGAIN || errno == EINTR))
        return;
    if (!c->busy) {
        /* An end, or what nobody has asked for. */
        connection_close(c);
        return;
    }
    if (n < 0) {
        fail(c, room != NULL ? -errno : -ENOMEM);
        return;
    }
    if (n == 0) {
        r = http_answer_end(&c->answer);
    } else {
        buf_commit(&c->in, (size_t)n);
        r = http_answer_feed(&c->answer, &c->in);
    }
    if (r < 0)
        fail(c, r);
    else if (r > 0)
        finish(c, 0);
}

/* 0 when it stands, -EAGAIN as long as it does not, -errno when it never will.
 */
static int
connected(struct http_client *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (!c->connecting)
        return 0;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    c->connecting = false;
    return -error;
}

static void
on_writable(struct loop_io *io)
{
    struct http_client *c = container_of(io, struct http_client, writable);
    int r = connected(c);
    ssize_t n;

    if (r < 0) {
        fail(c, r);
        return;
    }
    n = send(c->fd, buf_data(&c->out) + c->sent, c->out.len - c->sent,
             MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        /* There may be an answer that says why. */
        if (errno == EPIPE || errno == ECONNRESET)
            loop_io_disarm(&c->writable);
        else
            fail(c, -errno);
        return;
    }
    c->sent += (size_t)n;
    if (c->sent == c->out.len)
        loop_io_disarm(&c->writable);
}

static int
connection_try(struct http_client *c)
{
    const struct sockaddr *address = &c->target.address.any;
    bool v6 = address->sa_family == AF_INET6;
    socklen_t len =
        v6 ? sizeof(c->target.address.v6) : sizeof(c->target.address.v4);
    int on = 1;

    c->fd = socket(address->sa_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    c->connections++;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    loop_io_init(c->loop, &c->readable, c->fd, EV_READ, on_readable);
    loop_io_init(c->loop, &c->writable, c->fd, EV_WRITE, on_writable);
    if (connect(c->fd, address, len) < 0 && errno != EINPROGRESS)
        return -errno;
    loop_io_arm(&c->readable);
    return 0;
}

/* Send what is in `out`, from its beginning, on a new connection. */
static void
connection_open(struct http_client *c)
{
    int r;

    c->sent = 0;
    c->reused = c->moved = false;
    c->connecting = true;
    r = connection_try(c);
    if (r < 0)
        fail_later(c, r);
    else
        loop_io_arm(&c->writable);
}

/* ---- requests ------------------------------------------------------------ */

void
http_client_init(struct http_client *c, struct loop *loop, bool keep,
                 void (*done)(struct http_client *c, int error))
{
    *c = (struct http_client){
        .loop = loop,
        .keep = keep,
        .done = done,
        .fd = -1,
        .failed.run = on_failed,
    };
    loop_timer_init(loop, &c->limit, on_limit);
}

void
http_client_done(struct http_client *c)
{
    http_client_abort(c);
    buf_done(&c->out);
    buf_done(&c->in);
    http_answer_done(&c->answer);
}

void
http_client_target(struct http_client *c, const struct http_target *target)
{
    if (strcmp(c->target.host, target->host) == 0) /* address and port */
        return;
    c->target = *target;
    if (c->busy)
        c->moved = true;
    else
        connection_close(c);
}

struct buf *
http_client_request(struct http_client *c)
{
    buf_reset(&c->out, KEEP_BYTES);
    c->out.failed = false;
    return &c->out;
}

void
http_client_send(struct http_client *c, int64_t limit_ms, size_t body_max)
{
    c->busy = true;
    http_answer_begin(&c->answer, body_max);
    loop_timer_set(&c->limit, limit_ms);
    if (c->out.failed) {
        fail_later(c, -ENOMEM);
    } else if (c->fd >= 0) {
        c->sent = 0;
        loop_io_arm(&c->writable);
    } else {
        connection_open(c);
    }
}

void
http_client_abort(struct http_client *c)
{
    loop_timer_cancel(&c->limit);
    loop_defer_cancel(c->loop, &c->failed);
    c->busy = false;
    connection_close(c);
}
