/*
 * Freezes and thaws, one after the other.
 *
 * Between two jobs the loop owns struct freeze_state, during one its job does:
 * the loop then looks at `hierarchy` and `stands`, its own copies.  Each begin
 * and each end of a job is a new generation, by which an audit knows that it
 * has seen one state and not two.
 */
#include "guest/freezer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/freeze_log.h"
#include "guest/freeze_place.h"
#include "guest/freeze_work.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

/* Before a job is offered again that the workers had no room for. */
#define RETRY_MS 20

enum ask_kind {
    ASK_FREEZE,
    ASK_THAW,
    ASK_RESCUE, /* a thaw by the watchdog */
};

/* One that waits, or whose job runs. */
struct freezer_wait {
    TAILQ_ENTRY(freezer_wait) link;
    struct freezer *f;
    enum ask_kind kind;
    bool dropped;
    uint64_t armed; /* of a rescue: which watchdog it was */
    struct freeze_params params;
    void (*frozen)(void *ctx, const struct freeze_result *r);
    void (*thawed)(void *ctx, const struct thaw_result *r);
    void *ctx;
};

TAILQ_HEAD(wait_queue, freezer_wait);

/* An audit on its way; outlives nothing but the pool. */
struct audit_wait {
    LIST_ENTRY(audit_wait) link;
    struct job job;
    struct freezer *f;
    uint64_t generation;
    bool hierarchy;
    const struct cgroup_tree *tree;
    struct audit_run run;
    struct loop_deferred refused;
    void (*done)(void *ctx, const struct freeze_audit *a);
    void *ctx;
};

struct freezer {
    struct loop *loop;
    struct worker_pool *workers;
    struct freeze_state state; /* the job's, while `busy` */
    char *prefix;
    int root_fd;

    struct wait_queue queue; /* the first one's job runs, while `busy` */
    size_t freezes_waiting;
    size_t sharing; /* how many of the first ones the job is for */
    struct job job;
    struct freeze_run freeze; /* (job) */
    struct thaw_run thaw;     /* (job) */
    bool busy;
    bool stopped;
    struct loop_deferred next;
    struct loop_timer retry;

    uint64_t generation;
    bool hierarchy;
    bool stands;
    struct loop_timer watchdog;
    uint64_t armed; /* number of the watchdog that is set; 0: none */
    uint64_t last_armed;
    int64_t window_ms;
    LIST_HEAD(, audit_wait) audits;
    void (*observer)(void *ctx, const struct thaw_result *r);
    void *observer_ctx;
    struct freezer_stats stats;
};

/* ---- the watchdog -------------------------------------------------------- */

static struct freezer_wait *
ask(struct freezer *f, enum ask_kind kind)
{
    struct freezer_wait *w = xcalloc(1, sizeof(*w));

    w->f = f;
    w->kind = kind;
    TAILQ_INSERT_TAIL(&f->queue, w, link);
    if (!f->busy && !f->stopped)
        loop_defer(f->loop, &f->next);
    return w;
}

static void
watchdog_arm(struct freezer *f)
{
    f->armed = ++f->last_armed;
    loop_timer_set(&f->watchdog, f->window_ms);
}

static void
watchdog_disarm(struct freezer *f)
{
    f->armed = 0;
    loop_timer_cancel(&f->watchdog);
}

static void
on_watchdog(struct loop_timer *t)
{
    struct freezer *f = container_of(t, struct freezer, watchdog);

    if (f->armed != 0)
        ask(f, ASK_RESCUE)->armed = f->armed;
}

/* ---- ends ---------------------------------------------------------------- */

static void
forget(struct freezer *f, struct freezer_wait *w)
{
    TAILQ_REMOVE(&f->queue, w, link);
    if (w->kind == ASK_FREEZE)
        f->freezes_waiting--;
    free(w);
}

static void
end_freeze(struct freezer *f, const struct freezer_wait *w)
{
    const struct freeze_run *run = &f->freeze;

    if (run->result.requested > 0 && f->state.tree.root_fd >= 0)
        watchdog_arm(f);
    f->stats.freezes++;
    f->stats.failed += run->result.failed;
    freeze_log_freeze(run);
    if (w->dropped)
        f->stats.dropped++;
    else
        w->frozen(w->ctx, &run->result);
}

static void
end_thaw(struct freezer *f, bool rescue)
{
    const struct thaw_run *run = &f->thaw;
    bool dirty = run->result.error != 0;

    f->stats.thaws++;
    f->stats.failed += run->result.failed;
    f->stats.dirty_thaws += dirty ? 1 : 0;
    f->stats.rescues += rescue ? 1 : 0;
    freeze_log_thaw(run, rescue);
    if (!dirty)
        watchdog_disarm(f);
    else if (rescue || f->armed == 0)
        watchdog_arm(f);
    if (f->observer != NULL)
        f->observer(f->observer_ctx, &run->result);
}

