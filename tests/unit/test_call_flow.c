/* Calls over time: deadlines, leaving clients, back-pressure, what follows. */
#include "call_fixture.h"

#include "connect/envelope.h"

#define JSON   "Content-Type: application/json\r\n"
#define CJSON  "Content-Type: application/connect+json\r\n"
#define CPROTO "Content-Type: application/connect+proto\r\n"
#define GRPC   "Content-Type: application/grpc\r\n"

#define HANG "\0\0\0\0\6\n\4hang"
#define HOLD "\0\0\0\0\6\n\4hold"

static const char deadline_json[] =
    "{\"code\":\"deadline_exceeded\","
    "\"message\":\"context deadline exceeded\"}";

/* The server's own clock ends the call: the client has none here. */
static void
test_unary_deadline(void **state)
{
    struct answer a;

    (void)state;
    hear(post("Hang", JSON "Connect-Timeout-Ms: 20\r\n", BYTES("{}")), &a);
    expect_answer(&a, "HTTP/1.1 504 ", deadline_json,
                  sizeof(deadline_json) - 1);
    expect_log(" started deadline");
    answer_done(&a);

    hear(post("Hang", GRPC "Grpc-Timeout: 20m\r\n", BYTES("\0\0\0\0\0")), &a);
    assert_string_equal(
        a.tail,
        "Grpc-Status: 4\r\nGrpc-Message: context deadline exceeded\r\n");
    expect_log(" started deadline");
    answer_done(&a);
}

static void
test_stream_deadline(void **state)
{
    struct answer a;

    (void)state;
    hear(post("Follow", CPROTO "Connect-Timeout-Ms: 20\r\n", BYTES(HANG)), &a);
    expect_answer(&a, "HTTP/1.1 200 ",
                  BYTES("\0\0\0\0\7\n\5first\2\0\0\0\x68{\"error\":{\"code\":"
                        "\"deadline_exceeded\",\"message\":\"context deadline "
                        "exceeded\"},\"metadata\":{\"X-Tail\":[\"t\"]}}"));
    expect_log(" started deadline");
    answer_done(&a);
}

/* A request that never becomes complete is no reason to wait longer. */
static void
test_deadline_before_the_handler(void **state)
{
    struct answer a;

    (void)state;
    hear(begin("Echo", JSON "Content-Length: 9\r\nConnect-Timeout-Ms: 20\r\n"),
         &a);
    expect_answer(&a, "HTTP/1.1 504 ", deadline_json,
                  sizeof(deadline_json) - 1);
    answer_done(&a);
    expect_log("");
}

/* A client stream whose client just stays. */
static void
test_client_stream_deadline(void **state)
{
    struct answer a;
    int fd = begin("Collect", CPROTO "Transfer-Encoding: chunked\r\n"
                                     "Connect-Timeout-Ms: 50\r\n");

    (void)state;
    say_bytes(fd, BYTES("b\r\n" HOLD "\r\n"));
    expect_log(" held");
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ",
                  BYTES("\2\0\0\0\x4c{\"error\":{\"code\":"
                        "\"deadline_exceeded\",\"message\":\"context deadline "
                        "exceeded\"}}"));
    expect_log(" deadline");
    answer_done(&a);
}

static void
test_clients_that_vanish(void **state)
{
    static const struct {
        const char *method, *headers, *body;
        size_t len;
        const char *log;
    } cases[] = {
        {"Hang", JSON, BYTES("{}"), " started"},
        {"Follow", CPROTO, BYTES(HANG), " started"},
        {"Collect", CPROTO, BYTES(HOLD), " held"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct linger reset = {.l_onoff = 1};
        int fd = post(cases[i].method, cases[i].headers, cases[i].body,
                      cases[i].len);

        expect_log(cases[i].log);
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        (void)close(fd);
        expect_log(" gone");
        expect_connections(0);
    }
}

/* A client that stops inside the body of a stream: its input is broken. */
static void
test_client_stream_cut(void **state)
{
    int fd = begin("Collect", CPROTO "Transfer-Encoding: chunked\r\n");
    struct answer a;

    (void)state;
    say_bytes(fd, BYTES("5\r\n\0\0\0\0\0\r\n"));
    (void)shutdown(fd, SHUT_WR);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ",
                  BYTES("\2\0\0\0\x80{\"error\":{\"code\":\"unknown\","
                        "\"message\":\"error collecting: invalid_argument: "
                        "protocol error: incomplete envelope: unexpected "
                        "EOF\"}}"));
    expect_log(" bad-input");
    answer_done(&a);
}

