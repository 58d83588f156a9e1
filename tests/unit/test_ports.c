/*
 * guest/: what the kernel tells of listening sockets, the table of open ports,
 * and who holds them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/port_owner.h"
#include "guest/ports_internal.h"
#include "guest/sock_proc.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

#define SEQUENCE 7U

/* ---- messages of the kernel ---------------------------------------------- */

struct seen {
    struct sock_listener listeners[8];
    size_t count;
};

static void
on_seen(void *ctx, const struct sock_listener *l)
{
    struct seen *s = ctx;

    assert_true(s->count < ARRAY_LEN(s->listeners));
    s->listeners[s->count++] = *l;
}

static void
address_from(const char *text, uint8_t ret[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET6, text, ret) == 1)
        return;
    memcpy(ret, prefix, sizeof(prefix));
    assert_int_equal(inet_pton(AF_INET, text, ret + 12), 1);
}

static void
assert_address(const uint8_t address[16], const char *text)
{
    char buf[INET6_ADDRSTRLEN];

    assert_string_equal(address_text(address, buf), text);
}

static void
put_message(struct buf *out, uint16_t type, uint16_t flags, uint32_t sequence,
            const void *body, size_t len)
{
    static const uint8_t padding[4];
    const struct nlmsghdr head = {
        .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len),
        .nlmsg_type = type,
        .nlmsg_flags = flags,
        .nlmsg_seq = sequence,
    };

    buf_append(out, &head, sizeof(head));
    if (len > 0)
        buf_append(out, body, len);
    buf_append(out, padding, (4 - len % 4) % 4);
}

static void
put_socket(struct buf *out, uint8_t family, uint8_t state, const char *address,
           uint16_t port, int v6only)
{
    struct {
        struct inet_diag_msg m;
        struct nlattr head;
        uint8_t v6only;
    } body = {
        .m =
            {
                .idiag_family = family,
                .idiag_state = state,
                .id.idiag_sport = htons(port),
                .idiag_uid = 1000,
                .idiag_inode = port * 10U,
            },
        .head = {.nla_len = 5, .nla_type = INET_DIAG_SKV6ONLY},
        .v6only = (uint8_t)(v6only > 0),
    };
    size_t len = offsetof(typeof(body), v6only) + 1;

    assert_int_equal(inet_pton(family, address, body.m.id.idiag_src), 1);
    put_message(out, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, SEQUENCE, &body,
                v6only < 0 ? sizeof(body.m) : len);
}

static enum sock_diag_result
parse(const struct buf *b, struct seen *s, int *err)
{
    return sock_diag_parse(buf_data(b), b->len, SEQUENCE, on_seen, s, err);
}

static void
test_sockets_are_read(void **state)
{
    SCOPE(buf_done) struct buf b = {0};
    struct seen s = {0};
    int err;

    (void)state;
    put_socket(&b, AF_INET, TCP_LISTEN, "127.0.0.1", 3000, -1);
    put_socket(&b, AF_INET6, TCP_LISTEN, "::", 3001, 1);
    put_socket(&b, AF_INET6, TCP_LISTEN, "::", 3002, 0);
    put_socket(&b, AF_INET6, TCP_LISTEN, "::ffff:127.0.0.1", 3003, 0);
    put_socket(&b, AF_INET, TCP_ESTABLISHED, "127.0.0.1", 3004, -1);
    put_socket(&b, AF_INET, TCP_LISTEN, "127.0.0.1", 0, -1);
    assert_int_equal(parse(&b, &s, &err), SOCK_DIAG_MORE);
    assert_int_equal(s.count, 4);
    assert_address(s.listeners[0].address, "127.0.0.1");
    assert_int_equal(s.listeners[0].port, 3000);
    assert_int_equal(s.listeners[0].uid, 1000);
    assert_int_equal(s.listeners[0].inode, 30000);
    assert_true(s.listeners[1].v6only);
    assert_false(s.listeners[2].v6only);
    assert_address(s.listeners[3].address, "127.0.0.1");
}

