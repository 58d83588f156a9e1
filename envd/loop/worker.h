/*
 * A pool of threads for work that may block on a disk.
 *
 * A job owns its inputs; `run` touches nothing else, and `done` is called on
 * the loop when it is over.  Threads are made on demand and end when idle.
 *
 * At most `threads_max` jobs run at once, as far as they are short.  A job that
 * runs longer than twice LIMIT_WORKER_LONG_MS is no longer counted, so that
 * others go on beside it; of bulk jobs, which can be expected to, few run at
 * once.  All threads together are LIMIT_WORKER_THREADS_ALL.
 *
 * A thread that has not used the processor for half of that stands still: a
 * disk that is slow, or a server behind a mount that is gone.  No more than
 * LIMIT_WORKER_STILL of them may stand below one mount point (or at one path,
 * where none is to be seen from the path); further jobs for it are held back
 * until one of those moves.
 *
 * Quick jobs (a few system calls that rarely wait) are worked off in batches:
 * those of one turn of the loop wake one thread, and their ends wake the loop
 * once.  None waits longer for that than WORKER_NUDGE_MS when another one of
 * its batch blocks.
 *
 * Jobs that write can be held as a whole, while a file system is frozen: a
 * thread that writes to it would hang in the kernel until the thaw.  Those that
 * run stop at their next worker_pause_point(), those that are queued are put
 * aside, up to LIMIT_WORKER_GATED_JOBS.  Not held is what changes nothing but
 * memory: see job_in_memory().
 */
#ifndef ENVD_LOOP_WORKER_H
#define ENVD_LOOP_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;
struct worker_pool;

/* What a pool does now, and how much it was given ever. */
struct worker_stats {
    size_t waiting; /* jobs in the queues */
    size_t held;    /* jobs held back for where threads stand still */
    size_t gated;   /* jobs put aside while writes are held */
    unsigned int threads;
    unsigned int running; /* of them, with a job */
    unsigned int still;   /* of those, without progress */
    uint64_t submitted;
};

/* With those that serve privileged jobs.  Context: loop. */
struct worker_stats worker_pool_stats(struct worker_pool *pool);

/* How long a job may be held up by the batch it is in. */
#define WORKER_NUDGE_MS 1

/* One piece of blocking work; embed it in a struct that holds the inputs. */
struct job {
    STAILQ_ENTRY(job) link;
    void (*run)(struct job *job);  /* Context: worker */
    void (*done)(struct job *job); /* Context: loop; may free the job */
    atomic_bool cancelled;

    /* Set before it is submitted; see above. */
    const char *path;  /* what it works on; borrowed, NULL when unknown */
    const char *other; /* a second thing that it changes; borrowed or NULL */
    bool quick;
    bool bulk;       /* goes through trees: takes as long as they are large */
    bool urgent;     /* what frees others, as a thaw: never waits for them */
    bool privileged; /* mounts, or freezes a file system: worker_pool_split() */
    bool writes;     /* may change a file system: can be held */
};

/* threads_max  at least 1.  Returns NULL when the kernel refuses an eventfd. */
struct worker_pool *worker_pool_new(struct loop *l, unsigned int threads_max);

/*
 * Have `privileged` jobs run on threads of their own, made by the spawner and
 * so without the filter of the loop's; each calls enter(ctx) before its first
 * job.  Without this such jobs run like any other.
 *
 * Returns 0 or -errno.  Context: loop, before the first job.
 */
int worker_pool_split(struct worker_pool *pool, void (*enter)(void *ctx),
                      void *ctx);

/*
 * Wait for the running jobs, run no queued one (its `done` is called all the
 * same, with `cancelled` set), and free the pool.  Threads that stand still for
 * LIMIT_WORKER_LEAVE_MS are left behind, with their jobs and the pool: the
 * process is about to end.  Context: loop, after loop_run() returned.
 */
void worker_pool_free(struct worker_pool *pool);

/*
 * Queue a job with `run`, `done` and what describes it set; `cancelled` is
 * cleared.
 *
 * Returns 0; -EAGAIN when LIMIT_WORKER_QUEUE_JOBS wait already, or
 * LIMIT_WORKER_HELD_JOBS are held back for file systems that stand still, or no
 * thread could be made; -EBUSY when writes are held and as many are put aside
 * as may be.  The job was then not taken and its `done` will not be called.
 * Context: loop; `done` is never called from inside.
 */
int worker_submit(struct worker_pool *pool, struct job *job);

/*
 * Ask a job to stop: it is not run if it has not begun, and a long `run` looks
 * at job_cancelled() between slices.  Its `done` is called in any case.
 */
void job_cancel(struct job *job);

/*
 * Hold the jobs that write, or let them go on.  At the end of the agent those
 * that are held are left alone: their `done` is not called.  Context: loop.
 */
void worker_hold_writes(struct worker_pool *pool, bool hold);

/*
 * While writes are held: wait until no job writes any more, at most `ms`.
 * Returns whether that is so.  Context: worker.
 */
bool worker_wait_writes(struct worker_pool *pool, int64_t ms);

/*
 * Called by a job that writes wherever it could wait for long: between slices,
 * entries, files.  Returns at once unless writes are held, then when they go
 * on.  Nothing happens on other threads and in other jobs.  Context: any.
 */
void worker_pause_point(void);

/*
 * Whether what a job changes is known to be on a file system that is in memory
 * alone, as those of temporary files and of the kernel are: `path` and `other`,
 * and the directories they are in.  Context: worker.
 */
bool job_in_memory(const struct job *job);

static inline bool
job_cancelled(const struct job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}

#endif
