/*
 * Conditions of a request: tags, dates, and the order in which they count.
 */
#include "http/condition.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "http/message.h"

/* ---- dates --------------------------------------------------------------- */

static const struct {
    const char *text;
    int64_t seconds; /* -1: it is none */
} dates[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Sun, 13 Sep 2020 12:26:40 GMT", 1600000000},
    {"Sunday, 13-Sep-20 12:26:40 GMT", 1600000000},
    {"Sun Sep 13 12:26:40 2020", 1600000000},
    {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"", -1},
    {",", -1},
    {", ", -1},
    {"Sun, 06 Nov 1994 08:49:37", -1},
    {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
    {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
    {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
    {"Sun, 29 Feb 2023 08:49:37 GMT", -1},
    {"Sun, 06 Nov 19x4 08:49:37 GMT", -1},
    {"Sun, 06 nov 1994 08:49:37 GMT", -1},
    {"Sun, 06 Abc 1994 08:49:37 GMT", -1},
    {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
    {"1994-11-06T08:49:37Z", -1},
};

static void
test_dates(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
        int64_t got = -2;
        int r = http_date_parse(str_from(dates[i].text), &got);

        if (dates[i].seconds < 0 ? r != -EINVAL
                                 : r != 0 || got != dates[i].seconds)
            fail_msg("%s: %d %lld", dates[i].text, r, (long long)got);
    }
    assert_int_equal(http_date_parse((struct str){0}, &(int64_t){0}), -EINVAL);
}

/* ---- validators ---------------------------------------------------------- */

static void
test_validators(void **state)
{
    struct validators v;
    struct validators old;

    (void)state;
    validators_of_file(&v, 0x12, 0x34, (struct timespec){1, 5},
                       (struct timespec){2, 5});
    assert_string_equal(v.tag, "\"12-34-3b9aca05\"");
    assert_false(v.weak);
    assert_true(v.has_date);
    assert_int_equal(v.modified, 1);
    old = v;

    /* Younger than a second, or from the future. */
    validators_of_file(&v, 0x12, 0x34, (struct timespec){1, 5},
                       (struct timespec){2, 4});
    assert_string_equal(v.tag, "W/\"12-34-3b9aca05\"");
    assert_true(v.weak);
    validators_of_file(&v, 0x12, 0x34, (struct timespec){9, 0},
                       (struct timespec){2, 4});
    assert_true(v.weak);

    /* Each of the three tells. */
    validators_of_file(&v, 0x13, 0x34, (struct timespec){1, 5},
                       (struct timespec){9, 0});
    assert_string_not_equal(v.tag, old.tag);
    validators_of_file(&v, 0x12, 0x35, (struct timespec){1, 5},
                       (struct timespec){9, 0});
    assert_string_not_equal(v.tag, old.tag);
    validators_of_file(&v, 0x12, 0x34, (struct timespec){1, 6},
                       (struct timespec){9, 0});
    assert_string_not_equal(v.tag, old.tag);

    validators_of_file(&v, UINT64_MAX, INT64_MAX, (struct timespec){0, 0},
                       (struct timespec){9, 0});
    assert_false(v.has_date);
    assert_string_equal(v.tag, "\"ffffffffffffffff-7fffffffffffffff-0\"");
}

/* ---- conditions ---------------------------------------------------------- */

#define BEFORE "Sun, 13 Sep 2020 12:26:39 GMT"
#define SAME   "Sun, 13 Sep 2020 12:26:40 GMT"
#define AFTER  "Sun, 13 Sep 2020 12:26:41 GMT"
#define MET    CONDITIONS_MET
#define OLD    CONDITIONS_NOT_MODIFIED
#define FAILED CONDITIONS_FAILED

static const struct validators strong = {
    .tag = "\"a\"", .has_date = true, .modified = 1600000000};
static const struct validators weak = {
    .tag = "W/\"a\"", .weak = true, .has_date = true, .modified = 1600000000};
static const struct validators none = {.tag = ""};

static const struct {
    const char *match;
    const char *unmodified;
    const char *none_match;
    const char *modified;
    enum condition_result strong, weak, none;
} cases[] = {
    {NULL, NULL, NULL, NULL, MET, MET, MET},
    {"", "", "", "", MET, MET, MET},
    {"*", NULL, NULL, NULL, MET, MET, MET},
    {"\"a\"", NULL, NULL, NULL, MET, FAILED, FAILED},
    {"W/\"a\"", NULL, NULL, NULL, FAILED, FAILED, FAILED},
    {"\"b\"", NULL, NULL, NULL, FAILED, FAILED, FAILED},
    {"\"b\", \"a\"", NULL, NULL, NULL, MET, FAILED, FAILED},
    {"\"b\",,\t\"a\"", NULL, NULL, NULL, MET, FAILED, FAILED},
    {"\"b\", *", NULL, NULL, NULL, MET, MET, MET},
    {"a", NULL, NULL, NULL, FAILED, FAILED, FAILED},
    {"\"a", NULL, NULL, NULL, FAILED, FAILED, FAILED},
    {"\"\"", NULL, NULL, NULL, FAILED, FAILED, FAILED},
    {"\"a b\", \"a\"", NULL, NULL, NULL, FAILED, FAILED, FAILED},

    {NULL, BEFORE, NULL, NULL, FAILED, FAILED, MET},
    {NULL, SAME, NULL, NULL, MET, MET, MET},
    {NULL, AFTER, NULL, NULL, MET, MET, MET},
    {NULL, "soon", NULL, NULL, MET, MET, MET},
    {"\"a\"", BEFORE, NULL, NULL, MET, FAILED, FAILED},

    {NULL, NULL, "*", NULL, OLD, OLD, OLD},
    {NULL, NULL, "\"a\"", NULL, OLD, OLD, MET},
    {NULL, NULL, "W/\"a\"", NULL, OLD, OLD, MET},
    {NULL, NULL, "\"b\"", NULL, MET, MET, MET},
    {NULL, NULL, "\"b\", W/\"a\"", NULL, OLD, OLD, MET},

    {NULL, NULL, NULL, BEFORE, MET, MET, MET},
    {NULL, NULL, NULL, SAME, OLD, OLD, MET},
    {NULL, NULL, NULL, AFTER, OLD, OLD, MET},
    {NULL, NULL, NULL, "soon", MET, MET, MET},
    {NULL, NULL, "\"b\"", SAME, MET, MET, MET},

    /* First whether it may be done at all. */
    {"\"b\"", NULL, "\"a\"", NULL, FAILED, FAILED, FAILED},
    {"*", NULL, "\"a\"", NULL, OLD, OLD, MET},
    {NULL, BEFORE, NULL, SAME, FAILED, FAILED, MET},
};

static void
expect(size_t i, const struct validators *v, enum condition_result wanted)
{
    struct conditions c = {
        .if_match = str_from(cases[i].match),
        .if_unmodified_since = str_from(cases[i].unmodified),
        .if_none_match = str_from(cases[i].none_match),
        .if_modified_since = str_from(cases[i].modified),
    };
    enum condition_result got = conditions_check(&c, v);

    if (got != wanted)
        fail_msg("row %zu with %s: %d", i, v->tag, (int)got);
}

static void
test_conditions(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect(i, &strong, cases[i].strong);
        expect(i, &weak, cases[i].weak);
        expect(i, &none, cases[i].none);
    }
}

static const struct {
    const char *if_range;
    bool strong, weak, none;
} range_cases[] = {
    {NULL, true, true, true},       {"", true, true, true},
    {"\"a\"", true, false, false},  {"W/\"a\"", false, false, false},
    {"\"b\"", false, false, false}, {SAME, true, false, false},
    {BEFORE, false, false, false},  {AFTER, false, false, false},
    {"soon", false, false, false},  {"*", false, false, false},
};

static void
test_if_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(range_cases); i++) {
        struct conditions c = {.if_range = str_from(range_cases[i].if_range)};

        assert_int_equal(conditions_allow_range(&c, &strong),
                         range_cases[i].strong);
        assert_int_equal(conditions_allow_range(&c, &weak),
                         range_cases[i].weak);
        assert_int_equal(conditions_allow_range(&c, &none),
                         range_cases[i].none);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_validators),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_if_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
