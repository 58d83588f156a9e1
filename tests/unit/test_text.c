/*
 * Own readers of text held against the C library's: decimal numbers against
 * strtod() and strtof(), patterns against fnmatch().
 */
#include <errno.h>
#include <float.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/decimal.h"
#include "base/glob.h"
#include "base/scope.h"

static uint64_t
next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* ---- numbers ------------------------------------------------------------- */

/* As bits: so that signs of zero and infinities count. */
static void
check_number(const char *text)
{
    double got, want = strtod(text, NULL);
    int r = decimal_read(str_from(text), false, &got);

    assert_int_equal(r, isinf(want) ? -ERANGE : 0);
    if (memcmp(&got, &want, sizeof(got)) != 0)
        fail_msg("%.60s: %a, not %a", text, got, want);
    want = (double)strtof(text, NULL);
    r = decimal_read(str_from(text), true, &got);
    assert_int_equal(r, isinf(want) ? -ERANGE : 0);
    if (memcmp(&got, &want, sizeof(got)) != 0)
        fail_msg("%.60s: %a, not %a as a float", text, got, want);
}

/* The exact middle between a double, or a float, and its successor. */
static void
check_middle(double low, double high)
{
    char text[1200];
    int len = snprintf(text, sizeof(text), "%.1100f", low + (high - low) / 2);

    check_number(text);
    text[len - 1] = '1'; /* a little above */
    check_number(text);
}

static void
test_numbers(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "0.000e5",
        "1",
        "+1",
        ".5",
        "5.",
        "1e22",
        "1e23",
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000001",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "179769313486231580793e289",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "3.4028235677973366e38",
        "3.4028235677973367e38",
        "1.401298464324817e-45",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "1e309",
        "-1e309",
        "1e999999999999",
        "1e-999999999999",
        "0e999999999999",
        "123456789012345678901234567890123456789012345678901234567890",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        check_number(texts[i]);
    check_middle(1, nextafter(1, 2));
    check_middle(nextafter(1, 2), nextafter(nextafter(1, 2), 2));
    check_middle(0, DBL_TRUE_MIN);
    check_middle(DBL_MIN, nextafter(DBL_MIN, 1));
    check_middle(0, (double)FLT_TRUE_MIN);
    check_middle(1, (double)nextafterf(1, 2));
}

static void
test_random_numbers(void **state)
{
    char text[400];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random();
        float single;
        double value;

        memcpy(&value, &bits, sizeof(value));
        memcpy(&single, &bits, sizeof(single));
        (void)snprintf(text, sizeof(text), "%.*e", i % 20,
                       i % 2 != 0 && isfinite(single) ? (double)single : value);
        if (isfinite(value))
            check_number(text);
        (void)snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu64 "e%d",
                       next_random() >> i % 64, next_random() >> i % 60,
                       (int)(next_random() % 700) - 350);
        check_number(text);
    }
}

/* Against what the C library prints. */
static void
check_digits(double value, int digits)
{
    char want[64];
    char got[64];
    char plain[24];
    int exponent;

    (void)snprintf(want, sizeof(want), "%.*e", digits - 1, value);
    decimal_write(value, digits, plain, &exponent);
    (void)snprintf(got, sizeof(got), "%c%s%.*se%+03d", plain[0],
                   digits > 1 ? "." : "", digits - 1, plain + 1, exponent);
    assert_string_equal(got, want);
}

static void
test_written_digits(void **state)
{
    static const double values[] = {
        0,    1,    9.5,       9.999,   0.5,     2.5,          1e22,
        1e23, 1e-5, 123456789, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 0x1p52};

    (void)state;
    for (int digits = 1; digits <= 17; digits++)
        for (size_t i = 0; i < ARRAY_LEN(values); i++)
            check_digits(values[i], digits);
    for (int two = -1074; two < 1024; two++) {
        check_digits(ldexp(1, two), 1 + (two & 15));
        check_digits(ldexp(1, two) - ldexp(1, MAX(two - 53, -1074)), 1);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random() >> 1;
        double value;

        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value))
            check_digits(value, 1 + i % 17);
        /* Ties. */
        check_digits((double)(next_random() >> 40) / 1024, 1 + i % 17);
    }
}

