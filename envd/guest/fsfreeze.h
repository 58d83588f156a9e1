/*
 * Freezing and thawing a file system, the root one of the machine: for a
 * snapshot of the disk alone, after which the machine is usually gone.
 *
 * From before the freeze until after the thaw the worker pool holds all jobs
 * that write (worker_hold_writes()), so that none of our threads hangs in the
 * kernel.  Requests are carried out one at a time, in order.  A freeze that
 * nobody thaws is thawed by a watchdog.  A file in the run directory tells an
 * agent that starts meanwhile that the freeze was meant.
 *
 * Rule: guest.md 10, 18.1 (8), 18.9.
 */
#ifndef ENVD_GUEST_FSFREEZE_H
#define ENVD_GUEST_FSFREEZE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fsfreeze;
struct loop;
struct worker_pool;

/* What a test puts in the place of the kernel.  Context: worker. */
struct fsfreeze_ops {
    int (*freeze)(int fd); /* 0 or -errno */
    int (*thaw)(int fd);
};

struct fsfreeze_options {
    const char *mount;   /* the mount point, borrowed; NULL: "/" */
    const char *run_dir; /* for the marker, borrowed; NULL: "/run/e2b" */
    int64_t watchdog_ms; /* 0: LIMIT_FSFREEZE_WATCHDOG_MS */
    const struct fsfreeze_ops *ops; /* NULL: ioctl(2) */
};

struct fsfreeze_request;

/*
 * How a request ended; context: loop, never from inside the call.
 *
 * err   0; -ECANCELED: a freeze that was dropped before it began; else -errno
 * text  what failed, as "FIFREEZE /: invalid argument"; NULL unless `err` is
 *       another failure; borrowed for the call
 */
typedef void fsfreeze_done(struct fsfreeze_request *r, int err,
                           const char *text);

/* One wish; embed it zeroed, it belongs to its maker again from `done` on. */
struct fsfreeze_request {
    fsfreeze_done *done;
    /* From here on ours. */
    STAILQ_ENTRY(fsfreeze_request) link;
    bool is_thaw;
    bool dropped;
};

struct fsfreeze_stats {
    bool frozen;
    int64_t frozen_ms; /* for how long it has been; 0 when it is not */
    uint64_t freezes;  /* that succeeded */
    uint64_t thaws;
    uint64_t failures; /* of either */
    uint64_t watchdog; /* thaws that nobody asked for */
};

/* `workers` is borrowed and must outlive it.  Never NULL.  Context: loop. */
struct fsfreeze *fsfreeze_new(struct loop *l, struct worker_pool *workers,
                              const struct fsfreeze_options *o);

/*
 * Free it.  What has been frozen stays so, for the next agent to find.
 * Requests that wait end with -ECANCELED.  Context: loop, after
 * worker_pool_free().
 */
void fsfreeze_free(struct fsfreeze *f);

/*
 * At the start of the agent: with a marker of this boot the file system counts
 * as frozen, and the watchdog begins anew.
 *
 * ours  the machine is: what is frozen without such a marker is thawed
 */
void fsfreeze_heal(struct fsfreeze *f, bool ours);

/* Ask for it; what is so already is a success. */
void fsfreeze_freeze(struct fsfreeze *f, struct fsfreeze_request *r);
void fsfreeze_thaw(struct fsfreeze *f, struct fsfreeze_request *r);

/*
 * Nobody waits for the answer any more.  A freeze that has not begun ends with
 * -ECANCELED; anything else goes on.  `done` is called in any case.
 */
void fsfreeze_drop(struct fsfreeze *f, struct fsfreeze_request *r);

/* Whether it is frozen, or about to be. */
bool fsfreeze_frozen(const struct fsfreeze *f);

void fsfreeze_get_stats(const struct fsfreeze *f, struct fsfreeze_stats *ret);

#endif
