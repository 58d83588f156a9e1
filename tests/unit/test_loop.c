/*
 * loop/: end-of-turn work, timers, and the worker pool.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/scope.h"
#include "loop/loop.h"
#include "loop/worker.h"

struct step {
    struct loop_deferred deferred;
    struct loop *loop;
    struct step *then;
    int ran;
};

static void
on_step(struct loop_deferred *d)
{
    struct step *s = container_of(d, struct step, deferred);

    s->ran++;
    if (s->then != NULL)
        loop_defer(s->loop, &s->then->deferred);
    else
        loop_stop(s->loop);
}

static void
test_deferred_runs_once_and_chains(void **state)
{
    struct loop *l = loop_new();
    struct step second = {.loop = l, .deferred.run = on_step};
    struct step first = {.loop = l, .deferred.run = on_step, .then = &second};
    struct step never = {.loop = l, .deferred.run = on_step};

    (void)state;
    loop_defer(l, &never.deferred);
    loop_defer(l, &first.deferred);
    loop_defer(l, &first.deferred);
    loop_defer_cancel(l, &never.deferred);
    loop_run_deferred(l);
    assert_int_equal(first.ran, 1);
    assert_int_equal(second.ran, 1);
    assert_int_equal(never.ran, 0);
    loop_free(l);
}

struct alarm {
    struct loop_timer timer;
    struct loop *loop;
    int64_t fired_ms;
};

static void
on_alarm(struct loop_timer *t)
{
    struct alarm *a = container_of(t, struct alarm, timer);

    a->fired_ms = loop_now_ms();
    loop_stop(a->loop);
}

static void
test_timer_fires_not_early(void **state)
{
    struct loop *l = loop_new();
    struct alarm a = {.loop = l};
    struct alarm cancelled = {.loop = l};
    int64_t begin = loop_now_ms();

    (void)state;
    loop_timer_init(l, &a.timer, on_alarm);
    loop_timer_init(l, &cancelled.timer, on_alarm);
    loop_timer_set(&cancelled.timer, 1);
    loop_timer_set(&a.timer, 20);
    loop_timer_cancel(&cancelled.timer);
    assert_int_equal(loop_run(l), 0);
    assert_true(a.fired_ms - begin >= 19);
    assert_int_equal(cancelled.fired_ms, 0);
    loop_free(l);
}

struct work {
    struct job job;
    struct loop *loop;
    int *left;
    bool ran;
    bool done;
};

static void
work_run(struct job *job)
{
    struct work *w = container_of(job, struct work, job);

    w->ran = true;
}

static void
work_done(struct job *job)
{
    struct work *w = container_of(job, struct work, job);

    w->done = true;
    if (--*w->left == 0)
        loop_stop(w->loop);
}

static void
test_jobs_run_and_finish_on_the_loop(void **state)
{
    enum { COUNT = 1000 };
    struct loop *l = loop_new();
    struct worker_pool *pool = worker_pool_new(l, 3);
    struct work *works = xcalloc(COUNT, sizeof(*works));
    int left = COUNT;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        works[i] = (struct work){
            .job = {.run = work_run, .done = work_done, .quick = i % 5 != 0},
            .loop = l,
            .left = &left,
        };
        assert_int_equal(worker_submit(pool, &works[i].job), 0);
    }
    assert_int_equal(loop_run(l), 0);
    for (int i = 0; i < COUNT; i++)
        assert_true(works[i].ran && works[i].done);
    worker_pool_free(pool);
    loop_free(l);
    free(works);
}

struct gate {
    struct job job;
    sem_t entered;
    sem_t leave;
};

static void
gate_run(struct job *job)
{
    struct gate *g = container_of(job, struct gate, job);

    (void)sem_post(&g->entered);
    (void)sem_wait(&g->leave);
}

static void
gate_done(struct job *job)
{
    (void)job;
}

static void
test_cancelled_jobs_do_not_run_but_are_done(void **state)
{
    struct loop *l = loop_new();
    struct worker_pool *pool = worker_pool_new(l, 1);
    struct gate gate = {.job = {.run = gate_run, .done = gate_done}};
    int left = 2;
    struct work kept = {
        .job = {.run = work_run, .done = work_done}, .loop = l, .left = &left};
    struct work cancelled = kept;

    (void)state;
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.leave, 0, 0);
    assert_int_equal(worker_submit(pool, &gate.job), 0);
    (void)sem_wait(&gate.entered);
    assert_int_equal(worker_submit(pool, &cancelled.job), 0);
    assert_int_equal(worker_submit(pool, &kept.job), 0);
    job_cancel(&cancelled.job);
    (void)sem_post(&gate.leave);
    assert_int_equal(loop_run(l), 0);
    assert_false(cancelled.ran);
    assert_true(cancelled.done && kept.ran && kept.done);
    worker_pool_free(pool);
    loop_free(l);
}

/* One that blocks holds up neither those behind it nor the end of another. */
static void
test_quick_jobs_pass_one_that_blocks(void **state)
{
    struct loop *l = loop_new();
    struct worker_pool *pool = worker_pool_new(l, 2);
    struct gate gate = {
        .job = {.run = gate_run, .done = gate_done, .quick = true}};
    int left = 4;
    struct work works[4];

    (void)state;
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.leave, 0, 0);
    for (int i = 0; i < 4; i++) {
        works[i] = (struct work){
            .job = {.run = work_run, .done = work_done, .quick = true},
            .loop = l,
            .left = &left,
        };
        assert_int_equal(worker_submit(pool, &works[i].job), 0);
        if (i == 1)
            assert_int_equal(worker_submit(pool, &gate.job), 0);
    }
    assert_int_equal(loop_run(l), 0); /* the gate is still closed */
    (void)sem_wait(&gate.entered);
    (void)sem_post(&gate.leave);
    worker_pool_free(pool);
    loop_free(l);
}

static void
test_freeing_the_pool_ends_queued_jobs(void **state)
{
    struct loop *l = loop_new();
    struct worker_pool *pool = worker_pool_new(l, 1);
    struct gate gate = {.job = {.run = gate_run, .done = gate_done}};
    int left = 1;
    struct work queued = {
        .job = {.run = work_run, .done = work_done}, .loop = l, .left = &left};

    (void)state;
    (void)sem_init(&gate.entered, 0, 0);
    (void)sem_init(&gate.leave, 0, 1);
    assert_int_equal(worker_submit(pool, &gate.job), 0);
    assert_int_equal(worker_submit(pool, &queued.job), 0);
    worker_pool_free(pool);
    assert_true(queued.done);
    loop_free(l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deferred_runs_once_and_chains),
        cmocka_unit_test(test_timer_fires_not_early),
        cmocka_unit_test(test_jobs_run_and_finish_on_the_loop),
        cmocka_unit_test(test_cancelled_jobs_do_not_run_but_are_done),
        cmocka_unit_test(test_quick_jobs_pass_one_that_blocks),
        cmocka_unit_test(test_freeing_the_pool_ends_queued_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
