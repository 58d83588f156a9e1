/*
 * Turns of freezes and thaws, who is told, the watchdog, and audits that
 * something comes in between of.
 */
#include "freeze_fixture.h"

#include <semaphore.h>

#include "guest/freezer.h"
#include "loop/worker.h"

#define PATIENCE_MS 30000

/* Longer than any test. */
#define LONG_MS 60000

static struct loop *loop;
static struct worker_pool *pool;
static struct freezer *freezer;
static struct loop_timer tick;

/* A job stands still at the gate while it is shut. */
static sem_t at_gate;
static sem_t gate;

static void
wait_at_gate(void)
{
    (void)sem_post(&at_gate);
    (void)sem_wait(&gate);
}

/* What was called, in order: f(reeze), t(haw), a(udit), o(bserver). */
static char calls[512];
static struct freeze_result frozen;
static struct thaw_result thawed;
static struct freeze_audit audited;
static bool audit_holds;

static void
note(char what)
{
    size_t len = strlen(calls);

    assert_true(len + 1 < sizeof(calls));
    calls[len] = what;
    loop_stop(loop);
}

static void
on_frozen(void *ctx, const struct freeze_result *r)
{
    assert_ptr_equal(ctx, calls);
    frozen = *r;
    note('f');
}

static void
on_thawed(void *ctx, const struct thaw_result *r)
{
    assert_ptr_equal(ctx, calls);
    thawed = *r;
    note('t');
}

static void
on_audit(void *ctx, const struct freeze_audit *a)
{
    assert_ptr_equal(ctx, calls);
    audit_holds = a != NULL;
    if (a != NULL)
        audited = *a;
    note('a');
}

static void
on_observed(void *ctx, const struct thaw_result *r)
{
    (void)ctx;
    (void)r;
    /* What was wrong with the tree is not any more, for the next one. */
    fake.odd_count = 0;
    note('o');
}

static void
on_tick(struct loop_timer *t)
{
    (void)t;
    loop_stop(loop);
}

static void
run_for(int64_t ms)
{
    int64_t end = loop_now_ms() + ms;

    while (loop_now_ms() < end) {
        loop_timer_set(&tick, end - loop_now_ms());
        assert_int_equal(loop_run(loop), 0);
    }
    loop_timer_cancel(&tick);
}

/* Turn the loop until that was called. */
static void
run_until(const char *expected)
{
    int64_t end = loop_now_ms() + PATIENCE_MS;

    while (strlen(calls) < strlen(expected) && loop_now_ms() < end) {
        loop_timer_set(&tick, end - loop_now_ms());
        assert_int_equal(loop_run(loop), 0);
    }
    loop_timer_cancel(&tick);
    assert_string_equal(calls, expected);
}

static struct freezer_wait *
ask_freeze(enum freeze_mode mode, int64_t max_wait_ms)
{
    const struct freeze_params params = {mode, max_wait_ms, 0};
    size_t before = strlen(calls);
    struct freezer_wait *w = freezer_freeze(freezer, &params, on_frozen, calls);

    assert_int_equal(strlen(calls), before);
    return w;
}

static void
ask_thaw(void)
{
    size_t before = strlen(calls);

    (void)freezer_thaw(freezer, on_thawed, calls);
    assert_int_equal(strlen(calls), before);
}

static void
ask_audit(void)
{
    size_t before = strlen(calls);

    freezer_audit(freezer, on_audit, calls);
    assert_int_equal(strlen(calls), before);
}

static int
setup(void **state)
{
    (void)fake_setup(state);
    fake_make("customer");
    loop = loop_new();
    pool = worker_pool_new(loop, 4);
    freezer = freezer_new(loop, pool, &fake.tree);
    loop_timer_init(loop, &tick, on_tick);
    memset(calls, 0, sizeof(calls));
    (void)sem_init(&at_gate, 0, 0);
    (void)sem_init(&gate, 0, 0);
    return 0;
}

static int
teardown(void **state)
{
    loop_timer_cancel(&tick);
    freezer_stop(freezer);
    worker_pool_free(pool);
    freezer_free(freezer);
    loop_run_deferred(loop);
    loop_free(loop);
    (void)sem_destroy(&at_gate);
    (void)sem_destroy(&gate);
    return fake_teardown(state);
}

/* ---- turns --------------------------------------------------------------- */

