/*
 * The worker pool: queues in, a queue out, and an eventfd that tells the loop
 * when that is no longer empty.
 */
#include "loop/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/spawner.h"
#include "loop/worker_pool.h"

#define WORKER_STACK_BYTES (128 * 1024)

/* Ends of quick jobs that wake the loop although more are queued. */
#define FINISHED_MAX 32

/* ---- which job is next --------------------------------------------------- */

/* Take the first job off a queue that is not held back; NULL: none. */
static struct job *
take_locked(struct worker_pool *pool, struct job_list *queue)
{
    struct job *job;

    while ((job = STAILQ_FIRST(queue)) != NULL) {
        STAILQ_REMOVE_HEAD(queue, link);
        pool->waiting--;
        if (!pool_holds_locked(pool, job))
            break;
        STAILQ_INSERT_TAIL(&pool->held, job, link);
        pool->held_count++;
    }
    return job;
}

/* Bulk jobs leave room for others, at once and in the long run. */
static bool
bulk_may_run_locked(const struct worker_pool *pool)
{
    return pool->bulk_count < LIMIT_WORKER_BULK &&
           (pool->active_bulk + 1 < pool->threads_max ||
            pool->threads_max == 1);
}

static struct job *
next_job_locked(struct worker_pool *pool)
{
    struct job *job = STAILQ_FIRST(&pool->urgent);

    if (job != NULL) {
        STAILQ_REMOVE_HEAD(&pool->urgent, link);
        pool->waiting--;
        return job;
    }
    if (pool->active >= pool->threads_max)
        return NULL;
    if (pool->active_bulk == 0 && bulk_may_run_locked(pool))
        job = take_locked(pool, &pool->bulk);
    if (job == NULL)
        job = take_locked(pool, &pool->queued);
    if (job == NULL && bulk_may_run_locked(pool))
        job = take_locked(pool, &pool->bulk);
    return job;
}

/* ---- threads ------------------------------------------------------------- */

/* Whether the end of a job may wait until the next one is over, too. */
static bool
pool_batches_locked(const struct worker_pool *pool, const struct job *job)
{
    const struct job *next = STAILQ_FIRST(&pool->queued);

    return job->quick && next != NULL && next->quick &&
           pool->active < pool->threads_max &&
           pool->finished_count < FINISHED_MAX;
}

static void
pool_finish_locked(struct worker_pool *pool, struct job *job)
{
    const uint64_t one = 1;

    STAILQ_INSERT_TAIL(&pool->finished, job, link);
    pool->finished_count++;
    /* The loop takes the whole list: one wake is enough for it. */
    if (pool->woken || pool_batches_locked(pool, job))
        return;
    pool->woken = true;
    (void)!write(pool->wake_fd, &one, sizeof(one));
}

/* Wait for a job; NULL when the thread should end. */
static struct job *
pool_wait_locked(struct worker_pool *pool)
{
    struct job *job = next_job_locked(pool);
    struct timespec until;
    int r = 0;

    if (job != NULL)
        return job;
    until = clock_in_ms(CLOCK_MONOTONIC, LIMIT_WORKER_IDLE_MS);
    pool->idle++;
    while (job == NULL && !pool->stop && r == 0) {
        r = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
        job = next_job_locked(pool);
    }
    pool->idle--;
    return job;
}

static void *
worker_main(void *ctx)
{
    struct worker *w = ctx;
    struct worker_pool *pool = w->pool;
    struct job *job;

    if (pool->enter != NULL)
        pool->enter(pool->enter_ctx);
    (void)pthread_getcpuclockid(pthread_self(), &w->clock);
    gate_enter(w);
    (void)pthread_mutex_lock(&pool->lock);
    LIST_INSERT_HEAD(&pool->workers, w, link);
    while ((job = pool_wait_locked(pool)) != NULL) {
        pool->taken++;
        worker_begin_locked(w, job);
        if (!gate_pass_locked(w, job)) {
            worker_end_locked(w);
            continue;
        }
        (void)pthread_mutex_unlock(&pool->lock);
        if (!job_cancelled(job))
            job->run(job);
        (void)pthread_mutex_lock(&pool->lock);
        gate_leave_locked(w);
        worker_end_locked(w);
        pool_finish_locked(pool, job);
    }
    LIST_REMOVE(w, link);
    pool->threads--;
    (void)pthread_cond_signal(&pool->gone);
    (void)pthread_mutex_unlock(&pool->lock);
    free(w);
    return NULL;
}

