/*
 * A server on a loop of its own thread, and a client that blocks, for tests of
 * http/.  Header only, as each test program is one file.
 *
 * The test talks through sockets; what it wants to do to the server itself it
 * does on the loop, by fixture_run().  Handlers tell what they saw in a log
 * that the test waits for.
 */
#ifndef ENVD_TESTS_HTTP_FIXTURE_H
#define ENVD_TESTS_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "http/exchange.h"
#include "http/server.h"
#include "loop/loop.h"
#include "loop/worker.h"

#define PATIENCE_S 20 /* a test that waits longer has failed */

struct fixture {
    struct loop *loop;
    struct worker_pool *workers;
    struct http_server *server;
    uint16_t port;
    pthread_t thread;

    /* Work for the loop: one at a time. */
    int command[2];
    struct loop_io command_io;
    void (*run)(void *ctx);
    void *run_ctx;
    sem_t run_done;

    /* What handlers saw: words with a blank before each. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char log[4096];

    struct http_exchange *held; /* of /hold; on the loop only */
};

static struct fixture fixture;

/* ---- what handlers use --------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void
note(const char *format, ...)
{
    va_list args;
    size_t len;

    (void)pthread_mutex_lock(&fixture.lock);
    len = strlen(fixture.log);
    assert_true(len + 64 < sizeof(fixture.log));
    va_start(args, format);
    fixture.log[len] = ' ';
    (void)vsnprintf(fixture.log + len + 1, 63, format, args);
    va_end(args);
    (void)pthread_cond_broadcast(&fixture.changed);
    (void)pthread_mutex_unlock(&fixture.lock);
}

/* ---- the server ---------------------------------------------------------- */

static void
on_command(struct loop_io *io)
{
    char byte;

    (void)io;
    if (read(fixture.command[0], &byte, 1) != 1)
        return;
    fixture.run(fixture.run_ctx);
    (void)sem_post(&fixture.run_done);
}

/* Run a function on the loop and wait until it has returned. */
static void
fixture_run(void (*run)(void *ctx), void *ctx)
{
    fixture.run = run;
    fixture.run_ctx = ctx;
    assert_int_equal(write(fixture.command[1], "", 1), 1);
    while (sem_wait(&fixture.run_done) != 0)
        ;
}

static void *
fixture_thread(void *ctx)
{
    (void)ctx;
    (void)loop_run(fixture.loop);
    return NULL;
}

/* Start it; limits may be NULL. */
static void
fixture_start(http_request_fn on_request, const struct http_limits *limits)
{
    struct fixture *f = &fixture;

    *f = (struct fixture){0};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->changed, NULL);
    (void)sem_init(&f->run_done, 0, 0);
    assert_int_equal(pipe(f->command), 0);
    f->loop = loop_new();
    assert_non_null(f->loop);
    f->workers = worker_pool_new(f->loop, 1);
    f->server = http_server_new(f->loop, on_request, NULL);
    if (limits != NULL)
        http_server_set_limits(f->server, limits);
    assert_int_equal(http_server_listen(f->server, NULL, 0, &f->port), 0);
    loop_io_init(f->loop, &f->command_io, f->command[0], EV_READ, on_command);
    loop_io_arm(&f->command_io);
    assert_int_equal(pthread_create(&f->thread, NULL, fixture_thread, NULL), 0);
}

static void
fixture_close_server(void *ctx)
{
    (void)ctx;
    http_server_close(fixture.server);
    loop_stop(fixture.loop);
}

static void
fixture_stop(void)
{
    struct fixture *f = &fixture;

    fixture_run(fixture_close_server, NULL);
    (void)pthread_join(f->thread, NULL);
    assert_int_equal(http_server_connections(f->server), 0);
    worker_pool_free(f->workers);
    loop_io_disarm(&f->command_io);
    http_server_free(f->server);
    loop_free(f->loop);
    (void)close(f->command[0]);
    (void)close(f->command[1]);
    (void)sem_destroy(&f->run_done);
    (void)pthread_cond_destroy(&f->changed);
    (void)pthread_mutex_destroy(&f->lock);
}

/* ---- what tests use ------------------------------------------------------ */

/* Wait until the log is exactly this, and empty it. */
static void
expect_log(const char *text)
{
    struct timespec end;
    int r = 0;
    char seen[sizeof(fixture.log)];

    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_S;
    (void)pthread_mutex_lock(&fixture.lock);
    while (r == 0 && strcmp(fixture.log, text) != 0)
        r = pthread_cond_timedwait(&fixture.changed, &fixture.lock, &end);
    memcpy(seen, fixture.log, sizeof(seen));
    fixture.log[0] = '\0';
    (void)pthread_mutex_unlock(&fixture.lock);
    assert_string_equal(seen, text);
}

/* A connection; reads give up after PATIENCE_S. */
static int
dial_small(int receive_bytes)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(fixture.port)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                         sizeof(receive_bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static int
dial(void)
{
    return dial_small(0);
}

static void
say_bytes(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the test sees what is missing */
        at += n;
        len -= (size_t)n;
    }
}

static void
say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* Remove the Date lines that are well-formed from what was heard. */
static void
strip_dates(char *text)
{
    char *at = text;

    while ((at = strstr(at, "\r\nDate: ")) != NULL) {
        if (strlen(at) < 8 + 29 || memcmp(at + 8 + 25, " GMT", 4) != 0)
            return;
        memmove(at, at + 8 + 29, strlen(at + 8 + 29) + 1);
    }
}

/*
 * Hear until it is `text` (Dates aside), or the connection ends; it must be
 * `text` then.
 */
static void
expect(int fd, const char *text)
{
    static char heard[1 << 20];
    static char plain[1 << 20];
    size_t len = 0;

    plain[0] = '\0';
    while (strcmp(plain, text) != 0 && len < sizeof(heard) - 1) {
        ssize_t n = recv(fd, heard + len, 1, 0);

        if (n <= 0)
            break;
        len += (size_t)n;
        heard[len] = '\0';
        if (heard[len - 1] != text[strlen(text) - 1])
            continue;
        memcpy(plain, heard, len + 1);
        strip_dates(plain);
    }
    assert_string_equal(len > 0 ? plain : "", text);
}

/* The server closed in order: an end of stream, nothing before it. */
static void
expect_closed(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
}

/* Hear and drop `len` bytes; returns how many there were before the end. */
static size_t
hear_away(int fd, size_t len)
{
    static char buf[65536];
    size_t heard = 0;

    while (heard < len) {
        ssize_t n = recv(fd, buf, MIN(sizeof(buf), len - heard), 0);

        if (n <= 0)
            break;
        heard += (size_t)n;
    }
    return heard;
}

static void
count_connections(void *ctx)
{
    *(size_t *)ctx = http_server_connections(fixture.server);
}

/* Wait until the server holds so many connections. */
static void
expect_connections(size_t count)
{
    struct timespec pause = {.tv_nsec = 1000000};
    size_t seen = SIZE_MAX;

    for (int i = 0; i < PATIENCE_S * 1000 && seen != count; i++) {
        if (i > 0)
            (void)nanosleep(&pause, NULL);
        fixture_run(count_connections, &seen);
    }
    assert_int_equal(seen, count);
}

#endif
