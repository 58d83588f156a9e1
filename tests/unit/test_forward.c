/*
 * guest/forward: connections to programs on loopback, over 127.0.0.9.
 *
 * A client and a program are threads that block; the loop turns until both
 * have ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/forward_internal.h"

#define BULK_BYTES ((size_t)8 << 20)
#define PATIENCE_S 30

static const uint8_t localhost[16] = {
    [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};

struct scene {
    struct loop *loop;
    struct forwarder *forwarder;
    struct forward *forward;
    int listener; /* of the program */
    uint16_t port;
    struct loop_io io;
    int ended;   /* eventfd: a thread has */
    int running; /* threads */
    size_t failures;
    int client_fd;
    int program_fd;
    void (*client)(struct scene *s);
    void (*program)(struct scene *s); /* NULL: nobody accepts */
};

static void
on_failed(void *ctx)
{
    ((struct scene *)ctx)->failures++;
}

static void
on_ended(struct loop_io *io)
{
    struct scene *s = container_of(io, struct scene, io);
    uint64_t count = 0;

    assert_int_equal(read(s->ended, &count, sizeof(count)), sizeof(count));
    s->running -= (int)count;
    if (s->running == 0)
        loop_stop(s->loop);
}

static struct in_addr
outside(void)
{
    struct in_addr a;

    assert_int_equal(inet_pton(AF_INET, "127.0.0.9", &a), 1);
    return a;
}

