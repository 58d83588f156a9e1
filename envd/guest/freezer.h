/*
 * The workload freeze: all that users run is stopped by the cgroup v2 freezer
 * before the machine is paused, and goes on after it was resumed.
 *
 * One thing at a time: freezes, thaws and the watchdog stand in one queue.
 * Each is one job on a worker, as the tree may have thousands of cgroups.  A
 * freeze whose client has left is dropped; a thaw is carried out whatever
 * happens.  Nothing here waits for a process: our own children stop in their
 * cgroups, and the loop does not.
 *
 * Without a root (no cgroup v2, or not allowed to) all succeeds and nothing
 * can be observed.
 *
 * Context: loop, for all of it; callbacks come from the loop, never from inside
 * a call.
 */
#ifndef ENVD_GUEST_FREEZER_H
#define ENVD_GUEST_FREEZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup_tree;
struct freezer;
struct freezer_wait;
struct loop;
struct worker_pool;

enum freeze_mode {
    FREEZE_LEGACY,    /* the cgroups `user` and `ptys` */
    FREEZE_HIERARCHY, /* and all beside us and what must go on */
};

struct freeze_params {
    enum freeze_mode mode;
    int64_t max_wait_ms; /* for all to stop, up to LIMIT_FREEZE_WAIT_MS; 0 and
                            less: not awaited, nothing is read back */
    int64_t max_cgroups; /* looked at by a hierarchy sweep, up to
                            LIMIT_FREEZE_TREE; 0 and less:
                            LIMIT_FREEZE_CGROUPS */
};

/*
 * What a freeze came to.  Each of those requested is one of frozen, not_frozen,
 * unobservable, or failed when it could not be read; failed counts also those
 * that could not be written, which are not requested.
 */
struct freeze_result {
    enum freeze_mode mode; /* that really ran */
    uint32_t visited;      /* of those of max_cgroups */
    uint32_t allowlisted;
    bool truncated; /* there are more than max_cgroups */
    uint32_t pre_frozen;
    uint32_t requested; /* written to */
    uint32_t frozen;
    uint32_t not_frozen;
    uint32_t failed;
    uint32_t unobservable;
    int64_t sweep_ms;
    int64_t wait_ms;
};

struct thaw_result {
    bool stood;         /* a freeze of ours did */
    bool truncated;     /* the tree has more than LIMIT_FREEZE_TREE */
    uint32_t thawed;    /* beside `user` and `ptys` */
    uint32_t preserved; /* frozen by the guest, and left so */
    uint32_t failed;
    int error; /* 0, or -errno of the first thing that failed */
    int64_t thaw_ms;
};

/* What a resume finds frozen: the X-Envd-Freeze-Audit header. */
struct freeze_audit {
    uint32_t visited;
    uint32_t frozen;
    uint32_t escaped;
    uint32_t violations;
    bool truncated;
};

struct freezer_stats {
    uint64_t freezes;
    uint64_t dropped; /* freezes whose client left */
    uint64_t thaws;
    uint64_t dirty_thaws; /* in which something failed */
    uint64_t rescues;     /* thaws by the watchdog */
    uint64_t failed;      /* cgroups that could not be written or read */
    bool stands;          /* freezer_stands() */
    bool watched;         /* the watchdog is set */
};

/*
 * What an earlier agent has left frozen is thawed by the watchdog, too.
 *
 * tree  borrowed; for a cgroup v2 of the kernel freezer_open() makes it
 *
 * Context: start-up, as it reads cgroups.
 */
struct freezer *freezer_new(struct loop *loop, struct worker_pool *workers,
                            const struct cgroup_tree *tree);

/*
 * As freezer_new().
 *
 * root_fd  of a cgroup v2, O_PATH will do; taken over.  -1: none
 */
struct freezer *freezer_open(struct loop *loop, struct worker_pool *workers,
                             int root_fd);

/*
 * Begin nothing any more, and call nobody back: before the worker pool is
 * freed.  What runs is asked to end.  NULL is fine.
 */
void freezer_stop(struct freezer *f);

/* Free it; after freezer_stop() and the worker pool.  NULL is fine. */
void freezer_free(struct freezer *f);

/*
 * Freeze, when it is this one's turn.
 *
 * done  called once, unless it is dropped
 *
 * Returns what freezer_drop() takes, valid until `done`; NULL when
 * LIMIT_FREEZE_QUEUE wait already: `done` is not called then.
 */
struct freezer_wait *
freezer_freeze(struct freezer *f, const struct freeze_params *params,
               void (*done)(void *ctx, const struct freeze_result *r),
               void *ctx);

/*
 * The one who asked has left: `done` is not called.  A freeze does not begin if
 * it has not begun, and waits no longer if it has; a thaw is carried out.
 */
void freezer_drop(struct freezer_wait *w);

/*
 * Thaw, when it is this one's turn.  Those that wait together share one.
 *
 * done  called once, unless it is dropped; may be NULL
 *
 * Returns what freezer_drop() takes, valid until `done`.
 */
struct freezer_wait *
freezer_thaw(struct freezer *f,
             void (*done)(void *ctx, const struct thaw_result *r), void *ctx);

/*
 * Have `thawed` called at the end of each thaw, the watchdog's too, before the
 * ones who asked for it are told.  NULL: nobody.
 */
void freezer_observe(struct freezer *f,
                     void (*thawed)(void *ctx, const struct thaw_result *r),
                     void *ctx);

/*
 * See whether what a hierarchy freeze froze is what is frozen; it does not
 * wait its turn.
 *
 * done  called once; `a` is NULL when there is nothing to tell: no such freeze
 *       stands, or there was a freeze or thaw meanwhile
 */
void freezer_audit(struct freezer *f,
                   void (*done)(void *ctx, const struct freeze_audit *a),
                   void *ctx);

/* Whether a freeze of this agent stands: since one wrote, until a clean thaw.
 */
bool freezer_stands(const struct freezer *f);

struct freezer_stats freezer_get_stats(const struct freezer *f);

/*
 * How long a freeze stands before it is ended by the watchdog; LIMIT_FREEZE_
 * WATCHDOG_MS unless a test asks for less.
 */
void freezer_set_window(struct freezer *f, int64_t ms);

#endif