static void
test_ends_of_dumps(void **state)
{
    SCOPE(buf_done) struct buf done = {0};
    SCOPE(buf_done) struct buf again = {0};
    SCOPE(buf_done) struct buf refused = {0};
    SCOPE(buf_done) struct buf other = {0};
    struct seen s = {0};
    const int fine = 0;
    const int no = -EPERM;
    int err;

    (void)state;
    put_message(&done, NLMSG_DONE, NLM_F_MULTI, SEQUENCE, &fine, sizeof(fine));
    assert_int_equal(parse(&done, &s, &err), SOCK_DIAG_DONE);
    put_message(&again, NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR, SEQUENCE,
                &fine, sizeof(fine));
    assert_int_equal(parse(&again, &s, &err), SOCK_DIAG_AGAIN);
    put_message(&refused, NLMSG_ERROR, 0, SEQUENCE, &no, sizeof(no));
    assert_int_equal(parse(&refused, &s, &err), SOCK_DIAG_ERROR);
    assert_int_equal(err, -EPERM);
    /* The answer to an earlier question is none to this one. */
    put_message(&other, NLMSG_ERROR, 0, SEQUENCE - 1, &no, sizeof(no));
    assert_int_equal(parse(&other, &s, &err), SOCK_DIAG_MORE);
}

/* Cut anywhere, and with every length that a head can claim. */
static void
test_malformed_messages(void **state)
{
    SCOPE(buf_done) struct buf b = {0};
    struct seen s = {0};
    struct nlmsghdr head;
    int err;

    (void)state;
    put_socket(&b, AF_INET6, TCP_LISTEN, "::1", 3001, 1);
    for (size_t len = 0; len < b.len; len++) {
        SCOPE(scope_free) uint8_t *copy = malloc(len + 1);

        s.count = 0;
        memcpy(copy, buf_data(&b), len);
        (void)sock_diag_parse(copy, len, SEQUENCE, on_seen, &s, &err);
    }
    memcpy(&head, buf_data(&b), sizeof(head));
    for (uint32_t claimed = 0; claimed < b.len + 8; claimed++) {
        SCOPE(scope_free) uint8_t *copy = malloc(b.len);

        s.count = 0;
        memcpy(copy, buf_data(&b), b.len);
        head.nlmsg_len = claimed;
        memcpy(copy, &head, sizeof(head));
        (void)sock_diag_parse(copy, b.len, SEQUENCE, on_seen, &s, &err);
        if (claimed < NLMSG_HDRLEN || claimed > b.len)
            assert_int_equal(err, -EBADMSG);
    }
}

static void
test_lines_of_proc(void **state)
{
    static const char v4[] =
        "   0: 0100007F:0C8A 00000000:0000 0A 00000000:00000000 00:00000000 "
        "00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0";
    static const char v6[] =
        "   1: 00000000000000000000000001000000:1F90 "
        "00000000000000000000000000000000:0000 0A 00000000:00000000 "
        "00:00000000 00000000     0        0 815 1 0 100 0 0 10 0";
    static const char *const others[] = {
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when",
        "   0: 0100007F:0C8A 00000000:0000 01 00000000:00000000 00:00000000 ",
        "   0: 0100007:0C8A 00000000:0000 0A 0 0 0 0 0 0",
        "   0: 0100007F 00000000:0000 0A 0 0 0 0 0 0",
        "",
    };
    struct sock_listener l;

    (void)state;
    assert_true(sock_proc_line(v4, &l));
    assert_address(l.address, "127.0.0.1");
    assert_int_equal(l.port, 3210);
    assert_int_equal(l.uid, 1000);
    assert_int_equal(l.inode, 4711);
    assert_true(sock_proc_line(v6, &l));
    assert_address(l.address, "::1");
    assert_int_equal(l.port, 8080);
    assert_int_equal(l.inode, 815);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(sock_proc_line(others[i], &l));
}

/* ---- the table ----------------------------------------------------------- */