static void
limit_waiting(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* A socket of 127.0.0.1; a port that is free at 127.0.0.9, too, most likely. */
static int
listen_inside(uint16_t *ret_port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    limit_waiting(fd);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int
connect_outside(const struct scene *s)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_port = htons(s->port),
        .sin_addr = outside(),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    limit_waiting(fd);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void
scene_init(struct scene *s, size_t connections_max)
{
    const struct forwarder_options o = {
        .connections_max = connections_max,
        .on_failed = on_failed,
        .ctx = s,
    };

    (void)signal(SIGPIPE, SIG_IGN);
    s->loop = loop_new();
    s->forwarder = forwarder_new(s->loop, &o);
    s->listener = listen_inside(&s->port);
    assert_int_equal(
        forward_open(s->forwarder, outside(), s->port, localhost, &s->forward),
        0);
    s->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop_io_init(s->loop, &s->io, s->ended, EV_READ, on_ended);
    loop_io_arm(&s->io);
}

static void
scene_done(struct scene *s)
{
    loop_io_disarm(&s->io);
    fd_close(&s->ended);
    fd_close(&s->listener);
    forwarder_free(s->forwarder);
    loop_free(s->loop);
}

static void
say_ended(const struct scene *s)
{
    const uint64_t one = 1;

    assert_int_equal(write(s->ended, &one, sizeof(one)), sizeof(one));
}

static void *
run_client(void *arg)
{
    struct scene *s = arg;

    s->client(s);
    say_ended(s);
    return NULL;
}

static void *
run_program(void *arg)
{
    struct scene *s = arg;

    s->program(s);
    say_ended(s);
    return NULL;
}

static void
play(struct scene *s)
{
    pthread_t client;
    pthread_t program;

    s->running = s->program != NULL ? 2 : 1;
    if (s->program != NULL)
        assert_int_equal(pthread_create(&program, NULL, run_program, s), 0);
    assert_int_equal(pthread_create(&client, NULL, run_client, s), 0);
    assert_int_equal(loop_run(s->loop), 0);
    (void)pthread_join(client, NULL);
    if (s->program != NULL)
        (void)pthread_join(program, NULL);
}

static int
take(const struct scene *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    limit_waiting(fd);
    return fd;
}

/* ---- bytes --------------------------------------------------------------- */

static uint8_t
byte_at(size_t i)
{
    return (uint8_t)(i * 2654435761U >> 13);
}

static void
send_bulk(int fd)
{
    uint8_t piece[4096];

    for (size_t at = 0; at < BULK_BYTES; at += sizeof(piece)) {
        for (size_t i = 0; i < sizeof(piece); i++)
            piece[i] = byte_at(at + i);
        assert_int_equal(send(fd, piece, sizeof(piece), 0), sizeof(piece));
    }
}

static void
receive_bulk(int fd)
{
    uint8_t piece[65536];
    size_t at = 0;
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (piece[i] != byte_at(at++))
                fail_msg("byte %zu is another one", at - 1);
    assert_int_equal(n, 0);
    assert_int_equal(at, BULK_BYTES);
}

/* The client sends and ends; the program answers when it has seen the end. */
static void
client_bulk(struct scene *s)
{
    SCOPE(fd_close) int fd = connect_outside(s);

    send_bulk(fd);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    receive_bulk(fd);
}

static void
program_bulk(struct scene *s)
{
    SCOPE(fd_close) int fd = take(s);

    receive_bulk(fd);
    send_bulk(fd);
}

static void
bulk(size_t pipes)
{
    struct scene s = {.client = client_bulk, .program = program_bulk};

    scene_init(&s, 16);
    s.forwarder->pipes.max = 1;
    s.forwarder->pipes.count = 1 - pipes; /* as if another one had it */
    play(&s);
    assert_int_equal(forwarder_stats(s.forwarder)->bytes_in, BULK_BYTES);
    assert_int_equal(forwarder_stats(s.forwarder)->bytes_out, BULK_BYTES);
    assert_int_equal(forwarder_stats(s.forwarder)->connections_total, 1);
    assert_int_equal(s.forwarder->pipes.spare_count, pipes);
    scene_done(&s);
}

static void
test_through_pipes(void **state)
{
    (void)state;
    bulk(1);
}

static void
test_copied_without_pipes(void **state)
{
    (void)state;
    bulk(0);
}

/* ---- ends ---------------------------------------------------------------- */

static void
expect_reset(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void
client_is_reset(struct scene *s)
{
    SCOPE(fd_close) int fd = connect_outside(s);

    expect_reset(fd);
}

/* The socket that was forwarded to is gone; the forward is not yet. */
static void
test_failed_dial_is_a_reset(void **state)
{
    struct scene s = {.client = client_is_reset};

    (void)state;
    scene_init(&s, 16);
    fd_close(&s.listener);
    play(&s);
    assert_int_equal(s.failures, 1);
    assert_int_equal(forwarder_stats(s.forwarder)->failed, 1);
    assert_int_equal(forwarder_stats(s.forwarder)->connections, 0);
    scene_done(&s);
}

static void
program_resets(struct scene *s)
{
    int fd = take(s);
    char bytes[5];

    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    socket_reset(fd);
}

/* What was said before the reset arrives before it. */
static void
client_hears_a_reset(struct scene *s)
{
    SCOPE(fd_close) int fd = connect_outside(s);
    char bytes[5];

    assert_int_equal(send(fd, "hello", 5, 0), 5);
    if (recv(fd, bytes, 5, MSG_WAITALL) == 5)
        expect_reset(fd);
    else
        assert_int_equal(errno, ECONNRESET);
}

static void
test_reset_of_the_program(void **state)
{
    struct scene s = {.client = client_hears_a_reset,
                      .program = program_resets};

    (void)state;
    scene_init(&s, 16);
    play(&s);
    scene_done(&s);
}

static void
program_expects_reset(struct scene *s)
{
    SCOPE(fd_close) int fd = take(s);
    char bytes[5];

    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
    assert_int_equal(send(fd, "ready", 5, 0), 5);
    expect_reset(fd);
}

static void
client_resets(struct scene *s)
{
    int fd = connect_outside(s);
    char bytes[5];

    assert_int_equal(send(fd, "hello", 5, 0), 5);
    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
    socket_reset(fd);
}

static void
test_reset_of_the_client(void **state)
{
    struct scene s = {.client = client_resets,
                      .program = program_expects_reset};

    (void)state;
    scene_init(&s, 16);
    play(&s);
    scene_done(&s);
}

/* Wait for a reset, reading nothing. */
static void
await_reset(int fd)
{
    struct pollfd p = {.fd = fd};

    assert_int_equal(poll(&p, 1, PATIENCE_S * 1000), 1);
    assert_true((p.revents & POLLERR) != 0);
}

/* From outside, when the program has taken the connection. */
static int
connect_to_ready(struct scene *s)
{
    int fd = connect_outside(s);
    char bytes[5];

    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
    return fd;
}

static void
take_and_say_ready(struct scene *s)
{
    s->program_fd = take(s);
    assert_int_equal(send(s->program_fd, "ready", 5, 0), 5);
}

/* Of a connection that a reset ends nothing is left. */
static void
play_to_a_reset(void (*client)(struct scene *s),
                void (*program)(struct scene *s))
{
    struct scene s = {.client = client, .program = program};

    scene_init(&s, 16);
    play(&s);
    assert_int_equal(forwarder_stats(s.forwarder)->connections, 0);
    fd_close(&s.program_fd);
    scene_done(&s);
}

static void
client_ends_and_resets(struct scene *s)
{
    int fd = connect_to_ready(s);
    char bytes[5];

    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
    socket_reset(fd);
}

/* It has seen the end of the client, and says no more. */
static void
program_idles_behind_the_end(struct scene *s)
{
    char byte;

    take_and_say_ready(s);
    assert_int_equal(recv(s->program_fd, &byte, 1, 0), 0);
    assert_int_equal(send(s->program_fd, "ended", 5, 0), 5);
    await_reset(s->program_fd);
}

static void
test_reset_behind_the_end(void **state)
{
    (void)state;
    play_to_a_reset(client_ends_and_resets, program_idles_behind_the_end);
}

/* Send as long as anything is taken, then give up. */
static void
client_gives_up(struct scene *s)
{
    static uint8_t piece[65536];
    int fd = connect_to_ready(s);
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    while (poll(&p, 1, 300) > 0)
        (void)send(fd, piece, sizeof(piece), MSG_DONTWAIT);
    socket_reset(fd);
}

/* It reads nothing until the connection is gone. */
static void
program_stands_still(struct scene *s)
{
    take_and_say_ready(s);
    await_reset(s->program_fd);
}

static void
test_reset_towards_a_program_that_stands_still(void **state)
{
    (void)state;
    play_to_a_reset(client_gives_up, program_stands_still);
}

struct dialling {
    struct scene scene;
    struct loop_timer timer;
    int64_t end_ms;
    int resets;
};

static void
on_look(struct loop_timer *t)
{
    struct dialling *d = container_of(t, struct dialling, timer);
    const struct forwarder_stats *stats = forwarder_stats(d->scene.forwarder);

    if (stats->connections == 1 && d->resets++ == 0)
        socket_reset(d->scene.client_fd);
    if ((stats->connections_total == 1 && stats->connections == 0) ||
        loop_now_ms() > d->end_ms)
        loop_stop(d->scene.loop);
    else
        loop_timer_set(t, 1);
}

/* The program takes nobody: who gives up meanwhile is not waited for. */
static void
test_reset_before_the_program_takes_it(void **state)
{
    struct dialling d = {.end_ms = loop_now_ms() + (int64_t)PATIENCE_S * 1000};
    struct scene *s = &d.scene;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int filler;

    (void)state;
    scene_init(s, 16);
    a.sin_port = htons(s->port);
    assert_int_equal(listen(s->listener, 0), 0);
    filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(filler, (struct sockaddr *)&a, sizeof(a)), 0);
    s->client_fd = connect_outside(s);
    loop_timer_init(s->loop, &d.timer, on_look);
    loop_timer_set(&d.timer, 1);
    assert_int_equal(loop_run(s->loop), 0);
    assert_int_equal(d.resets, 1);
    assert_int_equal(forwarder_stats(s->forwarder)->connections, 0);
    fd_close(&filler);
    scene_done(s);
}

/* ---- urgent data --------------------------------------------------------- */

static void
client_is_urgent(struct scene *s)
{
    SCOPE(fd_close) int fd = connect_to_ready(s);
    char bytes[5];

    assert_int_equal(send(fd, "before", 6, 0), 6);
    assert_int_equal(send(fd, "!", 1, MSG_OOB), 1);
    assert_int_equal(send(fd, "behind", 6, 0), 6);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
}

static void
program_hears_all(struct scene *s)
{
    SCOPE(fd_close) int fd = take(s);
    char bytes[13] = "";

    assert_int_equal(send(fd, "ready", 5, 0), 5);
    assert_int_equal(recv(fd, bytes, 13, MSG_WAITALL), 12);
    assert_memory_equal(bytes, "beforebehind", 12);
    assert_int_equal(send(fd, "ended", 5, 0), 5);
}

/* The urgent byte itself is of no stream; all others are. */
static void
test_urgent_data_hold_up_nothing(void **state)
{
    struct scene s = {.client = client_is_urgent, .program = program_hears_all};

    (void)state;
    scene_init(&s, 16);
    play(&s);
    scene_done(&s);
}

/* ---- bounds -------------------------------------------------------------- */

static void
client_fills(struct scene *s)
{
    SCOPE(fd_close) int first = connect_to_ready(s);
    char bytes[5];

    {
        SCOPE(fd_close) int second = connect_outside(s);

        expect_reset(second);
    }
    assert_int_equal(send(first, "hello", 5, 0), 5); /* it lives on */
    assert_int_equal(recv(first, bytes, 5, MSG_WAITALL), 5);
}

static void
program_greets_twice(struct scene *s)
{
    SCOPE(fd_close) int fd = take(s);
    char bytes[5];

    assert_int_equal(send(fd, "ready", 5, 0), 5);
    assert_int_equal(recv(fd, bytes, 5, MSG_WAITALL), 5);
    assert_int_equal(send(fd, "again", 5, 0), 5);
}

static void
test_beyond_the_cap_is_a_reset(void **state)
{
    struct scene s = {.client = client_fills, .program = program_greets_twice};

    (void)state;
    scene_init(&s, 1);
    play(&s);
    assert_int_equal(forwarder_stats(s.forwarder)->refused, 1);
    assert_int_equal(forwarder_stats(s.forwarder)->connections_total, 1);
    scene_done(&s);
}

/* As many as may be are not all descriptors there are: 1024, a quarter each. */
static void
test_descriptors_are_left_to_others(void **state)
{
    struct scene s = {0};

    (void)state;
    scene_init(&s, 256);
    assert_true(s.forwarder->pipes.max > 0);
    assert_true(2 * 256 + 2 * s.forwarder->pipes.max < 1024 - 128);
    scene_done(&s);
}

/* ---- the forward and its connections ------------------------------------- */

static void
client_opens(struct scene *s)
{
    char bytes[5];

    s->client_fd = connect_outside(s);
    assert_int_equal(recv(s->client_fd, bytes, 5, MSG_WAITALL), 5);
}

static void
program_opens(struct scene *s)
{
    s->program_fd = take(s);
    assert_int_equal(send(s->program_fd, "ready", 5, 0), 5);
}

static void
client_says(struct scene *s)
{
    char bytes[5];

    assert_int_equal(send(s->client_fd, "still", 5, 0), 5);
    assert_int_equal(recv(s->program_fd, bytes, 5, MSG_WAITALL), 5);
}

static void
client_is_refused(struct scene *s)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_port = htons(s->port),
        .sin_addr = outside(),
    };
    SCOPE(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), -1);
    assert_int_equal(errno, ECONNREFUSED);
}

