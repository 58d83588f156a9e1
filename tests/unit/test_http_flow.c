/*
 * What flows over time: back-pressure both ways, peers that leave, workers
 * that send, clocks that run out, and what happens when there is no more room.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>

#include "http_fixture.h"
#include "limits.h"

#define HOST "Host: h\r\n"

#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"
#define CHUNKED    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define UNAVAILABLE                                                     \
    "HTTP/1.1 503 Service Unavailable\r\n"                              \
    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n" \
    "Connection: close\r\n\r\n503 Service Unavailable"

static void
note_cancel(struct http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
    note("cancel");
}

/* ---- /hold: does what the test says -------------------------------------- */

static void
hold_on_body(struct http_exchange *x, void *ctx, const uint8_t *data,
             size_t len)
{
    (void)ctx;
    (void)data;
    if (len < 1000)
        note("body %zu", len);
    else
        note("body");
    http_body_pause(x);
}

static void
hold_on_end(struct http_exchange *x, void *ctx, int err)
{
    (void)x;
    (void)ctx;
    note("end %d", err);
}

static void
hold_on_half_close(struct http_exchange *x, void *ctx)
{
    (void)x;
    (void)ctx;
    note("half");
}

static const struct http_handler hold = {
    .on_body = hold_on_body,
    .on_body_end = hold_on_end,
    .on_half_close = hold_on_half_close,
    .on_cancel = note_cancel,
};

static void
do_begin(void *ctx)
{
    (void)ctx;
    http_reply_begin(fixture.held, 200, -1);
}

static void
do_piece(void *ctx)
{
    buf_append_str(http_piece_open(fixture.held), ctx);
    http_piece_close(fixture.held);
}

static void
do_end(void *ctx)
{
    (void)ctx;
    http_reply_end(fixture.held, NULL);
}

static void
do_reply(void *ctx)
{
    (void)ctx;
    http_reply(fixture.held, 204, NULL, 0);
}

static void
do_abort(void *ctx)
{
    (void)ctx;
    http_abort(fixture.held);
}

static void
do_resume(void *ctx)
{
    (void)ctx;
    http_body_resume(fixture.held);
}

static void
do_resume_silent(void *ctx)
{
    (void)ctx;
    http_body_allow_silence(fixture.held);
    http_body_resume(fixture.held);
}

/* ---- /gather: four bytes at a time into a buffer of its own ---------------
 */

static struct buf gathered; /* on the loop only */

static void
gather_on_body(struct http_exchange *x, void *ctx, const uint8_t *data,
               size_t len)
{
    (void)ctx;
    note(data != NULL ? "given %zu" : "in %zu", len);
    if (data != NULL)
        buf_append(&gathered, data, len);
    if (gathered.len >= 4)
        http_body_pause(x);
}

static const struct http_handler gatherer = {
    .on_body = gather_on_body,
    .on_body_end = hold_on_end,
    .on_cancel = note_cancel,
};

static void
do_gather(void *ctx)
{
    (void)ctx;
    note("[%.*s]", (int)gathered.len, (const char *)buf_data(&gathered));
    buf_done(&gathered);
    http_body_resume(fixture.held);
}

/* ---- /flood: as much as there is room for -------------------------------- */

#define FLOOD_PIECE (16 * 1024)

static size_t flood_peak; /* on the loop only */

static void
flood(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    while (http_has_room(x)) {
        struct buf *out = http_piece_open(x);

        memset(buf_reserve(out, FLOOD_PIECE), 'x', FLOOD_PIECE);
        buf_commit(out, FLOOD_PIECE);
        http_piece_close(x);
        flood_peak = MAX(flood_peak, http_pending(x));
    }
}

static const struct http_handler flooder = {
    .on_room = flood,
    .on_cancel = note_cancel,
};

/* ---- /file: sent by a worker --------------------------------------------- */

#define FILE_SIZE ((size_t)3 * 1024 * 1024)

struct sender {
    struct job job;
    struct http_exchange *x; /* NULL when cancelled */
    int socket;
    int file;
    size_t sent; /* by the last run */
    size_t left;
    bool running;
};

