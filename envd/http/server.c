/*
 * The listeners: accept in batches, rest when there are no descriptors left,
 * and say 503 rather than nothing.
 */
#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "http/conn.h"
#include "limits.h"

#define BACKLOG          4096
#define ACCEPTS_PER_TURN 64
#define REST_MS          100 /* when accepting fails for lack of something */

/* Keepalive: a silent peer is asked after 15 s, every 15 s, nine times. */
/* A peer that has vanished is known after 10 + 3 * 5 seconds of silence. */
#define KEEPALIVE_IDLE_S     10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES     3

struct http_listener {
    TAILQ_ENTRY(http_listener) link;
    struct http_server *server;
    int fd;
    bool (*admits)(int fd); /* NULL: anybody */
    struct loop_io io;
    struct loop_timer rest;
};

static int
open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
on_next_turn(struct loop_timer *t)
{
    struct http_server *s = container_of(t, struct http_server, next_turn);
    struct http_conn *c;
    size_t count = 0;

    TAILQ_FOREACH (c, &s->busy, busy_link)
        count++;
    for (; count > 0 && (c = TAILQ_FIRST(&s->busy)) != NULL; count--) {
        TAILQ_REMOVE(&s->busy, c, busy_link);
        c->busy = false;
        conn_work(c);
    }
    if (!TAILQ_EMPTY(&s->busy))
        loop_timer_set(&s->next_turn, 0);
}

struct http_server *
http_server_new(struct loop *loop, http_request_fn on_request, void *ctx)
{
    struct http_server *s = xcalloc(1, sizeof(*s));

    s->loop = loop;
    s->on_request = on_request;
    s->ctx = ctx;
    s->limits = (struct http_limits){
        .connections = LIMIT_HTTP_CONNECTIONS,
        .head_timeout_ms = LIMIT_HTTP_HEAD_TIMEOUT_MS,
        .idle_timeout_ms = LIMIT_HTTP_IDLE_TIMEOUT_MS,
        .body_stall_ms = LIMIT_HTTP_BODY_STALL_MS,
        .write_stall_ms = LIMIT_HTTP_WRITE_STALL_MS,
        .linger_ms = LIMIT_HTTP_LINGER_MS,
    };
    TAILQ_INIT(&s->listeners);
    TAILQ_INIT(&s->conns);
    TAILQ_INIT(&s->busy);
    loop_timer_init(loop, &s->next_turn, on_next_turn);
    s->parser = http_parser_new();
    s->scratch = xcalloc(1, HTTP_RECEIVE_BYTES);
    s->reserve_fd = open_reserve();
    return s;
}

void
http_server_set_limits(struct http_server *s, const struct http_limits *limits)
{
    s->limits = *limits;
}

/* ---- accepting ----------------------------------------------------------- */

/* Say 503 to a socket that will not be served, and close it. */
static void
refuse(struct http_server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 23\r\n"
                                 "Connection: close\r\n\r\n"
                                 "503 Service Unavailable";
    uint8_t rest[4096];

    s->stats.refused++;
    (void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    for (int i = 0; i < 16; i++) /* unread, it would make the close a reset */
        if (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) < (ssize_t)sizeof(rest))
            break;
    (void)close(fd);
}

