/*
 * Opening them, and waiting for a port that somebody else has.
 */
#include "api/listeners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/status.h"
#include "envd.h"
#include "guest/listen.h"
#include "guest/port_holder.h"
#include "guest/service.h"
#include "http/server.h"

/* The names under which the service manager keeps our sockets. */
#define STORED_TCP   "envd-port"
#define STORED_UNIX  "envd-unix"
#define STORED_VSOCK "envd-vsock"

#define RETRY_MS 100

/* ---- what was handed over ------------------------------------------------ */

/* Whether an earlier agent left this socket, which we would not open now. */
static bool
is_outdated(const struct listeners *l, const char *name, int fd)
{
    const struct envd_options *o = &l->envd->options;

    if (strcmp(name, STORED_TCP) == 0)
        return l->tcp || listen_tcp_port(fd) != o->port;
    if (strcmp(name, STORED_UNIX) == 0)
        return l->unix_path || !listen_unix_is(fd, o->listen_unix);
    if (strcmp(name, STORED_VSOCK) == 0)
        return l->vsock || !listen_vsock_is(fd, l->vsock_port);
    return false;
}

/* Take a socket over.  False: it is none to listen on. */
static bool
take_socket(struct listeners *l, int fd)
{
    struct envd *e = l->envd;

    switch (listen_family(fd)) {
    case AF_INET:
    case AF_INET6:
        l->tcp = l->tcp || listen_tcp_port(fd) == e->options.port;
        (void)http_server_listen_fd(e->http, fd, NULL);
        return true;
    case AF_UNIX:
        l->unix_path =
            l->unix_path || listen_unix_is(fd, e->options.listen_unix);
        (void)http_server_listen_fd(e->http, fd, listen_admits_unix);
        return true;
    case AF_VSOCK:
        l->vsock = l->vsock || listen_vsock_is(fd, l->vsock_port);
        (void)http_server_listen_fd(e->http, fd, listen_admits_vsock);
        return true;
    default:
        return false;
    }
}

static void
take_sockets(struct listeners *l)
{
    struct envd *e = l->envd;
    const char *name;
    int fd;

    while ((fd = service_take_socket(e->service, &name)) >= 0) {
        bool stored = strncmp(name, "envd-", 5) == 0;
        bool had = (strcmp(name, STORED_TCP) == 0 && l->tcp) ||
                   (strcmp(name, STORED_UNIX) == 0 && l->unix_path) ||
                   (strcmp(name, STORED_VSOCK) == 0 && l->vsock);

        if (!is_outdated(l, name, fd) && take_socket(l, fd))
            continue;
        fd_close(&fd);
        if (stored && !had)
            service_forget(e->service, name);
    }
}

/* ---- what we open -------------------------------------------------------- */

static int
open_tcp(struct listeners *l)
{
    struct envd *e = l->envd;
    int r = http_server_listen(e->http, NULL, e->options.port, NULL);

    if (r < 0)
        return r;
    l->tcp = true;
    /* Between two agents nobody else can take the port, or is refused. */
    service_store(e->service, http_server_listener(e->http), STORED_TCP);
    return 0;
}

static int
listen_here(struct envd *e, int fd, bool (*admits)(int fd), const char *name)
{
    int r = fd < 0 ? fd : http_server_listen_fd(e->http, fd, admits);

    if (r == 0)
        service_store(e->service, http_server_listener(e->http), name);
    return r;
}

static int
open_unix(struct listeners *l)
{
    const char *path = l->envd->options.listen_unix;
    int r;

    if (path == NULL || *path == '\0' || l->unix_path)
        return 0;
    r = listen_here(l->envd, listen_unix_open(path), listen_admits_unix,
                    STORED_UNIX);
    l->unix_path = r == 0;
    if (r < 0)
        (void)fprintf(stderr, "server stopped: listen unix %s: %s\n", path,
                      r == -EPERM ? "others can write to its directory"
                                  : errno_text(-r));
    return r;
}

static int
open_vsock(struct listeners *l)
{
    struct log_line line;
    int r;

    if (l->vsock_port == 0 || l->vsock)
        return 0;
    r = listen_here(l->envd, listen_vsock_open(l->vsock_port),
                    listen_admits_vsock, STORED_VSOCK);
    l->vsock = r == 0;
    if (r == 0)
        return 0;
    /* A device that the machine happens to have is not worth more. */
    if (l->envd->options.listen_vsock == 0) {
        if (log_begin(&line, LOG_LEVEL_WARN, "envd"))
            log_end(&line, "listen vsock %u: %s", l->vsock_port,
                    errno_text(-r));
        return 0;
    }
    (void)fprintf(stderr, "server stopped: listen vsock %u: %s\n",
                  l->vsock_port, errno_text(-r));
    return r;
}

static void
on_retry(struct loop_timer *t)
{
    struct listeners *l = container_of(t, struct listeners, retry);
    struct envd *e = l->envd;
    int r = open_tcp(l);

    if (r == 0 && l->ready)
        service_ready(e->service, e->options.port);
    else if (r < 0)
        loop_timer_set(&l->retry, RETRY_MS);
}

/* Say who has the port, and try again until it is ours. */
static void
wait_for_port(struct listeners *l)
{
    uint16_t port = l->envd->options.port;
    struct port_holder owner;
    struct log_line line;

    if (port_holder_find(l->envd->loop, port, &owner) < 0)
        owner = (struct port_holder){0};
    (void)fprintf(stderr,
                  "<2>port %u is taken by a socket of user %u (inode %u): "
                  "waiting for it\n",
                  port, owner.uid, owner.inode);
    if (log_begin(&line, LOG_LEVEL_ERROR, "envd")) {
        log_u64(&line, "port", port);
        log_u64(&line, "uid", owner.uid);
        log_u64(&line, "inode", owner.inode);
        log_end(&line, "The port is taken");
    }
    loop_timer_set(&l->retry, RETRY_MS);
}

/* ---- all of them --------------------------------------------------------- */

int
listeners_open(struct envd *e)
{
    struct listeners *l = &e->listeners;
    bool ours = !e->options.not_firecracker;
    int r = 0;

    *l = (struct listeners){.envd = e, .vsock_port = e->options.listen_vsock};
    if (l->vsock_port == 0 && ours && listen_vsock_is_there())
        l->vsock_port = e->options.port;
    loop_timer_init(e->loop, &l->retry, on_retry);
    take_sockets(l);
    if (!l->tcp)
        r = open_tcp(l);
    if (r == -EADDRINUSE && ours) {
        wait_for_port(l);
    } else if (r < 0) {
        (void)fprintf(stderr, "server stopped: listen tcp 0.0.0.0:%u: %s\n",
                      e->options.port, errno_text(-r));
        return -1;
    }
    return open_unix(l) < 0 || open_vsock(l) < 0 ? -1 : 0;
}

void
listeners_ready(struct envd *e)
{
    e->listeners.ready = true;
    if (e->listeners.tcp)
        service_ready(e->service, e->options.port);
}

void
listeners_close(struct envd *e)
{
    if (e->listeners.envd != NULL)
        loop_timer_cancel(&e->listeners.retry);
}
