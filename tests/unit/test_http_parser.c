/*
 * Heads and chunked bodies: each case at every split, and the forms by which
 * one reader is led to see other messages than the next.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/scope.h"
#include "http/head.h"
#include "http/message.h"
#include "http/parser.h"
#include "limits.h"

#define FIELDS 16

static struct http_parser *parser;

static int
make_parser(void **state)
{
    (void)state;
    parser = http_parser_new();
    return 0;
}

static int
drop_parser(void **state)
{
    (void)state;
    http_parser_free(parser);
    return 0;
}

struct head_case {
    const char *text;
    int status;       /* 0: accepted */
    const char *what; /* method path query|headers, or the words of refusal */
};

#define HOST "Host: h\r\n"

static const struct head_case heads[] = {
    /* the request line */
    {"GET /health HTTP/1.1\r\n" HOST "\r\n", 0, "GET /health - 0"},
    {"GET /a?b=c?d HTTP/1.1\r\n" HOST "\r\n", 0, "GET /a b=c?d 0"},
    {"GET /a? HTTP/1.1\r\n" HOST "\r\n", 0, "GET /a  0"},
    {"GET / HTTP/1.0\r\n\r\n", 0, "GET / - 0 1.0 close"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0, "GET / - 0 1.0"},
    {"GET / HTTP/1.2\r\n" HOST "\r\n", 0, "GET / - 0"},
    {"GET http://x/health HTTP/1.1\r\n" HOST "\r\n", 0, "GET /health - 0"},
    {"GET http://x HTTP/1.1\r\n" HOST "\r\n", 0, "GET / - 0"},
    {"GET http://x?q HTTP/1.1\r\n" HOST "\r\n", 0, "GET / q 0"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, "OPTIONS * - 0"},
    {"FOO / HTTP/1.1\r\n" HOST "\r\n", 0, "FOO / - 0"},
    {"get / HTTP/1.1\r\n" HOST "\r\n", 0, "get / - 0"},
    {"M-SEARCH / HTTP/1.1\r\n" HOST "\r\n", 0, "M-SEARCH / - 0"},
    {"SOURCE / HTTP/1.1\r\n" HOST "\r\n", 0, "SOURCE / - 0"},
    {"CONNECT h:1 HTTP/1.1\r\n" HOST "\r\n", 0, "CONNECT  - 0"},
    {"GET /%41%e2 HTTP/1.1\r\n" HOST "\r\n", 0, "GET /%41%e2 - 0"},
    {"GET /a?%zz HTTP/1.1\r\n" HOST "\r\n", 0, "GET /a %zz 0"},
    {"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 0, "GET /\xc3\xa4 - 0"},
    {"GET /%4 HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /%", 0, ""},
    {"GET a HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET *a HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET x:y HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /  HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET / x HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400, NULL},
    {"GET\t/ HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /\x7f HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET /\r\n\r\n", 400, NULL},
    {"GET / http/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET / HTTP/1\r\n" HOST "\r\n", 400, NULL},
    {"GET / HTTP/11.1\r\n" HOST "\r\n", 400, NULL},
    {"GET / RTSP/1.0\r\n" HOST "\r\n", 400, NULL},
    {"G@T / HTTP/1.1\r\n" HOST "\r\n", 400, NULL},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", 505, "unsupported protocol version"},
    {"GET / HTTP/0.9\r\n" HOST "\r\n", 505, "unsupported protocol version"},
    {"PRI * HTTP/2.0\r\n\r\n", 505, "unsupported protocol version"},
    {"{\"a\":1}\r\n\r\n", -1, NULL},
    {"\x16\x03\x01", -1, NULL},
    {" GET / HTTP/1.1\r\n\r\n", -1, NULL},

    /* lines that could be seen to end elsewhere */
    {"GET / HTTP/1.1\n" HOST "\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\nHost: h\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\rHost: h\r\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\nA:\rB: c\r\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\nA: b\r\n\rX", -1, NULL},
    {"GET / HTTP/1.1\r\nA: b\r\r\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\n", -1, NULL},
    {"GET / HTTP/1.1\r\n\tHost: h\r\n\r\n", -1, NULL},

    /* headers */
    {"GET / HTTP/1.1\r\nhOST:  a b \t\r\nX:\r\n\r\n", 0, "GET / - 2 a b"},
    {"GET / HTTP/1.1\r\n\r\n", 400, "missing required Host header"},
    {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400, "too many Host headers"},
    {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\n" HOST "A B: c\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\n" HOST ": c\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\n" HOST "A\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n", 400, NULL},
    {"GET / HTTP/1.1\r\n" HOST "A: \xff\r\n\r\n", 0, "GET / - 2 h"},
    {"GET / HTTP/1.1\r\n" HOST "Connection: x, close\r\n\r\n", 0,
     "GET / - 0 close"},
    {"GET / HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\n"
     "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
     0, "GET / - 0"},
    {"CONNECT h:1 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n", 0,
     "CONNECT  - 2 body"},

    /* framing */
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 0,
     "POST / - 5 body"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 0, "POST / - 0"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\t5  \r\n\r\n", 0,
     "POST / - 5 body"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n",
     0, "POST / - 9223372036854775807 body"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
     "Content-Length: 6\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
     "Content-Length: 5\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n", 400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Content_Length: 5\r\n\r\n", 0, "POST / - 0"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 0,
     "POST / - -1 body chunked"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: CHUNKED \r\n\r\n", 0,
     "POST / - -1 body chunked"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
     "Content-Length: 5\r\n\r\n",
     0, "POST / - -1 body chunked close"},
    {"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     0, "POST / - -1 body chunked close"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", 400,
     NULL},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 501,
     "unsupported transfer encoding"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501,
     "unsupported transfer encoding"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n"
     "Content-Length: 5\r\n\r\n",
     501, "unsupported transfer encoding"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n"
     "Content-Length: 5\r\n\r\n",
     501, "unsupported transfer encoding"},
    {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400, NULL},
    {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400,
     NULL},

    /* expectations */
    {"POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n"
     "Content-Length: 1\r\n\r\n",
     0, "POST / - 1 body expect"},
    {"POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n", 0,
     "POST / - 0"},
    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", 0,
     "POST / - 1 body 1.0 close"},
    {"POST / HTTP/1.1\r\n" HOST "Expect: a rabbit\r\n\r\n", 417, NULL},
};

