/*
 * One request at a time: hold what writes, freeze; or thaw, and let it go.
 */
#include "guest/fsfreeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/run_files.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

/* Before another try to thaw unasked, after one that failed. */
#define RETRY_MS (10 * 1000)

/* The marker: "boot id, space, mount point". */
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define MARKER_BYTES ((size_t)8192)
#define MARKER       "/.fsfreeze"

STAILQ_HEAD(request_list, fsfreeze_request);

/* What a job does, and for whom. */
enum task {
    TASK_FREEZE,
    TASK_THAW,
    TASK_WATCHDOG, /* a thaw that nobody asked for */
    TASK_HEAL,     /* a thaw, unless a marker says that the freeze was meant */
    TASK_LOOK,     /* only look for that marker */
};

struct fsfreeze {
    struct loop *loop;
    struct worker_pool *workers;
    struct fsfreeze_options o;
    char *marker; /* owned: its path */
    struct request_list waiting;
    struct loop_deferred next; /* begin what waits */
    struct loop_timer watchdog;
    bool watchdog_due;
    bool held;
    bool frozen;
    int64_t frozen_since_ms;
    struct fsfreeze_stats stats;

    bool running; /* while it is, the job alone uses what is marked (job) */
    struct job job;
    enum task task;
    struct fsfreeze_request *request; /* of that job; NULL: ours */
    int64_t began_ms;
    bool drained;     /* (job) */
    bool meant;       /* (job) TASK_HEAL: it is frozen, and shall be */
    const char *what; /* (job) the step that failed */
    int err;          /* (job) 0 or -errno */
};

/* ---- the kernel ---------------------------------------------------------- */

static int
kernel_freeze(int fd)
{
    return ioctl(fd, FIFREEZE, 0) < 0 ? -errno : 0;
}

static int
kernel_thaw(int fd)
{
    return ioctl(fd, FITHAW, 0) < 0 ? -errno : 0;
}

static const struct fsfreeze_ops kernel = {kernel_freeze, kernel_thaw};

/* ---- on a worker --------------------------------------------------------- */

/* What the marker of this boot and mount point says; NULL: no memory. */
static char *
marker_text(const struct fsfreeze *f)
{
    SCOPE(scope_free) char *boot = NULL;
    char *text = NULL;

    if (fd_read_file(BOOT_ID_FILE, MARKER_BYTES, &boot, NULL) == 0)
        boot[strcspn(boot, "\n")] = '\0';
    if (asprintf(&text, "%s %s\n", boot != NULL ? boot : "", f->o.mount) < 0)
        return NULL;
    return text;
}

/* Before the freeze: the marker may be on what is frozen. */
static void
marker_write(const struct fsfreeze *f)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    SCOPE(scope_free) char *text = marker_text(f);
    SCOPE(fd_close) int fd = -1;

    (void)mkdir(f->o.run_dir, 0755);
    fd = open(f->marker, flags, 0644);
    if (fd >= 0 && text != NULL)
        (void)!write(fd, text, strlen(text));
}

static bool
marker_is_ours(const struct fsfreeze *f)
{
    SCOPE(scope_free) char *text = marker_text(f);
    SCOPE(scope_free) char *found = NULL;

    return text != NULL &&
           fd_read_file(f->marker, MARKER_BYTES, &found, NULL) == 0 &&
           strcmp(text, found) == 0;
}