static int
accept_one(const struct http_listener *l)
{
    return accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* No descriptors or no memory: use the reserve once, then rest. */
static void
listener_rest(struct http_listener *l)
{
    struct http_server *s = l->server;

    if (s->reserve_fd >= 0) {
        int fd;

        fd_close(&s->reserve_fd);
        fd = accept_one(l);
        if (fd >= 0)
            refuse(s, fd);
        s->reserve_fd = open_reserve();
    }
    loop_io_disarm(&l->io);
    loop_timer_set(&l->rest, REST_MS);
}

static void
on_rested(struct loop_timer *t)
{
    struct http_listener *l = container_of(t, struct http_listener, rest);

    if (l->server->reserve_fd < 0)
        l->server->reserve_fd = open_reserve();
    loop_io_arm(&l->io);
}

static void
on_connection(struct loop_io *io)
{
    struct http_listener *l = container_of(io, struct http_listener, io);
    struct http_server *s = l->server;

    for (int i = 0; i < ACCEPTS_PER_TURN && l->io.armed; i++) {
        int fd = accept_one(l);

        if (fd >= 0 && l->admits != NULL && !l->admits(fd)) {
            s->stats.strangers++;
            (void)close(fd);
        } else if (fd >= 0 && s->conn_count >= s->limits.connections) {
            refuse(s, fd);
        } else if (fd >= 0) {
            s->stats.accepted++;
            conn_open(s, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            listener_rest(l);
        }
        /* Other errors are those of one connection that did not come about. */
    }
}

/* ---- listening ----------------------------------------------------------- */

static void
set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* What accepted sockets inherit; sockets other than TCP refuse some of it. */
static void
set_inherited_options(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    /* Has accepted sockets know the interface that their peer came by. */
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

int
http_server_listen_fd(struct http_server *s, int fd, bool (*admits)(int fd))
{
    SCOPE(fd_close) int owned = fd;
    struct http_listener *l;
    int r = fd_set_nonblock(fd, 1);

    if (r < 0)
        return r;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    set_inherited_options(fd);
    if (listen(fd, BACKLOG) < 0)
        return -errno;
    l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->fd = TAKE_FD(owned);
    l->admits = admits;
    loop_io_init(s->loop, &l->io, l->fd, EV_READ, on_connection);
    loop_timer_init(s->loop, &l->rest, on_rested);
    loop_io_arm(&l->io);
    TAILQ_INSERT_TAIL(&s->listeners, l, link);
    return 0;
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* A numeric address, NULL for the IPv6 wildcard.  Returns its size, 0: none. */
static socklen_t
read_address(union address *ret, const char *text, uint16_t port)
{
    *ret = (union address){0};
    if (text != NULL && inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        return sizeof(ret->v4);
    }
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons(port);
    if (text != NULL && inet_pton(AF_INET6, text, &ret->v6.sin6_addr) != 1)
        return 0;
    return sizeof(ret->v6);
}

/* Returns a bound socket or -errno. */
static int
bind_socket(const char *address, uint16_t port)
{
    union address a;
    socklen_t len = read_address(&a, address, port);
    SCOPE(fd_close) int fd = -1;

    if (len == 0)
        return -EINVAL;
    fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address == NULL)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (bind(fd, &a.any, len) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static uint16_t
bound_port(int fd)
{
    union address a = {0};
    socklen_t len = sizeof(a);

    if (getsockname(fd, &a.any, &len) < 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

int
http_server_listen(struct http_server *s, const char *address, uint16_t port,
                   uint16_t *ret_port)
{
    int fd = bind_socket(address, port);

    if (address == NULL && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL))
        fd = bind_socket("0.0.0.0", port);
    if (fd < 0)
        return fd;
    if (ret_port != NULL)
        *ret_port = bound_port(fd);
    return http_server_listen_fd(s, fd, NULL);
}

int
http_server_listener(const struct http_server *s)
{
    const struct http_listener *l =
        TAILQ_LAST(&s->listeners, http_listener_list);

    return l != NULL ? l->fd : -1;
}

const struct http_stats *
http_server_stats(const struct http_server *s)
{
    return &s->stats;
}

size_t
http_server_connections(const struct http_server *s)
{
    return s->conn_count;
}

void
http_server_close(struct http_server *s)
{
    struct http_listener *l;
    struct http_conn *c;
    struct http_conn *next;

    while ((l = TAILQ_FIRST(&s->listeners)) != NULL) {
        TAILQ_REMOVE(&s->listeners, l, link);
        loop_io_disarm(&l->io);
        loop_timer_cancel(&l->rest);
        fd_close(&l->fd);
        free(l);
    }
    for (c = TAILQ_FIRST(&s->conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        conn_cut(c);
    }
    loop_timer_cancel(&s->next_turn);
}

size_t
http_server_cut_others(struct http_server *s, const struct http_exchange *keep)
{
    size_t count = 0;
    struct http_conn *c;
    struct http_conn *next;

    for (c = TAILQ_FIRST(&s->conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (&c->x == keep)
            continue;
        conn_reset(c);
        s->stats.reset++;
        count++;
    }
    return count;
}

void
http_server_free(struct http_server *s)
{
    if (s == NULL)
        return;
    fd_close(&s->reserve_fd);
    http_pool_done(&s->pool);
    http_parser_free(s->parser);
    free(s->scratch);
    free(s);
}
