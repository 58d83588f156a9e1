/* The three protocols as a client sees them: whole requests, whole answers. */
#include "call_fixture.h"

#include "connect/envelope.h"
#include "http/encoding.h"

#define JSON   "Content-Type: application/json\r\n"
#define PROTO  "Content-Type: application/proto\r\n"
#define CJSON  "Content-Type: application/connect+json\r\n"
#define CPROTO "Content-Type: application/connect+proto\r\n"
#define GRPC   "Content-Type: application/grpc\r\n"
#define GRPCJ  "Content-Type: application/grpc+json\r\n"
#define WEB    "Content-Type: application/grpc-web\r\n"

struct whole {
    const char *method, *headers;
    const char *body;
    size_t body_len;
    const char *in_head; /* one thing the head must have */
    const char *answer;
    size_t answer_len;
    const char *tail;
};

static const struct whole unary_cases[] = {
    {"Echo", JSON, BYTES("{\"cmd\":\"hi\"}"), "HTTP/1.1 200 OK\r\n",
     BYTES("{\"cmd\":\"hi\"}"), ""},
    {"Echo", JSON, BYTES("{}"), "\r\nContent-Type: application/json\r\n",
     BYTES("{}"), ""},
    {"Echo", JSON, BYTES("{}"), "\r\nAccept-Encoding: gzip\r\n", BYTES("{}"),
     ""},
    {"Echo", "Content-Type: Application/JSON ; charset=UTF-8\r\n", BYTES("{}"),
     "\r\nContent-Type: application/json; charset=utf-8\r\n", BYTES("{}"), ""},
    {"Echo", PROTO, BYTES("\n\2hi"), "\r\nContent-Type: application/proto\r\n",
     BYTES("\n\2hi"), ""},
    {"Echo", PROTO, BYTES(""), "HTTP/1.1 200 OK\r\n", BYTES(""), ""},
    {"Echo", JSON, BYTES(""), "HTTP/1.1 400 Bad Request\r\n",
     BYTES("{\"code\":\"invalid_argument\",\"message\":\"unmarshal message: "
           "zero-length payload is not a valid JSON object\"}"),
     ""},
    {"Fail", PROTO, BYTES("\n\1x"), "HTTP/1.1 404 Not Found\r\n",
     BYTES("{\"code\":\"not_found\",\"message\":\"no 'x'\",\"details\":["
           "{\"type\":\"a.B\",\"value\":\"AQ\"}]}"),
     ""},
    {"Fail", PROTO, BYTES(""), "\r\nContent-Type: application/json\r\n",
     BYTES("{\"code\":\"not_found\",\"message\":\"no ''\",\"details\":["
           "{\"type\":\"a.B\",\"value\":\"AQ\"}]}"),
     ""},
    {"Fail", JSON, BYTES("{}"), "\r\nX-Head: h\r\nTrailer-X-Tail: t\r\n",
     BYTES("{\"code\":\"not_found\",\"message\":\"no ''\",\"details\":["
           "{\"type\":\"a.B\",\"value\":\"AQ\"}]}"),
     ""},
    /* The gates, in their order. */
    {"Echo", "", BYTES("{}"), "HTTP/1.1 415 ", BYTES(""), ""},
    {"Echo", "Content-Type: application/connect+json\r\n", BYTES("{}"),
     ", application/json, application/json; charset=utf-8, "
     "application/proto\r\n",
     BYTES(""), ""},
    {"Echo", JSON "Connect-Timeout-Ms: abc\r\nContent-Encoding: br\r\n",
     BYTES("{}"), "HTTP/1.1 400 ",
     BYTES("{\"code\":\"invalid_argument\",\"message\":\"parse timeout: "
           "strconv.ParseInt: parsing \\\"abc\\\": invalid syntax\"}"),
     ""},
    {"Echo", JSON "Content-Encoding: br\r\nConnect-Protocol-Version: 2\r\n",
     BYTES("{}"), "HTTP/1.1 501 ",
     BYTES("{\"code\":\"unimplemented\",\"message\":\"unknown compression "
           "\\\"br\\\": supported encodings are gzip\"}"),
     ""},
    {"Echo", JSON "Connect-Protocol-Version: 2\r\n", BYTES("{"),
     "HTTP/1.1 400 ",
     BYTES("{\"code\":\"invalid_argument\",\"message\":"
           "\"Connect-Protocol-Version must be \\\"1\\\": got \\\"2\\\"\"}"),
     ""},
    {"Echo", JSON "Connect-Timeout-Ms: 0\r\n", BYTES("{}"), "HTTP/1.1 504 ",
     BYTES("{\"code\":\"deadline_exceeded\","
           "\"message\":\"context deadline exceeded\"}"),
     ""},
    {"Echo", JSON "Connect-Timeout-Ms: -1\r\n", BYTES("{}"), "HTTP/1.1 504 ",
     BYTES("{\"code\":\"deadline_exceeded\","
           "\"message\":\"context deadline exceeded\"}"),
     ""},
    {"Echo", JSON "Content-Encoding: gzip\r\n", BYTES("this is no gzip"),
     "HTTP/1.1 400 ",
     BYTES("{\"code\":\"invalid_argument\",\"message\":\"get decompressor: "
           "gzip: invalid header\"}"),
     ""},
    {"Echo", PROTO "Content-Encoding: gzip\r\n", BYTES(""), "HTTP/1.1 200 ",
     BYTES("\x1f\x8b\x08\0\0\0\0\0\x04\x03\x03\0\0\0\0\0\0\0\0\0"), ""},
};

