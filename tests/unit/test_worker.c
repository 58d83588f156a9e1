/*
 * The worker pool when jobs take long, or never come to an end.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/mounts.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

/* What the jobs of a test share. */
struct hall {
    struct loop *loop;
    struct worker_pool *pool;
    sem_t entered;
    atomic_bool open;
    atomic_int inside;
    atomic_int most; /* at once */
    int done;
    int wanted; /* done, before the loop is stopped */
};

/* A job that stands still, or moves on the spot, until the hall is open. */
struct guest {
    struct job job;
    struct hall *hall;
    sem_t leave;
    atomic_bool ran;
};

static void
hall_open(struct hall *h, unsigned int threads)
{
    *h = (struct hall){.loop = loop_new()};
    h->pool = worker_pool_new(h->loop, threads);
    (void)sem_init(&h->entered, 0, 0);
}

static void
hall_close(struct hall *h)
{
    worker_pool_free(h->pool);
    loop_free(h->loop);
    (void)sem_destroy(&h->entered);
}

static void
stand_still(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);

    atomic_store(&g->ran, true);
    (void)sem_post(&g->hall->entered);
    (void)sem_wait(&g->leave);
}

static void
move_about(struct job *job)
{
    struct guest *g = container_of(job, struct guest, job);
    struct hall *h = g->hall;
    int inside = atomic_fetch_add(&h->inside, 1) + 1;
    int most = atomic_load(&h->most);

    while (most < inside &&
           !atomic_compare_exchange_weak(&h->most, &most, inside))
        continue;
    for (int i = 0; i < 30; i++)
        (void)usleep(10000);
    (void)atomic_fetch_sub(&h->inside, 1);
}

static void
pass(struct job *job)
{
    atomic_store(&container_of(job, struct guest, job)->ran, true);
}

static void
on_done(struct job *job)
{
    struct hall *h = container_of(job, struct guest, job)->hall;

    if (++h->done == h->wanted)
        loop_stop(h->loop);
}

/* Guests of one kind, which the caller frees. */
static struct guest *
invite(struct hall *h, int count, void (*run)(struct job *job),
       const char *path)
{
    struct guest *guests = xcalloc((size_t)count, sizeof(*guests));

    for (int i = 0; i < count; i++) {
        guests[i].hall = h;
        guests[i].job.run = run;
        guests[i].job.done = on_done;
        guests[i].job.path = path;
        (void)sem_init(&guests[i].leave, 0, 0);
    }
    return guests;
}

static void
submit(struct hall *h, struct guest *guests, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(worker_submit(h->pool, &guests[i].job), 0);
}

/* Turn the loop until `count` more are done. */
static void
wait_done(struct hall *h, int count)
{
    h->wanted = h->done + count;
    assert_int_equal(loop_run(h->loop), 0);
}

static void
let_go(struct guest *guests, int count)
{
    for (int i = 0; i < count; i++)
        (void)sem_post(&guests[i].leave);
}

static int
count_ran(const struct guest *guests, int count)
{
    int ran = 0;

    for (int i = 0; i < count; i++)
        ran += atomic_load(&guests[i].ran) ? 1 : 0;
    return ran;
}

static void
test_long_jobs_make_room(void **state)
{
    struct hall h;
    struct guest *still;
    struct guest *others;

    (void)state;
    hall_open(&h, 2);
    still = invite(&h, 4, stand_still, NULL);
    others = invite(&h, 8, pass, NULL);
    submit(&h, still, 4);
    submit(&h, others, 8);
    wait_done(&h, 8); /* while nobody has left */
    assert_int_equal(count_ran(others, 8), 8);
    let_go(still, 4);
    wait_done(&h, 4);
    hall_close(&h);
    free(still);
    free(others);
}

static void
test_few_bulk_jobs_at_once(void **state)
{
    struct hall h;
    struct guest *bulk;
    struct guest *others;

    (void)state;
    hall_open(&h, 4);
    bulk = invite(&h, 12, move_about, NULL);
    others = invite(&h, 100, pass, NULL);
    for (int i = 0; i < 12; i++)
        bulk[i].job.bulk = true;
    submit(&h, bulk, 12);
    submit(&h, others, 100);
    wait_done(&h, 112);
    assert_int_equal(count_ran(others, 100), 100);
    assert_true(atomic_load(&h.most) <= LIMIT_WORKER_BULK);
    assert_true(atomic_load(&h.most) >= 2);
    hall_close(&h);
    free(bulk);
    free(others);
}

