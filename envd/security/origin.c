/*
 * The machine's own addresses, and where a connection came in.
 */
#include "security/origin.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "limits.h"

#define LOOPBACK_INDEX 1 /* of every network namespace */

/* Reads of one question: the rest is read at the next. */
#define READS_MAX 256

#define READ_BYTES (16 * 1024)

struct origin {
    int fd;               /* netlink; -1: it cannot be had */
    bool stale;           /* the addresses are to be asked for anew */
    bool done;            /* an answer has come to its end */
    struct in6_addr *own; /* IPv4 as mapped into IPv6 */
    size_t count;
};

/* ---- the list ------------------------------------------------------------ */

static struct in6_addr
mapped(const void *v4)
{
    struct in6_addr a = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    memcpy(a.s6_addr + 12, v4, 4);
    return a;
}

static bool
is_own(const struct origin *o, const struct in6_addr *a)
{
    for (size_t i = 0; i < o->count; i++)
        if (memcmp(&o->own[i], a, sizeof(*a)) == 0)
            return true;
    return false;
}

static void
add_own(struct origin *o, const struct in6_addr *a)
{
    if (o->count == LIMIT_ORIGIN_ADDRESSES || is_own(o, a))
        return;
    if (o->own == NULL)
        o->own = xcalloc(LIMIT_ORIGIN_ADDRESSES, sizeof(*o->own));
    o->own[o->count++] = *a;
}

/* The address of the machine itself in a message; false: none. */
static bool
read_address(struct nlmsghdr *h, struct in6_addr *ret)
{
    struct ifaddrmsg *m = NLMSG_DATA(h);
    size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
    struct rtattr *a = (void *)(m + 1);
    size_t size = m->ifa_family == AF_INET ? 4 : 16;
    bool found = false;

    if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
        return false;
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        /* Where both are there, the other one is the far end's. */
        if ((a->rta_type != IFA_LOCAL &&
             (a->rta_type != IFA_ADDRESS || found)) ||
            RTA_PAYLOAD(a) < size)
            continue;
        if (size == 4)
            *ret = mapped(RTA_DATA(a));
        else
            memcpy(ret, RTA_DATA(a), sizeof(*ret));
        found = true;
    }
    return found;
}

bool
origin_feed(struct origin *o, void *messages, size_t len)
{
    struct nlmsghdr *h = messages;
    bool complete = true;

    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        struct in6_addr a;

        if ((h->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
            complete = false;
        if (h->nlmsg_type == NLMSG_DONE)
            o->done = true;
        else if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == RTM_DELADDR)
            complete = false; /* another interface may have it, too */
        else if (h->nlmsg_type == RTM_NEWADDR &&
                 h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)) &&
                 read_address(h, &a))
            add_own(o, &a);
    }
    return complete;
}

/* ---- asking the kernel --------------------------------------------------- */