static void
test_connections_outlive_their_forward(void **state)
{
    struct scene s = {.client = client_opens, .program = program_opens};

    (void)state;
    scene_init(&s, 16);
    play(&s);
    forward_close(s.forward);
    s.program = NULL;
    s.client = client_says;
    play(&s);
    client_is_refused(&s);
    assert_int_equal(forwarder_stats(s.forwarder)->connections, 1);
    fd_close(&s.client_fd);
    fd_close(&s.program_fd);
    scene_done(&s);
}

static void
test_abort_resets_both_ends(void **state)
{
    struct scene s = {.client = client_opens, .program = program_opens};

    (void)state;
    scene_init(&s, 16);
    play(&s);
    assert_int_equal(s.forwarder->pipes.count, s.forwarder->pipes.spare_count);
    forwarder_abort(s.forwarder);
    expect_reset(s.client_fd);
    expect_reset(s.program_fd);
    assert_int_equal(forwarder_stats(s.forwarder)->connections, 0);
    /* The port is still forwarded. */
    fd_close(&s.client_fd);
    fd_close(&s.program_fd);
    play(&s);
    fd_close(&s.client_fd);
    fd_close(&s.program_fd);
    scene_done(&s);
}

/* An idle connection has no pipe, whatever has gone through it. */
static void
test_idle_connections_hold_no_pipe(void **state)
{
    struct scene s = {.client = client_opens, .program = program_opens};

    (void)state;
    scene_init(&s, 16);
    for (int i = 0; i < 4; i++) {
        play(&s);
        (void)close(s.client_fd);
        (void)close(s.program_fd);
    }
    assert_int_equal(forwarder_stats(s.forwarder)->connections_total, 4);
    assert_true(s.forwarder->pipes.count <= 2);
    assert_int_equal(s.forwarder->pipes.count, s.forwarder->pipes.spare_count);
    scene_done(&s);
}

