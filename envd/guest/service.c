/*
 * Datagrams to the manager.  Those at start and end may wait a moment for it,
 * those of the watchdog never do.
 */
#include "guest/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "base/str.h"
#include "limits.h"
#include "loop/loop.h"

#define FIRST_FD    3
#define SEND_WAIT_S 1
#define DAY_US      (24ULL * 3600 * 1000 * 1000)

struct service {
    int notify_fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_len;
    char *names; /* of the sockets, each ended by NUL */
    const char *next_name;
    int next_fd;
    int end_fd;
    struct loop_timer watchdog;
    int64_t watchdog_ms; /* between two answers; 0: none wanted */
};

/* ---- sending ------------------------------------------------------------- */

static void
open_notify(struct service *s)
{
    const struct timeval wait = {.tv_sec = SEND_WAIT_S};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path != NULL ? strlen(path) : 0;

    /* A path, or @ and an abstract name. */
    if (len < 2 || len >= sizeof(s->address.sun_path) ||
        (path[0] != '/' && path[0] != '@'))
        return;
    s->address.sun_family = AF_UNIX;
    memcpy(s->address.sun_path, path, len + 1);
    s->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (path[0] == '@')
        s->address.sun_path[0] = '\0';
    else
        s->address_len++;
    s->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s->notify_fd >= 0)
        (void)setsockopt(s->notify_fd, SOL_SOCKET, SO_SNDTIMEO, &wait,
                         sizeof(wait));
}

/* fd  sent along; -1: none */
static void
service_send(struct service *s, const char *text, int fd, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec data = {.iov_len = strlen(text)};
    struct msghdr header = {
        .msg_name = &s->address,
        .msg_namelen = s->address_len,
        .msg_iov = &data,
        .msg_iovlen = 1,
    };
    struct log_line line;
    ssize_t n;

    if (s->notify_fd < 0)
        return;
    memcpy(&data.iov_base, &text, sizeof(text)); /* it is only read */
    if (fd >= 0) {
        struct cmsghdr *c;

        header.msg_control = &control;
        header.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    do {
        n = sendmsg(s->notify_fd, &header, MSG_NOSIGNAL | flags);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || !log_begin(&line, LOG_LEVEL_WARN, "service"))
        return;
    log_str(&line, "error", errno_text(errno));
    log_end(&line, "The service manager cannot be told");
}

void
service_store(struct service *s, int fd, const char *name)
{
    char text[128];

    /* Not polled: a socket that listens has no end to wait for. */
    (void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    service_send(s, text, fd, 0);
}

void
service_forget(struct service *s, const char *name)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    service_send(s, text, -1, 0);
}

void
service_ready(struct service *s, uint16_t port)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "READY=1\nSTATUS=Serving on port %u",
                   port);
    service_send(s, text, -1, 0);
    if (s->watchdog_ms > 0)
        loop_timer_set(&s->watchdog, 0);
}

void
service_stopping(struct service *s)
{
    loop_timer_cancel(&s->watchdog);
    service_send(s, "STOPPING=1\nSTATUS=Ending", -1, MSG_DONTWAIT);
}

/* ---- the watchdog -------------------------------------------------------- */

static void
on_watchdog(struct loop_timer *t)
{
    struct service *s = container_of(t, struct service, watchdog);

    service_send(s, "WATCHDOG=1", -1, MSG_DONTWAIT);
    loop_timer_set(t, s->watchdog_ms);
}

/* Whether a variable names this process, or is not there. */
static bool
is_for_us(const char *name)
{
    const char *value = getenv(name);
    uint64_t pid;

    return value == NULL ||
           (str_to_u64(str_from(value), INT32_MAX, &pid) == 0 &&
            (pid_t)pid == getpid());
}

static void
read_watchdog(struct service *s)
{
    const char *value = getenv("WATCHDOG_USEC");
    uint64_t us;

    if (value == NULL || !is_for_us("WATCHDOG_PID") ||
        str_to_u64(str_from(value), DAY_US, &us) < 0 || us == 0)
        return;
    /* Twice in its time, as it is advised. */
    s->watchdog_ms = (int64_t)MAX(us / 2000, 1ULL);
}

/* ---- sockets ------------------------------------------------------------- */

static void
read_sockets(struct service *s)
{
    const char *count = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t number;

    s->next_fd = s->end_fd = FIRST_FD;
    if (count != NULL && getenv("LISTEN_PID") != NULL &&
        is_for_us("LISTEN_PID") &&
        str_to_u64(str_from(count), LIMIT_SERVICE_SOCKETS, &number) == 0)
        s->end_fd += (int)number;
    for (int fd = s->next_fd; fd < s->end_fd; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    s->names = xstrdup(names != NULL ? names : "");
    s->next_name = s->names;
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

int
service_take_socket(struct service *s, const char **ret_name)
{
    size_t len = strcspn(s->next_name, ":");
    char *name = s->names + (s->next_name - s->names);

    if (s->next_fd == s->end_fd)
        return -1;
    *ret_name = name;
    s->next_name += len + (name[len] == ':' ? 1 : 0);
    name[len] = '\0';
    return s->next_fd++;
}

/* ---- life ---------------------------------------------------------------- */

struct service *
service_new(struct loop *loop)
{
    struct service *s = xcalloc(1, sizeof(*s));

    s->notify_fd = -1;
    loop_timer_init(loop, &s->watchdog, on_watchdog);
    open_notify(s);
    read_watchdog(s);
    read_sockets(s);
    return s;
}

void
service_free(struct service *s)
{
    if (s == NULL)
        return;
    while (s->next_fd < s->end_fd)
        (void)close(s->next_fd++);
    loop_timer_cancel(&s->watchdog);
    fd_close(&s->notify_fd);
    free(s->names);
    free(s);
}