static const struct whole stream_cases[] = {
    {"Follow", CJSON, BYTES("\0\0\0\0\x0c{\"cmd\":\"hi\"}"),
     "\r\nConnect-Accept-Encoding: gzip\r\n"
     "Content-Type: application/connect+json\r\n"
     "Transfer-Encoding: chunked\r\n",
     BYTES("\0\0\0\0\x0f{\"cmd\":\"first\"}"
           "\2\0\0\0\x1d{\"metadata\":{\"X-Tail\":[\"t\"]}}"),
     ""},
    {"Follow", CPROTO, BYTES("\0\0\0\0\4\n\2hi"),
     "\r\nContent-Type: application/connect+proto\r\n",
     BYTES("\0\0\0\0\7\n\5first"
           "\2\0\0\0\x1d{\"metadata\":{\"X-Tail\":[\"t\"]}}"),
     ""},
    {"Follow", CJSON, BYTES("\0\0\0\0\x0e{\"cmd\":\"fail\"}"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x2f{\"error\":{\"code\":\"not_found\","
           "\"message\":\"none\"}}"),
     ""},
    /* No bytes are the empty message, in JSON too. */
    {"Follow", CJSON, BYTES("\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\0\0\0\0\x0f{\"cmd\":\"first\"}"
           "\2\0\0\0\x1d{\"metadata\":{\"X-Tail\":[\"t\"]}}"),
     ""},
    {"Follow", CJSON, BYTES(""), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x4e{\"error\":{\"code\":\"unimplemented\","
           "\"message\":\"unary request has zero messages\"}}"),
     ""},
    {"Follow", CJSON, BYTES("\2\0\0\0\2{}"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x4e{\"error\":{\"code\":\"unimplemented\","
           "\"message\":\"unary request has zero messages\"}}"),
     ""},
    {"Follow", CJSON, BYTES("\0\0\0\0\0\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x52{\"error\":{\"code\":\"unimplemented\","
           "\"message\":\"unary request has multiple messages\"}}"),
     ""},
    {"Follow", CJSON, BYTES("\0\0"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x65{\"error\":{\"code\":\"invalid_argument\","
           "\"message\":\"protocol error: incomplete envelope: unexpected "
           "EOF\"}}"),
     ""},
    {"Follow", CJSON, BYTES("\0\0\0\0\x11{}"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x75{\"error\":{\"code\":\"invalid_argument\","
           "\"message\":\"protocol error: promised 17 bytes in enveloped "
           "message, got 2 bytes\"}}"),
     ""},
    {"Follow", CJSON, BYTES("\2\0\0\0\2{}abc"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x5d{\"error\":{\"code\":\"internal\","
           "\"message\":\"corrupt response: 3 extra bytes after end of "
           "stream\"}}"),
     ""},
    {"Follow", CJSON "Connect-Content-Encoding: br\r\n", BYTES(""),
     "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x67{\"error\":{\"code\":\"unimplemented\","
           "\"message\":\"unknown compression \\\"br\\\": supported encodings "
           "are gzip\"}}"),
     ""},
    {"Follow", CJSON "Connect-Timeout-Ms: 0\r\n", BYTES("\0\0\0\0\0"),
     "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x4c{\"error\":{\"code\":\"deadline_exceeded\","
           "\"message\":\"context deadline exceeded\"}}"),
     ""},
    {"Follow", JSON, BYTES("{}"),
     "Accept-Post: application/connect+json, "
     "application/connect+json; charset=utf-8, application/connect+proto, ",
     BYTES(""), ""},
    {"Collect", CJSON, BYTES(""), "HTTP/1.1 200 ",
     BYTES("\0\0\0\0\x0b{\"cmd\":\"0\"}\2\0\0\0\2{}"), ""},
    {"Collect", CJSON, BYTES("\0\0\0\0\2{}\0\0\0\0\0\2\0\0\0\2{}"),
     "HTTP/1.1 200 ", BYTES("\0\0\0\0\x0b{\"cmd\":\"2\"}\2\0\0\0\2{}"), ""},
    {"Collect", CJSON,
     BYTES("\0\0\0\0\x0f{\"cmd\":\"blink\"}\0\0\0\0\x0f{\"cmd\":\"blink\"}"),
     "HTTP/1.1 200 ", BYTES("\0\0\0\0\x0b{\"cmd\":\"2\"}\2\0\0\0\2{}"), ""},
    {"Collect", CJSON,
     BYTES("\0\0\0\0\x0e{\"cmd\":\"fail\"}\0\0\0\0\x0e{\"cmd\":\"fail\"}"),
     "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x2f{\"error\":{\"code\":\"aborted\","
           "\"message\":\"enough\"}}"),
     ""},
    {"Talk", CPROTO, BYTES("\0\0\0\0\0\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\0\0\0\0\3\n\0012\0\0\0\0\3\n\0012\2\0\0\0\2{}"), ""},
};

/* What the handler of a client stream says before a broken input's error. */
static const struct whole input_cases[] = {
    {"Collect", CJSON, BYTES("\0\0\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x80{\"error\":{\"code\":\"unknown\",\"message\":\"error "
           "collecting: invalid_argument: protocol error: incomplete envelope: "
           "unexpected EOF\"}}"),
     ""},
    {"Collect", CJSON, BYTES("\4\0\0\0\2{}"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x6d{\"error\":{\"code\":\"unknown\",\"message\":\"error "
           "collecting: internal: protocol error: invalid envelope flags "
           "4\"}}"),
     ""},
    {"Collect", CJSON, BYTES("\1\0\0\0\2{}"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x88{\"error\":{\"code\":\"unknown\",\"message\":\"error "
           "collecting: internal: protocol error: sent compressed message "
           "without compression support\"}}"),
     ""},
    {"Collect", CJSON, BYTES("\2\0\0\0\2{}abc"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x78{\"error\":{\"code\":\"unknown\",\"message\":\"error "
           "collecting: internal: corrupt response: 3 extra bytes after end of "
           "stream\"}}"),
     ""},
    {"Collect", CPROTO, BYTES("\0\0\1\x86\xa1"), "HTTP/1.1 200 ",
     BYTES("\2\0\0\0\x7d{\"error\":{\"code\":\"unknown\",\"message\":\"error "
           "collecting: resource_exhausted: message size 100001 exceeds limit "
           "100000 bytes\"}}"),
     ""},
};

static const struct whole grpc_cases[] = {
    {"Echo", GRPC, BYTES("\0\0\0\0\4\n\2hi"),
     "\r\nGrpc-Accept-Encoding: gzip\r\nContent-Type: application/grpc\r\n"
     "Transfer-Encoding: chunked\r\n",
     BYTES("\0\0\0\0\4\n\2hi"), "Grpc-Status: 0\r\n"},
    {"Echo", GRPCJ, BYTES("\0\0\0\0\2{}"),
     "\r\nContent-Type: application/grpc+json\r\n", BYTES("\0\0\0\0\2{}"),
     "Grpc-Status: 0\r\n"},
    {"Echo", GRPC, BYTES(""), "HTTP/1.1 200 ", BYTES(""),
     "Grpc-Status: 12\r\nGrpc-Message: unary request has zero messages\r\n"},
    {"Echo", GRPC, BYTES("\2\0\0\0\0"), "HTTP/1.1 200 ", BYTES(""),
     "Grpc-Status: 13\r\n"
     "Grpc-Message: protocol error: invalid envelope flags 2\r\n"},
    {"Echo", GRPC "Grpc-Timeout: 5x\r\n", BYTES("\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES(""),
     "Grpc-Status: 3\r\n"
     "Grpc-Message: protocol error: timeout has invalid unit 'x'\r\n"},
    {"Echo", GRPC "Grpc-Encoding: br\r\n", BYTES("\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES(""),
     "Grpc-Status: 12\r\nGrpc-Message: unknown compression \"br\": supported "
     "encodings are gzip\r\n"},
    {"Fail", GRPC, BYTES("\0\0\0\0\4\n\2%\n"), "\r\nX-Head: h\r\n", BYTES(""),
     "Grpc-Status: 5\r\nGrpc-Message: no '%25%0A'\r\n"
     "Grpc-Status-Details-Bin: CAUSB25vICclCicaHAoXdHlwZS5nb29nbGVhcGlzLmNvbS"
     "9hLkISAQE\r\nX-Tail: t\r\n"},
    {"Follow", GRPC, BYTES("\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\0\0\0\0\7\n\5first"), "Grpc-Status: 0\r\nX-Tail: t\r\n"},
    {"Collect", GRPC, BYTES("\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\0\0\0\0\3\n\0011"), "Grpc-Status: 0\r\n"},
    {"Echo", WEB, BYTES("\0\0\0\0\4\n\2hi"),
     "\r\nContent-Type: application/grpc-web\r\n",
     BYTES("\0\0\0\0\4\n\2hi\x80\0\0\0\x10grpc-status: 0\r\n"), ""},
    /* Nothing was sent: the status stands in the head. */
    {"Follow", WEB, BYTES("\0\0\0\0\6\n\4fail"),
     "\r\nContent-Type: application/grpc-web\r\nGrpc-Status: 5\r\n"
     "Grpc-Message: none\r\n",
     BYTES(""), ""},
    {"Follow", WEB, BYTES("\0\0\0\0\0"), "HTTP/1.1 200 ",
     BYTES("\0\0\0\0\7\n\5first\x80\0\0\0\x1bgrpc-status: 0\r\nx-tail: t\r\n"),
     ""},
};

static const struct whole refuse_cases[] = {
    {"Echo", "X-Refuse: 1\r\n" JSON, BYTES("{}"),
     "HTTP/1.1 401 Unauthorized\r\n",
     BYTES("{\"code\":\"unauthenticated\",\"message\":\"invalid username: "
           "'x'\"}"),
     ""},
    {"None", "X-Refuse: 1\r\n", BYTES(""),
     "\r\nContent-Type: application/json\r\n",
     BYTES("{\"code\":\"unauthenticated\",\"message\":\"invalid username: "
           "'x'\"}"),
     ""},
    {"Follow", "X-Refuse: 1\r\n" CPROTO, BYTES(""), "HTTP/1.1 200 OK\r\nDate: ",
     BYTES("\2\0\0\0\x46{\"error\":{\"code\":\"unauthenticated\","
           "\"message\":\"invalid username: 'x'\"}}"),
     ""},
    {"Follow", "X-Refuse: 1\r\n" CJSON, BYTES(""),
     "\r\nContent-Type: application/connect+json\r\nContent-Length: 75\r\n",
     BYTES("\2\0\0\0\x46{\"error\":{\"code\":\"unauthenticated\","
           "\"message\":\"invalid username: 'x'\"}}"),
     ""},
    {"Echo", "X-Refuse: 1\r\n" GRPC, BYTES(""),
     "\r\nContent-Type: application/grpc\r\n"
     "Trailer: Grpc-Message, Grpc-Status\r\n",
     BYTES(""), "Grpc-Status: 16\r\nGrpc-Message: invalid username: 'x'\r\n"},
    {"Echo", "X-Refuse: 1\r\n" WEB, BYTES(""),
     "\r\nContent-Type: application/grpc-web\r\nGrpc-Status: 16\r\n"
     "Grpc-Message: invalid username: 'x'\r\nContent-Length: 0\r\n",
     BYTES(""), ""},
};

static void
check_whole(const struct whole *w)
{
    struct answer a;

    hear(post(w->method, w->headers, w->body, w->body_len), &a);
    expect_answer(&a, w->in_head, w->answer, w->answer_len);
    assert_string_equal(a.tail, w->tail);
    answer_done(&a);
}

static void
test_unary(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(unary_cases); i++)
        check_whole(&unary_cases[i]);
    expect_log("");
}

static void
test_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stream_cases); i++)
        check_whole(&stream_cases[i]);
    expect_log("");
}

static void
test_broken_input(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(input_cases); i++) {
        check_whole(&input_cases[i]);
        expect_log(" bad-input");
    }
}

static void
test_grpc(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(grpc_cases); i++)
        check_whole(&grpc_cases[i]);
}

static void
test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refuse_cases); i++)
        check_whole(&refuse_cases[i]);
}

