/*
 * Resetting all connections but one, as after a pause of the machine.
 */
#include <fcntl.h>

#include "http_fixture.h"

#define HOST       "Host: h\r\n"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"

static char held_name[] = "held";
static char lent_name[] = "lent";
static char kept_name[] = "kept";

static int lent = -1; /* a worker's descriptor for a held connection */

static void
held_on_end(struct http_exchange *x, void *ctx, int err)
{
    (void)x;
    (void)ctx;
    note("end %d", err);
}

static void
held_on_cancel(struct http_exchange *x, void *ctx)
{
    (void)x;
    note("cancel %s", (const char *)ctx);
}

static const struct http_handler handler = {
    .on_body_end = held_on_end,
    .on_cancel = held_on_cancel,
};

static void
on_request(struct http_exchange *x, void *ctx)
{
    struct str path = http_request(x)->path;

    (void)ctx;
    if (str_eq(path, "/hold")) {
        http_accept(x, &handler, held_name);
        note("held");
    } else if (str_eq(path, "/lend")) {
        http_accept(x, &handler, lent_name);
        lent = http_socket_dup(x);
        note("lent");
    } else if (str_eq(path, "/keep")) {
        fixture.held = x;
        http_accept(x, &handler, kept_name);
        note("kept");
    } else if (str_eq(path, "/cut")) {
        note("cut %zu", http_server_cut_others(fixture.server, x));
        http_reply(x, 204, NULL, 0);
    } else {
        http_reply(x, 204, NULL, 0);
    }
}

static void
cut_others(void *ctx)
{
    *(size_t *)ctx = http_server_cut_others(fixture.server, fixture.held);
}

static void
reply(void *ctx)
{
    (void)ctx;
    http_reply(fixture.held, 204, NULL, 0);
}

static int
dial_and_say(const char *text)
{
    int fd = dial();

    say(fd, text);
    return fd;
}

static void
expect_reset(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fd);
}

static void
test_from_inside_a_handler(void **state)
{
    int idle;
    int held;
    int head;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    idle = dial_and_say("GET / HTTP/1.1\r\n" HOST "\r\n");
    expect(idle, NO_CONTENT);
    held = dial_and_say("POST /hold HTTP/1.1\r\n" HOST
                        "Content-Length: 5\r\n\r\n12");
    expect_log(" held");
    head = dial_and_say("GET /never");
    expect_connections(3);
    fd = dial_and_say("GET /cut HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, NO_CONTENT);
    expect_log(" cancel held cut 3");
    expect_reset(idle);
    expect_reset(held);
    expect_reset(head);
    expect_connections(1);

    /* the one that asked goes on, and others may come */
    say(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, NO_CONTENT);
    held = dial_and_say("GET / HTTP/1.0\r\n" HOST "\r\n");
    assert_true(hear_away(held, 64) > 0);
    (void)close(held);
    say(fd, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect(fd, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    expect_closed(fd);
    fixture_stop();
}

static void
test_between_requests(void **state)
{
    size_t count;
    int kept;
    int other;

    (void)state;
    fixture_start(on_request, NULL);
    kept = dial_and_say("GET /keep HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" kept");
    other = dial_and_say("GET /hold HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" held");
    fixture_run(cut_others, &count);
    assert_int_equal(count, 1);
    expect_log(" cancel held");
    expect_reset(other);
    fixture_run(reply, NULL);
    expect(kept, NO_CONTENT);

    /* without one to keep all go, that one too */
    fixture.held = NULL;
    fixture_run(cut_others, &count);
    assert_int_equal(count, 1);
    expect_reset(kept);
    expect_connections(0);
    fixture_stop();
}

static void
test_with_a_worker_that_has_the_socket(void **state)
{
    size_t count;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial_and_say("GET /lend HTTP/1.1\r\n" HOST "\r\n");
    expect_log(" lent");
    fixture_run(cut_others, &count);
    assert_int_equal(count, 1);
    expect_log(" cancel lent");
    expect_reset(fd);
    assert_int_equal(send(lent, "x", 1, MSG_NOSIGNAL), -1);
    (void)close(lent);
    fixture_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_inside_a_handler),
        cmocka_unit_test(test_between_requests),
        cmocka_unit_test(test_with_a_worker_that_has_the_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