static void
see(struct port_table *t, const char *address, uint16_t port, uint32_t inode)
{
    struct sock_listener l = {.port = port, .inode = inode};

    address_from(address, l.address);
    port_table_see(t, &l);
}

/* One dump with up to two listeners of a port. */
static struct port_changes
dump(struct port_table *t, const char *first, uint32_t inode,
     const char *second)
{
    struct port_changes changes;

    port_table_begin(t);
    if (first != NULL)
        see(t, first, 80, inode);
    if (second != NULL)
        see(t, second, 80, 2);
    port_table_end(t, &changes);
    return changes;
}

static void
test_gone_after_two_misses(void **state)
{
    struct port_table t = {0};
    struct port_changes c;

    (void)state;
    c = dump(&t, "127.0.0.1", 1, NULL);
    assert_true(c.changed);
    c = dump(&t, "127.0.0.1", 1, NULL);
    assert_false(c.changed);
    c = dump(&t, NULL, 0, NULL);
    assert_false(c.changed);
    assert_int_equal(c.missing, 1);
    assert_non_null(port_table_find(&t, 80));
    /* Seen again, it has never been away, and may miss another one. */
    c = dump(&t, "127.0.0.1", 1, NULL);
    assert_false(c.changed || c.missing > 0);
    c = dump(&t, NULL, 0, NULL);
    assert_non_null(port_table_find(&t, 80));
    c = dump(&t, NULL, 0, NULL);
    assert_true(c.changed);
    assert_null(port_table_find(&t, 80));
    assert_int_equal(t.count, 0);
    port_table_done(&t);
}

static void
test_one_address_of_two_goes(void **state)
{
    struct port_table t = {0};
    struct port_changes c;
    uint8_t target[16];

    (void)state;
    (void)dump(&t, "127.0.0.1", 1, "::1");
    assert_true(port_target(port_table_find(&t, 80), target));
    assert_address(target, "127.0.0.1");
    (void)dump(&t, NULL, 0, "::1");
    c = dump(&t, NULL, 0, "::1");
    assert_true(c.changed);
    assert_int_equal(port_table_find(&t, 80)->count, 1);
    assert_true(port_target(port_table_find(&t, 80), target));
    assert_address(target, "::1");
    port_table_done(&t);
}

/* Another socket at the same address: the port stays, its owner is unknown. */
static void
test_owner_changes(void **state)
{
    struct port_table t = {0};
    struct port_listener *l;
    struct port_changes c;

    (void)state;
    (void)dump(&t, "127.0.0.1", 1, NULL);
    l = port_table_find(&t, 80)->listeners;
    l->owner_known = true;
    l->owner.pid = 4711;
    l->owner.command = strdup("first");
    c = dump(&t, "127.0.0.1", 9, NULL);
    assert_true(c.changed);
    l = port_table_find(&t, 80)->listeners;
    assert_int_equal(l->inode, 9);
    assert_false(l->owner_known);
    assert_int_equal(l->owner.pid, 0);
    port_table_done(&t);
}

/* Sockets that share an address stand for one, however they are ordered. */
static void
test_shared_address(void **state)
{
    struct port_table t = {0};
    struct port_changes c;

    (void)state;
    (void)dump(&t, "127.0.0.1", 1, "127.0.0.1");
    for (uint32_t i = 0; i < 4; i++) {
        port_table_begin(&t);
        see(&t, "127.0.0.1", 80, i % 2 + 1);
        see(&t, "127.0.0.1", 80, 2 - i % 2);
        port_table_end(&t, &c);
        assert_false(c.changed);
    }
    assert_int_equal(port_table_find(&t, 80)->count, 1);
    port_table_done(&t);
}