static void
on_done(struct job *job)
{
    struct freezer *f = container_of(job, struct freezer, job);
    struct freezer_wait *w = TAILQ_FIRST(&f->queue);
    bool ran = !job_cancelled(job) || f->freeze.result.requested > 0 ||
               f->freeze.result.failed > 0;
    size_t sharing = f->sharing;
    enum ask_kind kind = w->kind;

    f->busy = false;
    f->generation++;
    f->hierarchy = f->state.hierarchy;
    f->stands = f->state.wrote;
    if (f->stopped)
        return;
    if (kind != ASK_FREEZE)
        end_thaw(f, kind == ASK_RESCUE);
    else if (ran)
        end_freeze(f, w);
    else
        f->stats.dropped++;
    for (; sharing > 0; sharing--) {
        w = TAILQ_FIRST(&f->queue);
        if (w->thawed != NULL)
            w->thawed(w->ctx, &f->thaw.result);
        forget(f, w);
    }
    freeze_run_done(&f->freeze);
    loop_defer(f->loop, &f->next);
}

/* ---- turns --------------------------------------------------------------- */

static void
run_freeze(struct job *job)
{
    struct freezer *f = container_of(job, struct freezer, job);

    freeze_sweep(&f->state, &f->freeze);
    freeze_settle(&f->state.tree, &f->freeze, &job->cancelled);
}

static void
run_thaw(struct job *job)
{
    struct freezer *f = container_of(job, struct freezer, job);

    freeze_thaw(&f->state, &f->thaw);
}

/* What nobody needs any more: a watchdog that another one has replaced. */
static bool
is_superseded(const struct freezer *f, const struct freezer_wait *w)
{
    return w->kind == ASK_RESCUE && w->armed != f->armed;
}

/* How many at the front of the queue one job is for. */
static size_t
count_sharing(const struct freezer *f)
{
    const struct freezer_wait *w = TAILQ_FIRST(&f->queue);
    size_t count = 1;

    if (w->kind != ASK_THAW)
        return count;
    while ((w = TAILQ_NEXT(w, link)) != NULL && w->kind == ASK_THAW)
        count++;
    return count;
}

/*
 * Whether a thaw has nothing to do, as at most of the host's requests: they are
 * not to wait for a thread then, on a machine whose processors are all taken.
 */
static bool
needs_no_job(const struct freezer *f, const struct freezer_wait *w)
{
    return w->kind != ASK_FREEZE && freeze_is_nowhere(&f->state);
}

static void
start_next(struct freezer *f)
{
    struct freezer_wait *w = TAILQ_FIRST(&f->queue);

    while (w != NULL && is_superseded(f, w)) {
        forget(f, w);
        w = TAILQ_FIRST(&f->queue);
    }
    if (f->busy || f->stopped || w == NULL)
        return;
    f->freeze = (struct freeze_run){.params = w->params};
    f->thaw = (struct thaw_run){0};
    f->sharing = count_sharing(f);
    f->job = (struct job){
        .run = w->kind == ASK_FREEZE ? run_freeze : run_thaw,
        .done = on_done,
        .urgent = true,
    };
    if (needs_no_job(f, w)) {
        f->generation++;
        f->state.hierarchy = false;
        on_done(&f->job);
        return;
    }
    f->busy = worker_submit(f->workers, &f->job) == 0;
    if (!f->busy)
        loop_timer_set(&f->retry, RETRY_MS);
    else
        f->generation++;
}

static void
on_next(struct loop_deferred *d)
{
    start_next(container_of(d, struct freezer, next));
}

static void
on_retry(struct loop_timer *t)
{
    start_next(container_of(t, struct freezer, retry));
}

struct freezer_wait *
freezer_freeze(struct freezer *f, const struct freeze_params *params,
               void (*done)(void *ctx, const struct freeze_result *r),
               void *ctx)
{
    struct freezer_wait *w;

    if (f->freezes_waiting >= LIMIT_FREEZE_QUEUE)
        return NULL;
    w = ask(f, ASK_FREEZE);
    f->freezes_waiting++;
    w->params = *params;
    w->frozen = done;
    w->ctx = ctx;
    return w;
}

void
freezer_drop(struct freezer_wait *w)
{
    struct freezer *f = w->f;

    if (w->kind != ASK_FREEZE) {
        w->thawed = NULL;
        return;
    }
    if (f->busy && w == TAILQ_FIRST(&f->queue)) {
        w->dropped = true;
        job_cancel(&f->job);
        return;
    }
    f->stats.dropped++;
    forget(f, w);
}

struct freezer_wait *
freezer_thaw(struct freezer *f,
             void (*done)(void *ctx, const struct thaw_result *r), void *ctx)
{
    struct freezer_wait *w = ask(f, ASK_THAW);

    w->thawed = done;
    w->ctx = ctx;
    return w;
}

