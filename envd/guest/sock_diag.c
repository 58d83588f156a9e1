/*
 * Dumps of listening sockets.
 *
 * The kernel works a dump off while we receive: each recv(2) gets what fits
 * into the buffer, and there is always something to get until its end has
 * come.  So a dump is a short loop rather than a wait; it is cut into turns
 * only where there are very many sockets.
 */
#include "guest/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/sock_proc.h"
#include "loop/loop.h"

#define RECEIVES_PER_TURN 8
#define RECEIVE_BYTES     ((size_t)16 * 1024)
#define AGAINS_MAX        2 /* more dumps of one family that were not consistent */

static const uint8_t families[] = {AF_INET, AF_INET6};

struct sock_diag {
    struct loop *loop;
    const struct sock_diag_callbacks *callbacks;
    void *ctx;
    int fd;
    struct loop_io io;
    bool running;
    bool absent;         /* this kernel has no such dumps: /proc instead */
    unsigned int family; /* index of the one that is dumped */
    unsigned int agains;
    uint32_t sequence;
};

/* ---- what comes ---------------------------------------------------------- */

/* An address of either family in the form of all of them. */
static void
read_address(uint8_t ret[16], unsigned int family, const uint32_t words[4])
{
    if (family == AF_INET6) {
        memcpy(ret, words, 16);
        return;
    }
    memset(ret, 0, 10);
    memset(ret + 10, 0xff, 2);
    memcpy(ret + 12, words, 4);
}

static bool
read_v6only(const uint8_t *attributes, size_t len)
{
    struct nlattr head;

    while (len >= sizeof(head)) {
        size_t step;

        memcpy(&head, attributes, sizeof(head));
        if (head.nla_len < sizeof(head) || head.nla_len > len)
            return false;
        if ((head.nla_type & NLA_TYPE_MASK) == INET_DIAG_SKV6ONLY &&
            head.nla_len > sizeof(head))
            return attributes[sizeof(head)] != 0;
        step = (size_t)NLA_ALIGN(head.nla_len);
        if (step >= len)
            return false;
        attributes += step;
        len -= step;
    }
    return false;
}

static bool
read_socket(const uint8_t *data, size_t len, struct sock_listener *ret)
{
    struct inet_diag_msg m;

    if (len < sizeof(m))
        return false;
    memcpy(&m, data, sizeof(m));
    if (m.idiag_state != TCP_LISTEN || m.id.idiag_sport == 0 ||
        (m.idiag_family != AF_INET && m.idiag_family != AF_INET6))
        return false;
    *ret = (struct sock_listener){
        .port = ntohs(m.id.idiag_sport),
        .uid = m.idiag_uid,
        .inode = m.idiag_inode,
        .v6only = m.idiag_family == AF_INET6 &&
                  read_v6only(data + sizeof(m), len - sizeof(m)),
    };
    read_address(ret->address, m.idiag_family, m.id.idiag_src);
    return true;
}

/* An error, or the end of a dump, which may carry one. */
static int
read_error(const uint8_t *data, size_t len)
{
    int error = 0;

    if (len >= sizeof(error))
        memcpy(&error, data, sizeof(error));
    return error;
}

/* Whether a message ends the dump; *ret_err is then 0 or -errno. */
static bool
is_end(const struct nlmsghdr *head, const uint8_t *body, int *ret_err)
{
    if (head->nlmsg_type != NLMSG_ERROR && head->nlmsg_type != NLMSG_DONE)
        return false;
    *ret_err = MIN(read_error(body, head->nlmsg_len - NLMSG_HDRLEN), 0);
    return true;
}

enum sock_diag_result
sock_diag_parse(const uint8_t *data, size_t len, uint32_t sequence,
                void (*on_listener)(void *ctx, const struct sock_listener *l),
                void *ctx, int *ret_err)
{
    bool again = false;
    struct nlmsghdr head;
    size_t step;

    for (; len > 0; data += step, len -= step) {
        const uint8_t *body = data + NLMSG_HDRLEN;
        struct sock_listener l;

        *ret_err = -EBADMSG;
        if (len < sizeof(head))
            return SOCK_DIAG_ERROR;
        memcpy(&head, data, sizeof(head));
        if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > len)
            return SOCK_DIAG_ERROR;
        step = MIN((size_t)NLMSG_ALIGN(head.nlmsg_len), len);
        if (head.nlmsg_seq != sequence)
            continue;
        again = again || (head.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (is_end(&head, body, ret_err)) {
            if (*ret_err < 0)
                return SOCK_DIAG_ERROR;
            return again ? SOCK_DIAG_AGAIN : SOCK_DIAG_DONE;
        }
        if (head.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
            read_socket(body, head.nlmsg_len - NLMSG_HDRLEN, &l))
            on_listener(ctx, &l);
    }
    return SOCK_DIAG_MORE;
}