struct birth {
    struct worker *worker;
    int err;
};

/* Make a thread, with all signals left to the loop. */
static void
make_thread(void *ctx)
{
    struct birth *b = ctx;
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t old;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    b->err = pthread_create(&thread, &attr, worker_main, b->worker);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
}

/* Start one more thread.  Context: loop. */
static int
pool_grow_locked(struct worker_pool *pool)
{
    struct birth b = {.worker = xcalloc(1, sizeof(*b.worker))};

    b.worker->pool = pool;
    if (pool->enter != NULL)
        spawner_call(make_thread, &b);
    else
        make_thread(&b);
    if (b.err == 0)
        pool->threads++;
    else
        free(b.worker);
    return -b.err;
}

/* Threads on their way to their first job. */
static unsigned int
starting_locked(const struct worker_pool *pool)
{
    return pool->threads - pool->idle - pool->running;
}

/* Whether one more thread would find work that it may do. */
static bool
may_grow_locked(const struct worker_pool *pool)
{
    /* Those that are paused were running when the hold began: few. */
    unsigned int threads = pool->threads - pool->paused;

    if (!STAILQ_EMPTY(&pool->urgent))
        return threads < LIMIT_WORKER_THREADS_ALL + LIMIT_WORKER_THREADS_URGENT;
    return pool->active + starting_locked(pool) < pool->threads_max &&
           threads < LIMIT_WORKER_THREADS_ALL;
}

void
pool_rouse_locked(struct worker_pool *pool)
{
    if (pool->idle > 0)
        (void)pthread_cond_signal(&pool->work);
    else if (may_grow_locked(pool))
        (void)pool_grow_locked(pool);
}

void
pool_run_done(struct worker_pool *pool)
{
    struct job_list finished = STAILQ_HEAD_INITIALIZER(finished);
    struct job *job;

    (void)pthread_mutex_lock(&pool->lock);
    STAILQ_CONCAT(&finished, &pool->finished);
    pool->finished_count = 0;
    pool->woken = false;
    (void)pthread_mutex_unlock(&pool->lock);
    while ((job = STAILQ_FIRST(&finished)) != NULL) {
        STAILQ_REMOVE_HEAD(&finished, link);
        job->done(job);
    }
}

/* ---- quick jobs ---------------------------------------------------------- */

/* Look again soon while a quick job waits, or one is finished and not told. */
static void
pool_set_nudge_locked(struct worker_pool *pool)
{
    const struct job *next = STAILQ_FIRST(&pool->queued);

    pool->nudge_armed = (next != NULL && next->quick) ||
                        (pool->finished_count > 0 && !pool->woken);
    if (!pool->nudge_armed)
        return;
    pool->waiting_at_nudge = pool->submitted;
    loop_timer_set(&pool->nudge, WORKER_NUDGE_MS);
}

static void
on_rouse(struct loop_deferred *d)
{
    struct worker_pool *pool = container_of(d, struct worker_pool, rouse);

    (void)pthread_mutex_lock(&pool->lock);
    if (!STAILQ_EMPTY(&pool->queued) &&
        pool->idle + pool->slow == pool->threads)
        pool_rouse_locked(pool);
    if (!pool->nudge_armed)
        pool_set_nudge_locked(pool);
    (void)pthread_mutex_unlock(&pool->lock);
}

