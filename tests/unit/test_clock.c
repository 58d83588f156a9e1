/*
 * When the clock is stepped.  Never the machine's: a made-up one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/scope.h"
#include "guest/clock.h"

#define MS     1000000LL
#define SECOND (1000 * MS)
#define HOST   (1700000000 * SECOND + 123456789)

struct made_up {
    int64_t now;
    int sets;
    int result;
};

static int64_t
made_up_now(void *ctx)
{
    return ((struct made_up *)ctx)->now;
}

static int
made_up_set(void *ctx, int64_t ns)
{
    struct made_up *clock = ctx;

    clock->sets++;
    if (clock->result == 0)
        clock->now = ns;
    return clock->result;
}

static void
test_boundaries(void **state)
{
    static const struct {
        int64_t delta; /* guest minus host */
        bool step;
    } rows[] = {
        {-60 * SECOND, true}, {-10 * SECOND, true}, {-50 * MS - 1, true},
        {-50 * MS, false},    {-40 * MS, false},    {-10 * MS, false},
        {0, false},           {1, false},           {SECOND, false},
        {4 * SECOND, false},  {5 * SECOND, false},  {5 * SECOND + 1, true},
        {60 * SECOND, true},  {-HOST, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct made_up clock = {.now = HOST + rows[i].delta};
        const struct clock_ops ops = {made_up_now, made_up_set, &clock};
        int64_t delta = -1;

        assert_int_equal(clock_needs_step(clock.now, HOST), rows[i].step);
        assert_int_equal(clock_step(&ops, HOST, &delta), rows[i].step);
        assert_int_equal(delta, rows[i].delta);
        assert_int_equal(clock.sets, rows[i].step);
        assert_int_equal(clock.now, rows[i].step ? HOST : HOST + rows[i].delta);
    }
}

static void
test_failures(void **state)
{
    struct made_up clock = {.now = 0, .result = -EPERM};
    const struct clock_ops ops = {made_up_now, made_up_set, &clock};

    (void)state;
    assert_int_equal(clock_step(&ops, HOST, NULL), -EPERM);
    assert_int_equal(clock.sets, 1);
    assert_int_equal(clock_step(&ops, -1, NULL), -EINVAL);
    assert_int_equal(clock.sets, 1);
}

static void
test_extremes(void **state)
{
    (void)state;
    assert_true(clock_needs_step(INT64_MAX, INT64_MIN));
    assert_true(clock_needs_step(INT64_MIN, INT64_MAX));
    assert_false(clock_needs_step(INT64_MAX, INT64_MAX));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