static void
test_few_stand_at_one_mount(void **state)
{
    enum { COUNT = 20 };
    struct hall h;
    struct guest *still;
    struct guest *others;

    (void)state;
    hall_open(&h, LIMIT_WORKER_STILL);
    still = invite(&h, COUNT, stand_still, "/proc/some/where");
    others = invite(&h, 8, pass, "/elsewhere");
    submit(&h, still, COUNT);
    submit(&h, others, 8);
    wait_done(&h, 8);
    assert_int_equal(count_ran(still, COUNT), LIMIT_WORKER_STILL);
    /* Held back, but not for ever: here they are not wanted any more. */
    for (int i = COUNT / 2; i < COUNT; i++)
        job_cancel(&still[i].job);
    wait_done(&h, COUNT / 2);
    assert_int_equal(count_ran(still, COUNT), LIMIT_WORKER_STILL);
    let_go(still, COUNT);
    wait_done(&h, COUNT / 2);
    assert_int_equal(count_ran(still, COUNT), COUNT / 2);
    hall_close(&h);
    free(still);
    free(others);
}

static void
test_bound_of_what_is_held(void **state)
{
    enum { COUNT = LIMIT_WORKER_STILL + LIMIT_WORKER_HELD_JOBS };
    struct hall h;
    struct guest *still;
    struct guest *others;

    (void)state;
    hall_open(&h, LIMIT_WORKER_STILL);
    still = invite(&h, COUNT + 1, stand_still, "/proc/x");
    others = invite(&h, 2, pass, "/y");
    submit(&h, still, COUNT);
    submit(&h, others, 1);
    wait_done(&h, 1);
    assert_int_equal(worker_submit(h.pool, &still[COUNT].job), -EAGAIN);
    submit(&h, others + 1, 1);
    wait_done(&h, 1);
    /* Those that nobody wants any more make room at once. */
    job_cancel(&still[COUNT - 1].job);
    submit(&h, still + COUNT, 1);
    let_go(still, COUNT + 1);
    wait_done(&h, COUNT + 1);
    hall_close(&h);
    free(still);
    free(others);
}

static void
test_urgent_jobs_pass_all(void **state)
{
    enum { COUNT = LIMIT_WORKER_THREADS_ALL + 8 };
    struct hall h;
    struct guest *still;
    struct guest *urgent;

    (void)state;
    hall_open(&h, 4);
    still = invite(&h, COUNT, stand_still, NULL);
    urgent = invite(&h, 1, pass, NULL);
    urgent->job.urgent = true;
    submit(&h, still, COUNT);
    submit(&h, urgent, 1);
    wait_done(&h, 1);
    assert_int_equal(count_ran(urgent, 1), 1);
    assert_true(count_ran(still, COUNT) <= LIMIT_WORKER_THREADS_ALL);
    let_go(still, COUNT);
    wait_done(&h, COUNT);
    hall_close(&h);
    free(still);
    free(urgent);
}

static void
test_what_stands_still_is_left_behind(void **state)
{
    static struct guest *still; /* used by a thread to the end */
    static struct hall h;

    (void)state;
    hall_open(&h, 2);
    still = invite(&h, 1, stand_still, NULL);
    submit(&h, still, 1);
    while (sem_wait(&h.entered) != 0)
        continue;
    worker_pool_free(h.pool);
    assert_int_equal(h.done, 0);
    loop_free(h.loop);
    let_go(still, 1);
}

static void
expect_mount(const char *path, const char *point)
{
    static const char table[] =
        "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
        "23 22 0:5 / /proc rw - proc proc rw\n"
        "24 22 0:6 / /mnt/a\\040b rw shared:1 - fuse x rw\n"
        "25 24 0:7 / /mnt/a\\040b/in\\134ner rw - nfs x rw\n"
        "short line\n"
        "26 22 0:8 / /mnt/last";
    SCOPE(scope_free) char *found = mounts_find(table, path);

    if (point == NULL)
        assert_null(found);
    else
        assert_string_equal(found, point);
}

static void
test_mounts(void **state)
{
    SCOPE(scope_free) char *table = mounts_read();
    SCOPE(scope_free) char *proc = mounts_find(table, "/proc/self");

    (void)state;
    assert_string_equal(proc, "/proc");
    expect_mount("/etc/passwd", "/");
    expect_mount("/proc", "/proc");
    expect_mount("/proc/1", "/proc");
    expect_mount("/process", "/");
    expect_mount("/mnt/a b/x", "/mnt/a b");
    expect_mount("/mnt/a b/in\\ner/x", "/mnt/a b/in\\ner");
    expect_mount("/mnt/last/x", "/");
    expect_mount("relative", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_jobs_make_room),
        cmocka_unit_test(test_few_bulk_jobs_at_once),
        cmocka_unit_test(test_few_stand_at_one_mount),
        cmocka_unit_test(test_bound_of_what_is_held),
        cmocka_unit_test(test_urgent_jobs_pass_all),
        cmocka_unit_test(test_what_stands_still_is_left_behind),
        cmocka_unit_test(test_mounts),
    };

    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