static void
test_addresses_that_cannot_be(void **state)
{
    struct scene s = {0};
    struct forward *fw;
    struct in_addr nowhere = {.s_addr = htonl(0xcb007109)}; /* 203.0.113.9 */

    (void)state;
    scene_init(&s, 16);
    assert_int_equal(
        forward_open(s.forwarder, outside(), s.port, localhost, &fw),
        -EADDRINUSE);
    assert_int_equal(forward_open(s.forwarder, nowhere, s.port, localhost, &fw),
                     -EADDRNOTAVAIL);
    scene_done(&s);
}

/* ---- no descriptors ------------------------------------------------------ */

struct famine {
    struct scene scene;
    struct loop_timer timer;
    struct rlimit plenty;
    bool rested;
};

/* Leave room for so many descriptors. */
static void
leave_descriptors(const struct rlimit *plenty, rlim_t count)
{
    struct rlimit few = *plenty;
    int free_fd = dup(0);

    (void)close(free_fd);
    few.rlim_cur = (rlim_t)free_fd + count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

/* When it rests there are descriptors again; then all is as it was. */
static void
on_watch(struct loop_timer *t)
{
    struct famine *f = container_of(t, struct famine, timer);
    const struct forwarder *forwarder = f->scene.forwarder;

    if (forwarder->resting && !f->rested) {
        f->rested = true;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->plenty), 0);
    }
    if (f->rested && !forwarder->resting &&
        (forwarder->stats.connections > 0 || forwarder->stats.refused > 0))
        loop_stop(f->scene.loop);
    else
        loop_timer_set(t, 1);
}

