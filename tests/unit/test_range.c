/*
 * Ranges of bytes: what a header asks for, and how several are framed.
 */
#include "http/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "limits.h"

enum { SIZE = 20 };

static const struct {
    const char *header; /* NULL: absent */
    enum byte_ranges_kind kind;
    const char *ranges; /* as `first+len` */
} cases[] = {
    {NULL, BYTE_RANGES_WHOLE, ""},
    {"", BYTE_RANGES_WHOLE, ""},
    {"bytes=0-4", BYTE_RANGES_SOME, "0+5 "},
    {"bytes=5-", BYTE_RANGES_SOME, "5+15 "},
    {"bytes=-3", BYTE_RANGES_SOME, "17+3 "},
    {"bytes=-0", BYTE_RANGES_SOME, "20+0 "},
    {"bytes=-20", BYTE_RANGES_SOME, "0+20 "},
    {"bytes=-999", BYTE_RANGES_SOME, "0+20 "},
    {"bytes=0-19", BYTE_RANGES_SOME, "0+20 "},
    {"bytes=0-999", BYTE_RANGES_SOME, "0+20 "},
    {"bytes=19-19", BYTE_RANGES_SOME, "19+1 "},
    {"bytes= 2-3 ", BYTE_RANGES_SOME, "2+2 "},
    {"bytes=2 - 3", BYTE_RANGES_SOME, "2+2 "},
    {"bytes=+1-+2", BYTE_RANGES_SOME, "1+2 "},
    {"bytes=001-002", BYTE_RANGES_SOME, "1+2 "},
    {"bytes=0-1,5-6", BYTE_RANGES_SOME, "0+2 5+2 "},
    {"bytes=,,1-2, ", BYTE_RANGES_SOME, "1+2 "},
    {"bytes=5-6,0-1,5-6", BYTE_RANGES_SOME, "5+2 0+2 5+2 "},
    {"bytes=0-9,10-19", BYTE_RANGES_SOME, "0+10 10+10 "},
    /* What lies behind the end is left out while there is something else. */
    {"bytes=0-1,99-100", BYTE_RANGES_SOME, "0+2 "},
    {"bytes=99-100,-1", BYTE_RANGES_SOME, "19+1 "},
    {"bytes=20-", BYTE_RANGES_UNSATISFIABLE, ""},
    {"bytes=99-100,20-20", BYTE_RANGES_UNSATISFIABLE, ""},
    {"bytes=99-5", BYTE_RANGES_UNSATISFIABLE, ""},
    /* More than all. */
    {"bytes=0-9,5-19,3-4", BYTE_RANGES_WHOLE, ""},
    {"bytes=0-,0-", BYTE_RANGES_WHOLE, ""},
    {"bytes=0-,0-,0-,0-,-1", BYTE_RANGES_WHOLE, ""},
    {"bytes=", BYTE_RANGES_WHOLE, ""},
    {"bytes=,", BYTE_RANGES_WHOLE, ""},
    /* Numbers that do not fit lie behind the end. */
    {"bytes=0-99999999999999999999", BYTE_RANGES_SOME, "0+20 "},
    {"bytes=-99999999999999999999", BYTE_RANGES_SOME, "0+20 "},
    {"bytes=99999999999999999999-", BYTE_RANGES_UNSATISFIABLE, ""},
    {"bytes=1-9223372036854775807", BYTE_RANGES_SOME, "1+19 "},
    {"bytes=5-3", BYTE_RANGES_MALFORMED, ""},
    {"bytes=x-y", BYTE_RANGES_MALFORMED, ""},
    {"bytes=1", BYTE_RANGES_MALFORMED, ""},
    {"bytes=-", BYTE_RANGES_MALFORMED, ""},
    {"bytes=--2", BYTE_RANGES_MALFORMED, ""},
    {"bytes=1--2", BYTE_RANGES_MALFORMED, ""},
    {"bytes=1-2-3", BYTE_RANGES_MALFORMED, ""},
    {"bytes=1-2;x", BYTE_RANGES_MALFORMED, ""},
    {"bytes=0-1,x", BYTE_RANGES_MALFORMED, ""},
    {"bytes=0x1-2", BYTE_RANGES_MALFORMED, ""},
    {"bytes =0-1", BYTE_RANGES_MALFORMED, ""},
    {"Bytes=0-1", BYTE_RANGES_MALFORMED, ""},
    {"lines=0-1", BYTE_RANGES_MALFORMED, ""},
    {"0-1", BYTE_RANGES_MALFORMED, ""},
};

