/*
 * The inside of the pool, for worker.c, which runs jobs, and worker_watch.c,
 * which looks after those that take long.
 */
#ifndef ENVD_LOOP_WORKER_POOL_H
#define ENVD_LOOP_WORKER_POOL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "loop/loop.h"
#include "loop/worker.h"

STAILQ_HEAD(job_list, job);

/* One thread; all but `clock` is guarded by the pool's lock. */
struct worker {
    LIST_ENTRY(worker) link;
    struct worker_pool *pool;
    clockid_t clock;  /* the processor time of this thread */
    struct job *job;  /* NULL: idle */
    int64_t since_ms; /* when the job began */
    int64_t moved_ms; /* when the thread was last seen to have moved */
    int64_t clock_ns; /* its processor time then */
    bool is_long;     /* not counted in `active` */
    bool still;
    bool writing; /* counted in the pool's `writing` */
    bool paused;  /* waits at a pause point: not counted as anything */
    char *key;    /* owned: where a thread that is still stands */
};

struct worker_pool {
    struct loop *loop;
    struct loop_io wake;
    int wake_fd;
    unsigned int threads_max;
    struct worker_pool *privileged; /* owned: for such jobs; or NULL */
    void (*enter)(void *ctx);       /* in such a pool: called by each thread */
    void *enter_ctx;
    struct loop_deferred rouse; /* threads, for the quick jobs of this turn */
    struct loop_timer nudge;    /* armed while a quick job may be held up */
    struct loop_timer watch;    /* armed while there is anything to do */
    bool nudge_armed;
    bool watch_armed;
    uint64_t submitted;
    uint64_t waiting_at_nudge; /* `submitted` when the timer was set */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* a job was queued, or stop was set */
    pthread_cond_t gone;  /* a thread has ended */
    pthread_cond_t quiet; /* `writing` has become 0 */
    pthread_cond_t go_on; /* `hold` has become false */
    struct job_list urgent;
    struct job_list queued;
    struct job_list bulk;
    struct job_list held;  /* for where too many threads stand still */
    struct job_list gated; /* put aside while writes are held */
    struct job_list finished;
    size_t waiting; /* in the first three */
    size_t held_count;
    size_t gated_count;
    size_t finished_count;
    uint64_t taken;
    bool woken; /* the eventfd has been written for what is finished */
    LIST_HEAD(, worker) workers;
    unsigned int threads;
    unsigned int idle;
    unsigned int running;
    unsigned int slow;        /* that run a job which is not quick */
    unsigned int active;      /* that run one which is not long, or urgent */
    unsigned int active_bulk; /* of those */
    unsigned int bulk_count;  /* that run a bulk job and do not stand still */
    unsigned int still;
    unsigned int paused;
    unsigned int writing; /* that run a job which writes, and may */
    atomic_bool hold;     /* jobs that write wait; set with the lock held */
    bool stop;
};

/* Functions whose name ends in _locked are called with the lock held. */

/* Where a job waits for a thread. */
struct job_list *pool_queue_of(struct worker_pool *pool, const struct job *job);

/* Queue again what was put `aside`, all but what `stays`. */
void pool_requeue_locked(struct worker_pool *pool, struct job_list *aside,
                         size_t *count,
                         bool (*stays)(const struct worker_pool *pool,
                                       const struct job *job));

/* Let one more thread look for work, if there is one to be had. */
void pool_rouse_locked(struct worker_pool *pool);

/* Call `done` for what is finished.  Context: loop. */
void pool_run_done(struct worker_pool *pool);

/* A job begins and ends on a thread. */
void worker_begin_locked(struct worker *w, struct job *job);
void worker_end_locked(struct worker *w);

/* A thread at a pause point counts neither as active nor as a bulk job. */
void worker_pause_locked(struct worker *w);
void worker_unpause_locked(struct worker *w);

/* ---- held writes (worker_gate.c) ----------------------------------------- */

/* Set up and take down what holds writes. */
void gate_init(struct worker_pool *pool, const pthread_condattr_t *attr);
void gate_done(struct worker_pool *pool);

/* The thread on which it is called serves this pool's jobs from now on. */
void gate_enter(struct worker *w);

/*
 * A job is about to run: false when it was put aside instead.  Lets go of the
 * lock meanwhile.
 */
bool gate_pass_locked(struct worker *w, struct job *job);

/* It has run. */
void gate_leave_locked(struct worker *w);

/*
 * Whether one more job that writes can be put aside; gives back those that
 * nobody wants any more if they take up its room.
 */
bool gate_has_room_locked(struct worker_pool *pool, const struct job *job);

/* Give back those that nobody wants any more, or all when nothing is held. */
void gate_sweep_locked(struct worker_pool *pool);

/* At the end, while writes are held: leave alone what would write. */
void gate_abandon_locked(struct worker_pool *pool, struct job_list *queue);

/* Whether a job is for where too many threads stand still. */
bool pool_holds_locked(const struct worker_pool *pool, const struct job *job);

/* Begin to look after the jobs, if that is not done yet.  Context: loop. */
void pool_watch(struct worker_pool *pool);

/*
 * Look which threads have moved.  Returns how many run a job and have moved
 * within the last `ms`.  Context: loop.
 */
unsigned int pool_look(struct worker_pool *pool, int64_t ms);

/* As loop_timer callbacks. */
void pool_on_watch(struct loop_timer *t);

#endif