/* What a head says, in one line. */
static void
describe(const struct http_head *h, struct buf *out)
{
    const struct http_request *r = &h->request;

    buf_append(out, r->method_name.data, r->method_name.len);
    buf_append_byte(out, ' ');
    buf_append(out, r->path.data, r->path.len);
    buf_append_byte(out, ' ');
    if (r->query.data != NULL)
        buf_append(out, r->query.data, r->query.len);
    else
        buf_append_byte(out, '-');
    buf_append_byte(out, ' ');
    if (r->header_count == 2 && !h->chunked && r->content_length == 0 &&
        h->keep_alive && !str_eq(r->headers[1].name, "Connection") &&
        r->headers[1].name.len == 1) {
        buf_append_i64(out, (int64_t)r->header_count);
        buf_append_byte(out, ' ');
        buf_append(out, r->headers[0].value.data, r->headers[0].value.len);
    } else {
        buf_append_i64(out, r->content_length);
    }
    buf_append_str(out, r->has_body ? " body" : "");
    buf_append_str(out, h->chunked ? " chunked" : "");
    buf_append_str(out, h->expect_continue ? " expect" : "");
    buf_append_str(out, h->http_1_0 ? " 1.0" : "");
    buf_append_str(out, h->keep_alive ? "" : " close");
    buf_append_byte(out, '\0');
}

