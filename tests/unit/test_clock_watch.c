/*
 * The clock that was set.  Setting it for real belongs to a machine of the
 * tests' own: tests/vm.
 */
#include "guest/clock_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/scope.h"
#include "loop/loop.h"

static void
test_moved(void **state)
{
    int64_t base = 1000000000;

    (void)state;
    assert_int_equal(clock_watch_moved(&base, 1000000000), 0);
    assert_int_equal(clock_watch_moved(&base, 1000999999), 0);
    assert_int_equal(clock_watch_moved(&base, 1000999999 + 13000000), 13);
    /* Against where it was last, not against the beginning. */
    assert_int_equal(clock_watch_moved(&base, base), 0);
    assert_int_equal(clock_watch_moved(&base, base - 5000000000), -5000);
    assert_int_equal(base, 1013999999 - 5000000000);
}

static void
never(void *ctx, int64_t moved_ms)
{
    (void)ctx;
    (void)moved_ms;
    fail_msg("the clock was set");
}

struct stop {
    struct loop_timer timer;
    struct loop *loop;
};

static void
on_time(struct loop_timer *t)
{
    loop_stop(container_of(t, struct stop, timer)->loop);
}

/* While the clock runs on there is nothing to tell, and nothing to wait for. */
static void
test_quiet(void **state)
{
    struct stop stop = {.loop = loop_new()};
    struct clock_watch *w = clock_watch_new(stop.loop, never, NULL);

    (void)state;
    assert_non_null(w);
    clock_watch_expect(w);
    clock_watch_expect(NULL);
    loop_timer_init(stop.loop, &stop.timer, on_time);
    loop_timer_set(&stop.timer, 1);
    assert_int_equal(loop_run(stop.loop), 0);
    clock_watch_free(w);
    clock_watch_free(NULL);
    loop_free(stop.loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_quiet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