static void
sender_free(struct sender *s)
{
    (void)close(s->socket);
    (void)close(s->file);
    free(s);
}

static void
sender_run(struct job *job)
{
    struct sender *s = container_of(job, struct sender, job);

    s->sent = 0;
    while (s->left > s->sent) {
        ssize_t n = sendfile(s->socket, s->file, NULL, s->left - s->sent);

        if (n < 0)
            break; /* the socket is full, or the connection has ended */
        s->sent += (size_t)n;
    }
}

static void
sender_done(struct job *job)
{
    struct sender *s = container_of(job, struct sender, job);

    s->running = false;
    if (s->x == NULL) {
        sender_free(s);
        return;
    }
    s->left -= s->sent;
    http_sent(s->x, s->sent);
    if (s->left == 0) {
        http_reply_end(s->x, NULL);
        sender_free(s);
    } else {
        http_await_writable(s->x);
    }
}

static void
sender_on_room(struct http_exchange *x, void *ctx)
{
    struct sender *s = ctx;

    if (s->socket < 0) {
        s->socket = http_socket_dup(x);
        assert_true(s->socket >= 0);
    }
    assert_int_equal(http_pending(x), 0);
    s->running = true;
    s->job.run = sender_run;
    s->job.done = sender_done;
    assert_int_equal(worker_submit(fixture.workers, &s->job), 0);
}

static void
sender_on_cancel(struct http_exchange *x, void *ctx)
{
    struct sender *s = ctx;

    (void)x;
    s->x = NULL;
    if (!s->running)
        sender_free(s);
    note("cancel");
}

static const struct http_handler sending = {
    .on_room = sender_on_room,
    .on_cancel = sender_on_cancel,
};

static void
serve_file(struct http_exchange *x)
{
    struct sender *s = xcalloc(1, sizeof(*s));

    s->x = x;
    s->socket = -1;
    s->left = FILE_SIZE;
    s->file = memfd_create("file", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->file, FILE_SIZE), 0);
    assert_int_equal(pwrite(s->file, "!", 1, FILE_SIZE - 1), 1);
    http_accept(x, &sending, s);
    http_reply_begin(x, 200, FILE_SIZE);
    http_await_writable(x);
}

/* ---- the rest ------------------------------------------------------------ */

#define BIG_SIZE ((size_t)4 * 1024 * 1024)

static void
serve_big(struct http_exchange *x)
{
    struct buf body = {0};

    memset(buf_reserve(&body, BIG_SIZE), 'x', BIG_SIZE);
    buf_commit(&body, BIG_SIZE);
    http_reply_buf(x, 200, &body);
    assert_null(body.mem);
}

static int
socket_option(struct http_exchange *x, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    (void)getsockopt(http_socket(x), level, name, &value, &len);
    return value;
}

static void
serve_options(struct http_exchange *x)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%d %d %d %d %d",
                   socket_option(x, IPPROTO_TCP, TCP_NODELAY),
                   socket_option(x, SOL_SOCKET, SO_KEEPALIVE),
                   socket_option(x, IPPROTO_TCP, TCP_KEEPIDLE),
                   socket_option(x, IPPROTO_TCP, TCP_KEEPINTVL),
                   socket_option(x, IPPROTO_TCP, TCP_KEEPCNT));
    http_reply(x, 200, text, strlen(text));
}

static void
on_request(struct http_exchange *x, void *ctx)
{
    struct str path = http_request(x)->path;

    (void)ctx;
    if (str_eq(path, "/hold")) {
        fixture.held = x;
        http_accept(x, &hold, NULL);
        note("hold");
    } else if (str_eq(path, "/gather")) {
        fixture.held = x;
        http_accept(x, &gatherer, NULL);
        note("gather");
        http_body_into(x, &gathered, 4);
        http_body_resume(x);
    } else if (str_eq(path, "/flood")) {
        flood_peak = 0;
        http_accept(x, &flooder, NULL);
        http_reply_begin(x, 200, -1);
        flood(x, NULL);
        note("flood");
    } else if (str_eq(path, "/file")) {
        serve_file(x);
    } else if (str_eq(path, "/big")) {
        serve_big(x);
    } else if (str_eq(path, "/options")) {
        serve_options(x);
    } else {
        http_reply(x, 204, NULL, 0);
    }
}