static void
test_what_is_dialled(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        const char *target; /* NULL: nothing */
        bool reached;
        bool loopback;
    } cases[] = {
        {"127.0.0.2", "::1", "::1", false, true},
        {"127.0.0.2", NULL, "127.0.0.2", false, true},
        {"::ffff:127.0.0.1", NULL, "127.0.0.1", false, true},
        {"::1", "127.0.0.1", "127.0.0.1", false, true},
        {"0.0.0.0", NULL, NULL, true, false},
        {"::", NULL, NULL, true, false},
        {"10.0.0.1", NULL, NULL, false, false},
        {"169.254.0.21", "127.0.0.1", "127.0.0.1", true, false},
        {"10.0.0.1", "127.0.0.3", "127.0.0.3", false, false},
        {"fe80::1", NULL, NULL, false, false},
    };
    uint8_t at[16];
    uint8_t target[16];

    (void)state;
    address_from("169.254.0.21", at);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct port_table t = {0};
        const struct port *p;

        (void)dump(&t, cases[i].first, 1, cases[i].second);
        p = port_table_find(&t, 80);
        assert_int_equal(port_target(p, target), cases[i].target != NULL);
        if (cases[i].target != NULL)
            assert_address(target, cases[i].target);
        assert_int_equal(port_reached_at(p, at), cases[i].reached);
        assert_int_equal(port_is_loopback(p), cases[i].loopback);
        port_table_done(&t);
    }
}

/* The wildcard of IPv6 alone is not reached at an IPv4 address. */
static void
test_wildcard_of_ipv6_alone(void **state)
{
    struct sock_listener l = {.port = 80, .inode = 1, .v6only = true};
    struct port_table t = {0};
    struct port_changes c;
    uint8_t target[16];
    uint8_t at[16];

    (void)state;
    address_from("169.254.0.21", at);
    port_table_begin(&t);
    port_table_see(&t, &l);
    port_table_end(&t, &c);
    assert_false(port_reached_at(port_table_find(&t, 80), at));
    assert_true(port_target(port_table_find(&t, 80), target));
    assert_address(target, "::1");
    port_table_done(&t);
}

static void
count_drop(void *ctx, struct port *p)
{
    (void)p;
    ++*(size_t *)ctx;
}

static void
test_table_is_bounded(void **state)
{
    size_t dropped = 0;
    struct port_table t = {.on_drop = count_drop, .ctx = &dropped};
    struct port_changes c;
    char address[INET6_ADDRSTRLEN];

    (void)state;
    port_table_begin(&t);
    for (uint32_t i = 1; i <= LIMIT_PORTS + 10; i++)
        see(&t, "127.0.0.1", (uint16_t)i, i);
    for (uint32_t i = 1; i <= LIMIT_PORT_ADDRESSES + 10; i++) {
        (void)snprintf(address, sizeof(address), "127.0.1.%u", i);
        see(&t, address, 1, i);
    }
    port_table_end(&t, &c);
    assert_true(t.truncated);
    assert_int_equal(t.count, LIMIT_PORTS);
    assert_int_equal(port_table_find(&t, 1)->count, LIMIT_PORT_ADDRESSES);
    port_table_begin(&t);
    for (uint32_t i = 0; i < LIMIT_PORT_LISTENERS; i++) {
        (void)snprintf(address, sizeof(address), "127.0.2.%u", i % 8);
        see(&t, address, (uint16_t)(i / 8 + 2), i);
    }
    assert_int_equal(t.listeners, LIMIT_PORT_LISTENERS);
    port_table_end(&t, &c);
    /* What was missed twice is gone, and its room is there again. */
    port_table_begin(&t);
    port_table_end(&t, &c);
    assert_true(t.listeners > 0 && t.listeners < LIMIT_PORT_LISTENERS);
    port_table_begin(&t);
    port_table_end(&t, &c);
    assert_int_equal(t.listeners, 0);
    port_table_done(&t);
    assert_int_equal(dropped, LIMIT_PORTS);
}

/* ---- on this machine ----------------------------------------------------- */

