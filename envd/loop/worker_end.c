/*
 * The end of the pool: no job is begun any more, and threads that do not move
 * are left behind.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/fd.h"
#include "base/now.h"
#include "limits.h"
#include "loop/worker_pool.h"

static void
drop_locked(struct worker_pool *pool, struct job_list *queue)
{
    struct job *job;

    if (pool->hold)
        gate_abandon_locked(pool, queue);
    STAILQ_FOREACH (job, queue, link)
        job_cancel(job);
    STAILQ_CONCAT(&pool->finished, queue);
}

/*
 * Wait until all threads have ended; false when those that are left have not
 * moved for LIMIT_WORKER_LEAVE_MS.
 */
static bool
wait_for_threads(struct worker_pool *pool)
{
    bool moving = true;
    bool ended = false;

    while (moving && !ended) {
        const struct timespec until =
            clock_in_ms(CLOCK_MONOTONIC, LIMIT_WORKER_LEAVE_MS);
        int r = 0;

        (void)pthread_mutex_lock(&pool->lock);
        while (pool->threads > 0 && r == 0)
            r = pthread_cond_timedwait(&pool->gone, &pool->lock, &until);
        ended = pool->threads == 0;
        (void)pthread_mutex_unlock(&pool->lock);
        moving = ended || pool_look(pool, LIMIT_WORKER_LEAVE_MS) > 0;
    }
    return ended;
}

/* As worker_pool_free(); false when the pool had to be left behind. */
static bool
pool_close(struct worker_pool *pool)
{
    static struct worker_pool *volatile left_behind; /* for leak checkers */
    bool ended;

    if (pool == NULL)
        return true;
    (void)pool_look(pool, 0);
    (void)pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    drop_locked(pool, &pool->urgent);
    drop_locked(pool, &pool->queued);
    drop_locked(pool, &pool->bulk);
    drop_locked(pool, &pool->held);
    if (!pool->hold)
        drop_locked(pool, &pool->gated);
    pool->waiting = 0;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_cond_broadcast(&pool->quiet);
    (void)pthread_mutex_unlock(&pool->lock);
    /* Its jobs may wait for this pool's to be quiet. */
    if (pool_close(pool->privileged))
        pool->privileged = NULL;
    ended = wait_for_threads(pool) && pool->privileged == NULL;
    pool_run_done(pool);
    loop_defer_cancel(pool->loop, &pool->rouse);
    loop_timer_cancel(&pool->nudge);
    loop_timer_cancel(&pool->watch);
    loop_io_disarm(&pool->wake);
    if (!ended || !STAILQ_EMPTY(&pool->gated)) {
        left_behind = pool;
        (void)left_behind;
        return false;
    }
    fd_close(&pool->wake_fd);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->gone);
    gate_done(pool);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
    return true;
}

void
worker_pool_free(struct worker_pool *pool)
{
    (void)pool_close(pool);
}
