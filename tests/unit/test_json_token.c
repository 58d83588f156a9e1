/*
 * The JSON tokeniser: strict grammar, strings, skipping.
 */
#include "connect/json_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_scan.h"
#include "limits.h"

/* Skip one value that is all of a text, in memory of exactly its size. */
static int
skip_text(const char *text, size_t len, bool untouched, struct status *st)
{
    SCOPE(scope_free) char *copy = malloc(len > 0 ? len : 1);
    struct json_cursor c = {
        .text = copy, .len = len, .st = st, .untouched = untouched};

    memcpy(copy, text, len);
    if (json_skip(&c) < 0 || json_end(&c) < 0)
        return -1;
    assert_int_equal(c.depth, 0);
    if (untouched)
        assert_memory_equal(copy, text, len);
    return 0;
}

static const char *const well_formed[] = {
    "{}",
    "[]",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1.5e+10",
    "0.5",
    "1E9",
    "\"\"",
    " \t\r\n[ 1 , 2 ] \n",
    "[[],[[]],{}]",
    "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"e\"}",
    "[{},[],{\"a\":[]}]",
    "\"\\u0000\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
    "\"\x7f \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
};

static const struct {
    const char *text;
    const char *message;
} faults[] = {
    {"", "syntax error (offset 0): unexpected EOF"},
    {"  ", "syntax error (offset 2): unexpected EOF"},
    {"\xef\xbb\xbf{}", "syntax error (offset 0): unexpected byte 0xef"},
    {"{", "syntax error (offset 1): unexpected EOF"},
    {"[1", "syntax error (offset 2): unexpected EOF"},
    {"{\"a\"", "syntax error (offset 4): unexpected EOF"},
    {"{\"a\":", "syntax error (offset 5): unexpected EOF"},
    {"}", "syntax error (offset 0): unexpected token }"},
    {"]", "syntax error (offset 0): unexpected token ]"},
    {"[}", "syntax error (offset 1): unexpected token }"},
    {"{]", "syntax error (offset 1): unexpected token ]"},
    {"[1}", "syntax error (offset 2): unexpected token }"},
    {"[1,]", "syntax error (offset 3): unexpected token ]"},
    {"{\"a\":1,}", "syntax error (offset 7): unexpected token }"},
    {"[,1]", "syntax error (offset 1): unexpected token ,"},
    {"[1 2]", "syntax error (offset 3): unexpected token 2"},
    {"{a:1}", "syntax error (offset 1): unexpected token a"},
    {"{'a':1}", "syntax error (offset 1): unexpected token '"},
    {"{\"a\" 1}", "syntax error (offset 5): unexpected token 1"},
    {"{1:1}", "syntax error (offset 1): unexpected token 1"},
    {"{} {}", "syntax error (offset 3): unexpected token {"},
    {"{}x", "syntax error (offset 2): unexpected token x"},
    {"[1/*c*/]", "syntax error (offset 2): unexpected token /"},
    {"tru", "syntax error (offset 0): unexpected token t"},
    {"nulL", "syntax error (offset 0): unexpected token n"},
    {"truex", "syntax error (offset 4): unexpected token x"},
    {"-", "syntax error (offset 0): invalid number"},
    {"+1", "syntax error (offset 0): unexpected token +"},
    {"01", "syntax error (offset 1): unexpected token 1"},
    {"1.", "syntax error (offset 0): invalid number"},
    {".5", "syntax error (offset 0): unexpected token ."},
    {"1e", "syntax error (offset 0): invalid number"},
    {"1e+", "syntax error (offset 0): invalid number"},
    {"NaN", "syntax error (offset 0): unexpected token N"},
    {"\"", "syntax error (offset 1): unexpected EOF"},
    {"\"abc", "syntax error (offset 4): unexpected EOF"},
    {"\"a\\", "syntax error (offset 3): unexpected EOF"},
    {"\"a\n\"", "syntax error (offset 2): control character in string"},
    {"\"a\x1f\"", "syntax error (offset 2): control character in string"},
    {"\"\\x\"", "syntax error (offset 1): invalid escape in string"},
    {"\"\\u12\"", "syntax error (offset 1): invalid escape in string"},
    {"\"\\u12g4\"", "syntax error (offset 1): invalid escape in string"},
    {"\"\\ud800\"", "syntax error (offset 1): lone surrogate in string"},
    {"\"\\udc00\"", "syntax error (offset 1): lone surrogate in string"},
    {"\"\\ud800\\u0041\"", "syntax error (offset 1): lone surrogate in string"},
    {"\"\\ud800\\ud800\"", "syntax error (offset 1): lone surrogate in string"},
    {"\"\\ud800x\"", "syntax error (offset 1): lone surrogate in string"},
    {"\"\xff\"", "syntax error (offset 1): invalid UTF-8 in string"},
    {"\"a\x80\"", "syntax error (offset 2): invalid UTF-8 in string"},
    {"\"\xc0\xaf\"", "syntax error (offset 1): invalid UTF-8 in string"},
    {"\"\xed\xa0\x80\"", "syntax error (offset 1): invalid UTF-8 in string"},
    {"\"\xe2\x82\"", "syntax error (offset 1): invalid UTF-8 in string"},
    {"\"\xe2", "syntax error (offset 1): invalid UTF-8 in string"},
};