static void
test_freeze_and_thaw(void **state)
{
    struct freezer_stats s;

    (void)state;
    assert_false(freezer_stands(freezer));
    (void)ask_freeze(FREEZE_HIERARCHY, 5000);
    run_until("f");
    assert_int_equal(frozen.requested, 3);
    assert_int_equal(frozen.frozen, 3);
    assert_true(freezer_stands(freezer));
    assert_true(fake_is_frozen("customer"));
    ask_thaw();
    run_until("ft");
    assert_int_equal(thawed.error, 0);
    assert_int_equal(thawed.thawed, 1);
    assert_false(freezer_stands(freezer));
    assert_false(fake_is_frozen("customer"));
    s = freezer_get_stats(freezer);
    assert_true(s.freezes == 1 && s.thaws == 1 && !s.stands);
    assert_true(s.dropped == 0 && s.dirty_thaws == 0 && s.failed == 0);
}

/* One after the other, in the order they were asked for. */
static void
test_order(void **state)
{
    (void)state;
    odd_add("user")->looks = 10;
    (void)ask_freeze(FREEZE_LEGACY, LONG_MS);
    ask_thaw();
    (void)ask_freeze(FREEZE_LEGACY, 0);
    run_until("ftf");
    assert_int_equal(frozen.not_frozen, 2);
    assert_true(fake_is_frozen("user"));
}

/* Nothing is written for one who has left before its turn. */
static void
test_dropped_before(void **state)
{
    struct freezer_wait *w;

    (void)state;
    ask_thaw();
    w = ask_freeze(FREEZE_LEGACY, 0);
    freezer_drop(w);
    ask_thaw();
    run_until("tt");
    assert_false(fake_is_frozen("user"));
    assert_int_equal(freezer_get_stats(freezer).freezes, 0);
    assert_int_equal(freezer_get_stats(freezer).dropped, 1);
}

static void
look_at_list(const char *path)
{
    if (*path == '\0')
        wait_at_gate();
}

/* The next one need not wait for what nobody waits for. */
static void
test_dropped_meanwhile(void **state)
{
    int64_t began = loop_now_ms();
    struct freezer_wait *w;

    (void)state;
    odd_add("user")->looks = -1;
    fake.on_list = look_at_list;
    w = ask_freeze(FREEZE_LEGACY, LONG_MS);
    run_for(1);
    (void)sem_wait(&at_gate);
    fake.on_list = NULL;
    (void)sem_post(&gate);
    freezer_drop(w);
    ask_thaw();
    run_until("t");
    assert_true(loop_now_ms() - began < LONG_MS / 2);
    assert_int_equal(freezer_get_stats(freezer).dropped, 1);
    assert_true(thawed.stood);
    assert_false(fake_is_frozen("user"));
}

/* A thaw is carried out, whoever has left. */
static void
test_dropped_thaw(void **state)
{
    (void)state;
    (void)ask_freeze(FREEZE_LEGACY, 0);
    freezer_drop(freezer_thaw(freezer, on_thawed, calls));
    ask_audit();
    run_until("af");
    freezer_observe(freezer, on_observed, NULL);
    run_until("afo");
    assert_false(fake_is_frozen("user"));
}

/* Those who wait for a thaw share one. */
static void
test_shared_thaws(void **state)
{
    char expected[64] = "f";

    (void)state;
    (void)ask_freeze(FREEZE_LEGACY, 0);
    for (size_t i = 1; i < 50; i++) {
        ask_thaw();
        expected[i] = 't';
    }
    run_until(expected);
    assert_int_equal(freezer_get_stats(freezer).thaws, 1);
    assert_true(thawed.stood);
}

/* No thread is needed to find that nothing is frozen. */
static void
test_nothing_to_thaw(void **state)
{
    (void)state;
    fake_freeze("customer");
    freezer_observe(freezer, on_observed, NULL);
    ask_thaw();
    ask_thaw();
    run_until("ott");
    assert_false(thawed.stood);
    assert_int_equal(worker_pool_stats(pool).submitted, 0);
    assert_int_equal(freezer_get_stats(freezer).thaws, 1);
    assert_true(fake_is_frozen("customer"));
}

/* What cannot be read may be frozen. */
static void
test_thaw_of_the_unreadable(void **state)
{
    (void)state;
    odd_add("ptys")->request_error = -EIO;
    odd_add("user")->write_error = -EIO;
    ask_thaw();
    run_until("t");
    assert_int_equal(thawed.error, -EIO);
    assert_int_equal(worker_pool_stats(pool).submitted, 1);
    assert_true(freezer_get_stats(freezer).watched);
}