static void
ask(struct origin *o)
{
    struct {
        struct nlmsghdr h;
        struct ifaddrmsg m;
    } request = {
        .h = {.nlmsg_len = sizeof(request),
              .nlmsg_type = RTM_GETADDR,
              .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .m = {.ifa_family = AF_UNSPEC},
    };

    o->stale = false;
    o->done = false;
    o->count = 0;
    if (send(o->fd, &request, sizeof(request), MSG_DONTWAIT) < 0) {
        o->stale = true;
        o->done = true;
    }
}

/* Read what the kernel has told, and is telling. */
static void
listen_to_kernel(struct origin *o)
{
    union {
        struct nlmsghdr align;
        uint8_t bytes[READ_BYTES];
    } buf;

    for (int i = 0; i < READS_MAX; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(o->fd, &buf, sizeof(buf), MSG_DONTWAIT,
                             (struct sockaddr *)&from, &from_len);

        bool lost = n < 0 && errno == ENOBUFS;

        if (n < 0 && !lost)
            return;
        /* Messages of others than the kernel are none. */
        if (lost || (from.nl_pid == 0 && !origin_feed(o, &buf, (size_t)n)))
            o->stale = true;
    }
}

static void
refresh(struct origin *o)
{
    if (o->fd < 0)
        return;
    listen_to_kernel(o);
    /* Twice when something changed meanwhile; then the next question will. */
    for (int i = 0; i < 2 && (o->stale || !o->done); i++) {
        ask(o);
        listen_to_kernel(o);
    }
}

struct origin *
origin_new(void)
{
    struct origin *o = xcalloc(1, sizeof(*o));
    const struct sockaddr_nl groups = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
    };

    o->stale = true;
    o->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   NETLINK_ROUTE);
    if (o->fd >= 0 &&
        bind(o->fd, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
        fd_close(&o->fd);
    return o;
}

void
origin_free(struct origin *o)
{
    if (o == NULL)
        return;
    fd_close(&o->fd);
    free(o->own);
    free(o);
}

/* ---- one connection ------------------------------------------------------ */

/* The address of an IP peer as IPv6; false: it is none. */
static bool
as_ipv6(const struct sockaddr_storage *s, struct in6_addr *ret)
{
    if (s->ss_family == AF_INET) {
        *ret = mapped(&((const struct sockaddr_in *)(const void *)s)->sin_addr);
        return true;
    }
    if (s->ss_family != AF_INET6)
        return false;
    *ret = ((const struct sockaddr_in6 *)(const void *)s)->sin6_addr;
    return true;
}

static bool
is_loopback(const struct in6_addr *a)
{
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) ||
           (IN6_IS_ADDR_V4MAPPED(a) &&
            (a->s6_addr[12] == 127 || a->s6_addr[12] == 0));
}

bool
origin_admits(const struct origin *o, const struct sockaddr_storage *peer,
              unsigned int ingress, unsigned int outward)
{
    struct in6_addr a;

    if (!as_ipv6(peer, &a) || is_loopback(&a) || is_own(o, &a))
        return false;
    if (ingress == 0)
        return true;
    return outward != 0 ? ingress == outward : ingress != LOOPBACK_INDEX;
}

/* The interface by which a TCP connection was made, 0: not known. */
static unsigned int
ingress_of(int fd, int family)
{
    union {
        struct cmsghdr align;
        char bytes[512];
    } control = {0};
    struct msghdr m = {.msg_control = control.bytes};
    socklen_t len = sizeof(control.bytes);
    int r =
        family == AF_INET
            ? getsockopt(fd, IPPROTO_IP, IP_PKTOPTIONS, &control, &len)
            : getsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, &control, &len);

    if (r < 0)
        return 0;
    m.msg_controllen = len;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL;
         c = CMSG_NXTHDR(&m, c)) {
        struct in_pktinfo v4;
        struct in6_pktinfo v6;

        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            memcpy(&v4, CMSG_DATA(c), sizeof(v4));
            return (unsigned int)v4.ipi_ifindex;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(&v6, CMSG_DATA(c), sizeof(v6));
            return v6.ipi6_ifindex;
        }
    }
    return 0;
}

static unsigned int
outward_interface(int fd)
{
    struct ifreq r = {.ifr_name = ORIGIN_INTERFACE};

    return ioctl(fd, SIOCGIFINDEX, &r) < 0 ? 0 : (unsigned int)r.ifr_ifindex;
}

static bool
is_root(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           peer.uid == 0;
}

bool
origin_is_outside(struct origin *o, int fd)
{
    struct sockaddr_storage peer = {0};
    struct sockaddr_storage here = {0};
    socklen_t peer_len = sizeof(peer);
    socklen_t here_len = sizeof(here);
    struct in6_addr far;
    struct in6_addr near;

    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &here_len) < 0)
        return false;
    if (peer.ss_family == AF_UNIX)
        return is_root(fd);
    if (peer.ss_family == AF_VSOCK)
        return ((const struct sockaddr_vm *)(const void *)&peer)->svm_cid ==
               VMADDR_CID_HOST;
    /* What it was reached at is its own, whatever the kernel tells. */
    if (!as_ipv6(&peer, &far) || !as_ipv6(&here, &near) ||
        memcmp(&far, &near, sizeof(far)) == 0)
        return false;
    refresh(o);
    return origin_admits(o, &peer, ingress_of(fd, here.ss_family),
                         outward_interface(fd));
}