/* Methods and paths, on one connection that is kept. */
static void
test_routes(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "GET /test.Test/Hang HTTP/1.1\r\nHost: t\r\n\r\n");
    expect(fd, "HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n"
               "Content-Length: 0\r\n\r\n");
    say(fd, "PUT /test.Test/Echo HTTP/1.1\r\nHost: t\r\n"
            "Content-Length: 0\r\n\r\n");
    expect(fd, "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, POST\r\n"
               "Content-Length: 0\r\n\r\n");
    for (size_t i = 0; i < 4; i++) {
        static const char *const unknown[] = {
            "/test.Test/echo", "/test.Test/Echo/", "/test.Tes/Echo", "/"};
        char line[100];

        (void)snprintf(line, sizeof(line),
                       "POST %s HTTP/1.1\r\nHost: t\r\nContent-Length: "
                       "0\r\n\r\n",
                       unknown[i]);
        say(fd, line);
        expect(fd, "HTTP/1.1 404 Not Found\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\n"
                   "X-Content-Type-Options: nosniff\r\n"
                   "Content-Length: 19\r\n\r\n404 page not found\n");
    }
    (void)close(fd);
}

static void
test_get(void **state)
{
    static const struct {
        const char *query, *answer;
    } cases[] = {
        {"connect=v1&encoding=json&message=%7B%22cmd%22%3A%22a+b%22%7D",
         "HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\n"
         "Accept-Encoding: gzip\r\nContent-Type: application/json\r\n"
         "Content-Length: 13\r\n\r\n{\"cmd\":\"a b\"}"},
        /* base64url, unpadded: a message with 0xfb 0xff in its text */
        {"encoding=proto&base64=1&message=CgT0j7-_",
         "HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\n"
         "Accept-Encoding: gzip\r\nContent-Type: application/proto\r\n"
         "Content-Length: 6\r\n\r\n\n\4\xf4\x8f\xbf\xbf"},
        {"encoding=xml&message=",
         "HTTP/1.1 415 Unsupported Media Type\r\nAccept-Post: "
         "application/grpc, application/grpc+json, application/grpc+json; "
         "charset=utf-8, application/grpc+proto, application/grpc-web, "
         "application/grpc-web+json, application/grpc-web+json; "
         "charset=utf-8, application/grpc-web+proto, application/json, "
         "application/json; charset=utf-8, application/proto\r\n"
         "Content-Length: 0\r\n\r\n"},
        {"encoding=json",
         "HTTP/1.1 400 Bad Request\r\nVary: Accept-Encoding\r\n"
         "Accept-Encoding: gzip\r\nContent-Type: application/json\r\n"
         "Content-Length: 65\r\n\r\n{\"code\":\"invalid_argument\","
         "\"message\":\"missing message parameter\"}"},
        {"connect=v2&encoding=json&message={}",
         "HTTP/1.1 400 Bad Request\r\nVary: Accept-Encoding\r\n"
         "Accept-Encoding: gzip\r\nContent-Type: application/json\r\n"
         "Content-Length: 74\r\n\r\n{\"code\":\"invalid_argument\","
         "\"message\":\"connect must be \\\"v1\\\": got \\\"v2\\\"\"}"},
    };
    int fd = dial();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[200];

        (void)snprintf(line, sizeof(line),
                       "GET /test.Test/Echo?%s HTTP/1.1\r\nHost: t\r\n\r\n",
                       cases[i].query);
        say(fd, line);
        expect(fd, cases[i].answer);
    }
    (void)close(fd);
}

