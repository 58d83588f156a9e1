/*
 * What a client sees of one request: framing, keep-alive, refusals, closing.
 */
#include "http_fixture.h"

#include "limits.h"

/* ---- handlers ------------------------------------------------------------ */

static void
echo_on_body(struct http_exchange *x, void *ctx, const uint8_t *data,
             size_t len)
{
    (void)x;
    buf_append(ctx, data, len);
}

static void
echo_on_end(struct http_exchange *x, void *ctx, int err)
{
    struct buf *body = ctx;

    if (err == 0) {
        http_reply_buf(x, 200, body);
    } else {
        http_reply_text(x, 400, err == -EBADMSG ? "framing" : "cut");
        buf_done(body);
    }
    free(body);
}

static void
echo_on_cancel(struct http_exchange *x, void *ctx)
{
    (void)x;
    buf_done(ctx);
    free(ctx);
    note("cancel");
}

static const struct http_handler echo = {
    .on_body = echo_on_body,
    .on_body_end = echo_on_end,
    .on_cancel = echo_on_cancel,
};

static void
serve_echo(struct http_exchange *x)
{
    http_accept(x, &echo, xcalloc(1, sizeof(struct buf)));
    http_body_resume(x);
}

static void
piece(struct http_exchange *x, const char *text)
{
    buf_append_str(http_piece_open(x), text);
    http_piece_close(x);
}

static void
serve_stream(struct http_exchange *x)
{
    http_reply_begin(x, 200, -1);
    assert_true(http_reply_begun(x));
    piece(x, "one");
    piece(x, "");
    piece(x, "three");
    http_reply_end(x, NULL);
}

static void
serve_trailers(struct http_exchange *x)
{
    http_add_header(x, "Trailer", "A");
    http_reply_begin(x, 200, -1);
    piece(x, "x");
    http_reply_end(x, "A: b\r\n");
}

static void
serve_known(struct http_exchange *x)
{
    http_reply_begin(x, 200, 5);
    piece(x, "hel");
    piece(x, "lo, more than was promised");
    http_reply_end(x, "A: b\r\n");
}

static void
serve_short(struct http_exchange *x)
{
    http_reply_begin(x, 200, 5);
    piece(x, "he");
    http_reply_end(x, NULL);
}

static void
serve_abort(struct http_exchange *x)
{
    http_reply_begin(x, 200, -1);
    piece(x, "he");
    http_abort(x);
}

static void
serve_headers(struct http_exchange *x)
{
    struct str given = http_header(x, "x-GIVEN");

    http_add_header(x, "X-A", "1");
    http_add_header(x, "X-B", "2\r\nX-Evil: 3");
    http_add_header(x, "x-a", "4");
    http_add_header(x, "X-AB", "5");
    http_drop_header(x, "X-a");
    http_drop_header(x, "X-None");
    http_reply(x, 200, given.data, given.len);
}

static void
serve_method(struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    struct buf body = {0};

    buf_append(&body, r->method_name.data, r->method_name.len);
    buf_appendf(&body, " %d", (int)r->method);
    http_reply_buf(x, r->method == HTTP_OTHER ? 405 : 200, &body);
}

static void
serve_health(struct http_exchange *x)
{
    http_reply(x, 204, NULL, 0);
}

static void
serve_early(struct http_exchange *x)
{
    http_reply_text(x, 403, "no\n");
}

static void
serve_close(struct http_exchange *x)
{
    http_close_after(x);
    http_reply(x, 200, "bye", 3);
}

static void
serve_not_modified(struct http_exchange *x)
{
    http_reply(x, 304, "x", 1);
}

static const struct {
    const char *path;
    void (*serve)(struct http_exchange *x);
} routes[] = {
    {"/health", serve_health},     {"/echo", serve_echo},
    {"/early", serve_early},       {"/stream", serve_stream},
    {"/trailers", serve_trailers}, {"/known", serve_known},
    {"/short", serve_short},       {"/abort", serve_abort},
    {"/headers", serve_headers},   {"/method", serve_method},
    {"/close", serve_close},       {"/304", serve_not_modified},
};

static void
on_request(struct http_exchange *x, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (str_eq(http_request(x)->path, routes[i].path)) {
            routes[i].serve(x);
            return;
        }
    }
    http_reply_text(x, 404, "404 page not found\n");
}

/* ---- one request, one answer --------------------------------------------- */

#define HOST  "Host: h\r\n"
#define PLAIN "Content-Type: text/plain; charset=utf-8\r\n"
#define CLOSE "Connection: close\r\n"