static void
starve(struct famine *f, rlim_t count)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = outside()};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    limit_waiting(fd);
    scene_init(&f->scene, 16);
    f->scene.client_fd = fd;
    a.sin_port = htons(f->scene.port);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &f->plenty), 0);
    leave_descriptors(&f->plenty, count);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    loop_timer_init(f->scene.loop, &f->timer, on_watch);
    loop_timer_set(&f->timer, 1);
    assert_int_equal(loop_run(f->scene.loop), 0);
}

static void
test_clients_wait_for_descriptors(void **state)
{
    struct famine f = {.scene = {.client = client_says}};

    (void)state;
    starve(&f, 0);
    assert_int_equal(forwarder_stats(f.scene.forwarder)->connections, 1);
    f.scene.program_fd = take(&f.scene);
    play(&f.scene);
    fd_close(&f.scene.client_fd);
    fd_close(&f.scene.program_fd);
    scene_done(&f.scene);
}

/* Enough for the client, and none for the way on. */
static void
test_half_a_connection_is_a_reset(void **state)
{
    struct famine f = {.rested = false};

    (void)state;
    starve(&f, 1);
    assert_int_equal(forwarder_stats(f.scene.forwarder)->refused, 1);
    assert_int_equal(forwarder_stats(f.scene.forwarder)->connections, 0);
    expect_reset(f.scene.client_fd);
    fd_close(&f.scene.client_fd);
    scene_done(&f.scene);
}

/* ---- rank ---------------------------------------------------------------- */

struct hog {
    struct loop_slack slack;
    struct loop_timer timer;
    struct loop *loop;
    int pieces;
    int turns;
};

static void
on_hog(struct loop_slack *slack)
{
    struct hog *h = container_of(slack, struct hog, slack);

    h->pieces++;
    loop_slack_queue(h->loop, slack);
}

static void
on_turn(struct loop_timer *t)
{
    struct hog *h = container_of(t, struct hog, timer);

    if (++h->turns == 20)
        loop_stop(h->loop);
    else
        loop_timer_set(t, 0);
}

/* However much there is to do of the lowest rank, all else has its turn. */
static void
test_slack_leaves_turns_to_others(void **state)
{
    struct hog h = {.slack.run = on_hog, .loop = loop_new()};

    (void)state;
    loop_timer_init(h.loop, &h.timer, on_turn);
    loop_timer_set(&h.timer, 0);
    loop_slack_queue(h.loop, &h.slack);
    loop_slack_queue(h.loop, &h.slack);
    assert_int_equal(loop_run(h.loop), 0);
    assert_int_equal(h.turns, 20);
    assert_true(h.pieces >= 19);
    loop_slack_cancel(h.loop, &h.slack);
    loop_slack_cancel(h.loop, &h.slack);
    loop_free(h.loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through_pipes),
        cmocka_unit_test(test_copied_without_pipes),
        cmocka_unit_test(test_failed_dial_is_a_reset),
        cmocka_unit_test(test_reset_of_the_program),
        cmocka_unit_test(test_reset_of_the_client),
        cmocka_unit_test(test_reset_behind_the_end),
        cmocka_unit_test(test_reset_towards_a_program_that_stands_still),
        cmocka_unit_test(test_reset_before_the_program_takes_it),
        cmocka_unit_test(test_urgent_data_hold_up_nothing),
        cmocka_unit_test(test_beyond_the_cap_is_a_reset),
        cmocka_unit_test(test_descriptors_are_left_to_others),
        cmocka_unit_test(test_connections_outlive_their_forward),
        cmocka_unit_test(test_abort_resets_both_ends),
        cmocka_unit_test(test_idle_connections_hold_no_pipe),
        cmocka_unit_test(test_addresses_that_cannot_be),
        cmocka_unit_test(test_clients_wait_for_descriptors),
        cmocka_unit_test(test_half_a_connection_is_a_reset),
        cmocka_unit_test(test_slack_leaves_turns_to_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
