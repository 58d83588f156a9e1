/*
 * Freezing and thawing, with a kernel of the test's own.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/scope.h"
#include "guest/fsfreeze.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "scratch.h"

/* The kernel: what it shall say, and what it was asked. */
static struct {
    atomic_int freezes;
    atomic_int thaws;
    atomic_int freeze_result;
    atomic_int thaw_result;
    atomic_int thaw_failures; /* this many first say -EIO */
    atomic_bool slow;
    atomic_bool marked; /* there was a marker when it was frozen */
    sem_t entered;
    sem_t leave;
} fake;

static int
fake_freeze(int fd)
{
    assert_true(fd >= 0);
    (void)atomic_fetch_add(&fake.freezes, 1);
    atomic_store(&fake.marked, scratch_has("run/.fsfreeze"));
    if (atomic_load(&fake.slow)) {
        (void)sem_post(&fake.entered);
        (void)sem_wait(&fake.leave);
    }
    return atomic_load(&fake.freeze_result);
}

static int
fake_thaw(int fd)
{
    assert_true(fd >= 0);
    (void)atomic_fetch_add(&fake.thaws, 1);
    if (atomic_load(&fake.thaw_failures) > 0) {
        (void)atomic_fetch_sub(&fake.thaw_failures, 1);
        return -EIO;
    }
    return atomic_load(&fake.thaw_result);
}

static const struct fsfreeze_ops fake_ops = {fake_freeze, fake_thaw};

struct fixture {
    struct loop *loop;
    struct worker_pool *workers;
    struct fsfreeze *f;
    struct loop_timer poll; /* wakes the loop to look at a condition */
    bool (*until)(struct fixture *x);
    char mount[4096];
    char run_dir[4096];
};

/* One wish, and how it ended. */
struct wish {
    struct fsfreeze_request request;
    bool over;
    int err;
    char text[512];
};

static void
on_wish(struct fsfreeze_request *r, int err, const char *text)
{
    struct wish *w = container_of(r, struct wish, request);

    assert_false(w->over);
    w->over = true;
    w->err = err;
    (void)snprintf(w->text, sizeof(w->text), "%s", text != NULL ? text : "");
}

static void
on_poll(struct loop_timer *t)
{
    struct fixture *x = container_of(t, struct fixture, poll);

    if (x->until(x))
        loop_stop(x->loop);
    else
        loop_timer_set(t, 1);
}

static void
turn(struct fixture *x, bool (*until)(struct fixture *x))
{
    x->until = until;
    loop_timer_set(&x->poll, 0);
    assert_int_equal(loop_run(x->loop), 0);
}

static struct wish *awaited;

static bool
is_over(struct fixture *x)
{
    (void)x;
    return awaited->over;
}

static void
await(struct fixture *x, struct wish *w)
{
    awaited = w;
    turn(x, is_over);
}

static void
fixture_open(struct fixture *x, int64_t watchdog_ms)
{
    struct fsfreeze_options o = {.ops = &fake_ops, .watchdog_ms = watchdog_ms};

    memset(&fake, 0, sizeof(fake));
    (void)sem_init(&fake.entered, 0, 0);
    (void)sem_init(&fake.leave, 0, 0);
    *x = (struct fixture){.loop = loop_new()};
    (void)snprintf(x->mount, sizeof(x->mount), "%s", scratch("mount"));
    (void)snprintf(x->run_dir, sizeof(x->run_dir), "%s", scratch("run"));
    (void)mkdir(x->mount, 0755);
    o.mount = x->mount;
    o.run_dir = x->run_dir;
    x->workers = worker_pool_new(x->loop, 2);
    x->f = fsfreeze_new(x->loop, x->workers, &o);
    loop_timer_init(x->loop, &x->poll, on_poll);
}

static void
fixture_close(struct fixture *x)
{
    worker_hold_writes(x->workers, false); /* for what a test has left */
    worker_pool_free(x->workers);
    fsfreeze_free(x->f);
    loop_timer_cancel(&x->poll);
    loop_free(x->loop);
    (void)unlink(scratch("run/.fsfreeze"));
}

static struct wish *
freeze(struct fixture *x, struct wish *w)
{
    *w = (struct wish){.request = {.done = on_wish}};
    fsfreeze_freeze(x->f, &w->request);
    assert_false(w->over);
    return w;
}

static struct wish *
thaw(struct fixture *x, struct wish *w)
{
    *w = (struct wish){.request = {.done = on_wish}};
    fsfreeze_thaw(x->f, &w->request);
    assert_false(w->over);
    return w;
}

static void
expect(struct fixture *x, struct wish *w, int err, const char *text)
{
    await(x, w);
    assert_int_equal(w->err, err);
    assert_string_equal(w->text, text);
}

/* ---- a job that writes --------------------------------------------------- */

struct writer {
    struct job job;
    bool over;
};

static void
writer_run(struct job *job)
{
    (void)job;
}

static void
writer_done(struct job *job)
{
    container_of(job, struct writer, job)->over = true;
}

static struct writer writer;

static bool
writer_is_over(struct fixture *x)
{
    (void)x;
    return writer.over;
}