static void
test_queue_is_bounded(void **state)
{
    struct freezer_wait *waits[LIMIT_FREEZE_QUEUE];

    (void)state;
    for (size_t i = 0; i < LIMIT_FREEZE_QUEUE; i++) {
        waits[i] = ask_freeze(FREEZE_LEGACY, 0);
        assert_non_null(waits[i]);
    }
    assert_null(ask_freeze(FREEZE_LEGACY, 0));
    ask_thaw();
    freezer_drop(waits[LIMIT_FREEZE_QUEUE - 1]);
    assert_non_null(ask_freeze(FREEZE_LEGACY, 0));
    for (size_t i = 0; i < LIMIT_FREEZE_QUEUE - 1; i++)
        freezer_drop(waits[i]);
    run_until("tf");
}

static void
test_no_root(void **state)
{
    const struct cgroup_tree none = {.ops = &fake_ops, .root_fd = -1};

    (void)state;
    freezer_stop(freezer);
    freezer_free(freezer);
    freezer = freezer_new(loop, pool, &none);
    freezer_set_window(freezer, 1);
    (void)ask_freeze(FREEZE_HIERARCHY, LONG_MS);
    run_until("f");
    assert_int_equal(frozen.requested, 2);
    assert_int_equal(frozen.unobservable, 2);
    assert_false(freezer_stands(freezer));
    ask_audit();
    run_until("fa");
    assert_false(audit_holds);
    ask_thaw();
    run_until("fat");
    assert_int_equal(thawed.error, 0);
    assert_int_equal(freezer_get_stats(freezer).rescues, 0);
    assert_false(fake_is_frozen("user"));
}

/* The end of the agent does not wait for a cgroup that never stops. */
static void
test_stop(void **state)
{
    int64_t began = loop_now_ms();

    (void)state;
    odd_add("user")->looks = -1;
    fake.on_list = look_at_list;
    (void)ask_freeze(FREEZE_LEGACY, LONG_MS);
    ask_thaw();
    run_for(1);
    (void)sem_wait(&at_gate);
    fake.on_list = NULL;
    (void)sem_post(&gate);
    freezer_stop(freezer);
    worker_pool_free(pool);
    freezer_free(freezer);
    assert_true(loop_now_ms() - began < LONG_MS / 2);
    assert_string_equal(calls, "");
    pool = worker_pool_new(loop, 1);
    freezer = freezer_new(loop, pool, &fake.tree);
}

/* ---- the watchdog -------------------------------------------------------- */

static void
test_rescue(void **state)
{
    (void)state;
    freezer_set_window(freezer, 30);
    freezer_observe(freezer, on_observed, NULL);
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("fo");
    assert_false(fake_is_frozen("user") || fake_is_frozen("customer"));
    assert_int_equal(freezer_get_stats(freezer).rescues, 1);
    assert_false(freezer_stands(freezer));
    run_for(90);
    assert_string_equal(calls, "fo");
}

/* What an earlier agent has frozen is watched over, and found by a thaw. */
static void
test_earlier_agent(void **state)
{
    (void)state;
    assert_false(freezer_get_stats(freezer).watched);
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("f");
    freezer_stop(freezer);
    freezer_free(freezer);
    freezer = freezer_new(loop, pool, &fake.tree);
    assert_true(freezer_get_stats(freezer).watched);
    ask_thaw();
    run_until("ft");
    assert_true(thawed.stood);
    assert_false(fake_is_frozen("user") || fake_is_frozen("customer"));
    assert_false(freezer_get_stats(freezer).watched);
}

/* One that did not thaw all tries again. */
static void
test_dirty_rescue(void **state)
{
    (void)state;
    freezer_set_window(freezer, 30);
    freezer_observe(freezer, on_observed, NULL);
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("f");
    odd_add("customer")->write_error = -EIO;
    run_until("foo");
    assert_false(fake_is_frozen("customer"));
    assert_int_equal(freezer_get_stats(freezer).rescues, 2);
    assert_int_equal(freezer_get_stats(freezer).dirty_thaws, 1);
    assert_int_equal(freezer_get_stats(freezer).failed, 1);
}

/* A thaw that fails leaves the rest to the watchdog. */
static void
test_dirty_thaw(void **state)
{
    (void)state;
    freezer_set_window(freezer, 1000);
    freezer_observe(freezer, on_observed, NULL);
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("f");
    odd_add("customer")->write_error = -EIO;
    ask_thaw();
    run_until("fot");
    assert_int_equal(thawed.error, -EIO);
    assert_true(freezer_stands(freezer));
    run_until("foto");
    assert_int_equal(freezer_get_stats(freezer).rescues, 1);
    assert_false(freezer_stands(freezer));
}