/* A socket that listens on loopback, and where. */
static int
listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void
test_owner_is_found(void **state)
{
    uint16_t port;
    int fd = listen_somewhere(&port);
    struct port_owner_entry entries[2] = {{.inode = UINT32_MAX}};
    atomic_bool cancelled = false;
    const struct port_owner *o;
    struct stat st;

    (void)state;
    assert_int_equal(fstat(fd, &st), 0);
    entries[1].inode = (uint32_t)st.st_ino;
    port_owners_sort(entries, 2);
    port_owners_find("/proc", entries, 2, &cancelled);
    o = &port_owner_of(entries, 2, (uint32_t)st.st_ino)->owner;
    assert_int_equal(o->pid, getpid());
    assert_int_equal(o->ancestors[0], getppid());
    assert_non_null(strstr(o->command, "test_ports"));
    assert_string_equal(o->name, "test_ports");
    assert_int_equal(port_owner_of(entries, 2, UINT32_MAX)->owner.pid, 0);
    free(entries[0].owner.command);
    free(entries[1].owner.command);
    (void)close(fd);
}

static void
lay_upon(void *ctx, const struct sock_listener *l)
{
    port_table_see(ctx, l);
}

static void
test_sockets_of_proc(void **state)
{
    struct port_table t = {0};
    struct port_changes c;
    uint16_t port;
    int fd = listen_somewhere(&port);

    (void)state;
    port_table_begin(&t);
    assert_int_equal(sock_proc_read("/proc/net", lay_upon, &t), 0);
    port_table_end(&t, &c);
    assert_non_null(port_table_find(&t, port));
    (void)close(fd);
    port_table_done(&t);
}

struct asking {
    struct ports_question question;
    struct loop *loop;
    int answers;
};

static void
on_answer(struct ports_question *q)
{
    struct asking *a = container_of(q, struct asking, question);

    a->answers++;
    loop_stop(a->loop);
}

/* Nothing is forwarded here, and yet a question is answered with owners. */
static void
test_question(void **state)
{
    struct loop *l = loop_new();
    struct worker_pool *pool = worker_pool_new(l, 1);
    const struct ports_options o = {.workers = pool, .no_forward = true};
    struct ports *p = ports_new(l, &o);
    struct asking a = {.question.on_answer = on_answer, .loop = l};
    struct asking cancelled = a;
    const struct port *found;
    struct ports_stats stats;
    uint16_t port;
    int fd = listen_somewhere(&port);

    (void)state;
    ports_ask(p, &cancelled.question);
    ports_ask(p, &a.question);
    ports_ask_cancel(p, &cancelled.question);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(a.answers, 1);
    assert_int_equal(cancelled.answers, 0);
    found = port_table_find(ports_table(p), port);
    assert_non_null(found);
    assert_int_equal(found->listeners[0].owner.pid, getpid());
    assert_int_equal(found->listeners[0].uid, getuid());
    assert_false(port_is_forwarded(found));
    ports_get_stats(p, &stats);
    assert_true(stats.open >= 1 && stats.scans >= 1);
    assert_int_equal(stats.forwarded, 0);
    (void)close(fd);
    worker_pool_free(pool);
    ports_free(p);
    loop_free(l);
}

/* ---- a resume ------------------------------------------------------------ */

struct resume {
    struct loop_timer timer;
    struct loop *loop;
    struct ports *ports;
    uint16_t port;
    int listener;
    int client;
    int program;
};