static void
write_something(struct fixture *x)
{
    writer = (struct writer){
        .job = {.run = writer_run, .done = writer_done, .writes = true}};
    assert_int_equal(worker_submit(x->workers, &writer.job), 0);
}

/* ---- tests --------------------------------------------------------------- */

static void
test_freeze_and_thaw(void **state)
{
    struct fsfreeze_stats stats;
    struct fixture x;
    struct wish w;

    (void)state;
    fixture_open(&x, 0);
    assert_false(fsfreeze_frozen(x.f));
    for (int i = 0; i < 2; i++) {
        expect(&x, freeze(&x, &w), 0, "");
        assert_true(fsfreeze_frozen(x.f));
        /* Nothing is written any more once it is frozen. */
        assert_int_equal(atomic_load(&fake.marked), i == 0);
        (void)unlink(scratch("run/.fsfreeze"));
        atomic_store(&fake.freeze_result, -EBUSY);
    }
    write_something(&x);
    for (int i = 0; i < 2; i++) {
        expect(&x, thaw(&x, &w), 0, "");
        assert_false(fsfreeze_frozen(x.f));
        assert_false(scratch_has("run/.fsfreeze"));
        atomic_store(&fake.thaw_result, -EINVAL);
    }
    turn(&x, writer_is_over);
    fsfreeze_get_stats(x.f, &stats);
    assert_int_equal(stats.freezes, 2);
    assert_int_equal(stats.thaws, 2);
    assert_int_equal(stats.failures, 0);
    assert_false(stats.frozen);
    fixture_close(&x);
}

static void
test_failures(void **state)
{
    struct fsfreeze_stats stats;
    struct fixture x;
    char text[5000];
    struct wish w;

    (void)state;
    fixture_open(&x, 0);
    atomic_store(&fake.freeze_result, -EOPNOTSUPP);
    (void)snprintf(text, sizeof(text), "FIFREEZE %s: operation not supported",
                   x.mount);
    expect(&x, freeze(&x, &w), -EOPNOTSUPP, text);
    assert_false(fsfreeze_frozen(x.f));
    assert_false(scratch_has("run/.fsfreeze"));
    write_something(&x); /* nothing is held */
    turn(&x, writer_is_over);

    atomic_store(&fake.thaw_result, -EPERM);
    (void)snprintf(text, sizeof(text), "FITHAW %s: operation not permitted",
                   x.mount);
    expect(&x, thaw(&x, &w), -EPERM, text);

    assert_int_equal(rmdir(x.mount), 0);
    (void)snprintf(text, sizeof(text), "open %s: no such file or directory",
                   x.mount);
    expect(&x, freeze(&x, &w), -ENOENT, text);
    fsfreeze_get_stats(x.f, &stats);
    assert_int_equal(stats.failures, 3);
    fixture_close(&x);
}

/* What stays frozen stays held, and is thawed by the next one. */
static void
test_thaw_that_fails(void **state)
{
    struct fixture x;
    struct wish w;

    (void)state;
    fixture_open(&x, 0);
    expect(&x, freeze(&x, &w), 0, "");
    atomic_store(&fake.thaw_failures, 1);
    await(&x, thaw(&x, &w));
    assert_int_equal(w.err, -EIO);
    assert_true(fsfreeze_frozen(x.f));
    assert_true(scratch_has("run/.fsfreeze"));
    write_something(&x);
    expect(&x, thaw(&x, &w), 0, "");
    turn(&x, writer_is_over);
    fixture_close(&x);
}

static bool
is_frozen(struct fixture *x)
{
    (void)x;
    return sem_trywait(&fake.entered) == 0;
}

static void
test_one_at_a_time(void **state)
{
    struct fixture x;
    struct wish first;
    struct wish second;
    struct wish third;
    struct wish last;

    (void)state;
    fixture_open(&x, 0);
    atomic_store(&fake.slow, true);
    (void)freeze(&x, &first);
    turn(&x, is_frozen);
    assert_true(fsfreeze_frozen(x.f)); /* about to be */
    atomic_store(&fake.slow, false);
    (void)freeze(&x, &second);
    (void)thaw(&x, &third);
    (void)freeze(&x, &last);
    /* One that waits ends at once when its client leaves. */
    fsfreeze_drop(x.f, &last.request);
    expect(&x, &last, -ECANCELED, "");
    /* One that has begun, or a thaw, does not end for that. */
    fsfreeze_drop(x.f, &first.request);
    fsfreeze_drop(x.f, &third.request);
    assert_false(first.over || second.over || third.over);
    assert_int_equal(atomic_load(&fake.freezes), 1);
    (void)sem_post(&fake.leave);
    expect(&x, &third, 0, "");
    assert_true(first.over && second.over);
    assert_int_equal(first.err, 0);
    assert_int_equal(second.err, 0);
    assert_int_equal(atomic_load(&fake.freezes), 2);
    assert_int_equal(atomic_load(&fake.thaws), 1);
    assert_false(fsfreeze_frozen(x.f));
    fixture_close(&x);
}

static bool
is_thawed(struct fixture *x)
{
    return !fsfreeze_frozen(x->f);
}