/* Who sends no more has left a stream, but still waits for a single answer. */
static void
test_half_close(void **state)
{
    struct answer a;
    int fd = post("Follow", CPROTO, BYTES(HANG));

    (void)state;
    expect_log(" started");
    (void)shutdown(fd, SHUT_WR);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ",
                  BYTES("\0\0\0\0\7\n\5first\2\0\0\0\x56{\"error\":{\"code\":"
                        "\"canceled\",\"message\":\"context canceled\"},"
                        "\"metadata\":{\"X-Tail\":[\"t\"]}}"));
    expect_log(" half-closed");
    answer_done(&a);

    fd = post("Follow", CPROTO, BYTES(HANG));
    (void)shutdown(fd, SHUT_WR);
    hear(fd, &a);
    expect_log(" started half-closed");
    answer_done(&a);

    fd = post("Echo", JSON, BYTES("{}"));
    (void)shutdown(fd, SHUT_WR);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ", BYTES("{}"));
    answer_done(&a);

    fd = post("Collect", CPROTO, BYTES("\0\0\0\0\0"));
    (void)shutdown(fd, SHUT_WR);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ", BYTES("\0\0\0\0\3\n\0011\2\0\0\0\2{}"));
    answer_done(&a);
}

static void
count_sent(void *ctx)
{
    *(unsigned int *)ctx = now.sent;
}

/* Nothing is produced for a client that does not read; nothing is lost. */
static void
test_slow_reader(void **state)
{
    struct answer a;
    unsigned int sent = 0, again = 1;
    int fd = dial_small(4096);

    (void)state;
    say_bytes(fd, BYTES("POST /test.Test/Follow HTTP/1.1\r\nHost: t\r\n"
                        "Connection: close\r\nContent-Length: 12\r\n" CPROTO
                        "\r\n\0\0\0\0\7\n\5flood"));
    while (sent != again || sent == 0) {
        struct timespec pause = {.tv_nsec = 20000000};

        again = sent;
        (void)nanosleep(&pause, NULL);
        fixture_run(count_sent, &sent);
    }
    assert_true(sent < FLOOD_MESSAGES);
    hear(fd, &a);
    assert_true(a.complete);
    for (unsigned int i = 0; i < FLOOD_MESSAGES; i++) {
        uint8_t *p = buf_data(&a.body);

        assert_true(a.body.len > FLOOD_BYTES + 8);
        assert_memory_equal(p + 1, "\0\0\x20\x03\n\x80\x40", 7);
        assert_int_equal(p[8], 'a' + i % 26);
        buf_consume(&a.body, FLOOD_BYTES + 8);
    }
    assert_int_equal(a.body.len, 7);
    answer_done(&a);
}

static void
check_held(void *ctx)
{
    (void)ctx;
    assert_string_equal(now.message->cmd, "hold");
    assert_int_equal(now.message->n_args, 1);
    assert_string_equal(now.message->args[0], "an argument");
}

static void
release_held(void *ctx)
{
    check_held(ctx);
    call_resume(now.call);
}

/* How many bytes a socket takes before it is full for good. */
static size_t
fill(int fd, const char *data, size_t len)
{
    size_t sent = 0;

    while (sent < len) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        ssize_t n;

        if (poll(&p, 1, 200) == 0)
            break;
        n = send(fd, data + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        else if (errno != EAGAIN)
            break;
    }
    return sent;
}