static int
dial_and_say(const char *request)
{
    int fd = dial();

    say(fd, request);
    return fd;
}

static void
say_health(int fd)
{
    say(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
}

static void
reset(int fd)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    (void)close(fd);
}

/* ---- output -------------------------------------------------------------- */

static void
read_flood_peak(void *ctx)
{
    *(size_t *)ctx = flood_peak;
}

static void
test_slow_reader_holds_the_producer(void **state)
{
    size_t peak = 0;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_small(4096);
    say(fd, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" flood");
    /* More than all queues together: it went on each time there was room. */
    assert_int_equal(hear_away(fd, (size_t)32 * 1024 * 1024),
                     (size_t)32 * 1024 * 1024);
    fixture_run(read_flood_peak, &peak);
    assert_true(peak >= LIMIT_HTTP_OUTPUT_BYTES);
    assert_true(peak < LIMIT_HTTP_OUTPUT_BYTES + FLOOD_PIECE + 100);
    (void)close(fd);
    expect_log(" cancel");
    expect_connections(0);
    fixture_stop();
}

/* A body is received where its handler wants it, no further than it allows. */
static void
test_gathered_body(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("POST /gather HTTP/1.1\r\n" HOST
                      "Content-Length: 11\r\n\r\nab");
    expect_log(" gather given 2");
    say(fd, "cdefghijkGET /health HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" in 2");
    fixture_run(do_gather, NULL);
    expect_log(" [abcd] in 4");
    fixture_run(do_gather, NULL);
    expect_log(" [efgh] in 3 end 0");
    fixture_run(do_gather, NULL);
    expect_log(" [ijk]");
    fixture_run(do_reply, NULL);
    expect(fd, NO_CONTENT NO_CONTENT);

    /* The framing stands between the pieces of a chunked one. */
    say(fd, "POST /gather HTTP/1.1\r\n" HOST
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    expect_log(" gather given 2");
    say(fd, "1\r\nc\r\n0\r\n\r\n");
    expect_log(" given 1 end 0");
    fixture_run(do_gather, NULL);
    expect_log(" [abc]");
    fixture_run(do_reply, NULL);
    expect(fd, NO_CONTENT);

    /* Its sender leaves inside. */
    say(fd, "POST /gather HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n");
    expect_log(" gather");
    say(fd, "a");
    (void)shutdown(fd, SHUT_WR);
    expect_log(" in 1 end -104");
    fixture_run(do_gather, NULL);
    expect_log(" [a]");
    (void)close(fd);
    fixture_run(do_reply, NULL);
    expect_connections(0);
    fixture_stop();
}

/* A fast reader of an endless answer does not keep others from theirs. */
static void
test_flood_leaves_others_their_turn(void **state)
{
    int fd;
    int other;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /flood HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" flood");
    other = dial();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(hear_away(fd, 1 << 20), 1 << 20);
        say_health(other);
        expect(other, NO_CONTENT);
    }
    reset(fd);
    expect_log(" cancel");
    (void)close(other);
    fixture_stop();
}