/* One of the two, on the mount point; what is so already is a success. */
static void
change(struct fsfreeze *f, const char *what, int (*call)(int fd), int already)
{
    SCOPE(fd_close)
    int fd = open(f->o.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    f->what = "open";
    f->err = fd < 0 ? -errno : 0;
    if (fd < 0)
        return;
    f->what = what;
    f->err = call(fd);
    if (f->err == -already)
        f->err = 0;
}

static void
run_freeze(struct job *job)
{
    struct fsfreeze *f = container_of(job, struct fsfreeze, job);

    f->drained = worker_wait_writes(f->workers, LIMIT_FSFREEZE_DRAIN_MS);
    /* Once it is frozen, a write to it would hang, and this thread with it. */
    if (!f->frozen)
        marker_write(f);
    change(f, "FIFREEZE", f->o.ops->freeze, EBUSY);
    if (f->err < 0 && !f->frozen)
        (void)unlink(f->marker);
}

static bool
is_heal(const struct fsfreeze *f)
{
    return f->task == TASK_HEAL || f->task == TASK_LOOK;
}

static void
run_thaw(struct job *job)
{
    struct fsfreeze *f = container_of(job, struct fsfreeze, job);

    f->meant = is_heal(f) && marker_is_ours(f);
    if (f->meant || f->task == TASK_LOOK)
        return;
    change(f, "FITHAW", f->o.ops->thaw, EINVAL);
    if (f->err == 0)
        (void)unlink(f->marker);
}

/* ---- on the loop --------------------------------------------------------- */

static void
log_outcome(const struct fsfreeze *f)
{
    static const char *const words[] = {
        [TASK_FREEZE] = "file system frozen",
        [TASK_THAW] = "file system thawed",
        [TASK_WATCHDOG] = "file system thawed by the watchdog",
        [TASK_HEAL] = "file system counts as frozen since before the start",
        [TASK_LOOK] = "file system counts as frozen since before the start",
    };
    bool warn = f->err < 0 || f->task == TASK_WATCHDOG;
    struct log_line line;

    /* That nothing was to be healed is nothing new. */
    if (is_heal(f) && !f->meant)
        return;
    if (!log_begin(&line, warn ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "envd"))
        return;
    log_str(&line, "mount", f->o.mount);
    log_i64(&line, "duration_ms", loop_now_ms() - f->began_ms);
    if (f->task == TASK_FREEZE)
        log_bool(&line, "drained", f->drained);
    else if (f->frozen)
        log_i64(&line, "frozen_ms", loop_now_ms() - f->frozen_since_ms);
    if (f->err < 0)
        log_str(&line, "error", errno_text(-f->err));
    if (f->err < 0)
        log_end(&line, "%s failed", f->what);
    else
        log_end(&line, "%s", words[f->task]);
}

/* Nothing of ours may wait for a disk from here on, or may again. */
static void
hold(struct fsfreeze *f, bool held)
{
    f->held = held;
    log_hold(held);
    worker_hold_writes(f->workers, held);
}

static void
set_frozen(struct fsfreeze *f)
{
    if (!f->frozen)
        f->frozen_since_ms = loop_now_ms();
    f->frozen = true;
    f->watchdog_due = false; /* it was for the freeze before */
    loop_timer_set(&f->watchdog, f->o.watchdog_ms);
}

static void
set_thawed(struct fsfreeze *f)
{
    f->frozen = false;
    f->watchdog_due = false;
    loop_timer_cancel(&f->watchdog);
    hold(f, false);
}

static void
take_outcome(struct fsfreeze *f)
{
    f->stats.failures += f->err < 0 ? 1 : 0;
    if (f->task == TASK_FREEZE) {
        f->stats.freezes += f->err == 0 ? 1 : 0;
        if (f->err == 0)
            set_frozen(f);
        else if (!f->frozen)
            hold(f, false);
    } else if (f->meant) {
        hold(f, true);
        set_frozen(f);
    } else if (f->err == 0) {
        f->stats.thaws += is_heal(f) ? 0 : 1;
        f->stats.watchdog += f->task == TASK_WATCHDOG ? 1 : 0;
        set_thawed(f);
    } else if (f->task == TASK_WATCHDOG) {
        loop_timer_set(&f->watchdog, RETRY_MS);
    }
}

static void
answer(struct fsfreeze *f, struct fsfreeze_request *r)
{
    SCOPE(scope_free) char *text = NULL;

    if (f->err < 0 && asprintf(&text, "%s %s: %s", f->what, f->o.mount,
                               errno_text(-f->err)) < 0)
        text = NULL;
    r->done(r, f->err, f->err < 0 && text == NULL ? f->what : text);
}

static void
on_job(struct job *job)
{
    struct fsfreeze *f = container_of(job, struct fsfreeze, job);
    struct fsfreeze_request *r = TAKE_PTR(f->request);

    f->running = false;
    if (job_cancelled(job)) { /* the agent ends: it was not run */
        if (r != NULL)
            r->done(r, -ECANCELED, NULL);
        return;
    }
    /* Of trouble before the start there is nothing to tell. */
    if (is_heal(f) && !f->meant)
        f->err = 0;
    log_outcome(f);
    take_outcome(f);
    if (r != NULL)
        answer(f, r);
    loop_defer(f->loop, &f->next);
}

static void
start(struct fsfreeze *f, enum task task, struct fsfreeze_request *r)
{
    f->job = (struct job){
        .run = task == TASK_FREEZE ? run_freeze : run_thaw,
        .done = on_job,
        .urgent = true,
        .privileged = true,
    };
    f->task = task;
    f->request = r;
    f->began_ms = loop_now_ms();
    f->err = 0;
    f->meant = false;
    if (task == TASK_FREEZE)
        hold(f, true);
    f->running = true;
    if (worker_submit(f->workers, &f->job) == 0)
        return;
    f->what = task == TASK_FREEZE ? "FIFREEZE" : "FITHAW";
    f->err = -EAGAIN;
    on_job(&f->job);
}

static void
on_next(struct loop_deferred *d)
{
    struct fsfreeze *f = container_of(d, struct fsfreeze, next);
    struct fsfreeze_request *r;

    while ((r = STAILQ_FIRST(&f->waiting)) != NULL &&
           (!f->running || r->dropped)) {
        STAILQ_REMOVE_HEAD(&f->waiting, link);
        if (r->dropped)
            r->done(r, -ECANCELED, NULL);
        else
            start(f, r->is_thaw ? TASK_THAW : TASK_FREEZE, r);
    }
    if (!f->running && f->watchdog_due) {
        f->watchdog_due = false;
        start(f, TASK_WATCHDOG, NULL);
    }
}

static void
on_watchdog(struct loop_timer *t)
{
    struct fsfreeze *f = container_of(t, struct fsfreeze, watchdog);

    f->watchdog_due = true;
    loop_defer(f->loop, &f->next);
}

struct fsfreeze *
fsfreeze_new(struct loop *l, struct worker_pool *workers,
             const struct fsfreeze_options *o)
{
    struct fsfreeze *f = xcalloc(1, sizeof(*f));

    f->loop = l;
    f->workers = workers;
    f->o = *o;
    if (f->o.mount == NULL)
        f->o.mount = "/";
    if (f->o.run_dir == NULL)
        f->o.run_dir = RUN_DIR;
    if (f->o.watchdog_ms == 0)
        f->o.watchdog_ms = LIMIT_FSFREEZE_WATCHDOG_MS;
    if (f->o.ops == NULL)
        f->o.ops = &kernel;
    f->marker = xcalloc(1, strlen(f->o.run_dir) + sizeof(MARKER));
    (void)stpcpy(stpcpy(f->marker, f->o.run_dir), MARKER);
    STAILQ_INIT(&f->waiting);
    f->next.run = on_next;
    loop_timer_init(l, &f->watchdog, on_watchdog);
    return f;
}

void
fsfreeze_free(struct fsfreeze *f)
{
    static struct fsfreeze *volatile left_behind; /* for leak checkers */
    struct fsfreeze_request *r;

    if (f == NULL)
        return;
    while ((r = STAILQ_FIRST(&f->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&f->waiting, link);
        r->done(r, -ECANCELED, NULL);
    }
    loop_defer_cancel(f->loop, &f->next);
    loop_timer_cancel(&f->watchdog);
    if (f->running) { /* its thread hangs in the kernel */
        left_behind = f;
        (void)left_behind;
        return;
    }
    free(f->marker);
    free(f);
}

void
fsfreeze_heal(struct fsfreeze *f, bool ours)
{
    bool marked = access(f->marker, F_OK) == 0;

    if (f->running || !(ours || marked))
        return;
    /* Until it is known what the marker says. */
    if (marked)
        hold(f, true);
    start(f, ours ? TASK_HEAL : TASK_LOOK, NULL);
}

static void
ask(struct fsfreeze *f, struct fsfreeze_request *r, bool is_thaw)
{
    r->is_thaw = is_thaw;
    r->dropped = false;
    STAILQ_INSERT_TAIL(&f->waiting, r, link);
    loop_defer(f->loop, &f->next);
}

void
fsfreeze_freeze(struct fsfreeze *f, struct fsfreeze_request *r)
{
    ask(f, r, false);
}

void
fsfreeze_thaw(struct fsfreeze *f, struct fsfreeze_request *r)
{
    ask(f, r, true);
}

void
fsfreeze_drop(struct fsfreeze *f, struct fsfreeze_request *r)
{
    if (r == f->request || r->is_thaw || r->dropped)
        return;
    r->dropped = true;
    /* Where it is seen although another one is under way. */
    STAILQ_REMOVE(&f->waiting, r, fsfreeze_request, link);
    STAILQ_INSERT_HEAD(&f->waiting, r, link);
    loop_defer(f->loop, &f->next);
}

bool
fsfreeze_frozen(const struct fsfreeze *f)
{
    return f->held;
}

void
fsfreeze_get_stats(const struct fsfreeze *f, struct fsfreeze_stats *ret)
{
    *ret = f->stats;
    ret->frozen = fsfreeze_frozen(f);
    ret->frozen_ms = f->frozen ? loop_now_ms() - f->frozen_since_ms : 0;
}
