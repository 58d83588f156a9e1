/*
 * Answers, whole and in every pair of pieces.
 */
#include "guest/http_answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/scope.h"
#include "guest/http_client.h"

#define BODY_MAX 16

struct example {
    const char *text;
    int result; /* of the feeding, 2: of the end behind it */
    unsigned int status;
    const char *body;
    bool keep;
};

#define HEAD "HTTP/1.1 200 OK\r\n"

static const struct example examples[] = {
    {HEAD "Content-Length: 5\r\n\r\nhello", 1, 200, "hello", true},
    {HEAD "content-length:5\t\r\nA: b\r\n\r\nhello", 1, 200, "hello", true},
    {HEAD "Content-Length: 0\r\n\r\n", 1, 200, "", true},
    {"HTTP/1.1 204 No Content\r\n\r\n", 1, 204, "", true},
    {"HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", 1, 404, "x", true},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 1, 200, "x", false},
    {HEAD "Content-Length: 1\r\nConnection: close\r\n\r\nx", 1, 200, "x",
     false},
    {HEAD "Content-Length: 1\r\nConnection: a, Close\r\n\r\nx", 1, 200, "x",
     false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n4;x=y\r\nabcd\r\n"
          "0\r\nTrailer: t\r\n\r\n",
     1, 200, "helloabcd", true},
    {"HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 1\r\n\r\nx", 1, 200,
     "x", true},
    {HEAD "\r\nup to the end", 2, 200, "up to the end", false},
    {HEAD "Content-Length: 16\r\n\r\n0123456789abcdef", 1, 200,
     "0123456789abcdef", true},

    {HEAD "Content-Length: 17\r\n\r\n", -EMSGSIZE, 200, NULL, false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n11\r\n", -EMSGSIZE, 200, NULL,
     false},
    {HEAD "\r\n0123456789abcdef0", -EMSGSIZE, 200, NULL, false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", -EPROTO, 200, NULL,
     false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\nx\r\n", -EPROTO, 200, NULL, false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n\r\n", -EPROTO, 200, NULL, false},
    {HEAD "Transfer-Encoding: gzip\r\n\r\n", -EPROTO, 200, NULL, false},
    {HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", -EPROTO, 200, NULL,
     false},
    {HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -EPROTO,
     200, NULL, false},
    {HEAD "Content-Length: -1\r\n\r\n", -EPROTO, 200, NULL, false},
    {HEAD "Content-Length: \r\n\r\n", -EPROTO, 200, NULL, false},
    {HEAD "no colon\r\n\r\n", -EPROTO, 200, NULL, false},
    {HEAD "Name : x\r\n\r\n", -EPROTO, 200, NULL, false},
    {HEAD " folded: x\r\n\r\n", -EPROTO, 200, NULL, false},
    {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", -EPROTO, 0, NULL, false},
    {"HTTP/2 200 OK\r\n\r\n", -EPROTO, 0, NULL, false},
    {"HTTP/1.1 2000\r\n\r\n", -EPROTO, 0, NULL, false},
    {"HTTP/1.1 600 x\r\n\r\n", -EPROTO, 0, NULL, false},
    {"HTTP/1.1 101 Switching\r\n\r\n", -EPROTO, 101, NULL, false},
    {"SSH-2.0-OpenSSH\r\n", -EPROTO, 0, NULL, false},
    {"\r\n", -EPROTO, 0, NULL, false},
    {HEAD "Content-Length: 2\r\n\r\nx", 0, 200, NULL, false},
    {HEAD "Content-Length", 0, 200, NULL, false},
};

static int
feed(struct http_answer *a, struct buf *in, const char *text, size_t len)
{
    buf_append(in, text, len);
    return http_answer_feed(a, in);
}