static void
test_big_answers_keep_their_order(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4194304"
                               "\r\n\r\n";
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /big HTTP/1.1\r\n" HOST "\r\n"
                      "GET /big HTTP/1.1\r\n" HOST "\r\n"
                      "GET /health HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < 2; i++) {
        expect(fd, head);
        assert_int_equal(hear_away(fd, BIG_SIZE), BIG_SIZE);
    }
    expect(fd, NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

static void
test_pieces_leave_at_the_end_of_the_turn(void **state)
{
    char one[] = "one";
    char two[] = "two";
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fixture_run(do_begin, NULL);
    expect(fd, CHUNKED);
    fixture_run(do_piece, one);
    expect(fd, "00000003\r\none\r\n");
    fixture_run(do_piece, two);
    expect(fd, "00000003\r\ntwo\r\n");
    fixture_run(do_end, NULL);
    expect(fd, "0\r\n\r\n");
    say_health(fd);
    expect(fd, NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

/* Where only the close ends the answer, a broken one must not look whole. */
static void
test_abort_without_framing_resets(void **state)
{
    char one[] = "one";
    char byte;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /hold HTTP/1.0\r\n\r\n");
    expect_log(" hold");
    fixture_run(do_begin, NULL);
    fixture_run(do_piece, one);
    expect(fd, "HTTP/1.0 200 OK\r\n\r\none");
    fixture_run(do_abort, NULL);
    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fd);
    fixture_stop();
}

static void
test_worker_sends_a_file(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3145728"
                               "\r\n\r\n";
    char last;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_small(4096);
    for (int i = 0; i < 2; i++) {
        say(fd, "GET /file HTTP/1.1\r\n" HOST "\r\n");
        expect(fd, head);
        assert_int_equal(hear_away(fd, FILE_SIZE - 1), FILE_SIZE - 1);
        assert_int_equal(recv(fd, &last, 1, 0), 1);
        assert_int_equal(last, '!');
    }
    say_health(fd);
    expect(fd, NO_CONTENT);

    /* and is told when the reader leaves */
    say(fd, "GET /file HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, head);
    reset(fd);
    expect_log(" cancel");
    expect_connections(0);
    fixture_stop();
}

/* ---- input --------------------------------------------------------------- */

static void
test_paused_body_stays_in_the_socket(void **state)
{
    static char block[65536];
    size_t sent = 0;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("POST /hold HTTP/1.1\r\n" HOST
                      "Content-Length: 100000000\r\n\r\n");
    expect_log(" hold");
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};

        /* Nobody takes it: it fills the buffers of two sockets, no more. */
        if (poll(&p, 1, 200) == 0)
            break;
        sent += (size_t)send(fd, block, sizeof(block), MSG_DONTWAIT);
        assert_true(sent < 100000000);
    }
    fixture_run(do_resume, NULL);
    expect_log(" body"); /* one piece, and it is paused again */
    reset(fd);
    expect_log(" cancel");
    fixture_stop();
}

static void
test_body_comes_piece_by_piece(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("POST /hold HTTP/1.1\r\n" HOST
                      "Transfer-Encoding: chunked\r\n\r\n"
                      "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
                      "GET /health HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fixture_run(do_resume, NULL);
    expect_log(" body 3");
    fixture_run(do_resume, NULL);
    expect_log(" body 4");
    fixture_run(do_resume, NULL);
    expect_log(" end 0");
    fixture_run(do_reply, NULL);
    expect(fd, NO_CONTENT NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

/* ---- peers that leave ---------------------------------------------------- */

static void
test_half_close_is_told(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fixture_run(do_begin, NULL);
    expect(fd, CHUNKED);

    /* a pipelined request is no half-close, and is served afterwards */
    say_health(fd);
    fixture_run(do_end, NULL);
    expect(fd, "0\r\n\r\n" NO_CONTENT);

    say(fd, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fixture_run(do_begin, NULL);
    expect(fd, CHUNKED);
    say_health(fd);
    (void)shutdown(fd, SHUT_WR);
    expect_log(" half");
    fixture_run(do_end, NULL);
    expect(fd, "0\r\n\r\n" NO_CONTENT);
    expect_closed(fd);

    /* also when it comes with the request */
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    (void)shutdown(fd, SHUT_WR);
    expect_log(" hold half");
    fixture_run(do_reply, NULL);
    expect(fd, NO_CONTENT);
    expect_closed(fd);
    fixture_stop();
}

static void
test_leaving_is_told_while_nobody_reads(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);

    /* with the body held back and unread bytes in the socket */
    fd = dial_and_say("POST /hold HTTP/1.1\r\n" HOST
                      "Content-Length: 5\r\n\r\nhel");
    expect_log(" hold");
    say(fd, "l");
    reset(fd);
    expect_log(" cancel");

    /* while an answer streams */
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fixture_run(do_begin, NULL);
    expect(fd, CHUNKED);
    reset(fd);
    expect_log(" cancel");

    /* before anything is answered */
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    reset(fd);
    expect_log(" cancel");
    expect_connections(0);
    fixture_stop();
}

static void
test_closing_the_server_cancels(void **state)
{
    int fd;
    int idle;

    (void)state;
    fixture_start(on_request, NULL);
    idle = dial();
    say_health(idle);
    expect(idle, NO_CONTENT);
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fixture_stop();
    assert_string_equal(fixture.log, " cancel");
    expect_closed(fd);
    expect_closed(idle);
}

/* ---- clocks -------------------------------------------------------------- */

#define LONG_MS (1000 * 1000)

static const struct http_limits patient = {
    .connections = 100,
    .head_timeout_ms = LONG_MS,
    .idle_timeout_ms = LONG_MS,
    .body_stall_ms = LONG_MS,
    .write_stall_ms = LONG_MS,
    .linger_ms = LONG_MS,
};

static void
test_head_timeout(void **state)
{
    struct http_limits limits = patient;
    int fd;

    (void)state;
    limits.head_timeout_ms = 30;
    fixture_start(on_request, &limits);
    fd = dial();
    say_health(fd);
    expect(fd, NO_CONTENT); /* no clock runs before the first byte */
    say(fd, "GET /hea");
    expect(fd, "HTTP/1.1 408 Request Timeout\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: 19\r\nConnection: close\r\n\r\n"
               "408 Request Timeout");
    (void)shutdown(fd, SHUT_WR);
    expect_closed(fd);
    fixture_stop();
}

static void
test_idle_timeout_closes_silently(void **state)
{
    struct http_limits limits = patient;
    int fd;
    int fresh;

    (void)state;
    limits.idle_timeout_ms = 30;
    fixture_start(on_request, &limits);
    fd = dial();
    say_health(fd);
    expect(fd, NO_CONTENT);
    fresh = dial();
    expect_closed(fd);
    expect_closed(fresh);
    expect_connections(0);

    /* a request that is being served is not idle */
    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    fresh = dial();
    expect_closed(fresh);
    fixture_run(do_reply, NULL);
    expect(fd, NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

static void
test_body_stall(void **state)
{
    static const char post[] =
        "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n";
    struct http_limits limits = patient;
    struct http_exchange *silent;
    int fds[3];

    (void)state;
    limits.body_stall_ms = 30;
    fixture_start(on_request, &limits);
    fds[0] = dial_and_say(post);
    expect_log(" hold");
    fixture_run(do_resume_silent, NULL);
    silent = fixture.held;
    fds[1] = dial_and_say(post);
    expect_log(" hold"); /* not awaited: no clock runs */
    fds[2] = dial_and_say(post);
    expect_log(" hold");
    fixture_run(do_resume, NULL);
    expect_log(" end -110"); /* of the last one alone */
    fixture_run(do_reply, NULL);
    expect(fds[2], "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    (void)shutdown(fds[2], SHUT_WR);
    expect_closed(fds[2]);

    fixture.held = silent;
    say(fds[0], "hello");
    expect_log(" body 5");
    fixture_run(do_resume, NULL);
    expect_log(" end 0");
    fixture_run(do_reply, NULL);
    expect(fds[0], NO_CONTENT);
    (void)close(fds[0]);
    reset(fds[1]);
    expect_log(" cancel");
    fixture_stop();
}

/* A client that answers the kernel but does not read is waited for. */
static void
test_stalled_reader_is_kept(void **state)
{
    struct http_limits limits = patient;
    int fd;
    int idle;

    (void)state;
    limits.write_stall_ms = 20;
    limits.idle_timeout_ms = 500;
    fixture_start(on_request, &limits);
    fd = dial_small(4096);
    say(fd, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" flood");
    idle = dial();
    expect_closed(idle); /* by then it was looked at many times */
    assert_int_equal(hear_away(fd, 8 << 20), 8 << 20);
    reset(fd);
    expect_log(" cancel");
    fixture_stop();
}

/* Raise or lower the loopback of this network namespace. */
static bool
set_loopback(bool up)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done;

    r.ifr_flags = up ? IFF_UP : 0;
    done = ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    (void)close(fd);
    return done;
}

/* One that says nothing any more, as a machine that lost its power, is not. */
static void
test_silent_peer_is_cut(void **state)
{
    struct http_limits limits = patient;
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd;

    (void)state;
    limits.write_stall_ms = 300;
    if (home < 0 || unshare(CLONE_NEWNET) < 0) {
        (void)close(home);
        skip(); /* needs a network of its own */
    }
    assert_true(set_loopback(true));
    fixture_start(on_request, &limits);

    fd = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" hold");
    assert_true(set_loopback(false));
    fixture_run(do_begin, NULL); /* an answer that nobody acknowledges */
    expect_log(" cancel");
    (void)close(fd);

    assert_true(set_loopback(true));
    fd = dial_small(4096);
    say(fd, "GET /flood HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" flood");
    assert_true(set_loopback(false)); /* with a window that is shut */
    expect_log(" cancel");
    (void)close(fd);

    fixture_stop();
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    (void)close(home);
}

/* A client that does not close its side keeps the connection for a moment. */
static void
test_linger_ends(void **state)
{
    struct http_limits limits = patient;
    int fd;

    (void)state;
    limits.linger_ms = 30;
    fixture_start(on_request, &limits);
    fd = dial_and_say("garbage\r\n\r\n");
    (void)hear_away(fd, 1 << 20); /* up to the end of its sending side */
    expect_connections(0);
    (void)close(fd);
    fixture_stop();
}

/* ---- no more room -------------------------------------------------------- */

static void
test_connection_limit(void **state)
{
    struct http_limits limits = patient;
    int fds[2];
    int third;

    (void)state;
    limits.connections = 2;
    fixture_start(on_request, &limits);
    for (int i = 0; i < 2; i++) {
        fds[i] = dial();
        say_health(fds[i]);
        expect(fds[i], NO_CONTENT);
    }
    third = dial();
    expect(third, UNAVAILABLE);
    expect_closed(third);
    say_health(fds[0]);
    expect(fds[0], NO_CONTENT);
    (void)close(fds[0]);
    expect_connections(1);
    third = dial();
    say_health(third);
    expect(third, NO_CONTENT);
    (void)close(third);
    (void)close(fds[1]);
    fixture_stop();
}

static void
test_without_descriptors_it_says_so(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct rlimit before;
    struct rlimit low;
    int fillers[256];
    size_t count = 0;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    a.sin_port = htons(fixture.port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = ARRAY_LEN(fillers);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (count < ARRAY_LEN(fillers) &&
           (fillers[count] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    expect(fd, UNAVAILABLE);
    while (count > 0)
        (void)close(fillers[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_closed(fd);

    /* when it has rested it serves again */
    fd = dial();
    say_health(fd);
    expect(fd, NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

static void
test_socket_options(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /options HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
               "1 1 10 5 3");
    (void)close(fd);
    fixture_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_reader_holds_the_producer),
        cmocka_unit_test(test_gathered_body),
        cmocka_unit_test(test_flood_leaves_others_their_turn),
        cmocka_unit_test(test_big_answers_keep_their_order),
        cmocka_unit_test(test_pieces_leave_at_the_end_of_the_turn),
        cmocka_unit_test(test_abort_without_framing_resets),
        cmocka_unit_test(test_worker_sends_a_file),
        cmocka_unit_test(test_paused_body_stays_in_the_socket),
        cmocka_unit_test(test_body_comes_piece_by_piece),
        cmocka_unit_test(test_half_close_is_told),
        cmocka_unit_test(test_leaving_is_told_while_nobody_reads),
        cmocka_unit_test(test_closing_the_server_cancels),
        cmocka_unit_test(test_head_timeout),
        cmocka_unit_test(test_idle_timeout_closes_silently),
        cmocka_unit_test(test_body_stall),
        cmocka_unit_test(test_stalled_reader_is_kept),
        cmocka_unit_test(test_silent_peer_is_cut),
        cmocka_unit_test(test_linger_ends),
        cmocka_unit_test(test_connection_limit),
        cmocka_unit_test(test_without_descriptors_it_says_so),
        cmocka_unit_test(test_socket_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
