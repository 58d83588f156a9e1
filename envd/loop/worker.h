/*
 * A small pool of threads for work that may block on a disk.
 *
 * A job owns its inputs; `run` touches nothing else, and `done` is called on
 * the loop when it is over.  Threads are made on demand and end when idle.
 *
 * Quick jobs (a few system calls that rarely wait) are worked off in batches:
 * those of one turn of the loop wake one thread, and their ends wake the loop
 * once.  None waits longer for that than WORKER_NUDGE_MS when another one of
 * its batch blocks.
 */
#ifndef ENVD_LOOP_WORKER_H
#define ENVD_LOOP_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

struct loop;
struct worker_pool;

/* How long a job may be held up by the batch it is in. */
#define WORKER_NUDGE_MS 1

/* One piece of blocking work; embed it in a struct that holds the inputs. */
struct job {
    STAILQ_ENTRY(job) link;
    void (*run)(struct job *job);  /* Context: worker */
    void (*done)(struct job *job); /* Context: loop; may free the job */
    atomic_bool cancelled;
    bool quick; /* set before it is submitted; see above */
};

/* threads_max  at least 1.  Returns NULL when the kernel refuses an eventfd. */
struct worker_pool *worker_pool_new(struct loop *l, unsigned int threads_max);

/*
 * Wait for the running jobs, run no queued one (its `done` is called all the
 * same, with `cancelled` set), and free the pool.  Context: loop, after
 * loop_run() returned.
 */
void worker_pool_free(struct worker_pool *pool);

/*
 * Queue a job with `run`, `done` and `quick` set; `cancelled` is cleared.
 *
 * Returns 0; -EAGAIN when LIMIT_WORKER_QUEUE_JOBS wait already or no thread
 * could be made: the job was not taken and its `done` will not be called.
 * Context: loop; `done` is never called from inside.
 */
int worker_submit(struct worker_pool *pool, struct job *job);

/*
 * Ask a job to stop: it is not run if it has not begun, and a long `run` looks
 * at job_cancelled() between slices.  Its `done` is called in any case.
 */
void job_cancel(struct job *job);

static inline bool
job_cancelled(struct job *job)
{
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}

#endif
