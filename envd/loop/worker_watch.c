/*
 * Threads that take long, or stand still: found ten times a second while there
 * are any jobs, by the processor time that each has used.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/mounts.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/worker_pool.h"

static int64_t
clock_ns(const struct worker *w)
{
    struct timespec t;

    if (clock_gettime(w->clock, &t) < 0)
        return -1;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
worker_begin_locked(struct worker *w, struct job *job)
{
    struct worker_pool *pool = w->pool;

    w->job = job;
    pool->running++;
    w->since_ms = w->moved_ms = loop_now_ms();
    w->is_long = job->urgent;
    if (!w->is_long) {
        pool->active++;
        pool->active_bulk += job->bulk ? 1 : 0;
    }
    pool->bulk_count += job->bulk ? 1 : 0;
    pool->slow += job->quick ? 0 : 1;
}

static void
stop_counting_locked(struct worker *w)
{
    w->pool->active--;
    w->pool->active_bulk -= w->job->bulk ? 1 : 0;
    w->is_long = true;
}

static void
set_still_locked(struct worker *w, bool still)
{
    if (w->still == still)
        return;
    w->still = still;
    w->pool->still += still ? 1U : -1U;
    w->pool->bulk_count += w->job->bulk ? (still ? -1U : 1U) : 0;
    free(TAKE_PTR(w->key));
}

void
worker_end_locked(struct worker *w)
{
    struct worker_pool *pool = w->pool;

    set_still_locked(w, false);
    if (!w->is_long)
        stop_counting_locked(w);
    pool->bulk_count -= w->job->bulk ? 1 : 0;
    pool->slow -= w->job->quick ? 0 : 1;
    pool->running--;
    w->job = NULL;
}

void
worker_pause_locked(struct worker *w)
{
    set_still_locked(w, false);
    if (!w->is_long)
        stop_counting_locked(w);
    w->pool->bulk_count -= w->job->bulk ? 1 : 0;
    w->pool->paused++;
    w->paused = true;
}

void
worker_unpause_locked(struct worker *w)
{
    w->pool->bulk_count += w->job->bulk ? 1 : 0;
    w->pool->paused--;
    w->paused = false;
    w->moved_ms = loop_now_ms();
}

/* How many threads stand below a place, or may yet turn out to. */
static unsigned int
count_at_locked(const struct worker_pool *pool, const char *place)
{
    const struct worker *w;
    unsigned int count = 0;

    LIST_FOREACH (w, &pool->workers, link)
        if (w->job != NULL && (w->still || !w->is_long) &&
            w->job->path != NULL && path_is_below(w->job->path, place))
            count++;
    return count;
}

bool
pool_holds_locked(const struct worker_pool *pool, const struct job *job)
{
    const struct worker *w;

    if (pool->still == 0 || job->path == NULL || job->urgent ||
        job_cancelled(job))
        return false;
    LIST_FOREACH (w, &pool->workers, link)
        if (w->key != NULL && path_is_below(job->path, w->key) &&
            count_at_locked(pool, w->key) >= LIMIT_WORKER_STILL)
            return true;
    return false;
}

/*
 * Where the threads stand, for the comparison above: the mount point.  Nothing
 * is known of a path that shows none, as it may lead there by a link: it stands
 * for itself.
 */
static void
set_keys_locked(struct worker_pool *pool)
{
    SCOPE(scope_free) char *mounts = NULL;
    struct worker *w;

    LIST_FOREACH (w, &pool->workers, link) {
        const char *path = w->job != NULL ? w->job->path : NULL;

        if (!w->still || w->key != NULL || path == NULL)
            continue;
        if (mounts == NULL)
            mounts = mounts_read();
        w->key = mounts != NULL ? mounts_find(mounts, path) : NULL;
        if (w->key == NULL || strcmp(w->key, "/") == 0) {
            free(w->key);
            w->key = strdup(path);
        }
    }
}

static void
look_locked(struct worker *w, int64_t now)
{
    int64_t ns = clock_ns(w);

    if (w->paused)
        return;
    if (ns != w->clock_ns) {
        w->clock_ns = ns;
        w->moved_ms = now;
    }
    set_still_locked(w, now - w->moved_ms >= LIMIT_WORKER_LONG_MS);
    /* Twice as long: by then it is known whether it stands still. */
    if (!w->is_long &&
        (w->still || now - w->since_ms >= (int64_t)2 * LIMIT_WORKER_LONG_MS))
        stop_counting_locked(w);
}

unsigned int
pool_look(struct worker_pool *pool, int64_t ms)
{
    int64_t now = loop_now_ms();
    unsigned int moved = 0;
    struct worker *w;

    (void)pthread_mutex_lock(&pool->lock);
    LIST_FOREACH (w, &pool->workers, link) {
        if (w->job == NULL)
            continue;
        look_locked(w, now);
        moved += now - w->moved_ms < ms ? 1 : 0;
    }
    if (pool->still > 0)
        set_keys_locked(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    return moved;
}

struct worker_stats
worker_pool_stats(struct worker_pool *pool)
{
    struct worker_stats s = {0};

    for (; pool != NULL; pool = pool->privileged) {
        (void)pthread_mutex_lock(&pool->lock);
        s.waiting += pool->waiting;
        s.held += pool->held_count;
        s.gated += pool->gated_count;
        s.threads += pool->threads;
        s.running += pool->running;
        s.still += pool->still;
        s.submitted += pool->submitted;
        (void)pthread_mutex_unlock(&pool->lock);
    }
    return s;
}

void
pool_on_watch(struct loop_timer *t)
{
    struct worker_pool *pool = container_of(t, struct worker_pool, watch);

    pool->watch_armed = false;
    (void)pool_look(pool, 0);
    (void)pthread_mutex_lock(&pool->lock);
    /* Their place has moved, or nobody wants them any more. */
    pool_requeue_locked(pool, &pool->held, &pool->held_count,
                        pool_holds_locked);
    gate_sweep_locked(pool);
    for (size_t i = 0; i < pool->waiting && i < pool->threads_max; i++)
        pool_rouse_locked(pool);
    if (pool->waiting + pool->held_count + pool->gated_count > 0 ||
        pool->idle < pool->threads)
        pool_watch(pool);
    (void)pthread_mutex_unlock(&pool->lock);
}

void
pool_watch(struct worker_pool *pool)
{
    if (pool->watch_armed)
        return;
    pool->watch_armed = true;
    loop_timer_set(&pool->watch, LIMIT_WORKER_LONG_MS);
}