static void
test_long_numbers(void **state)
{
    enum { DIGITS = 5000 };
    char *text = malloc(DIGITS + 32);

    (void)state;
    assert_non_null(text);
    for (int i = 0; i < 200; i++) {
        memset(text, '0' + i % 10, DIGITS);
        text[next_random() % DIGITS] = '.';
        (void)snprintf(text + DIGITS, 32, "%de%d", i,
                       (int)(next_random() % 12000) - 6000);
        check_number(text);
    }
    free(text);
}

static void
test_no_numbers(void **state)
{
    static const char *const texts[] = {
        "",    "-",     ".",    "e5",  "1e",  "1e+",  "1x", " 1", "1 ",
        "--1", "1.2.3", "0x10", "inf", "nan", "1e5.", "+",  "-.",
    };
    double value;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (decimal_read(str_from(texts[i]), false, &value) != -EINVAL)
            fail_msg("accepted: %s", texts[i]);
    assert_int_equal(decimal_read((struct str){0}, false, &value), -EINVAL);
}

/* ---- patterns ------------------------------------------------------------ */

static void
check_pattern(const char *pattern, const char *text)
{
    for (int by_path = 0; by_path < 2; by_path++) {
        bool want =
            fnmatch(pattern, text, by_path != 0 ? FNM_PATHNAME : 0) == 0;

        if (glob_matches(pattern, text, by_path != 0) != want)
            fail_msg("%s, %s, %d: not %d", pattern, text, by_path, want);
    }
}

static void
test_patterns(void **state)
{
    static const char *const patterns[] = {
        "",
        "*",
        "?",
        "a",
        "*.o",
        "a/b",
        "*/b",
        "a*b*c",
        "[abc]",
        "[!abc]",
        "[^abc]",
        "[a-c]x",
        "[]]",
        "[!]]",
        "[a",
        "[",
        "[]",
        "[!",
        "[a-]",
        "[-a]",
        "\\*",
        "\\",
        "a\\",
        "[\\]]",
        "[a\\]b]",
        "[[:alpha:]]",
        "[![:digit:]x]",
        "[[:space:][:upper:]]*",
        "[[:punct:]",
        "**",
        "*?*",
        "a*",
        "*a",
        "[z-a]",
        "[/]",
        "a[/]b",
        "a?b",
        "a*b",
        "[[a]",
        "[a-c-e]",
        "[\\a-\\c]",
        "*[b]*",
        "[!/]",
        "a[!x]b",
    };
    static const char *const texts[] = {
        "",     "a",     "b",     "c",  "x",   "]",  "[",   "[a",
        "[]",   "[!",    "*",     "\\", "a\\", "ab", "abc", "aXbXc",
        "a/b",  "x/b",   "x/y/b", "bx", "-",   "d",  "e",   ".o",
        "x.o",  "d/x.o", "A",     "1",  " ",   "a]", "[x",  "/",
        "\xff", "a/b/c", "b]",    "!",  "^",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            check_pattern(patterns[i], texts[k]);
}

/* Text of at most `max` bytes out of an alphabet. */
static void
random_text(char *out, const char *alphabet, size_t max)
{
    size_t len = next_random() % (max + 1);

    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[next_random() % strlen(alphabet)];
    out[len] = '\0';
}

static void
test_random_patterns(void **state)
{
    char pattern[16];
    char text[16];

    (void)state;
    for (int i = 0; i < 300000; i++) {
        random_text(pattern, "aab**?[]!-/", 9);
        random_text(text, "aaabb/]-", 8);
        check_pattern(pattern, text);
    }
}

/* Stars do not multiply. */
static void
test_many_stars(void **state)
{
    char pattern[1025];
    char text[4097];

    (void)state;
    for (size_t i = 0; i < sizeof(pattern) - 1; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[sizeof(pattern) - 1] = '\0';
    pattern[sizeof(pattern) - 2] = 'b';
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 100; i++)
        assert_false(glob_matches(pattern, text, true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_written_digits),
        cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_random_patterns),
        cmocka_unit_test(test_many_stars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