/* ---- asking -------------------------------------------------------------- */

static int
request_family(struct sock_diag *d)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } request = {
        .head =
            {
                .nlmsg_len = sizeof(request),
                .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                .nlmsg_seq = ++d->sequence,
            },
        .body =
            {
                .sdiag_family = families[d->family],
                .sdiag_protocol = IPPROTO_TCP,
                .idiag_states = 1U << TCP_LISTEN,
            },
    };

    if (send(d->fd, &request, sizeof(request), 0) < 0)
        return -errno;
    return 0;
}

/* Close it: what a later dump receives is never of this one. */
static void
close_socket(struct sock_diag *d)
{
    if (d->fd < 0)
        return;
    loop_io_disarm(&d->io);
    fd_close(&d->fd);
}

/* Without sock_diag, the same out of /proc; slower, and never v6only. */
static void
finish(struct sock_diag *d, int err)
{
    if (err < 0)
        close_socket(d);
    else
        loop_io_disarm(&d->io);
    d->running = false;
    if (err == -ENOENT || err == -EPROTONOSUPPORT || err == -EOPNOTSUPP)
        d->absent = true;
    d->callbacks->on_end(d->ctx, err);
}

/* One family is done; returns whether there is another. */
static bool
next_family(struct sock_diag *d, bool again)
{
    int r;

    if (!again || ++d->agains > AGAINS_MAX) {
        d->agains = 0;
        d->family++;
    }
    if (d->family == ARRAY_LEN(families)) {
        finish(d, 0);
        return false;
    }
    r = request_family(d);
    if (r < 0)
        finish(d, r);
    return r == 0;
}

static void
receive(struct sock_diag *d)
{
    _Alignas(struct nlmsghdr) static uint8_t data[RECEIVE_BYTES];

    for (int i = 0; i < RECEIVES_PER_TURN; i++) {
        ssize_t n = recv(d->fd, data, sizeof(data), MSG_DONTWAIT);
        enum sock_diag_result result;
        int err;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            finish(d, n < 0 ? -errno : -EPIPE);
            return;
        }
        result = sock_diag_parse(data, (size_t)n, d->sequence,
                                 d->callbacks->on_listener, d->ctx, &err);
        if (result == SOCK_DIAG_ERROR) {
            /* A kernel without IPv6 has no such sockets. */
            if (err != -ENOENT || families[d->family] != AF_INET6) {
                finish(d, err);
                return;
            }
            result = SOCK_DIAG_DONE;
        }
        if (result != SOCK_DIAG_MORE &&
            !next_family(d, result == SOCK_DIAG_AGAIN))
            return;
    }
    loop_io_arm(&d->io);
}

static void
on_readable(struct loop_io *io)
{
    receive(container_of(io, struct sock_diag, io));
}

static int
open_socket(struct sock_diag *d)
{
    d->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   NETLINK_SOCK_DIAG);
    if (d->fd < 0)
        return -errno;
    loop_io_init(d->loop, &d->io, d->fd, EV_READ, on_readable);
    return 0;
}

int
sock_diag_dump(struct sock_diag *d)
{
    int r = 0;

    if (d->running)
        return -EBUSY;
    if (d->absent) {
        r = sock_proc_read("/proc/net", d->callbacks->on_listener, d->ctx);
        d->callbacks->on_end(d->ctx, r);
        return 0;
    }
    if (d->fd < 0)
        r = open_socket(d);
    d->family = 0;
    d->agains = 0;
    if (r == 0)
        r = request_family(d);
    if (r < 0) {
        close_socket(d);
        d->absent = r == -EPROTONOSUPPORT || r == -EAFNOSUPPORT;
        return r;
    }
    d->running = true;
    receive(d);
    return 0;
}

bool
sock_diag_running(const struct sock_diag *d)
{
    return d->running;
}

struct sock_diag *
sock_diag_new(struct loop *loop, const struct sock_diag_callbacks *callbacks,
              void *ctx)
{
    struct sock_diag *d = xcalloc(1, sizeof(*d));

    d->loop = loop;
    d->callbacks = callbacks;
    d->ctx = ctx;
    d->fd = -1;
    return d;
}

void
sock_diag_free(struct sock_diag *d)
{
    if (d == NULL)
        return;
    close_socket(d);
    free(d);
}