/* A message both ways in gzip, unary and enveloped. */
static void
test_compression(void **state)
{
    static const uint8_t plain[] = "\n\5hello";
    SCOPE(buf_done) struct buf packed = {0};
    SCOPE(buf_done) struct buf enveloped = {0};
    SCOPE(buf_done) struct buf back = {0};
    struct status st = {0};
    struct answer a;
    struct envelope e;
    size_t at = envelope_open(&enveloped);

    (void)state;
    assert_int_equal(gzip_deflate_all(plain, 7, &packed), 0);
    hear(post("Echo", PROTO "Content-Encoding: gzip\r\n", buf_data(&packed),
              packed.len),
         &a);
    assert_non_null(strstr(a.head, "\r\nContent-Encoding: gzip\r\n"));
    assert_int_equal(
        gzip_inflate_all(buf_data(&a.body), a.body.len, 100, &back), GZIP_FINE);
    assert_int_equal(back.len, 7);
    assert_memory_equal(buf_data(&back), plain, 7);
    answer_done(&a);

    buf_append(&enveloped, buf_data(&packed), packed.len);
    assert_int_equal(envelope_close(&enveloped, at, ENVELOPE_COMPRESSED, &st),
                     0);
    hear(post("Follow", CPROTO "Connect-Content-Encoding: gzip\r\n",
              buf_data(&enveloped), enveloped.len),
         &a);
    assert_non_null(strstr(a.head, "\r\nConnect-Content-Encoding: gzip\r\n"));
    for (int i = 0; i < 2; i++) {
        static const struct envelope_rules rules = {
            .gzip = true, .end_flag = ENVELOPE_END_STREAM, .max = 1000};
        static const char *const want[] = {
            "\n\5first", "{\"metadata\":{\"X-Tail\":[\"t\"]}}"};

        assert_int_equal(
            envelope_read(&rules, buf_data(&a.body), a.body.len, &e, &st),
            ENVELOPE_ONE);
        assert_int_equal(e.flags, i == 0 ? 1 : 3);
        buf_reset(&back, 1000);
        assert_int_equal(gzip_inflate_all(e.data, e.len, 100, &back),
                         GZIP_FINE);
        assert_int_equal(back.len, strlen(want[i]));
        assert_memory_equal(buf_data(&back), want[i], back.len);
        buf_consume(&a.body, ENVELOPE_PREFIX_LEN + e.len);
    }
    assert_int_equal(a.body.len, 0);
    answer_done(&a);
}