static void
test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct byte_ranges r = {0};
        char text[128] = "";
        size_t len = 0;
        enum byte_ranges_kind kind =
            byte_ranges_parse(str_from(cases[i].header), SIZE, &r);

        for (size_t n = 0; n < r.count; n++)
            len += (size_t)snprintf(text + len, sizeof(text) - len,
                                    "%lld+%lld ", (long long)r.list[n].first,
                                    (long long)r.list[n].len);
        if (kind != cases[i].kind || strcmp(text, cases[i].ranges) != 0)
            fail_msg("%s: %d %s", cases[i].header, (int)kind, text);
        byte_ranges_done(&r);
    }
}

/* There is nothing of which to send a part. */
static void
test_empty_content(void **state)
{
    static const char *const headers[] = {"bytes=0-1", "bytes=-1", "bytes=-0",
                                          "bytes=0-,5-"};
    struct byte_ranges r = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        assert_int_equal(byte_ranges_parse(str_from(headers[i]), 0, &r),
                         BYTE_RANGES_WHOLE);
    assert_int_equal(byte_ranges_parse(STR("bytes=x"), 0, &r),
                     BYTE_RANGES_MALFORMED);
}

static void
test_many(void **state)
{
    static char header[16 + 2 * 3 * LIMIT_HTTP_RANGES] = "bytes=-0";
    struct byte_ranges r = {0};
    size_t len = strlen(header);

    (void)state;
    for (int i = 1; i < LIMIT_HTTP_RANGES; i++)
        len += (size_t)sprintf(header + len, ",-0");
    assert_int_equal(byte_ranges_parse(str_from(header), SIZE, &r),
                     BYTE_RANGES_SOME);
    assert_int_equal(r.count, LIMIT_HTTP_RANGES);
    byte_ranges_done(&r);
    (void)sprintf(header + len, ",-0");
    assert_int_equal(byte_ranges_parse(str_from(header), SIZE, &r),
                     BYTE_RANGES_WHOLE);
}

static void
test_content_range(void **state)
{
    char text[CONTENT_RANGE_SIZE];
    const struct byte_range largest = {0, INT64_MAX};

    (void)state;
    content_range_format(&(struct byte_range){2, 3}, 20, text);
    assert_string_equal(text, "bytes 2-4/20");
    content_range_format(&(struct byte_range){20, 0}, 20, text);
    assert_string_equal(text, "bytes 20-19/20");
    content_range_format(NULL, 20, text);
    assert_string_equal(text, "bytes */20");
    content_range_format(&largest, INT64_MAX, text);
    assert_string_equal(text,
                        "bytes 0-9223372036854775806/9223372036854775807");
}

static void
test_frames(void **state)
{
    SCOPE(buf_done) struct buf out = {0};
    struct byte_range list[] = {{0, 2}, {17, 3}};
    struct byte_parts p = {.ranges = {list, 2},
                           .boundary = "B",
                           .type = "text/plain",
                           .size = SIZE};
    static const char wanted[] =
        "--B\r\nContent-Range: bytes 0-1/20\r\nContent-Type: text/plain\r\n\r\n"
        "\r\n--B\r\nContent-Range: bytes 17-19/20\r\nContent-Type: "
        "text/plain\r\n\r\n"
        "\r\n--B--\r\n";

    (void)state;
    for (size_t i = 0; i <= 2; i++)
        byte_parts_frame(&p, i, &out);
    buf_append_byte(&out, '\0');
    assert_string_equal((const char *)buf_data(&out), wanted);
    assert_int_equal(byte_parts_length(&p), sizeof(wanted) - 1 + 5);
}

static void
test_boundaries_differ(void **state)
{
    struct byte_parts a = {0};
    struct byte_parts b = {0};

    (void)state;
    byte_parts_init(&a);
    byte_parts_init(&b);
    assert_int_equal(strlen(a.boundary), BYTE_RANGES_BOUNDARY_SIZE - 1);
    assert_int_equal(strspn(a.boundary, "0123456789abcdef"),
                     BYTE_RANGES_BOUNDARY_SIZE - 1);
    assert_string_not_equal(a.boundary, b.boundary);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_empty_content),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_boundaries_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