/*
 * While the handler holds a message the socket is not read, and the message
 * stays as it is; afterwards all of the others come.
 */
static void
test_held_message(void **state)
{
    static const char hold[] = "\0\0\0\0\x13\n\4hold\x12\x0b"
                               "an argument";
    /* An envelope of one argument of 65535 bytes: 9 before them. */
    static const char front[] = "\0\0\1\0\3\x12\xff\xff\x03";
    const size_t front_len = sizeof(front) - 1, each = front_len + 65535;
    const size_t hold_len = sizeof(hold) - 1, count = 300;
    const size_t len = hold_len + count * each;
    char *body = test_calloc(1, len);
    char head[100];
    struct answer a;
    size_t sent;
    int fd;

    (void)state;
    memset(body, 'x', len);
    memcpy(body, hold, hold_len);
    for (size_t i = 0; i < count; i++)
        memcpy(body + hold_len + i * each, front, front_len);
    (void)snprintf(head, sizeof(head), "Content-Length: %zu\r\n" CPROTO, len);
    fd = begin("Collect", head);
    sent = fill(fd, body, len);
    expect_log(" held");
    assert_true(sent < len);
    fixture_run(check_held, NULL);
    fixture_run(release_held, NULL);
    say_bytes(fd, body + sent, len - sent);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ",
                  BYTES("\0\0\0\0\5\n\003301\2\0\0\0\2{}"));
    answer_done(&a);
    test_free(body);
}

/* The end of the body comes while a message is held, and waits for it. */
static void
test_held_last_message(void **state)
{
    static const char held_twice[] = "\0\0\0\0\x13\n\4hold\x12\x0b"
                                     "an argument"
                                     "\0\0\0\0\x13\n\4hold\x12\x0b"
                                     "an argument";
    struct answer a;
    int fd = post("Collect", CPROTO, held_twice, sizeof(held_twice) - 1);

    (void)state;
    expect_log(" held");
    fixture_run(release_held, NULL);
    expect_log(" held");
    fixture_run(release_held, NULL);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 200 ", BYTES("\0\0\0\0\3\n\0012\2\0\0\0\2{}"));
    answer_done(&a);
}

/* Envelopes and chunks have nothing to do with each other. */
static void
test_envelopes_at_every_split(void **state)
{
    static const char body[] = "\0\0\0\0\x0c{\"cmd\":\"hi\"}\0\0\0\0\0"
                               "\0\0\0\0\2{}\2\0\0\0\2{}";
    const size_t len = sizeof(body) - 1;

    (void)state;
    for (size_t step = 1; step <= len; step += step < 8 ? 1 : 5) {
        int fd = begin("Collect", CJSON "Transfer-Encoding: chunked\r\n");
        struct answer a;

        for (size_t at = 0; at < len; at += step) {
            size_t n = MIN(step, len - at);
            char size[16];

            (void)snprintf(size, sizeof(size), "%zx\r\n", n);
            say(fd, size);
            say_bytes(fd, body + at, n);
            say(fd, "\r\n");
        }
        say(fd, "0\r\n\r\n");
        hear(fd, &a);
        expect_answer(&a, "HTTP/1.1 200 ",
                      BYTES("\0\0\0\0\x0b{\"cmd\":\"3\"}\2\0\0\0\2{}"));
        answer_done(&a);
    }
}