static bool
is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void
assert_reset(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static int
connect_to(const char *address, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* One step whenever the one before it has come about. */
static void
on_step(struct loop_timer *t)
{
    struct resume *r = container_of(t, struct resume, timer);
    const struct port *p = port_table_find(ports_table(r->ports), r->port);

    loop_timer_set(t, 1);
    if (r->client < 0) {
        if (p != NULL && port_is_forwarded(p))
            r->client = connect_to("127.0.0.9", r->port);
    } else if (r->program < 0) {
        if (is_readable(r->listener))
            r->program = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    } else {
        ports_resumed(r->ports);
        assert_reset(r->client);
        assert_reset(r->program);
        assert_true(port_is_forwarded(p));
        loop_stop(r->loop);
    }
}

static void
test_resume_resets_what_is_open(void **state)
{
    struct ports_options o = {.address = "127.0.0.9"};
    struct resume r = {.loop = loop_new(), .client = -1, .program = -1};
    struct ports_stats stats;
    struct in_addr address;

    (void)state;
    r.listener = listen_somewhere(&r.port);
    r.ports = ports_new(r.loop, &o);
    assert_true(ports_forward_address(r.ports, &address));
    loop_timer_init(r.loop, &r.timer, on_step);
    loop_timer_set(&r.timer, 0);
    assert_int_equal(loop_run(r.loop), 0);
    ports_get_stats(r.ports, &stats);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.connections_total, 1);
    assert_true(stats.forwarded >= 1);
    loop_timer_cancel(&r.timer);
    ports_free(r.ports);
    loop_free(r.loop);
    (void)close(r.client);
    (void)close(r.program);
    (void)close(r.listener);
}

/* ---- an address that goes ------------------------------------------------ */

struct following {
    struct ports_follower follower;
    struct loop_timer patience;
    struct loop *loop;
    struct ports *ports;
    uint16_t port;
    bool gone; /* the address */
    bool told; /* that the port is no longer forwarded */
};

static void
on_followed(struct ports_follower *follower)
{
    struct following *f = container_of(follower, struct following, follower);
    const struct port *p = port_table_find(ports_table(f->ports), f->port);
    struct forward_address *a = &f->ports->address;

    if (p == NULL)
        return;
    if (f->gone && !port_is_forwarded(p)) {
        f->told = true;
        loop_stop(f->loop);
    } else if (!f->gone && port_is_forwarded(p)) {
        f->gone = true;
        a->present = false;
        a->on_change(a);
    }
}

static void
on_out_of_patience(struct loop_timer *t)
{
    loop_stop(container_of(t, struct following, patience)->loop);
}

/* Nothing else changes: followers hear of it nevertheless. */
static void
test_followers_hear_of_an_address_that_goes(void **state)
{
    const struct ports_options o = {.address = "127.0.0.9"};
    struct following f = {.follower.on_change = on_followed,
                          .loop = loop_new()};
    int fd = listen_somewhere(&f.port);

    (void)state;
    f.ports = ports_new(f.loop, &o);
    ports_follow(f.ports, &f.follower);
    loop_timer_init(f.loop, &f.patience, on_out_of_patience);
    loop_timer_set(&f.patience, 30 * 1000);
    assert_int_equal(loop_run(f.loop), 0);
    assert_true(f.told);
    loop_timer_cancel(&f.patience);
    ports_unfollow(f.ports, &f.follower);
    ports_free(f.ports);
    loop_free(f.loop);
    (void)close(fd);
}

/* The agent's own port is nobody's to forward. */
static void
test_own_port(void **state)
{
    uint16_t port;
    int fd = listen_somewhere(&port);
    struct loop *l = loop_new();
    const struct ports_options o = {.address = "127.0.0.9", .own_port = port};
    struct ports *p = ports_new(l, &o);
    struct asking a = {.question.on_answer = on_answer, .loop = l};

    (void)state;
    ports_ask(p, &a.question);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(a.answers, 1);
    assert_null(port_table_find(ports_table(p), port));
    ports_free(p);
    loop_free(l);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_are_read),
        cmocka_unit_test(test_ends_of_dumps),
        cmocka_unit_test(test_malformed_messages),
        cmocka_unit_test(test_lines_of_proc),
        cmocka_unit_test(test_gone_after_two_misses),
        cmocka_unit_test(test_one_address_of_two_goes),
        cmocka_unit_test(test_owner_changes),
        cmocka_unit_test(test_shared_address),
        cmocka_unit_test(test_what_is_dialled),
        cmocka_unit_test(test_wildcard_of_ipv6_alone),
        cmocka_unit_test(test_table_is_bounded),
        cmocka_unit_test(test_owner_is_found),
        cmocka_unit_test(test_sockets_of_proc),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_resume_resets_what_is_open),
        cmocka_unit_test(test_followers_hear_of_an_address_that_goes),
        cmocka_unit_test(test_own_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
