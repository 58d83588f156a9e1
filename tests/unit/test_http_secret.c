/*
 * Bodies with secrets leave nothing in the connection's memory.
 */
#pragma GCC diagnostic ignored "-Wunused-function" /* not all is needed */
#include "http_fixture.h"

static const uint8_t *piece_at; /* on the loop only */
static size_t piece_len;
static bool secret;

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    (void)x;
    (void)ctx;
    piece_at = data;
    piece_len = len;
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    (void)ctx;
    assert_int_equal(err, 0);
    http_reply(x, 204, NULL, 0);
}

static void
on_request(struct http_exchange *x, void *ctx)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
    };

    http_accept(x, &handler, ctx);
    if (secret)
        http_body_secret(x);
    http_body_resume(x);
}

/* Counts the bytes of the piece that are not zero.  Context: loop. */
static void
count_bytes(void *ctx)
{
    size_t *count = ctx;

    *count = 0;
    for (size_t i = 0; i < piece_len; i++)
        *count += piece_at[i] != 0;
}

static void
send_body(bool is_secret, size_t expected)
{
    size_t left;
    int fd;

    secret = is_secret;
    fixture_start(on_request, NULL);
    fd = dial();
    say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecret");
    expect(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    fixture_run(count_bytes, &left);
    assert_int_equal(piece_len, 6);
    assert_int_equal(left, expected);
    (void)close(fd);
    fixture_stop();
}

static void
test_wiped(void **state)
{
    (void)state;
    send_body(true, 0);
}

/* That the test would see one. */
static void
test_left(void **state)
{
    (void)state;
    send_body(false, 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