/* A pipelined request is served behind the stream. */
static void
test_pipelined_behind_stream(void **state)
{
    struct buf heard = {0};
    int fd = dial();

    (void)state;
    say_bytes(fd,
              BYTES("POST /test.Test/Follow HTTP/1.1\r\nHost: t\r\n" CPROTO
                    "Connect-Timeout-Ms: 30\r\nContent-Length: 11\r\n\r\n" HANG
                    "POST /test.Test/Echo HTTP/1.1\r\nHost: t\r\n" JSON
                    "Connection: close\r\nContent-Length: 2\r\n\r\n{}"));
    expect_log(" started deadline");
    for (;;) {
        ssize_t n = recv(fd, buf_reserve(&heard, 4096), 4096, 0);

        if (n <= 0)
            break;
        buf_commit(&heard, (size_t)n);
    }
    (void)close(fd);
    assert_true(heard.len > 200);
    assert_non_null(
        memmem(buf_data(&heard), heard.len, BYTES("deadline_exceeded")));
    assert_memory_equal(buf_data(&heard) + heard.len - 6, "\r\n\r\n{}", 6);
    buf_done(&heard);
}

/* A message that cannot be encoded ends the stream; the handler is told. */
static void
test_message_that_cannot_be_sent(void **state)
{
    static const char *const requests[] = {"bad", "bad-end"};
    static const char *const logs[] = {" started gone", " started"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        char body[64];
        struct answer a;
        int n = snprintf(body + ENVELOPE_PREFIX_LEN,
                         sizeof(body) - ENVELOPE_PREFIX_LEN, "{\"cmd\":\"%s\"}",
                         requests[i]);

        memset(body, 0, ENVELOPE_PREFIX_LEN);
        body[4] = (char)n;
        hear(post("Follow", CJSON, body, ENVELOPE_PREFIX_LEN + (size_t)n), &a);
        expect_answer(
            &a, "HTTP/1.1 200 ",
            BYTES("\0\0\0\0\x0f{\"cmd\":\"first\"}\2\0\0\0\x94{\"error\":{"
                  "\"code\":\"internal\",\"message\":\"marshal message: proto: "
                  "field process.ProcessConfig.cmd contains invalid UTF-8\"},"
                  "\"metadata\":{\"X-Tail\":[\"t\"]}}"));
        expect_log(logs[i]);
        answer_done(&a);
    }
}

/* After a failure of a call with a complete body the connection is kept. */
static void
test_connection_survives_failures(void **state)
{
    int fd = dial();

    (void)state;
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /test.Test/Echo HTTP/1.1\r\nHost: t\r\n" JSON
                "Content-Length: 1\r\n\r\n{");
        (void)hear_away(fd, 0);
        say(fd, "POST /test.Test/Echo HTTP/1.1\r\nHost: t\r\n" JSON
                "Content-Length: 2\r\n\r\n{}");
    }
    (void)shutdown(fd, SHUT_WR);
    assert_true(hear_away(fd, SIZE_MAX) > 600);
    expect_closed(fd);
}

/* A failure before the end of a chunked body announces the close. */
static void
test_early_failure_announces_the_close(void **state)
{
    int fd = dial();
    char head[512] = "";
    ssize_t n;

    (void)state;
    say_bytes(fd, BYTES("POST /test.Test/Collect HTTP/1.1\r\nHost: t\r\n" CPROTO
                        "Transfer-Encoding: chunked\r\n\r\n"
                        "5\r\n\4\0\0\0\0\r\n"));
    n = recv(fd, head, sizeof(head) - 1, 0);
    assert_true(n > 0);
    assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
    expect_log(" bad-input");
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary_deadline),
        cmocka_unit_test(test_stream_deadline),
        cmocka_unit_test(test_deadline_before_the_handler),
        cmocka_unit_test(test_client_stream_deadline),
        cmocka_unit_test(test_clients_that_vanish),
        cmocka_unit_test(test_client_stream_cut),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_held_message),
        cmocka_unit_test(test_held_last_message),
        cmocka_unit_test(test_envelopes_at_every_split),
        cmocka_unit_test(test_pipelined_behind_stream),
        cmocka_unit_test(test_message_that_cannot_be_sent),
        cmocka_unit_test(test_connection_survives_failures),
        cmocka_unit_test(test_early_failure_announces_the_close),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