static void
test_watchdog(void **state)
{
    struct fsfreeze_stats stats;
    struct fixture x;
    struct wish w;

    (void)state;
    fixture_open(&x, 30);
    expect(&x, freeze(&x, &w), 0, "");
    write_something(&x);
    turn(&x, is_thawed);
    turn(&x, writer_is_over);
    fsfreeze_get_stats(x.f, &stats);
    assert_int_equal(stats.watchdog, 1);
    assert_int_equal(atomic_load(&fake.thaws), 1);
    fixture_close(&x);
}

static int64_t pass_until_ms;

static bool
has_passed(struct fixture *x)
{
    (void)x;
    return loop_now_ms() >= pass_until_ms;
}

/* Turn the loop for so long. */
static void
passed(struct fixture *x, int64_t ms)
{
    pass_until_ms = loop_now_ms() + ms;
    turn(x, has_passed);
}

/* One that came due while there was another freeze was not for that one. */
static void
test_watchdog_of_the_freeze_before(void **state)
{
    struct fsfreeze_stats stats;
    struct fixture x;
    struct wish w;

    (void)state;
    fixture_open(&x, 1000);
    expect(&x, freeze(&x, &w), 0, "");
    atomic_store(&fake.slow, true);
    (void)freeze(&x, &w);
    turn(&x, is_frozen);
    atomic_store(&fake.slow, false);
    passed(&x, 1100);
    assert_int_equal(atomic_load(&fake.thaws), 0);
    (void)sem_post(&fake.leave);
    expect(&x, &w, 0, "");
    passed(&x, 20);
    assert_true(fsfreeze_frozen(x.f));
    assert_int_equal(atomic_load(&fake.thaws), 0);
    /* Its own comes. */
    turn(&x, is_thawed);
    fsfreeze_get_stats(x.f, &stats);
    assert_int_equal(stats.watchdog, 1);
    fixture_close(&x);
}

static bool
is_healed(struct fixture *x)
{
    (void)x;
    return atomic_load(&fake.thaws) == 1;
}

static void
test_heal_without_a_marker(void **state)
{
    struct fixture x;

    (void)state;
    fixture_open(&x, 0);
    scratch_file("run/.fsfreeze", "another-boot /\n", 0644);
    fsfreeze_heal(x.f, true);
    /* Until it is known what the marker says. */
    assert_true(fsfreeze_frozen(x.f));
    turn(&x, is_healed);
    write_something(&x);
    turn(&x, writer_is_over);
    assert_false(fsfreeze_frozen(x.f));
    assert_false(scratch_has("run/.fsfreeze"));
    fixture_close(&x);
}

/* The machine is somebody else's, and so may the freeze be. */
static void
test_heal_without_a_right_to(void **state)
{
    struct fixture x;

    (void)state;
    fixture_open(&x, 0);
    for (int i = 0; i < 2; i++) {
        fsfreeze_heal(x.f, false);
        write_something(&x);
        turn(&x, writer_is_over);
        assert_int_equal(atomic_load(&fake.thaws), 0);
        scratch_file("run/.fsfreeze", "another-boot /\n", 0644);
    }
    fixture_close(&x);
}

static bool
counts_as_frozen(struct fixture *x)
{
    return fsfreeze_frozen(x->f);
}

static void
test_heal_with_a_marker(void **state)
{
    struct fixture x;
    struct wish w;
    const struct fsfreeze_options o = {
        .ops = &fake_ops, .mount = x.mount, .run_dir = x.run_dir};

    fixture_open(&x, 0);
    expect(&x, freeze(&x, &w), 0, "");
    /* Another agent begins. */
    worker_hold_writes(x.workers, false);
    worker_pool_free(x.workers);
    fsfreeze_free(x.f);
    x.workers = worker_pool_new(x.loop, 2);
    x.f = fsfreeze_new(x.loop, x.workers, &o);
    fsfreeze_heal(x.f, *state != NULL);
    turn(&x, counts_as_frozen);
    assert_int_equal(atomic_load(&fake.thaws), 0);
    write_something(&x);
    expect(&x, thaw(&x, &w), 0, "");
    turn(&x, writer_is_over);
    fixture_close(&x);
}

static void
test_end_with_waiters(void **state)
{
    struct fixture x;
    struct wish w;

    (void)state;
    fixture_open(&x, 0);
    (void)freeze(&x, &w);
    fixture_close(&x);
    assert_true(w.over);
    assert_int_equal(w.err, -ECANCELED);
}

static int
make(void **state)
{
    int r = scratch_make(state);

    scratch_dir("run");
    return r;
}

int
main(void)
{
    static bool ours = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freeze_and_thaw),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_thaw_that_fails),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_watchdog_of_the_freeze_before),
        cmocka_unit_test(test_heal_without_a_marker),
        cmocka_unit_test(test_heal_without_a_right_to),
        cmocka_unit_test(test_heal_with_a_marker),
        cmocka_unit_test_prestate(test_heal_with_a_marker, &ours),
        cmocka_unit_test(test_end_with_waiters),
    };

    return cmocka_run_group_tests_name("fsfreeze", tests, make, scratch_remove);
}
