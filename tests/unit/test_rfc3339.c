/*
 * Points in time: texts, refusals, and every day of a long stretch of years.
 */
#include "base/rfc3339.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/scope.h"

static const struct {
    const char *text;
    int64_t seconds;
    int32_t nanos;
} valid[] = {
    {"1970-01-01T00:00:00Z", 0, 0},
    {"1970-01-01T00:00:00.000000001Z", 0, 1},
    {"1969-12-31T23:59:58.5Z", -2, 500000000},
    {"2025-11-21T12:00:00Z", 1763726400, 0},
    {"2025-11-21T12:00:00+00:00", 1763726400, 0},
    {"2025-11-21T12:00:00-01:30", 1763731800, 0},
    {"2025-11-21T12:00:00.25+01:00", 1763722800, 250000000},
    {"2024-02-29T23:59:59Z", 1709251199, 0},
    {"2000-02-29T00:00:00Z", 951782400, 0},
    {"0001-01-01T00:00:00Z", RFC3339_SECONDS_MIN, 0},
    {"9999-12-31T23:59:59.999999999Z", RFC3339_SECONDS_MAX, 999999999},
};

static const char *const invalid[] = {
    "",
    "2025-11-21",
    "2025-11-21T12:00:00",
    "2025-11-21T12:00Z",
    "2025-11-21 12:00:00Z",
    "2025-11-21t12:00:00Z",
    "2025-11-21T12:00:00z",
    "2025-11-21T12:00:00.Z",
    "2025-11-21T12:00:00,5Z",
    "2025-11-21T12:00:00.1234567890Z",
    "2025-11-21T12:00:60Z",
    "2025-11-21T24:00:00Z",
    "2025-11-21T12:60:00Z",
    "2025-11-21T12:00:00+24:00",
    "2025-11-21T12:00:00+01:60",
    "2025-11-21T12:00:00+0100",
    "2025-11-21T12:00:00+01",
    "2025-11-21T12:00:00ZZ",
    "2025-11-21T12:00:00Z ",
    " 2025-11-21T12:00:00Z",
    "2025-00-21T12:00:00Z",
    "2025-13-21T12:00:00Z",
    "2025-11-00T12:00:00Z",
    "2025-11-31T12:00:00Z",
    "2025-02-29T12:00:00Z",
    "1900-02-29T12:00:00Z",
    "0000-01-01T00:00:00Z",
    "+2025-11-21T12:00:00Z",
    "25-11-21T12:00:00Z",
    "2025-1-21T12:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
};

static void
test_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(valid); i++) {
        int64_t seconds;
        int32_t nanos;

        assert_int_equal(
            rfc3339_parse(str_from(valid[i].text), &seconds, &nanos), 0);
        assert_int_equal(seconds, valid[i].seconds);
        assert_int_equal(nanos, valid[i].nanos);
    }
}

static void
test_invalid(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
        int64_t seconds;
        int32_t nanos;

        if (rfc3339_parse(str_from(invalid[i]), &seconds, &nanos) == 0)
            fail_msg("accepted: %s", invalid[i]);
    }
}

/* Formatting agrees with the C library, and parsing takes it back. */
static void
test_round_trips(void **state)
{
    const int64_t step = 86400LL * 3 + 12345;

    (void)state;
    for (int64_t t = RFC3339_SECONDS_MIN; t <= RFC3339_SECONDS_MAX; t += step) {
        char text[RFC3339_SIZE];
        char want[64];
        time_t time = t;
        struct tm tm;
        int64_t back;
        int32_t nanos;
        int len = rfc3339_format(text, t, 0);

        assert_non_null(gmtime_r(&time, &tm));
        assert_int_equal(len, 20);
        assert_int_equal(strftime(want, sizeof(want), "%m-%dT%H:%M:%SZ", &tm),
                         15);
        assert_memory_equal(text + 5, want, 15);
        assert_int_equal(strtol(text, NULL, 10), tm.tm_year + 1900);
        assert_int_equal(
            rfc3339_parse((struct str){text, (size_t)len}, &back, &nanos), 0);
        assert_int_equal(back, t);
        assert_int_equal(nanos, 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
