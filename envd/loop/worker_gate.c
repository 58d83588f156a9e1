/*
 * Jobs that write, held while a file system is frozen.
 */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/now.h"
#include "limits.h"
#include "loop/worker_pool.h"

/* The worker whose thread this is; NULL on all other threads. */
static _Thread_local struct worker *self;

void
gate_init(struct worker_pool *pool, const pthread_condattr_t *attr)
{
    STAILQ_INIT(&pool->gated);
    (void)pthread_cond_init(&pool->quiet, attr);
    (void)pthread_cond_init(&pool->go_on, attr);
}

void
gate_done(struct worker_pool *pool)
{
    (void)pthread_cond_destroy(&pool->quiet);
    (void)pthread_cond_destroy(&pool->go_on);
}

void
gate_enter(struct worker *w)
{
    self = w;
}

/* ---- what is written to -------------------------------------------------- */

/* Those that keep nothing on a disk, and that no freeze of one stops. */
static bool
is_memory(const struct statfs *s)
{
    static const unsigned long kinds[] = {
        TMPFS_MAGIC, /* devtmpfs, too */
        RAMFS_MAGIC,        PROC_SUPER_MAGIC,   SYSFS_MAGIC,
        DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
        HUGETLBFS_MAGIC,    DEBUGFS_MAGIC,      TRACEFS_MAGIC,
        SECURITYFS_MAGIC,   BPF_FS_MAGIC,
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((unsigned long)s->f_type == kinds[i])
            return true;
    return false;
}

/* Cut a path back to the directory that its last component is in. */
static bool
to_parent(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    path[len] = '\0';
    return len > 0;
}

/*
 * Whether a path, or what of it exists, is in memory.  A link that leads to
 * nothing may be about to be followed: nothing is known of it.
 */
static bool
path_in_memory(const char *text)
{
    struct statfs s;
    struct stat info;
    char path[PATH_MAX];
    size_t len = strnlen(text, sizeof(path));

    if (len == 0 || len == sizeof(path) || text[0] != '/')
        return false;
    memcpy(path, text, len + 1);
    if (statfs(path, &s) == 0 && !is_memory(&s))
        return false;
    do {
        if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode) &&
            statfs(path, &s) < 0)
            return false;
        if (!to_parent(path))
            return false;
    } while (statfs(path, &s) < 0 && errno == ENOENT);
    return statfs(path, &s) == 0 && is_memory(&s);
}

bool
job_in_memory(const struct job *job)
{
    return job->path != NULL && path_in_memory(job->path) &&
           (job->other == NULL || path_in_memory(job->other));
}

/* ---- threads ------------------------------------------------------------- */

static void
begin_writing_locked(struct worker *w)
{
    w->writing = true;
    w->pool->writing++;
}

void
gate_leave_locked(struct worker *w)
{
    if (!w->writing)
        return;
    w->writing = false;
    if (--w->pool->writing == 0)
        (void)pthread_cond_broadcast(&w->pool->quiet);
}

/* Looks at the disk, with the lock let go. */
static bool
in_memory_locked(struct worker_pool *pool, const struct job *job)
{
    bool in_memory;

    (void)pthread_mutex_unlock(&pool->lock);
    in_memory = job_in_memory(job);
    (void)pthread_mutex_lock(&pool->lock);
    return in_memory;
}

bool
gate_pass_locked(struct worker *w, struct job *job)
{
    struct worker_pool *pool = w->pool;

    if (!job->writes || job_cancelled(job))
        return true;
    if (pool->hold && in_memory_locked(pool, job))
        return true;
    if (pool->hold) {
        STAILQ_INSERT_TAIL(&pool->gated, job, link);
        pool->gated_count++;
        return false;
    }
    begin_writing_locked(w);
    return true;
}

void
worker_pause_point(void)
{
    struct worker *w = self;
    struct worker_pool *pool;

    if (w == NULL ||
        !atomic_load_explicit(&w->pool->hold, memory_order_relaxed))
        return;
    pool = w->pool;
    (void)pthread_mutex_lock(&pool->lock);
    if (pool->hold && w->writing && in_memory_locked(pool, w->job)) {
        gate_leave_locked(w);
    } else if (pool->hold && w->writing) {
        gate_leave_locked(w);
        worker_pause_locked(w);
        while (pool->hold)
            (void)pthread_cond_wait(&pool->go_on, &pool->lock);
        worker_unpause_locked(w);
        begin_writing_locked(w);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

static bool
wait_quiet(struct worker_pool *pool, const struct timespec *until)
{
    bool quiet;
    int r = 0;

    (void)pthread_mutex_lock(&pool->lock);
    while (pool->writing > 0 && pool->hold && !pool->stop && r == 0)
        r = pthread_cond_timedwait(&pool->quiet, &pool->lock, until);
    quiet = pool->writing == 0;
    (void)pthread_mutex_unlock(&pool->lock);
    return quiet;
}

bool
worker_wait_writes(struct worker_pool *pool, int64_t ms)
{
    const struct timespec until = clock_in_ms(CLOCK_MONOTONIC, ms);

    return wait_quiet(pool, &until) &&
           (pool->privileged == NULL || wait_quiet(pool->privileged, &until));
}

/* ---- queues -------------------------------------------------------------- */

bool
gate_has_room_locked(struct worker_pool *pool, const struct job *job)
{
    if (!pool->hold || !job->writes)
        return true;
    if (pool->gated_count >= LIMIT_WORKER_GATED_JOBS)
        gate_sweep_locked(pool);
    return pool->gated_count < LIMIT_WORKER_GATED_JOBS;
}

static bool
is_gated(const struct worker_pool *pool, const struct job *job)
{
    return pool->hold && !job_cancelled(job);
}

void
gate_sweep_locked(struct worker_pool *pool)
{
    pool_requeue_locked(pool, &pool->gated, &pool->gated_count, is_gated);
}

void
gate_abandon_locked(struct worker_pool *pool, struct job_list *queue)
{
    struct job_list all = STAILQ_HEAD_INITIALIZER(all);
    struct job *job;

    STAILQ_CONCAT(&all, queue);
    while ((job = STAILQ_FIRST(&all)) != NULL) {
        STAILQ_REMOVE_HEAD(&all, link);
        STAILQ_INSERT_TAIL(job->writes ? &pool->gated : queue, job, link);
    }
}

void
worker_hold_writes(struct worker_pool *pool, bool hold)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->hold = hold;
    if (!hold)
        (void)pthread_cond_broadcast(&pool->go_on);
    /* At the end nobody is left to begin what was put aside. */
    if (!hold && !pool->stop) {
        gate_sweep_locked(pool);
        for (size_t i = 0; i < pool->waiting && i < pool->threads_max; i++)
            pool_rouse_locked(pool);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    pool_watch(pool);
    if (pool->privileged != NULL)
        worker_hold_writes(pool->privileged, hold);
}