void
freezer_observe(struct freezer *f,
                void (*thawed)(void *ctx, const struct thaw_result *r),
                void *ctx)
{
    f->observer = thawed;
    f->observer_ctx = ctx;
}

/* ---- audits -------------------------------------------------------------- */

static void
audit_end(struct audit_wait *a)
{
    struct freezer *f = a->f;
    bool holds = a->hierarchy && a->run.error == 0 && !f->busy &&
                 a->generation == f->generation && !job_cancelled(&a->job);

    LIST_REMOVE(a, link);
    if (!f->stopped) {
        if (holds || a->run.error != 0)
            freeze_log_audit(&a->run);
        a->done(a->ctx, holds ? &a->run.result : NULL);
    }
    free(a);
}

static void
run_audit(struct job *job)
{
    struct audit_wait *a = container_of(job, struct audit_wait, job);

    freeze_audit(a->tree, LIMIT_FREEZE_TREE, &a->run);
}

static void
on_audited(struct job *job)
{
    audit_end(container_of(job, struct audit_wait, job));
}

static void
on_not_audited(struct loop_deferred *d)
{
    audit_end(container_of(d, struct audit_wait, refused));
}

void
freezer_audit(struct freezer *f,
              void (*done)(void *ctx, const struct freeze_audit *a), void *ctx)
{
    struct audit_wait *a = xcalloc(1, sizeof(*a));

    a->f = f;
    a->done = done;
    a->ctx = ctx;
    a->generation = f->generation;
    a->hierarchy = f->hierarchy;
    a->tree = &f->state.tree;
    a->job = (struct job){.run = run_audit, .done = on_audited, .urgent = true};
    a->refused.run = on_not_audited;
    LIST_INSERT_HEAD(&f->audits, a, link);
    if (a->hierarchy && worker_submit(f->workers, &a->job) < 0)
        a->hierarchy = false;
    if (!a->hierarchy)
        loop_defer(f->loop, &a->refused);
}

/* ---- life ---------------------------------------------------------------- */

struct freezer *
freezer_new(struct loop *loop, struct worker_pool *workers,
            const struct cgroup_tree *tree)
{
    struct freezer *f = xcalloc(1, sizeof(*f));

    f->loop = loop;
    f->workers = workers;
    f->root_fd = -1;
    f->state.tree = *tree;
    f->state.tree_max = LIMIT_FREEZE_TREE;
    f->window_ms = LIMIT_FREEZE_WATCHDOG_MS;
    f->next.run = on_next;
    TAILQ_INIT(&f->queue);
    LIST_INIT(&f->audits);
    loop_timer_init(loop, &f->retry, on_retry);
    loop_timer_init(loop, &f->watchdog, on_watchdog);
    /* An agent before this one froze; perhaps nobody asks for a thaw. */
    if (freeze_stands(&f->state))
        watchdog_arm(f);
    return f;
}

struct freezer *
freezer_open(struct loop *loop, struct worker_pool *workers, int root_fd)
{
    char *prefix = root_fd < 0 ? NULL : freeze_root_prefix(root_fd);
    struct cgroup_tree tree = {
        .ops = &cgroup_tree_kernel,
        .root_fd = root_fd,
        .self_file = "/proc/self/cgroup",
        .prefix = prefix,
    };
    struct freezer *f = freezer_new(loop, workers, &tree);

    f->prefix = prefix;
    f->root_fd = root_fd;
    return f;
}

void
freezer_stop(struct freezer *f)
{
    struct audit_wait *a;

    if (f == NULL)
        return;
    f->stopped = true;
    loop_timer_cancel(&f->watchdog);
    loop_timer_cancel(&f->retry);
    loop_defer_cancel(f->loop, &f->next);
    if (f->busy)
        job_cancel(&f->job);
    LIST_FOREACH (a, &f->audits, link)
        job_cancel(&a->job);
}

void
freezer_free(struct freezer *f)
{
    struct freezer_wait *w;

    if (f == NULL)
        return;
    /* A job was left behind with its thread: it still uses all of this. */
    if (f->busy || !LIST_EMPTY(&f->audits))
        return;
    while ((w = TAILQ_FIRST(&f->queue)) != NULL)
        forget(f, w);
    freeze_run_done(&f->freeze);
    path_set_clear(&f->state.record);
    fd_close(&f->root_fd);
    free(f->prefix);
    free(f);
}

bool
freezer_stands(const struct freezer *f)
{
    return f->stands;
}

struct freezer_stats
freezer_get_stats(const struct freezer *f)
{
    struct freezer_stats stats = f->stats;

    stats.stands = f->stands;
    stats.watched = f->armed != 0;
    return stats;
}

void
freezer_set_window(struct freezer *f, int64_t ms)
{
    f->window_ms = ms;
}