#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"
#define FORBIDDEN                                                            \
    "HTTP/1.1 403 Forbidden\r\n" PLAIN "X-Content-Type-Options: nosniff\r\n" \
    "Content-Length: 3\r\n"
#define BAD_REQUEST                                                     \
    "HTTP/1.1 400 Bad Request\r\n" PLAIN "Content-Length: 15\r\n" CLOSE \
    "\r\n400 Bad Request"

static const struct {
    const char *request;
    const char *answer;
    bool closed;
} cases[] = {
    {"GET /health HTTP/1.1\r\n" HOST "\r\n", NO_CONTENT, false},
    {"GET http://h/health HTTP/1.1\r\n" HOST "\r\n", NO_CONTENT, false},
    {"\r\nGET /health HTTP/1.1\r\n" HOST "\r\n", NO_CONTENT, false},
    {"GET /health HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
     "HTTP/1.1 204 No Content\r\n" CLOSE "\r\n", true},
    {"GET /close HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" CLOSE "\r\nbye", true},
    {"GET /304 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
     false},

    /* two at once, answered in order */
    {"GET /health HTTP/1.1\r\n" HOST "\r\nGET /stream HTTP/1.1\r\n" HOST "\r\n",
     NO_CONTENT "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "00000003\r\none\r\n00000005\r\nthree\r\n0\r\n\r\n",
     false},
    {"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
     "GET /health HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" NO_CONTENT, false},
    {"POST /early HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
     "GET /health HTTP/1.1\r\n" HOST "\r\n",
     FORBIDDEN "\r\nno\n" NO_CONTENT, false},
    {"GET /close HTTP/1.1\r\n" HOST "\r\nGET /health HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" CLOSE "\r\nbye", true},

    /* answers that stream */
    {"GET /trailers HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n\r\n"
     "00000001\r\nx\r\n0\r\nA: b\r\n\r\n",
     false},
    {"GET /known HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
    {"GET /short HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", true},
    {"GET /abort HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000002\r\nhe\r\n",
     true},

    /* HTTP/1.0 */
    {"GET /health HTTP/1.0\r\n\r\n", "HTTP/1.0 204 No Content\r\n\r\n", true},
    {"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n", false},
    {"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.0 200 OK\r\n\r\nonethree", true},
    {"GET /trailers HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\nTrailer: A\r\n\r\nx",
     true},
    {"GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n"
     "\r\nhello",
     false},

    /* HEAD */
    {"HEAD /early HTTP/1.1\r\n" HOST "\r\n", FORBIDDEN "\r\n", false},
    {"HEAD /stream HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\n\r\n", false},
    {"HEAD /short HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false},
    {"HEAD /health HTTP/1.1\r\n" HOST "\r\n", NO_CONTENT, false},

    /* headers and methods */
    {"GET /headers HTTP/1.1\r\n" HOST "X-Given:  v \r\n\r\n",
     "HTTP/1.1 200 OK\r\nX-B: 2\r\nX-AB: 5\r\nContent-Length: 1\r\n\r\nv",
     false},
    {"FOO /method HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 5\r\n\r\nFOO 0",
     false},
    {"PATCH /method HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nPATCH 5", false},
    {"SOURCE /method HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 8\r\n\r\nSOURCE 0",
     false},
    {"GET /method HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\n"
     "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nGET 1", false},
    {"CONNECT h:1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx",
     "HTTP/1.1 404 Not Found\r\n" PLAIN "X-Content-Type-Options: nosniff\r\n"
     "Content-Length: 19\r\n\r\n404 page not found\n",
     false},

    /* bodies */
    {"POST /echo HTTP/1.1\r\n" HOST "\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: dropped\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", false},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
     "Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" CLOSE "\r\nabc", true},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\nzz\r\n",
     "HTTP/1.1 400 Bad Request\r\n" PLAIN "X-Content-Type-Options: nosniff\r\n"
     "Content-Length: 7\r\n" CLOSE "\r\nframing",
     true},
    {"POST /early HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\n0\r\n\r\n",
     FORBIDDEN "\r\nno\n", false},

    /* expectations */
    {"POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
     "Content-Length: 0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false},
    {"POST /early HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
     "Content-Length: 5\r\n\r\n",
     FORBIDDEN CLOSE "\r\nno\n", true},
    {"POST /echo HTTP/1.1\r\n" HOST "Expect: a rabbit\r\n"
     "Content-Length: 5\r\n\r\n",
     "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n" CLOSE "\r\n",
     true},

    /* refusals */
    {"GET /health HTTP/1.1\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n" PLAIN "Content-Length: 45\r\n" CLOSE
     "\r\n400 Bad Request: missing required Host header",
     true},
    {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", BAD_REQUEST, true},
    {"\x16\x03\x01", BAD_REQUEST, true},
    {"GET /health HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", BAD_REQUEST, true},
    {"PRI * HTTP/2.0\r\n\r\n",
     "HTTP/1.1 505 HTTP Version Not Supported\r\n" PLAIN
     "Content-Length: 60\r\n" CLOSE
     "\r\n505 HTTP Version Not Supported: unsupported protocol version",
     true},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n",
     "HTTP/1.1 501 Not Implemented\r\n" PLAIN "Content-Length: 50\r\n" CLOSE
     "\r\n501 Not Implemented: unsupported transfer encoding",
     true},
};

static void
check_case(size_t i, size_t step)
{
    const char *request = cases[i].request;
    size_t len = strlen(request);
    int fd = dial();

    for (size_t at = 0; at < len; at += step)
        say_bytes(fd, request + at, MIN(step, len - at));
    expect(fd, cases[i].answer);
    if (cases[i].closed) {
        (void)shutdown(fd, SHUT_WR);
        expect_closed(fd);
        return;
    }
    say(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, NO_CONTENT);
    (void)close(fd);
}

static void
test_cases_at_splits(void **state)
{
    static const size_t steps[] = {1, 7, 1000};

    (void)state;
    fixture_start(on_request, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t s = 0; s < ARRAY_LEN(steps); s++)
            check_case(i, steps[s]);
    expect_connections(0);
    fixture_stop();
}

/* ---- longer conversations ------------------------------------------------ */

static void
test_many_requests_on_one_connection(void **state)
{
    struct buf all = {0};
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial();
    for (int i = 0; i < 2000; i++)
        buf_append_str(&all, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    say_bytes(fd, buf_data(&all), all.len);
    assert_int_equal(hear_away(fd, 2000 * (strlen(NO_CONTENT) + 37)),
                     2000 * (strlen(NO_CONTENT) + 37));
    (void)shutdown(fd, SHUT_WR);
    expect_closed(fd);
    buf_done(&all);
    fixture_stop();
}

static void
test_continue_is_sent_when_the_body_is_wanted(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial();
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\n");
    expect(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "hello");
    expect(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

    /* not when it is here already */
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\nhello");
    expect(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

    /* and not to a version that does not know it */
    say(fd, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\n");
    say(fd, "hello");
    expect(fd, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    expect_closed(fd);
    fixture_stop();
}

/* Say the head of a request to /early and `len` bytes of its body. */
static void
say_early(int fd, size_t promised, size_t len)
{
    struct buf text = {0};

    buf_appendf(&text,
                "POST /early HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                promised);
    memset(buf_reserve(&text, len), 'x', len);
    buf_commit(&text, len);
    say_bytes(fd, buf_data(&text), text.len);
    buf_done(&text);
}

static void
test_unread_body_is_drained(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial();
    say_early(fd, LIMIT_HTTP_DRAIN_BYTES, 1000);
    expect(fd, FORBIDDEN "\r\nno\n"); /* before all of the body was sent */
    for (size_t sent = 1000; sent < LIMIT_HTTP_DRAIN_BYTES; sent++)
        say_bytes(fd, "y", 1);
    say(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

static void
test_long_unread_body_closes_without_loss(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial();
    say_early(fd, LIMIT_HTTP_DRAIN_BYTES + 1, LIMIT_HTTP_DRAIN_BYTES + 1);
    expect(fd, FORBIDDEN CLOSE "\r\nno\n");
    say(fd, "still talking");
    (void)shutdown(fd, SHUT_WR);
    expect_closed(fd);

    /* the same for a length that shows only in the end */
    fd = dial();
    say(fd,
        "POST /early HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < LIMIT_HTTP_DRAIN_BYTES / 1024 + 1; i++) {
        static const char kib[1024 + 1] = {'x'};

        say(fd, "400\r\n");
        say_bytes(fd, kib, 1024);
        say(fd, "\r\n");
    }
    expect(fd, FORBIDDEN "\r\nno\n");
    (void)shutdown(fd, SHUT_WR);
    expect_closed(fd);
    fixture_stop();
}

static void
test_half_closed_client_is_answered(void **state)
{
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial();
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
            "GET /health HTTP/1.1\r\n" HOST "\r\n");
    (void)shutdown(fd, SHUT_WR);
    expect(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" NO_CONTENT);
    expect_closed(fd);

    /* a body that ends too early is an error of its own */
    fd = dial();
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell");
    (void)shutdown(fd, SHUT_WR);
    expect(fd, "HTTP/1.1 400 Bad Request\r\n" PLAIN
               "X-Content-Type-Options: nosniff\r\n"
               "Content-Length: 3\r\n" CLOSE "\r\ncut");
    expect_closed(fd);

    /* and so is a head */
    fd = dial();
    say(fd, "GET /health HTTP/1.1\r\nHo");
    (void)shutdown(fd, SHUT_WR);
    expect(fd, BAD_REQUEST);
    expect_closed(fd);
    fixture_stop();
}

/* A client that resets its connection inside the body it sends. */
static void
test_reset_cancels(void **state)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    fd = dial();
    say(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell");
    expect_connections(1);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    (void)close(fd);
    expect_log(" cancel");
    expect_connections(0);
    fixture_stop();
}

static void
test_head_limits(void **state)
{
    static const char too_large[] =
        "HTTP/1.1 431 Request Header Fields Too Large\r\n" PLAIN
        "Content-Length: 35\r\n" CLOSE "\r\n"
        "431 Request Header Fields Too Large";
    static const char start[] = "GET /health HTTP/1.1\r\n" HOST "A: ";
    struct buf head = {0};
    size_t fill = LIMIT_HTTP_HEAD_BYTES - (sizeof(start) - 1) - 4;
    int fd;

    (void)state;
    fixture_start(on_request, NULL);
    buf_append_str(&head, start);
    memset(buf_reserve(&head, fill), 'x', fill);
    buf_commit(&head, fill);
    fd = dial();
    say_bytes(fd, buf_data(&head), head.len);
    say(fd, "\r\n\r\n");
    expect(fd, NO_CONTENT); /* just fits */
    say_bytes(fd, buf_data(&head), head.len);
    say(fd, "x\r\n\r\n");
    expect(fd, too_large);
    (void)shutdown(fd, SHUT_WR);
    expect_closed(fd);
    buf_done(&head);

    fd = dial();
    say(fd, "GET /health HTTP/1.1\r\n");
    for (int i = 0; i < LIMIT_HTTP_HEADERS - 1; i++)
        say(fd, "A: b\r\n");
    say(fd, HOST "\r\n");
    expect(fd, NO_CONTENT);
    say(fd, "GET /health HTTP/1.1\r\n");
    for (int i = 0; i < LIMIT_HTTP_HEADERS; i++)
        say(fd, "A: b\r\n");
    say(fd, HOST "\r\n");
    expect(fd, too_large);
    (void)shutdown(fd, SHUT_WR);
    expect_closed(fd);
    fixture_stop();
}

static void
test_both_families_are_served(void **state)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6,
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int bound;

    (void)state;
    if (fd < 0)
        skip(); /* no IPv6 here */
    bound = bind(fd, (struct sockaddr *)&a, sizeof(a));
    (void)close(fd);
    if (bound < 0)
        skip();
    fixture_start(on_request, NULL);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin6_port = htons(fixture.port);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    say(fd, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    expect(fd, NO_CONTENT);
    (void)close(fd);
    fixture_stop();
}

static void
test_listen_refuses(void **state)
{
    struct loop *l = loop_new();
    struct http_server *s = http_server_new(l, on_request, NULL);
    uint16_t port;

    (void)state;
    assert_int_equal(http_server_listen(s, "localhost", 0, NULL), -EINVAL);
    assert_int_equal(http_server_listen(s, "203.0.113.1", 0, NULL),
                     -EADDRNOTAVAIL);
    assert_int_equal(http_server_listen(s, "127.0.0.1", 0, &port), 0);
    assert_int_not_equal(port, 0);
    assert_int_equal(http_server_listen(s, "127.0.0.1", port, NULL),
                     -EADDRINUSE);
    http_server_close(s);
    http_server_free(s);
    loop_free(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases_at_splits),
        cmocka_unit_test(test_many_requests_on_one_connection),
        cmocka_unit_test(test_continue_is_sent_when_the_body_is_wanted),
        cmocka_unit_test(test_unread_body_is_drained),
        cmocka_unit_test(test_long_unread_body_closes_without_loss),
        cmocka_unit_test(test_half_closed_client_is_answered),
        cmocka_unit_test(test_reset_cancels),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_both_families_are_served),
        cmocka_unit_test(test_listen_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