static void
test_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(well_formed); i++)
        for (int untouched = 0; untouched < 2; untouched++) {
            SCOPE(status_done) struct status st = {0};
            int r = skip_text(well_formed[i], strlen(well_formed[i]),
                              untouched != 0, &st);

            if (r < 0)
                fail_msg("%s: %s", well_formed[i], status_message(&st));
        }
}

static void
test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        for (int untouched = 0; untouched < 2; untouched++) {
            SCOPE(status_done) struct status st = {0};

            assert_int_equal(skip_text(faults[i].text, strlen(faults[i].text),
                                       untouched != 0, &st),
                             -1);
            assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
            assert_string_equal(status_message(&st), faults[i].message);
        }
}

/* Every beginning of a text is a fault and reads no byte beyond it. */
static void
test_truncation(void **state)
{
    const char *text = "{\"k\\u00e9\\ud83d\\ude00\xc3\xa9\":[tru"
                       "e,-1.5e+3,{\"a\":null,\"b\":\"x\"}]}";

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        SCOPE(status_done) struct status st = {0};

        assert_int_equal(skip_text(text, len, false, &st), -1);
    }
}

static void
test_null_byte_in_text(void **state)
{
    SCOPE(status_done) struct status st = {0};

    (void)state;
    assert_int_equal(skip_text("\"a\0b\"", 5, false, &st), -1);
    assert_int_equal(skip_text("\0", 1, false, &st), -1);
    assert_int_equal(skip_text("\"\\\0\"", 4, false, &st), -1);
}

static const struct {
    const char *text;
    const char *want;
    size_t len;
} strings[] = {
    {"\"\"", "", 0},
    {"\"plain\"", "plain", 5},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8},
    {"\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"",
     "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10},
    {"\"a\\u0000b\"",
     "a\xc0\x80"
     "b",
     4},
    {"\"\xc3\xa9x\\n\xe2\x82\xac\"", "\xc3\xa9x\n\xe2\x82\xac", 7},
    {"\"\\uffff\\ud7ff\\ue000\"", "\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80", 9},
};

static void
test_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(scope_free) char *text = strdup(strings[i].text);
        struct json_cursor c = {.text = text, .len = strlen(text), .st = &st};
        struct str got;

        assert_int_equal(json_peek(&c), JSON_STRING);
        assert_int_equal(json_string(&c, &got), 0);
        assert_int_equal(got.len, strings[i].len);
        assert_memory_equal(got.data, strings[i].want, got.len + 1);
        assert_int_equal(json_end(&c), 0);
    }
}

/* Bytes of note at every place of a text longer than all wide steps. */
static void
test_scan(void **state)
{
    const unsigned char stops[] = {'"', '\\', 0, '\n', 0x1f, 0x80, 0xff};
    const unsigned char passes[] = {' ', '!', '#', '[', ']', '~', 0x7f};
    char text[200];

    (void)state;
    for (size_t len = 0; len <= sizeof(text); len++) {
        memset(text, 'x', sizeof(text));
        assert_int_equal(json_scan_plain(text, len), len);
        for (size_t k = 0; k < ARRAY_LEN(stops) && len > 0; k++) {
            size_t at = (len * 7 + k * 13) % len;

            memset(text, 'x', sizeof(text));
            text[at] = (char)stops[k];
            assert_int_equal(json_scan_plain(text, len), at);
            text[len - 1] = (char)stops[0];
            assert_int_equal(json_scan_plain(text, len), at);
            text[at] = (char)passes[k];
            assert_int_equal(json_scan_plain(text, len),
                             at == len - 1 ? len : len - 1);
        }
    }
    for (unsigned c = 0; c < 256; c++)
        for (size_t at = 0; at < 80; at++) {
            memset(text, 'x', sizeof(text));
            text[at] = (char)(unsigned char)c;
            assert_int_equal(
                json_scan_plain(text, 80),
                c < 0x20 || c >= 0x80 || c == '"' || c == '\\' ? at : 80);
        }
}

static int
skip_nested(const char *open, const char *close, size_t levels,
            struct status *st)
{
    size_t size = levels * (strlen(open) + strlen(close));
    SCOPE(scope_free) char *text = malloc(size + 1);
    char *p = text;

    for (size_t i = 0; i < levels; i++)
        p = stpcpy(p, open);
    for (size_t i = 0; i < levels; i++)
        p = stpcpy(p, close);
    return skip_text(text, (size_t)(p - text), false, st);
}

static void
test_nesting(void **state)
{
    SCOPE(status_done) struct status st = {0};

    (void)state;
    assert_int_equal(skip_nested("[", "]", LIMIT_RPC_NESTING, &st), 0);
    assert_int_equal(skip_nested("[{\"a\":", "}]", LIMIT_RPC_NESTING / 2, &st),
                     -1); /* the innermost has no value */
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(skip_nested("[", "]", LIMIT_RPC_NESTING + 1, &st), -1);
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    assert_int_equal(skip_nested("[", "", 1000 * 1000, &st), -1);
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_null_byte_in_text),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_nesting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
