/*
 * For tests of guest/: a loop, workers, a scratch directory, and a wait for
 * what comes out of them.
 */
#ifndef TESTS_UNIT_GUEST_FIXTURE_H
#define TESTS_UNIT_GUEST_FIXTURE_H

#include "scratch.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "base/mem.h"
#include "base/scope.h"
#include "loop/loop.h"
#include "loop/worker.h"

/* A test that waits longer has failed. */
#define PATIENCE_MS 60000

static struct loop *loop;
static struct worker_pool *pool;
static struct loop_timer fixture_tick;

static void
fixture_on_tick(struct loop_timer *t)
{
    (void)t;
    loop_stop(loop);
}

SCRATCH_USE int
fixture_make(void **state)
{
    loop = loop_new();
    pool = worker_pool_new(loop, 4);
    loop_timer_init(loop, &fixture_tick, fixture_on_tick);
    return scratch_make(state);
}

/* Before what the pool's jobs belong to is freed. */
SCRATCH_USE void
fixture_end_pool(void)
{
    worker_pool_free(TAKE_PTR(pool));
    loop_run_deferred(loop);
}

SCRATCH_USE int
fixture_remove(void **state)
{
    if (pool != NULL)
        fixture_end_pool();
    loop_timer_cancel(&fixture_tick);
    loop_free(loop);
    return scratch_remove(state);
}

/* Turn the loop once, for a few milliseconds at most. */
SCRATCH_USE void
fixture_turn(void)
{
    loop_timer_set(&fixture_tick, 2);
    (void)loop_run(loop);
}

/* Turn the loop until something is so. */
#define WAIT_UNTIL(condition)                         \
    do {                                              \
        int64_t until_ = loop_now_ms() + PATIENCE_MS; \
        while (!(condition)) {                        \
            assert_true(loop_now_ms() < until_);      \
            fixture_turn();                           \
        }                                             \
    } while (0)

/* A mount namespace of our own; false where there can be none. */
SCRATCH_USE bool
fixture_own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

#endif
