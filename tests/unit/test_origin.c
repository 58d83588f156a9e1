/*
 * Who is outside of the machine: by address, by interface, by socket.
 */
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "limits.h"
#include "security/origin.h"

#define LO   1
#define ETH0 2
#define BR0  3

struct message {
    struct nlmsghdr h;
    struct ifaddrmsg m;
    char attributes[64];
};

static void
add_attribute(struct message *msg, unsigned short type, const void *data,
              size_t len)
{
    struct rtattr a = {.rta_len = (unsigned short)RTA_LENGTH(len),
                       .rta_type = type};
    char *at = (char *)msg + NLMSG_ALIGN(msg->h.nlmsg_len);

    memcpy(at, &a, sizeof(a));
    memcpy(at + RTA_LENGTH(0), data, len);
    msg->h.nlmsg_len =
        (uint32_t)(NLMSG_ALIGN(msg->h.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

/* A message about an address; `far` is the other end's, or NULL. */
static struct message
message(unsigned short type, const char *own, const char *far)
{
    struct message msg = {
        .h = {.nlmsg_type = type,
              .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg))}};
    struct in6_addr a;
    int family = strchr(own, ':') != NULL ? AF_INET6 : AF_INET;
    size_t len = family == AF_INET ? 4 : 16;

    msg.m.ifa_family = (uint8_t)family;
    if (far != NULL) {
        assert_int_equal(inet_pton(family, far, &a), 1);
        add_attribute(&msg, IFA_ADDRESS, &a, len);
    }
    assert_int_equal(inet_pton(family, own, &a), 1);
    add_attribute(&msg,
                  family == AF_INET || far != NULL ? IFA_LOCAL : IFA_ADDRESS,
                  &a, len);
    return msg;
}

static bool
feed(struct origin *o, unsigned short type, const char *own, const char *far)
{
    struct message msg = message(type, own, far);

    return origin_feed(o, &msg, msg.h.nlmsg_len);
}

static struct sockaddr_storage
peer(const char *text)
{
    struct sockaddr_storage s = {0};

    if (strchr(text, ':') != NULL) {
        struct sockaddr_in6 *v6 = (void *)&s;

        v6->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    } else {
        struct sockaddr_in *v4 = (void *)&s;

        v4->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    return s;
}

static bool
admits(const struct origin *o, const char *text, unsigned int ingress,
       unsigned int outward)
{
    struct sockaddr_storage s = peer(text);

    return origin_admits(o, &s, ingress, outward);
}

static void
test_by_address(void **state)
{
    struct origin *o = origin_new();

    (void)state;
    assert_true(feed(o, RTM_NEWADDR, "169.254.0.21", NULL));
    assert_true(feed(o, RTM_NEWADDR, "10.0.0.1", "10.0.0.2"));
    assert_true(feed(o, RTM_NEWADDR, "fd00::5", NULL));
    assert_true(feed(o, RTM_NEWADDR, "fe80::1", NULL));

    /* the machine itself, in each spelling */
    for (size_t i = 0; i < 2; i++) {
        static const char *const own[] = {
            "127.0.0.1",
            "127.8.9.10",
            "::1",
            "169.254.0.21",
            "::ffff:127.0.0.1",
            "::ffff:169.254.0.21",
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "fd00::5",
            "fe80::1",
            "::",
            "0.0.0.0",
        };

        for (size_t n = 0; n < sizeof(own) / sizeof(*own); n++)
            assert_false(admits(o, own[n], i == 0 ? 0 : ETH0, ETH0));
    }
    /* others, the far end of a link among them */
    assert_true(admits(o, "169.254.0.22", ETH0, ETH0));
    assert_true(admits(o, "::ffff:169.254.0.22", ETH0, ETH0));
    assert_true(admits(o, "10.0.0.2", ETH0, ETH0));
    assert_true(admits(o, "fd00::6", ETH0, ETH0));
    assert_true(admits(o, "128.0.0.1", 0, 0));
    origin_free(o);
}

static void
test_by_interface(void **state)
{
    struct origin *o = origin_new();

    (void)state;
    assert_true(admits(o, "172.17.0.2", ETH0, ETH0));
    assert_false(admits(o, "172.17.0.2", BR0, ETH0));
    assert_false(admits(o, "172.17.0.2", LO, ETH0));
    /* an interface of another name leads to the host: any but the loopback */
    assert_true(admits(o, "172.17.0.2", BR0, 0));
    assert_false(admits(o, "172.17.0.2", LO, 0));
    /* a kernel that does not tell */
    assert_true(admits(o, "172.17.0.2", 0, ETH0));
    origin_free(o);
}

static void
test_messages(void **state)
{
    struct origin *o = origin_new();
    struct message msg = message(RTM_NEWADDR, "10.1.1.1", NULL);
    struct sockaddr_storage other = {.ss_family = AF_PACKET};

    (void)state;
    /* what is gone makes the whole list be asked for again */
    assert_false(feed(o, RTM_DELADDR, "10.1.1.1", NULL));
    msg.h.nlmsg_flags = NLM_F_DUMP_INTR;
    assert_false(origin_feed(o, &msg, msg.h.nlmsg_len));
    assert_false(admits(o, "10.1.1.1", 0, 0));
    msg.h = (struct nlmsghdr){.nlmsg_type = NLMSG_ERROR,
                              .nlmsg_len = NLMSG_LENGTH(sizeof(int))};
    assert_false(origin_feed(o, &msg, msg.h.nlmsg_len));

    /* cut short, and lying about their size */
    for (size_t len = 0; len < sizeof(msg); len++) {
        msg = message(RTM_NEWADDR, "10.2.2.2", NULL);
        (void)origin_feed(o, &msg, len);
        msg.h.nlmsg_len = (uint32_t)len;
        (void)origin_feed(o, &msg, sizeof(msg));
    }
    assert_false(origin_admits(o, &other, 0, 0));

    /* more than are kept: the interface still tells */
    for (unsigned int i = 0; i < LIMIT_ORIGIN_ADDRESSES + 10; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "11.0.%u.%u", i / 256, i % 256);
        assert_true(feed(o, RTM_NEWADDR, text, NULL));
    }
    assert_false(admits(o, "11.0.0.0", 0, 0));
    assert_false(admits(o, "11.0.4.9", LO, ETH0));
    origin_free(o);
}

/* Connect two addresses of this machine; the accepted end. */
static int
accepted(int family, const char *from, const char *to, int *ret_client)
{
    struct sockaddr_storage source = peer(from);
    struct sockaddr_storage a = peer(to);
    socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in)
                                      : sizeof(struct sockaddr_in6);
    int listener = socket(family, SOCK_STREAM, 0);
    int one = 1;
    int fd;

    assert_true(listener >= 0);
    assert_int_equal(
        setsockopt(listener, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)), 0);
    (void)setsockopt(listener, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one,
                     sizeof(one));
    assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    *ret_client = socket(family, SOCK_STREAM, 0);
    assert_int_equal(bind(*ret_client, (struct sockaddr *)&source, len), 0);
    assert_int_equal(connect(*ret_client, (struct sockaddr *)&a, len), 0);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    (void)close(listener);
    return fd;
}

