/*
 * A question to sock_diag.
 */
#include "guest/port_holder.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#define READS_MAX 1024

/* Whether it is in these messages.  ret_end  set at the end of the answer */
static bool
look(struct nlmsghdr *h, size_t len, uint16_t port, struct port_holder *ret,
     bool *ret_end)
{
    bool found = false;

    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        const struct inet_diag_msg *m = NLMSG_DATA(h);

        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
            *ret_end = true;
            break;
        }
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
            ntohs(m->id.idiag_sport) != port)
            continue;
        *ret = (struct port_holder){m->idiag_uid, m->idiag_inode};
        found = true;
    }
    return found;
}

static int
find(int fd, uint8_t family, uint16_t port, struct port_holder *ret)
{
    struct {
        struct nlmsghdr h;
        struct inet_diag_req_v2 m;
    } request = {
        .h = {.nlmsg_len = sizeof(request),
              .nlmsg_type = SOCK_DIAG_BY_FAMILY,
              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .m = {.sdiag_family = family,
              .sdiag_protocol = IPPROTO_TCP,
              .idiag_states = 1U << TCP_LISTEN},
    };
    union {
        struct nlmsghdr h;
        char bytes[8192];
    } buf;
    bool found = false;
    bool end = false;

    if (send(fd, &request, sizeof(request), MSG_DONTWAIT) < 0)
        return -errno;
    for (int i = 0; i < READS_MAX && !end; i++) {
        ssize_t n = recv(fd, &buf, sizeof(buf), MSG_DONTWAIT);

        if (n < 0)
            return -errno;
        /* Read to its end also when found: another question may follow. */
        if (look(&buf.h, (size_t)n, port, ret, &end))
            found = true;
    }
    return found ? 0 : -ENOENT;
}

int
port_holder_find(uint16_t port, struct port_holder *ret)
{
    SCOPE(fd_close)
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_SOCK_DIAG);
    int r;

    if (fd < 0)
        return -errno;
    r = find(fd, AF_INET6, port, ret);
    return r == 0 ? 0 : find(fd, AF_INET, port, ret);
}