static void
try_example(const struct example *e, size_t cut)
{
    struct http_answer a = {0};
    struct buf in = {0};
    size_t len = strlen(e->text);
    int r;

    http_answer_begin(&a, BODY_MAX);
    r = feed(&a, &in, e->text, cut);
    if (r == 0)
        r = feed(&a, &in, e->text + cut, len - cut);
    if (e->result == 2) {
        assert_int_equal(r, 0);
        r = http_answer_end(&a);
        assert_int_equal(r, 1);
    } else {
        assert_int_equal(r, e->result);
    }
    if (r == 1) {
        assert_int_equal(a.keep, e->keep);
        assert_int_equal(in.len, 0);
        assert_int_equal(a.body.len, strlen(e->body));
        assert_memory_equal(buf_data(&a.body), e->body, a.body.len);
    } else {
        assert_true(http_answer_end(&a) < 0 || e->result < 0);
    }
    assert_int_equal(a.status, e->status);
    http_answer_done(&a);
    buf_done(&in);
}

static void
test_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++)
        for (size_t cut = 0; cut <= strlen(examples[i].text); cut++)
            try_example(&examples[i], cut);
}

/* What follows an answer stays where it is. */
static void
test_rest_stays(void **state)
{
    struct http_answer a = {0};
    struct buf in = {0};

    (void)state;
    http_answer_begin(&a, BODY_MAX);
    assert_int_equal(
        feed(&a, &in, HEAD "Content-Length: 1\r\n\r\nxHTTP", strlen(HEAD) + 26),
        1);
    assert_int_equal(in.len, 4);
    http_answer_done(&a);
    buf_done(&in);
}

/* A head without an end is cut off, however it is spread. */
static void
test_head_is_bounded(void **state)
{
    struct http_answer a = {0};
    struct buf in = {0};
    int r;

    (void)state;
    http_answer_begin(&a, BODY_MAX);
    r = feed(&a, &in, HEAD, strlen(HEAD));
    for (int i = 0; i < 10000 && r == 0; i++)
        r = feed(&a, &in, "Name: value\r\n", 13);
    assert_int_equal(r, -EMSGSIZE);
    http_answer_begin(&a, BODY_MAX);
    buf_reset(&in, 0);
    r = 0;
    for (int i = 0; i < 100000 && r == 0; i++)
        r = feed(&a, &in, "x", 1);
    assert_int_equal(r, -EMSGSIZE);
    http_answer_done(&a);
    buf_done(&in);
}

static void
test_targets(void **state)
{
    static const char *const bad[] = {
        "",
        "http://",
        "https://192.0.2.1/",
        "http://collector/logs",
        "http://192.0.2.1:/",
        "http://192.0.2.1:0/",
        "http://192.0.2.1:65536/",
        "http://192.0.2.1:8x/",
        "http://192.0.2.1x/",
        "http://user@192.0.2.1/",
        "http://[::1/",
        "http://[::1]x/",
        "http://::1/",
        "http://192.0.2.1/a b",
        "http://192.0.2.1/a\r\nX: y",
        "http://192.0.2.1?x",
        "http://192.0.2.1/#x",
        "http://192.0.2.1/\xff",
    };
    struct http_target t;
    const char *path;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(http_target_parse(bad[i], &t, &path), -EINVAL);
    assert_int_equal(http_target_parse("http://192.0.2.1/logs?a=b", &t, &path),
                     0);
    assert_string_equal(path, "/logs?a=b");
    assert_string_equal(t.host, "192.0.2.1");
    assert_int_equal(t.address.v4.sin_family, AF_INET);
    assert_int_equal(ntohs(t.address.v4.sin_port), 80);
    assert_int_equal(ntohl(t.address.v4.sin_addr.s_addr), 0xc0000201);
    assert_int_equal(http_target_parse("http://[2001:db8::1]:8080", &t, &path),
                     0);
    assert_string_equal(path, "");
    assert_string_equal(t.host, "[2001:db8::1]:8080");
    assert_int_equal(t.address.v6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(t.address.v6.sin6_port), 8080);
    assert_int_equal(t.address.v6.sin6_addr.s6_addr[0], 0x20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_rest_stays),
        cmocka_unit_test(test_head_is_bounded),
        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