static void
test_connections(void **state)
{
    struct origin *o = origin_new();
    int pair[2];
    int client;
    int fd;

    (void)state;
    fd = accepted(AF_INET, "127.0.0.2", "127.0.0.1", &client);
    assert_false(origin_is_outside(o, fd));
    (void)close(fd);
    (void)close(client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(origin_is_outside(o, pair[0]), geteuid() == 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
    assert_false(origin_is_outside(o, -1));
    origin_free(o);
}

/* An address that comes and goes, in a network of our own. */
static void
test_addresses_are_followed(void **state)
{
    struct origin *o;
    struct ifreq r = {.ifr_name = "lo"};
    struct sockaddr_storage a = peer("192.0.2.7");
    int client;
    int fd;
    int s;

    (void)state;
    if (unshare(CLONE_NEWNET) < 0)
        skip();
    s = socket(AF_INET, SOCK_DGRAM, 0);
    r.ifr_flags = IFF_UP;
    assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
    o = origin_new();
    fd = accepted(AF_INET, "127.0.0.2", "127.0.0.1", &client);
    assert_false(origin_is_outside(o, fd)); /* asks the kernel */
    assert_true(admits(o, "192.0.2.7", 0, 0));

    memcpy(&r.ifr_addr, &a, sizeof(r.ifr_addr));
    (void)strcpy(r.ifr_name, "lo:1");
    assert_int_equal(ioctl(s, SIOCSIFADDR, &r), 0);
    (void)close(fd);
    (void)close(client);
    fd = accepted(AF_INET, "127.0.0.2", "192.0.2.7", &client);
    assert_false(origin_is_outside(o, fd));
    (void)close(fd);
    (void)close(client);
    fd = accepted(AF_INET, "192.0.2.7", "127.0.0.1", &client);
    assert_false(origin_is_outside(o, fd));
    assert_false(admits(o, "192.0.2.7", 0, 0));

    r.ifr_flags = 0;
    assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
    assert_false(origin_is_outside(o, fd));
    assert_true(admits(o, "192.0.2.7", 0, 0));
    (void)close(fd);
    (void)close(client);
    (void)close(s);
    origin_free(o);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_address),
        cmocka_unit_test(test_by_interface),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_addresses_are_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