static void
on_nudge(struct loop_timer *t)
{
    struct worker_pool *pool = container_of(t, struct worker_pool, nudge);

    (void)pthread_mutex_lock(&pool->lock);
    /* What was queued then still is: those that are awake are held up. */
    if (pool->taken < pool->waiting_at_nudge && !STAILQ_EMPTY(&pool->queued))
        pool_rouse_locked(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    pool_run_done(pool);
    (void)pthread_mutex_lock(&pool->lock);
    pool_set_nudge_locked(pool);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* ---- the pool ------------------------------------------------------------ */

static void
on_wake(struct loop_io *io)
{
    struct worker_pool *pool = container_of(io, struct worker_pool, wake);
    uint64_t count;

    (void)!read(pool->wake_fd, &count, sizeof(count));
    pool_run_done(pool);
}

struct worker_pool *
worker_pool_new(struct loop *l, unsigned int threads_max)
{
    struct worker_pool *pool;
    pthread_condattr_t attr;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return NULL;
    pool = xcalloc(1, sizeof(*pool));
    pool->loop = l;
    pool->wake_fd = fd;
    pool->threads_max = threads_max;
    STAILQ_INIT(&pool->urgent);
    STAILQ_INIT(&pool->queued);
    STAILQ_INIT(&pool->bulk);
    STAILQ_INIT(&pool->held);
    STAILQ_INIT(&pool->finished);
    LIST_INIT(&pool->workers);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->work, &attr);
    (void)pthread_cond_init(&pool->gone, &attr);
    gate_init(pool, &attr);
    (void)pthread_condattr_destroy(&attr);
    pool->rouse.run = on_rouse;
    loop_timer_init(l, &pool->nudge, on_nudge);
    loop_timer_init(l, &pool->watch, pool_on_watch);
    loop_io_init(l, &pool->wake, fd, EV_READ, on_wake);
    loop_io_arm(&pool->wake);
    return pool;
}

int
worker_pool_split(struct worker_pool *pool, void (*enter)(void *ctx), void *ctx)
{
    struct worker_pool *p = worker_pool_new(pool->loop, pool->threads_max);

    if (p == NULL)
        return -errno;
    p->enter = enter;
    p->enter_ctx = ctx;
    pool->privileged = p;
    return 0;
}

struct job_list *
pool_queue_of(struct worker_pool *pool, const struct job *job)
{
    if (job->urgent)
        return &pool->urgent;
    return job->bulk ? &pool->bulk : &pool->queued;
}

void
pool_requeue_locked(struct worker_pool *pool, struct job_list *aside,
                    size_t *count,
                    bool (*stays)(const struct worker_pool *pool,
                                  const struct job *job))
{
    struct job_list all = STAILQ_HEAD_INITIALIZER(all);
    struct job *job;

    STAILQ_CONCAT(&all, aside);
    while ((job = STAILQ_FIRST(&all)) != NULL) {
        STAILQ_REMOVE_HEAD(&all, link);
        if (stays(pool, job)) {
            STAILQ_INSERT_TAIL(aside, job, link);
            continue;
        }
        STAILQ_INSERT_TAIL(pool_queue_of(pool, job), job, link);
        --*count;
        pool->waiting++;
    }
}

static bool
is_wanted(const struct worker_pool *pool, const struct job *job)
{
    (void)pool;
    return !job_cancelled(job);
}

/* Whether one more job can wait for where too many threads stand still. */
static bool
held_has_room_locked(struct worker_pool *pool, const struct job *job)
{
    if (pool->held_count < LIMIT_WORKER_HELD_JOBS ||
        !pool_holds_locked(pool, job))
        return true;
    pool_requeue_locked(pool, &pool->held, &pool->held_count, is_wanted);
    return pool->held_count < LIMIT_WORKER_HELD_JOBS;
}

static bool
may_queue_locked(struct worker_pool *pool, const struct job *job)
{
    if (pool->stop || !held_has_room_locked(pool, job))
        return false;
    return job->urgent || pool->waiting < LIMIT_WORKER_QUEUE_JOBS;
}

/* See to it that a thread comes for a job that was queued. */
static void
call_thread_locked(struct worker_pool *pool, const struct job *job)
{
    if (job->quick && pool->threads > 0) {
        loop_defer(pool->loop, &pool->rouse);
        return;
    }
    if (pool->idle > 0)
        (void)pthread_cond_signal(&pool->work);
    if (pool->idle + starting_locked(pool) < pool->waiting &&
        may_grow_locked(pool))
        (void)pool_grow_locked(pool);
}

int
worker_submit(struct worker_pool *pool, struct job *job)
{
    bool taken;
    bool gated;

    assert(job->run != NULL && job->done != NULL);
    if (job->privileged && pool->privileged != NULL)
        pool = pool->privileged;
    atomic_store_explicit(&job->cancelled, false, memory_order_relaxed);
    (void)pthread_mutex_lock(&pool->lock);
    gated = !gate_has_room_locked(pool, job);
    taken = !gated && may_queue_locked(pool, job) &&
            (pool->threads > 0 || pool_grow_locked(pool) == 0);
    if (taken) {
        STAILQ_INSERT_TAIL(pool_queue_of(pool, job), job, link);
        pool->waiting++;
        pool->submitted++;
        call_thread_locked(pool, job);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    if (taken)
        pool_watch(pool);
    if (gated)
        return -EBUSY;
    return taken ? 0 : -EAGAIN;
}

void
job_cancel(struct job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
}
