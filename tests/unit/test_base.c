/*
 * base/: buffers, strings, numbers, UTF-8, arenas, statuses, time stamps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/scope.h"
#include "base/status.h"
#include "base/str.h"
#include "base/utf8.h"
#include "limits.h"

static void
test_buf_appends_and_consumes(void **state)
{
    SCOPE(buf_done) struct buf b = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_appendf(&b, "%d,", i);
    assert_false(b.failed);
    assert_memory_equal(buf_data(&b), "0,1,2,3,", 8);
    buf_consume(&b, 8);
    assert_memory_equal(buf_data(&b), "4,5,", 4);
    buf_truncate(&b, 4);
    assert_int_equal(b.len, 4);
    buf_consume(&b, 4);
    assert_int_equal(b.off, 0);
}

static void
test_buf_reuses_its_front(void **state)
{
    SCOPE(buf_done) struct buf b = {0};
    char piece[100];

    (void)state;
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 100000; i++) {
        buf_append(&b, piece, sizeof(piece));
        if (b.len > 1000)
            buf_consume(&b, b.len - 10);
    }
    assert_true(b.cap <= 8192);
}

static void
test_buf_numbers(void **state)
{
    SCOPE(buf_done) struct buf b = {0};

    (void)state;
    buf_append_i64(&b, INT64_MIN);
    buf_append_byte(&b, ' ');
    buf_append_i64(&b, -1);
    buf_append_byte(&b, ' ');
    buf_append_u64(&b, UINT64_MAX);
    buf_append_byte(&b, '\0');
    assert_string_equal((char *)buf_data(&b),
                        "-9223372036854775808 -1 18446744073709551615");
}

static void
test_buf_failure_sticks(void **state)
{
    SCOPE(buf_done) struct buf b = {0};

    (void)state;
    buf_append_str(&b, "kept");
    assert_null(buf_reserve(&b, SIZE_MAX - 2));
    buf_append_str(&b, "dropped");
    assert_true(b.failed);
    assert_int_equal(b.len, 4);
    buf_reset(&b, 4096);
    assert_false(b.failed);
}

static void
test_integers(void **state)
{
    static const struct {
        const char *text;
        int result;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"+7", 0, 7},
        {"-7", 0, -7},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", -ERANGE, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"-9223372036854775809", -ERANGE, INT64_MIN},
        {"99999999999999999999999", -ERANGE, INT64_MAX},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"99999999999999999999999x", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 0;

        assert_int_equal(str_to_i64(str_from(cases[i].text), &value),
                         cases[i].result);
        assert_true(value == cases[i].value);
    }
}

static void
test_strings(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), "abc"));
    assert_false(str_eq(STR("abc"), "abcd"));
    assert_false(str_eq((struct str){0}, ""));
    assert_true(str_eq(STR(""), ""));
    assert_true(str_eq_nocase(STR("gZip"), "GzIP"));
    assert_true(str_starts(STR("from=12"), "from="));
    assert_false(str_starts(STR("fro"), "from="));
    assert_true(str_eq(str_trim(STR(" \t a b\t ")), "a b"));
    assert_int_equal(str_trim(STR("  ")).len, 0);
}

static void
test_utf8_rules(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain", true},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
        {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xc3", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xe2\x82", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"long enough to be read in words, then\xe2\x82", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(utf8_valid(cases[i].text, strlen(cases[i].text)),
                         cases[i].valid);
}

static void
test_utf8_floor_cuts_at_characters(void **state)
{
    const char *text = "a\xe2\x82\xac";

    (void)state;
    assert_int_equal(utf8_floor(text, 4), 4);
    assert_int_equal(utf8_floor(text, 3), 1);
    assert_int_equal(utf8_floor(text, 2), 1);
    assert_int_equal(utf8_floor(text, 1), 1);
    assert_int_equal(utf8_floor(text, 0), 0);
}

static void
test_utf8_sanitize(void **state)
{
    SCOPE(scope_free) char *text = utf8_sanitize("a\xff\xe2\x82z");

    (void)state;
    assert_string_equal(text, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
}

static void
test_utf8_encode_round_trip(void **state)
{
    static const uint32_t codes[] = {0x24,    0x7f,    0x80,    0x7ff,
                                     0x800,   0xd7ff,  0xe000,  0xffff,
                                     0x10000, 0x1f600, 0x10ffff};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char out[4];
        size_t len = utf8_encode(codes[i], out);

        assert_int_equal(utf8_char_len(out, len), len);
    }
}

static void
test_arena(void **state)
{
    struct arena a;
    char *first;

    (void)state;
    arena_init(&a, 10000);
    first = arena_alloc(&a, 10);
    memset(first, 1, 10);
    for (int i = 0; i < 200; i++) {
        char *p = arena_alloc(&a, 33);

        if (p == NULL)
            break;
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 2, 33);
    }
    assert_int_equal(first[9], 1);
    assert_null(arena_alloc(&a, 20000));
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_done(&a);
    assert_non_null(arena_alloc(&a, 5000));
    arena_done(&a);
}

static void
test_status_texts(void **state)
{
    SCOPE(status_done) struct status st = {0};

    (void)state;
    assert_int_equal(status_errno(&st, RPC_NOT_FOUND, ENOENT, "lstat %s", "/x"),
                     -1);
    assert_int_equal(st.code, RPC_NOT_FOUND);
    assert_string_equal(status_message(&st),
                        "lstat /x: no such file or directory");
    assert_string_equal(rpc_code_name(st.code), "not_found");
    (void)status_set(&st, RPC_INTERNAL, "%s", "");
    assert_string_equal(status_message(&st), "");
}

static void
test_status_is_cut_at_a_character(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *text = malloc(3 * LIMIT_RPC_ERROR_TEXT_BYTES + 1);

    (void)state;
    for (size_t i = 0; i < LIMIT_RPC_ERROR_TEXT_BYTES; i++)
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    text[3 * LIMIT_RPC_ERROR_TEXT_BYTES] = '\0';
    (void)status_set(&st, RPC_INTERNAL, "%s", text);
    assert_true(strlen(st.message) <= LIMIT_RPC_ERROR_TEXT_BYTES);
    assert_true(utf8_valid(st.message, strlen(st.message)));
}

static void
test_errno_texts(void **state)
{
    static const struct {
        int err;
        const char *text;
    } cases[] = {
        {ENOENT, "no such file or directory"},
        {ENOTDIR, "not a directory"},
        {EEXIST, "file exists"},
        {EACCES, "permission denied"},
        {EPERM, "operation not permitted"},
        {EINVAL, "invalid argument"},
        {ENOTEMPTY, "directory not empty"},
        {EXDEV, "invalid cross-device link"},
        {ENAMETOOLONG, "file name too long"},
        {ELOOP, "too many levels of symbolic links"},
        {ENOSPC, "no space left on device"},
        {EMFILE, "too many open files"},
        {E2BIG, "argument list too long"},
        {EROFS, "read-only file system"},
        {EPIPE, "broken pipe"},
        {EBUSY, "device or resource busy"},
        {EAGAIN, "resource temporarily unavailable"},
        {EISDIR, "is a directory"},
        {EDQUOT, "disk quota exceeded"},
        {ETXTBSY, "text file busy"},
        {ENOTSUP, "operation not supported"},
        {ENOEXEC, "exec format error"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(errno_text(cases[i].err), cases[i].text);
}

static void
test_rfc3339(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        int32_t nanos;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2024-02-29T12:00:00.5Z", 1709208000, 500000000},
        {"2024-02-29T14:00:00.123456789+02:00", 1709208000, 123456789},
        {"1969-12-31T23:59:58.5Z", -2, 500000000},
        {"2024-02-29T10:30:00-01:30", 1709208000, 0},
        {"9999-12-31T23:59:59Z", 253402300799, 0},
        {"0001-01-01T00:00:00Z", -62135596800, 0},
    };
    static const char *const bad[] = {
        "",
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00Zx",
        "24-01-01T00:00:00Z",
    };
    int64_t seconds;
    int32_t nanos;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(
            rfc3339_parse(str_from(good[i].text), &seconds, &nanos), 0);
        assert_true(seconds == good[i].seconds);
        assert_int_equal(nanos, good[i].nanos);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(rfc3339_parse(str_from(bad[i]), &seconds, &nanos),
                         -EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_appends_and_consumes),
        cmocka_unit_test(test_buf_reuses_its_front),
        cmocka_unit_test(test_buf_numbers),
        cmocka_unit_test(test_buf_failure_sticks),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_utf8_rules),
        cmocka_unit_test(test_utf8_floor_cuts_at_characters),
        cmocka_unit_test(test_utf8_sanitize),
        cmocka_unit_test(test_utf8_encode_round_trip),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_status_texts),
        cmocka_unit_test(test_status_is_cut_at_a_character),
        cmocka_unit_test(test_errno_texts),
        cmocka_unit_test(test_rfc3339),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
