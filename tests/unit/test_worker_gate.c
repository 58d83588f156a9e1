/*
 * Jobs that write, while writes are held.
 */
#include <errno.h>
#include <linux/magic.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "scratch.h"

/* One job, and what is seen of it. */
struct guest {
    struct job job;
    struct hall *hall;
    sem_t entered;
    sem_t leave; /* before it comes to the pause point */
    atomic_bool ran;
    atomic_bool passed; /* the pause point */
    bool quiet;         /* what waiting for the others gave */
    bool done;
};

struct hall {
    struct loop *loop;
    struct worker_pool *pool;
    int done;
    int wanted; /* done, before the loop is stopped */
};

static void
hall_open(struct hall *h, unsigned int threads)
{
    *h = (struct hall){.loop = loop_new()};
    h->pool = worker_pool_new(h->loop, threads);
}

static void
hall_close(struct hall *h)
{
    worker_pool_free(h->pool);
    loop_free(h->loop);
}

static void
run(struct job *job)
{
    atomic_store(&container_of(job, struct guest, job)->ran, true);
}

static void
run_and_pause(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    atomic_store(&g->ran, true);
    (void)sem_post(&g->entered);
    (void)sem_wait(&g->leave);
    worker_pause_point();
    atomic_store(&g->passed, true);
}

static void
wait_for_quiet(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    g->quiet = worker_wait_writes(g->hall->pool, 60 * 1000);
}

static void
wait_quiet_briefly(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    g->quiet = worker_wait_writes(g->hall->pool, 20);
}

static void
on_done(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    g->done = true;
    if (++g->hall->done == g->hall->wanted)
        loop_stop(g->hall->loop);
}

static void
invite(struct guest *g, struct hall *h, void (*how)(struct job *job))
{
    *g = (struct guest){.hall = h};
    g->job = (struct job){.run = how, .done = on_done, .path = "/some/where"};
    (void)sem_init(&g->entered, 0, 0);
    (void)sem_init(&g->leave, 0, 0);
}

static void
submit(struct guest *g)
{
    assert_int_equal(worker_submit(g->hall->pool, &g->job), 0);
}

/* Turn the loop until `count` more are done. */
static void
wait_done(struct hall *h, int count)
{
    h->wanted = h->done + count;
    assert_int_equal(loop_run(h->loop), 0);
}

/* Enough turns that what could run has run: many jobs after one another. */
static void
settle(struct hall *h)
{
    struct guest g;

    for (int i = 0; i < 20; i++) {
        invite(&g, h, run);
        submit(&g);
        wait_done(h, 1);
    }
}

static void
test_queued_writers_wait(void **state)
{
    struct hall h;
    struct guest writers[8];

    (void)state;
    hall_open(&h, 2);
    worker_hold_writes(h.pool, true);
    for (int i = 0; i < 8; i++) {
        invite(&writers[i], &h, run);
        writers[i].job.writes = true;
        writers[i].job.bulk = i % 2 == 0;
        writers[i].job.quick = i % 4 == 1;
        submit(&writers[i]);
    }
    settle(&h);
    for (int i = 0; i < 8; i++)
        assert_false(atomic_load(&writers[i].ran));
    worker_hold_writes(h.pool, false);
    wait_done(&h, 8);
    for (int i = 0; i < 8; i++)
        assert_true(atomic_load(&writers[i].ran));
    hall_close(&h);
}

static void
test_what_was_queued_before_waits_too(void **state)
{
    struct hall h;
    struct guest first;
    struct guest second;

    (void)state;
    hall_open(&h, 1);
    invite(&first, &h, run_and_pause); /* the only thread */
    submit(&first);
    (void)sem_wait(&first.entered);
    invite(&second, &h, run);
    second.job.writes = true;
    submit(&second);
    worker_hold_writes(h.pool, true);
    (void)sem_post(&first.leave);
    wait_done(&h, 1);
    settle(&h);
    assert_false(atomic_load(&second.ran));
    worker_hold_writes(h.pool, false);
    wait_done(&h, 1);
    assert_true(atomic_load(&second.ran));
    hall_close(&h);
}

