/*
 * The worker pool: one queue in, one queue out, and an eventfd that tells the
 * loop when the second is no longer empty.  The only locks of the agent.
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
#include "base/scope.h"
#include "limits.h"
#include "loop/loop.h"

#define WORKER_STACK_BYTES (128 * 1024)

/* Ends of quick jobs that wake the loop although more are queued. */
#define FINISHED_MAX 32

STAILQ_HEAD(job_list, job);

struct worker_pool {
    struct loop *loop;
    struct loop_io wake;
    int wake_fd;
    unsigned int threads_max;
    struct loop_deferred rouse; /* threads, for the quick jobs of this turn */
    struct loop_timer nudge;    /* armed while a quick job may be held up */
    bool nudge_armed;
    uint64_t submitted;
    uint64_t waiting_at_nudge; /* `submitted` when the timer was set */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* a job was queued, or stop was set */
    pthread_cond_t gone;  /* a thread has ended */
    struct job_list queued;
    struct job_list finished;
    size_t queued_count;
    size_t finished_count;
    uint64_t taken;
    bool woken; /* the eventfd has been written for what is finished */
    unsigned int threads;
    unsigned int idle;
    unsigned int slow; /* threads that run a job which is not quick */
    bool stop;
};

/* Whether the end of a job may wait until the next one is over, too. */
static bool
pool_batches(const struct worker_pool *pool, const struct job *job)
{
    const struct job *next = STAILQ_FIRST(&pool->queued);

    return job->quick && next != NULL && next->quick &&
           pool->finished_count < FINISHED_MAX;
}

static void
pool_finish(struct worker_pool *pool, struct job *job)
{
    const uint64_t one = 1;

    STAILQ_INSERT_TAIL(&pool->finished, job, link);
    pool->finished_count++;
    /* The loop takes the whole list: one wake is enough for it. */
    if (pool->woken || pool_batches(pool, job))
        return;
    pool->woken = true;
    (void)!write(pool->wake_fd, &one, sizeof(one));
}

/* Wait for work; false when the thread should end.  The lock is held. */
static bool
pool_wait(struct worker_pool *pool)
{
    struct timespec until;
    int r = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LIMIT_WORKER_IDLE_MS / 1000;
    pool->idle++;
    while (STAILQ_EMPTY(&pool->queued) && !pool->stop && r == 0)
        r = pthread_cond_timedwait(&pool->work, &pool->lock, &until);
    pool->idle--;
    return !STAILQ_EMPTY(&pool->queued);
}

static void *
worker_main(void *ctx)
{
    struct worker_pool *pool = ctx;

    (void)pthread_mutex_lock(&pool->lock);
    while (!STAILQ_EMPTY(&pool->queued) || pool_wait(pool)) {
        struct job *job = STAILQ_FIRST(&pool->queued);

        STAILQ_REMOVE_HEAD(&pool->queued, link);
        pool->queued_count--;
        pool->taken++;
        pool->slow += job->quick ? 0 : 1;
        (void)pthread_mutex_unlock(&pool->lock);
        if (!job_cancelled(job))
            job->run(job);
        (void)pthread_mutex_lock(&pool->lock);
        pool->slow -= job->quick ? 0 : 1;
        pool_finish(pool, job);
    }
    pool->threads--;
    (void)pthread_cond_signal(&pool->gone);
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Start one more thread, with all signals left to the loop. */
static int
pool_grow(struct worker_pool *pool)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t old;
    int r;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&thread, &attr, worker_main, pool);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (r == 0)
        pool->threads++;
    return -r;
}

static void
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

/* Let one more thread look at the queue, if there is one to be had. */
static void
pool_rouse(struct worker_pool *pool)
{
    if (pool->idle > 0)
        (void)pthread_cond_signal(&pool->work);
    else if (pool->threads < pool->threads_max)
        (void)pool_grow(pool);
}

/* Look again soon while something is queued, or finished and not told. */
static void
pool_set_nudge(struct worker_pool *pool)
{
    pool->nudge_armed = !STAILQ_EMPTY(&pool->queued) ||
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
        pool_rouse(pool);
    if (!pool->nudge_armed)
        pool_set_nudge(pool);
    (void)pthread_mutex_unlock(&pool->lock);
}

static void
on_nudge(struct loop_timer *t)
{
    struct worker_pool *pool = container_of(t, struct worker_pool, nudge);

    (void)pthread_mutex_lock(&pool->lock);
    /* What was queued then still is: those that are awake are held up. */
    if (pool->taken < pool->waiting_at_nudge && !STAILQ_EMPTY(&pool->queued))
        pool_rouse(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    pool_run_done(pool);
    (void)pthread_mutex_lock(&pool->lock);
    pool_set_nudge(pool);
    (void)pthread_mutex_unlock(&pool->lock);
}

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
    STAILQ_INIT(&pool->queued);
    STAILQ_INIT(&pool->finished);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->work, &attr);
    (void)pthread_cond_init(&pool->gone, &attr);
    (void)pthread_condattr_destroy(&attr);
    pool->rouse.run = on_rouse;
    loop_timer_init(l, &pool->nudge, on_nudge);
    loop_io_init(l, &pool->wake, fd, EV_READ, on_wake);
    loop_io_arm(&pool->wake);
    return pool;
}

void
worker_pool_free(struct worker_pool *pool)
{
    struct job *job;

    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    STAILQ_FOREACH (job, &pool->queued, link)
        job_cancel(job);
    STAILQ_CONCAT(&pool->finished, &pool->queued);
    pool->queued_count = 0;
    (void)pthread_cond_broadcast(&pool->work);
    while (pool->threads > 0)
        (void)pthread_cond_wait(&pool->gone, &pool->lock);
    (void)pthread_mutex_unlock(&pool->lock);
    pool_run_done(pool);
    loop_defer_cancel(pool->loop, &pool->rouse);
    loop_timer_cancel(&pool->nudge);
    loop_io_disarm(&pool->wake);
    fd_close(&pool->wake_fd);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->gone);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int
worker_submit(struct worker_pool *pool, struct job *job)
{
    bool refused;

    assert(job->run != NULL && job->done != NULL);
    atomic_store_explicit(&job->cancelled, false, memory_order_relaxed);
    (void)pthread_mutex_lock(&pool->lock);
    refused = pool->stop || pool->queued_count >= LIMIT_WORKER_QUEUE_JOBS;
    if (!refused && job->quick && pool->threads > 0)
        loop_defer(pool->loop, &pool->rouse);
    else if (!refused && pool->idle > pool->queued_count)
        (void)pthread_cond_signal(&pool->work);
    else if (!refused && pool->threads < pool->threads_max)
        refused = pool_grow(pool) < 0 && pool->threads == 0;
    if (!refused) {
        STAILQ_INSERT_TAIL(&pool->queued, job, link);
        pool->queued_count++;
        pool->submitted++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return refused ? -EAGAIN : 0;
}

void
job_cancel(struct job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
}