static void
check_head(const struct head_case *t, size_t step)
{
    struct http_header items[FIELDS];
    struct http_head_scan scan = {0};
    struct http_head head;
    struct buf said = {0};
    const char *why = NULL;
    size_t len = strlen(t->text);
    ptrdiff_t end = 0;
    int status = 0;
    /* An allocation of its exact size, so that no byte behind it is read. */
    char *text = malloc(len);

    assert_non_null(text);
    memcpy(text, t->text, len);
    for (size_t at = step; end == 0; at += step) {
        end = http_head_scan(&scan, text, MIN(at, len));
        if (at >= len)
            break;
    }
    if (end < 0) {
        status = -1;
    } else if (end > 0) {
        assert_int_equal(end, len);
        assert_true(scan.lines >= 1 && scan.lines - 1 <= FIELDS);
        status = http_head_parse(parser, (struct str){text, (size_t)end}, items,
                                 scan.lines - 1, &head, &why);
        if (status == 0)
            describe(&head, &said);
    } else {
        buf_append_byte(&said, '\0'); /* incomplete */
    }
    if (status != t->status)
        fail_msg("%s\nstep %zu: status %d", t->text, step, status);
    if (status == 0)
        assert_string_equal(buf_data(&said), t->what);
    else if (t->what != NULL)
        assert_string_equal(why, t->what);
    else
        assert_null(why);
    buf_done(&said);
    free(text);
}

static void
test_heads_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        for (size_t step = 1; step <= 24; step++)
            check_head(&heads[i], step);
}

static void
test_head_with_nul(void **state)
{
    const struct str texts[] = {
        STR("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
        STR("GET / HTTP/1.1\r\nHost: \0h\r\n\r\n"),
        STR("GET / HTTP/1.1\r\nHo\0st: h\r\n\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct http_header items[FIELDS];
        struct http_head_scan scan = {0};
        struct http_head head;
        const char *why;

        assert_int_equal(http_head_scan(&scan, texts[i].data, texts[i].len),
                         texts[i].len);
        assert_int_equal(
            http_head_parse(parser, texts[i], items, FIELDS, &head, &why), 400);
    }
}

/* The head ends at its empty line, whatever follows. */
static void
test_head_stops_before_body(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n\nrest";
    struct http_head_scan scan = {0};

    (void)state;
    assert_int_equal(http_head_scan(&scan, text, sizeof(text) - 1), 27);
    assert_int_equal(scan.lines, 2);
}

struct chunk_case {
    const char *text;
    const char *body; /* NULL: bad framing */
    size_t rest;      /* bytes behind the body */
};

static const struct chunk_case chunk_cases[] = {
    {"0\r\n\r\n", "", 0},
    {"5\r\nhello\r\n0\r\n\r\n", "hello", 0},
    {"05\r\nhello\r\n1\r\n!\r\n000\r\n\r\n", "hello!", 0},
    {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789",
     0},
    {"3\r\n\r\n\r\r\n0\r\n\r\n", "\r\n\r", 0},
    {"5;a=b\r\nhello\r\n0;x\r\n\r\n", "hello", 0},
    {"5;a;b=\"c d\"\r\nhello\r\n0\r\n\r\n", "hello", 0},
    {"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x", 0},
    {"1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", "x", 16},
    {"0\r\n\r\n0\r\n\r\n", "", 5},
    {"x", NULL, 0},
    {"\r\n", NULL, 0},
    {"-1\r\nx", NULL, 0},
    {"+1\r\nx", NULL, 0},
    {"0x1\r\nx", NULL, 0},
    {" 1\r\nx", NULL, 0},
    {"1 \r\nx", NULL, 0},
    {"1\nx\r\n0\r\n\r\n", NULL, 0},
    {"1\rx", NULL, 0},
    {"1\r\rx", NULL, 0},
    {"1\r\nxy\r\n", NULL, 0},
    {"1\r\nx\n0\r\n\r\n", NULL, 0},
    {"1\r\nx\r0\r\n\r\n", NULL, 0},
    {"1\r\nxXX0\r\n\r\n", NULL, 0},
    {"1;a\nx\r\n0\r\n\r\n", NULL, 0},
    {"0\r\n\rX", NULL, 0},
    {"0\r\n\n", NULL, 0},
    {"0\r\nA: b\r\n\n", NULL, 0},
    {"0\r\nA: b\n\r\n", NULL, 0},
    {"0\r\nA:\rB: c\r\n\r\n", NULL, 0},
    {"0\r\nA b: c\r\n\r\n", NULL, 0},
    {"0\r\nTransfer-Encoding: chunked\r\n\r\n", NULL, 0},
    {"10000000000000000\r\n", NULL, 0},
    {"fffffffffffffffff\r\n", NULL, 0},
};

/* Read `len` bytes in steps; returns the bytes taken or -errno. */
static ptrdiff_t
read_chunks(const char *text, size_t len, size_t step, struct buf *body)
{
    struct http_chunks *chunks = http_chunks_new(parser);
    size_t taken = 0;
    size_t given = 0;
    ptrdiff_t n = 0;

    while (n >= 0 && !http_chunks_done(chunks) && taken < len) {
        struct str piece;

        if (given == taken)
            given = MIN(taken + step, len);
        n = http_chunks_next(chunks, (const uint8_t *)text + taken,
                             given - taken, &piece);
        if (n < 0)
            break;
        assert_true((size_t)n <= given - taken);
        assert_true(piece.len == 0 ||
                    (piece.data >= text + taken &&
                     piece.data + piece.len <= text + taken + (size_t)n));
        if (piece.len > 0)
            buf_append(body, piece.data, piece.len);
        taken += (size_t)n;
    }
    if (n >= 0 && !http_chunks_done(chunks))
        n = -EAGAIN;
    http_chunks_free(chunks);
    return n < 0 ? n : (ptrdiff_t)taken;
}

static void
test_chunks_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chunk_cases); i++) {
        const struct chunk_case *t = &chunk_cases[i];
        size_t len = strlen(t->text);

        for (size_t step = 1; step <= len; step++) {
            struct buf body = {0};
            ptrdiff_t taken = read_chunks(t->text, len, step, &body);

            if (t->body == NULL && taken != -EBADMSG)
                fail_msg("%s\nstep %zu: %zd", t->text, step, taken);
            if (t->body != NULL) {
                if (taken != (ptrdiff_t)(len - t->rest))
                    fail_msg("%s\nstep %zu: %zd", t->text, step, taken);
                buf_append_byte(&body, '\0');
                assert_string_equal(buf_data(&body), t->body);
            }
            buf_done(&body);
        }
    }
}