static void
test_clean_thaw_disarms(void **state)
{
    (void)state;
    freezer_set_window(freezer, 50);
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    ask_thaw();
    run_until("ft");
    run_for(150);
    assert_int_equal(freezer_get_stats(freezer).thaws, 1);
}

/* A new freeze has a watchdog of its own: the old one's time does not count. */
static void
test_superseded(void **state)
{
    (void)state;
    freezer_set_window(freezer, 30);
    (void)ask_freeze(FREEZE_LEGACY, 0);
    run_until("f");
    odd_add("user")->before_write = wait_at_gate;
    (void)ask_freeze(FREEZE_LEGACY, 0);
    run_for(90); /* it has fired, and waits its turn */
    (void)sem_wait(&at_gate);
    freezer_set_window(freezer, LONG_MS);
    (void)sem_post(&gate);
    run_until("ff");
    run_for(50);
    assert_int_equal(freezer_get_stats(freezer).thaws, 0);
    assert_true(fake_is_frozen("user"));
    fake.odd_count = 0;
}

/* ---- audits -------------------------------------------------------------- */

static void
test_audit(void **state)
{
    (void)state;
    ask_audit();
    run_until("a");
    assert_false(audit_holds);
    (void)ask_freeze(FREEZE_LEGACY, 0);
    run_until("af");
    ask_audit();
    run_until("afa");
    assert_false(audit_holds);
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("afaf");
    ask_audit();
    run_until("afafa");
    assert_true(audit_holds);
    assert_int_equal(audited.visited, 4);
    assert_int_equal(audited.frozen, 3);
    assert_int_equal(audited.escaped, 0);
    assert_int_equal(audited.violations, 0);
    ask_thaw();
    run_until("afafat");
    ask_audit();
    run_until("afafata");
    assert_false(audit_holds);
}

static void
test_audit_after_dirty_thaw(void **state)
{
    (void)state;
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("f");
    odd_add("customer")->write_error = -EIO;
    ask_thaw();
    run_until("ft");
    assert_int_equal(thawed.error, -EIO);
    ask_audit();
    run_until("fta");
    assert_false(audit_holds);
}

/* A hierarchy freeze of which every write failed is the one to be seen. */
static void
test_audit_of_a_failed_freeze(void **state)
{
    (void)state;
    odd_add("user")->write_error = -EIO;
    odd_add("ptys")->write_error = -EIO;
    odd_add("customer")->write_error = -EIO;
    (void)ask_freeze(FREEZE_HIERARCHY, 0);
    run_until("f");
    ask_audit();
    run_until("fa");
    assert_true(audit_holds);
    assert_int_equal(audited.escaped, 3);
}

/* What was seen before a thaw and after it is no state. */
static void
test_audit_discarded(void **state)
{
    (void)state;
    for (int refreeze = 0; refreeze < 2; refreeze++) {
        memset(calls, 0, sizeof(calls));
        (void)ask_freeze(FREEZE_HIERARCHY, 0);
        run_until("f");
        fake.on_list = look_at_list;
        ask_audit();
        (void)sem_wait(&at_gate);
        fake.on_list = NULL;
        ask_thaw();
        run_until("ft");
        if (refreeze != 0) {
            (void)ask_freeze(FREEZE_HIERARCHY, 0);
            run_until("ftf");
        }
        (void)sem_post(&gate);
        run_until(refreeze != 0 ? "ftfa" : "fta");
        assert_false(audit_holds);
    }
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_freeze_and_thaw),
        ROW(test_order),
        ROW(test_dropped_before),
        ROW(test_dropped_meanwhile),
        ROW(test_dropped_thaw),
        ROW(test_shared_thaws),
        ROW(test_nothing_to_thaw),
        ROW(test_thaw_of_the_unreadable),
        ROW(test_queue_is_bounded),
        ROW(test_no_root),
        ROW(test_stop),
        ROW(test_rescue),
        ROW(test_earlier_agent),
        ROW(test_dirty_rescue),
        ROW(test_dirty_thaw),
        ROW(test_clean_thaw_disarms),
        ROW(test_superseded),
        ROW(test_audit),
        ROW(test_audit_after_dirty_thaw),
        ROW(test_audit_of_a_failed_freeze),
        ROW(test_audit_discarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
