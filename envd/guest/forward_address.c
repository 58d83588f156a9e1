/*
 * A socket of rtnetlink says that addresses have changed; which ones it is
 * that we want is asked for anew then.
 */
#include "guest/forward_address.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#define INTERFACE       "eth0"
#define SANDBOX_ADDRESS "169.254.0.21"

/* After news. */
#define PAUSE_FIRST_MS 5
#define PAUSE_GROWTH   5
#define PAUSE_LAST_MS  500

/* Whether a socket can be bound to it. */
static bool
is_present(struct in_addr address)
{
    const struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = address};
    SCOPE(fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
}

static bool
interface_address(struct in_addr *ret)
{
    SCOPE(fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = INTERFACE};
    struct sockaddr_in a;

    if (fd < 0 || ioctl(fd, SIOCGIFADDR, &request) < 0)
        return false;
    memcpy(&a, &request.ifr_addr, sizeof(a));
    *ret = a.sin_addr;
    return a.sin_family == AF_INET && a.sin_addr.s_addr != INADDR_ANY;
}

bool
forward_address_check(struct forward_address *a)
{
    struct in_addr before = a->address;
    bool was = a->present;

    if (a->fixed != NULL)
        a->present = inet_pton(AF_INET, a->fixed, &a->address) == 1;
    else
        a->present = (a->interface && interface_address(&a->address)) ||
                     inet_pton(AF_INET, SANDBOX_ADDRESS, &a->address) == 1;
    a->present = a->present && is_present(a->address);
    return a->present != was || (was && a->address.s_addr != before.s_addr);
}

static void
look(struct forward_address *a)
{
    if (forward_address_check(a))
        a->on_change(a);
}

static void
on_time(struct loop_timer *t)
{
    struct forward_address *a = container_of(t, struct forward_address, timer);

    if (a->pause_ms < PAUSE_LAST_MS) {
        a->pause_ms *= PAUSE_GROWTH;
        loop_timer_set(&a->timer, a->pause_ms);
    }
    look(a);
}

/*
 * The kernel says it before it is so: the route to an address comes after the
 * news of it, and goes after it, too.  So we look again for a while.
 */
static void
on_news(struct loop_io *io)
{
    struct forward_address *a = container_of(io, struct forward_address, io);
    uint8_t rest[4096];

    /* What they say does not matter; too many at once are an error of recv. */
    for (int i = 0; i < 64; i++)
        if (recv(a->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
            break;
    a->pause_ms = PAUSE_FIRST_MS;
    loop_timer_set(&a->timer, a->pause_ms);
    look(a);
}

static int
open_news(void)
{
    const struct sockaddr_nl groups = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_IPV4_IFADDR,
    };
    SCOPE(fd_close)
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_ROUTE);

    if (fd < 0 ||
        bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) < 0)
        return -1;
    return TAKE_FD(fd);
}

void
forward_address_init(struct forward_address *a, struct loop *loop,
                     const char *fixed, bool interface,
                     void (*on_change)(struct forward_address *a))
{
    *a = (struct forward_address){
        .fixed = fixed,
        .interface = interface,
        .fd = open_news(),
        .on_change = on_change,
    };
    loop_timer_init(loop, &a->timer, on_time);
    if (a->fd >= 0) {
        loop_io_init(loop, &a->io, a->fd, EV_READ, on_news);
        loop_io_arm(&a->io);
    }
    (void)forward_address_check(a);
}

void
forward_address_done(struct forward_address *a)
{
    if (a->fd >= 0)
        loop_io_disarm(&a->io);
    loop_timer_cancel(&a->timer);
    fd_close(&a->fd);
}