/* A chunk may be huge; what is not body may not. */
static void
test_chunk_overhead_is_bounded(void **state)
{
    static const char starts[][24] = {"1;", "0\r\nA: ", "1;x=\"", "000000000"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct buf text = {0};
        struct buf body = {0};

        buf_append_str(&text, starts[i]);
        for (int n = 0; n < LIMIT_HTTP_HEAD_BYTES; n++)
            buf_append_byte(&text, '0');
        buf_append_byte(&text, '0');
        assert_int_equal(
            read_chunks((char *)buf_data(&text), text.len, 1000, &body),
            -EBADMSG);
        buf_done(&text);
        buf_done(&body);
    }
}

static void
test_chunk_size_up_to_64_bits(void **state)
{
    struct http_chunks *chunks = http_chunks_new(parser);
    static const char text[] = "ffffffffffffffff\r\nabc";
    struct str piece;

    (void)state;
    assert_int_equal(http_chunks_next(chunks, (const uint8_t *)text,
                                      sizeof(text) - 1, &piece),
                     sizeof(text) - 1);
    assert_int_equal(piece.len, 3);
    assert_false(http_chunks_done(chunks));
    http_chunks_free(chunks);
}

static void
test_dates(void **state)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
        {1798761599, "Thu, 31 Dec 2026 23:59:59 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT"},
        {INT64_MIN, "Mon, 01 Jan 0001 00:00:00 GMT"},
    };
    char text[HTTP_DATE_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        http_date_format(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void
test_words(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(204), "No Content");
    assert_string_equal(http_status_text(507), "Insufficient Storage");
    assert_string_equal(http_status_text(299), "Unknown");
    assert_int_equal(http_method_find(STR("PATCH")), HTTP_PATCH);
    assert_int_equal(http_method_find(STR("GE")), HTTP_OTHER);
    assert_int_equal(http_method_find(STR("get")), HTTP_OTHER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_at_every_split),
        cmocka_unit_test(test_head_with_nul),
        cmocka_unit_test(test_head_stops_before_body),
        cmocka_unit_test(test_chunks_at_every_split),
        cmocka_unit_test(test_chunk_overhead_is_bounded),
        cmocka_unit_test(test_chunk_size_up_to_64_bits),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, make_parser, drop_parser);
}