/* As many as there are threads, of both kinds, and then as many again. */
static void
test_paused_writers_are_in_nobodys_way(void **state)
{
    enum { COUNT = 4, BULK = LIMIT_WORKER_BULK };
    struct hall h;
    struct guest writers[COUNT];
    struct guest others[COUNT];
    struct guest waiter;

    (void)state;
    hall_open(&h, COUNT + 1);
    for (int i = 0; i < COUNT; i++) {
        invite(&writers[i], &h, run_and_pause);
        writers[i].job.writes = true;
        writers[i].job.bulk = i < BULK;
        submit(&writers[i]);
        (void)sem_wait(&writers[i].entered);
    }
    worker_hold_writes(h.pool, true);
    for (int i = 0; i < COUNT; i++)
        (void)sem_post(&writers[i].leave);
    invite(&waiter, &h, wait_for_quiet);
    waiter.job.urgent = true;
    submit(&waiter);
    wait_done(&h, 1);
    assert_true(waiter.quiet);
    /* Which all have to be inside at once. */
    for (int i = 0; i < COUNT; i++) {
        invite(&others[i], &h, run_and_pause);
        others[i].job.bulk = i < BULK;
        submit(&others[i]);
    }
    for (int i = 0; i < COUNT; i++)
        (void)sem_wait(&others[i].entered);
    for (int i = 0; i < COUNT; i++)
        (void)sem_post(&others[i].leave);
    wait_done(&h, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_false(atomic_load(&writers[i].passed));
    worker_hold_writes(h.pool, false);
    wait_done(&h, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_true(atomic_load(&writers[i].passed));
    hall_close(&h);
}

/* One job writes, and then no more may. */
static void
hold_behind(struct hall *h, struct guest *writer)
{
    invite(writer, h, run_and_pause);
    writer->job.writes = true;
    submit(writer);
    (void)sem_wait(&writer->entered);
    worker_hold_writes(h->pool, true);
}

static void
test_waiting_for_writers_is_bounded(void **state)
{
    struct hall h;
    struct guest writer;
    struct guest waiter;

    (void)state;
    hall_open(&h, 2);
    hold_behind(&h, &writer);
    invite(&waiter, &h, wait_quiet_briefly);
    waiter.job.urgent = true;
    submit(&waiter);
    wait_done(&h, 1);
    assert_false(waiter.quiet);
    worker_hold_writes(h.pool, false);
    (void)sem_post(&writer.leave);
    wait_done(&h, 1);
    hall_close(&h);
}

static void
test_readers_do_not_pause(void **state)
{
    struct hall h;
    struct guest reader;

    (void)state;
    hall_open(&h, 1);
    worker_pause_point(); /* nor does the loop */
    worker_hold_writes(h.pool, true);
    worker_pause_point();
    invite(&reader, &h, run_and_pause);
    (void)sem_post(&reader.leave);
    submit(&reader);
    wait_done(&h, 1);
    assert_true(atomic_load(&reader.passed));
    hall_close(&h);
}

static void
test_bound(void **state)
{
    enum { COUNT = LIMIT_WORKER_GATED_JOBS };
    struct hall h;
    struct guest *writers = xcalloc(COUNT + 1, sizeof(*writers));
    struct guest other;
    int taken = 0;

    (void)state;
    hall_open(&h, 1);
    worker_hold_writes(h.pool, true);
    for (; taken < COUNT; taken++) {
        invite(&writers[taken], &h, run);
        writers[taken].job.writes = true;
        submit(&writers[taken]);
    }
    settle(&h);
    invite(&writers[COUNT], &h, run);
    writers[COUNT].job.writes = true;
    assert_int_equal(worker_submit(h.pool, &writers[COUNT].job), -EBUSY);
    invite(&other, &h, run);
    submit(&other);
    wait_done(&h, 1);
    /* Those that nobody wants any more make room. */
    job_cancel(&writers[0].job);
    submit(&writers[COUNT]);
    wait_done(&h, 1);
    assert_true(writers[0].done);
    assert_false(atomic_load(&writers[0].ran));
    worker_hold_writes(h.pool, false);
    wait_done(&h, COUNT);
    hall_close(&h);
    free(writers);
}

static void
test_memory_is_not_held(void **state)
{
    struct hall h;
    struct guest writer;

    (void)state;
    hall_open(&h, 1);
    worker_hold_writes(h.pool, true);
    invite(&writer, &h, run_and_pause);
    writer.job.writes = true;
    writer.job.path = "/proc/self/comm";
    (void)sem_post(&writer.leave);
    submit(&writer);
    wait_done(&h, 1);
    assert_true(atomic_load(&writer.passed));
    hall_close(&h);
}

/* A writer that ran before turns out at its pause point to be harmless. */
static void
test_memory_does_not_pause(void **state)
{
    struct hall h;
    struct guest writer;
    struct guest waiter;

    (void)state;
    hall_open(&h, 2);
    invite(&writer, &h, run_and_pause);
    writer.job.writes = true;
    writer.job.path = "/proc/self/comm";
    submit(&writer);
    (void)sem_wait(&writer.entered);
    worker_hold_writes(h.pool, true);
    invite(&waiter, &h, wait_for_quiet);
    waiter.job.urgent = true;
    submit(&waiter);
    (void)sem_post(&writer.leave);
    wait_done(&h, 2);
    assert_true(waiter.quiet && atomic_load(&writer.passed));
    hall_close(&h);
}

static void
check_memory(const char *path, const char *other, bool expected)
{
    const struct job job = {.path = path, .other = other, .writes = true};

    assert_int_equal(job_in_memory(&job), expected);
}

static void
test_what_is_memory(void **state)
{
    struct statfs s;
    bool here; /* whether the scratch directory is */

    (void)state;
    assert_int_equal(statfs(scratch_root, &s), 0);
    here = s.f_type == TMPFS_MAGIC;
    check_memory("/proc/self/comm", NULL, true);
    check_memory("/proc/self/comm", "/proc/self/coredump_filter", true);
    check_memory("/proc/no/such/thing", NULL, true);
    check_memory("/proc/self/comm", scratch("x"), here);
    check_memory("/proc/self/comm", "", false);
    check_memory("/proc/self/comm", "relative", false);
    check_memory(NULL, NULL, false);
    check_memory("/", NULL, false);
    /* The name of it is on the disk. */
    check_memory("/proc", NULL, false);
    scratch_link("/proc/self/comm", "to_memory");
    check_memory(scratch("to_memory"), NULL, here);
    /* Where it leads to shows when it is followed. */
    scratch_link("nothing", "dangling");
    check_memory(scratch("dangling"), NULL, false);
    check_memory(scratch("dangling/below"), NULL, false);
}

static void
test_the_end_while_held(void **state)
{
    static struct guest queued; /* they are left alone */
    static struct guest paused;
    struct hall h;

    (void)state;
    hall_open(&h, 2);
    hold_behind(&h, &paused);
    (void)sem_post(&paused.leave);
    invite(&queued, &h, run);
    queued.job.writes = true;
    submit(&queued);
    settle(&h);
    worker_pool_free(h.pool);
    assert_false(queued.done || paused.done);
    assert_false(atomic_load(&paused.passed));
    loop_free(h.loop);
}

static void
on_privileged_thread(void *ctx)
{
    (void)ctx;
}

/* Those that have threads of their own write to the same disk. */
static void
test_privileged_writers_wait(void **state)
{
    struct hall h;
    struct guest paused;
    struct guest queued;
    struct guest waiter;

    (void)state;
    hall_open(&h, 2);
    assert_int_equal(worker_pool_split(h.pool, on_privileged_thread, NULL), 0);
    invite(&paused, &h, run_and_pause);
    paused.job.writes = paused.job.privileged = true;
    submit(&paused);
    (void)sem_wait(&paused.entered);
    worker_hold_writes(h.pool, true);
    /* It still writes, and then no more. */
    invite(&waiter, &h, wait_quiet_briefly);
    waiter.job.privileged = true;
    submit(&waiter);
    wait_done(&h, 1);
    assert_false(waiter.quiet);
    (void)sem_post(&paused.leave);
    invite(&waiter, &h, wait_for_quiet);
    waiter.job.privileged = true;
    submit(&waiter);
    wait_done(&h, 1);
    assert_true(waiter.quiet);
    invite(&queued, &h, run);
    queued.job.writes = queued.job.privileged = true;
    submit(&queued);
    for (int i = 0; i < 20; i++) {
        invite(&waiter, &h, run);
        waiter.job.privileged = true;
        submit(&waiter);
        wait_done(&h, 1);
    }
    assert_false(atomic_load(&paused.passed));
    assert_false(atomic_load(&queued.ran));
    assert_int_equal(worker_pool_stats(h.pool).gated, 1);
    assert_int_equal(worker_pool_stats(h.pool).submitted, 24);
    worker_hold_writes(h.pool, false);
    wait_done(&h, 2);
    assert_int_equal(worker_pool_stats(h.pool).gated, 0);
    assert_true(paused.done && queued.done);
    hall_close(&h);
}

static void
let_writes_go_on(struct job *job)
{
    on_done(job);
    worker_hold_writes(container_of(job, struct guest, job)->hall->pool, false);
}

/* A thaw that is over when the agent ends. */
static void
test_the_end_of_a_hold_at_the_end(void **state)
{
    static struct guest queued; /* left alone */
    struct guest thaw;
    struct hall h;

    (void)state;
    hall_open(&h, 2);
    worker_hold_writes(h.pool, true);
    invite(&thaw, &h, run_and_pause);
    thaw.job.done = let_writes_go_on;
    submit(&thaw);
    (void)sem_wait(&thaw.entered);
    invite(&queued, &h, run);
    queued.job.writes = true;
    submit(&queued);
    settle(&h);
    (void)sem_post(&thaw.leave);
    worker_pool_free(h.pool);
    assert_true(thaw.done);
    assert_false(queued.done || atomic_load(&queued.ran));
    loop_free(h.loop);
}

static void
stand(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    atomic_store(&g->ran, true);
    (void)sem_post(&g->entered);
    (void)sem_wait(&g->leave);
}

static struct guest *behind;

static void
see_who_came_first(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    atomic_store(&g->passed, !atomic_load(&behind->ran));
}

/* What was urgent is so when it goes on: it does not wait for the others. */
static void
test_urgent_writers_stay_urgent(void **state)
{
    struct guest busy;
    struct guest urgent;
    struct guest waits;
    struct hall h;

    (void)state;
    hall_open(&h, 1);
    worker_hold_writes(h.pool, true);
    behind = &waits;
    invite(&urgent, &h, see_who_came_first);
    urgent.job.writes = urgent.job.urgent = true;
    submit(&urgent);
    settle(&h);
    assert_false(urgent.done);
    invite(&busy, &h, stand);
    submit(&busy);
    (void)sem_wait(&busy.entered);
    invite(&waits, &h, stand);
    submit(&waits);
    worker_hold_writes(h.pool, false);
    wait_done(&h, 1);
    assert_true(urgent.done && atomic_load(&urgent.passed));
    (void)sem_post(&busy.leave);
    (void)sem_post(&waits.leave);
    wait_done(&h, 2);
    hall_close(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queued_writers_wait),
        cmocka_unit_test(test_what_was_queued_before_waits_too),
        cmocka_unit_test(test_paused_writers_are_in_nobodys_way),
        cmocka_unit_test(test_waiting_for_writers_is_bounded),
        cmocka_unit_test(test_readers_do_not_pause),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_memory_is_not_held),
        cmocka_unit_test(test_memory_does_not_pause),
        cmocka_unit_test(test_what_is_memory),
        cmocka_unit_test(test_the_end_while_held),
        cmocka_unit_test(test_privileged_writers_wait),
        cmocka_unit_test(test_the_end_of_a_hold_at_the_end),
        cmocka_unit_test(test_urgent_writers_stay_urgent),
    };

    return cmocka_run_group_tests_name("worker_gate", tests, scratch_make,
                                       scratch_remove);
}