/* Sizes are refused on sight: declared, gathered, promised, inflated. */
static void
test_limits(void **state)
{
    static uint8_t zeros[MESSAGE_MAX + 2];
    static const char known[] =
        "{\"code\":\"resource_exhausted\",\"message\":\"message size 100001 "
        "exceeds limit 100000 bytes\"}";
    static const char inflated[] =
        "{\"code\":\"resource_exhausted\",\"message\":\"message size exceeds "
        "limit 100000 bytes\"}";
    SCOPE(buf_done) struct buf packed = {0};
    struct answer a;
    int fd;

    (void)state;
    /* The client that asks first is told before it sends a byte. */
    hear(begin("Echo", JSON "Content-Length: 100001\r\n"
                            "Expect: 100-continue\r\n"),
         &a);
    expect_answer(&a, "HTTP/1.1 429 ", BYTES(known));
    answer_done(&a);

    fd = begin("Echo", PROTO "Transfer-Encoding: chunked\r\n");
    say(fd, "186a1\r\n");
    say_bytes(fd, zeros, MESSAGE_MAX + 1);
    hear(fd, &a);
    expect_answer(&a, "HTTP/1.1 429 ", BYTES(known));
    answer_done(&a);

    assert_int_equal(gzip_deflate_all(zeros, MESSAGE_MAX + 1, &packed), 0);
    hear(post("Echo", PROTO "Content-Encoding: gzip\r\n", buf_data(&packed),
              packed.len),
         &a);
    expect_answer(&a, "HTTP/1.1 429 ", BYTES(inflated));
    answer_done(&a);

    /* As large as allowed. */
    memset(zeros, ' ', MESSAGE_MAX);
    memcpy(zeros, "{}", 2);
    hear(post("Echo", JSON, zeros, MESSAGE_MAX), &a);
    expect_answer(&a, "HTTP/1.1 200 ", BYTES("{}"));
    answer_done(&a);
    memset(zeros, 0, sizeof(zeros));
}

/* A body that ends too early, by the framing of HTTP. */
static void
test_cut_bodies(void **state)
{
    static const struct {
        const char *method, *headers, *body, *error;
    } cases[] = {
        {"Echo", JSON "Content-Length: 5\r\n", "{}",
         "{\"code\":\"unknown\",\"message\":\"read message: unexpected "
         "EOF\"}"},
        {"Echo", JSON "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\nzz\r\n",
         "{\"code\":\"unknown\",\"message\":\"read message: malformed chunked "
         "encoding\"}"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = begin(cases[i].method, cases[i].headers);
        struct answer a;

        say(fd, cases[i].body);
        (void)shutdown(fd, SHUT_WR);
        hear(fd, &a);
        expect_answer(&a, "HTTP/1.1 500 ", cases[i].error,
                      strlen(cases[i].error));
        answer_done(&a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_broken_input), cmocka_unit_test(test_grpc),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_routes),
        cmocka_unit_test(test_get),          cmocka_unit_test(test_compression),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_cut_bodies),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
