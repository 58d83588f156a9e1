/*
 * The phases of one volume, on the loop.
 */
#include "guest/volume.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/nfs.h"
#include "guest/volume_job.h"

/* Between attempts at a server that does not answer yet. */
#define PAUSE_FIRST_MS 100
#define PAUSE_MOST_MS  1000

/* As mount(8) passes them on. */
static const char helper_options[] = "rw," NFS_OPTIONS;

static void volume_enter(struct volume *v, enum volume_phase phase);

/* ---- words --------------------------------------------------------------- */

static void
put_quoted(struct buf *out, const char *text)
{
    buf_append_byte(out, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < ' ' || c == 0x7f) {
            buf_appendf(out, "\\x%02x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, c);
    }
    buf_append_byte(out, '"');
}

/* The command that a person would try, and that clients know. */
static void
put_command(struct buf *out, const struct volume *v)
{
    buf_append_byte(out, '`');
    switch (v->phase) {
    case VOLUME_LOOK:
        buf_appendf(out, "findmnt --noheadings --output SOURCE %s", v->path);
        break;
    case VOLUME_UMOUNT:
        buf_appendf(out, "umount --force %s", v->path);
        break;
    case VOLUME_DETACH:
        buf_appendf(out, "umount --lazy %s", v->path);
        break;
    case VOLUME_MKDIR:
        buf_appendf(out, "mkdir -p %s", v->path);
        break;
    case VOLUME_MOUNT:
        buf_appendf(out, "mount -v -t nfs -o " NFS_OPTIONS " %s %s", v->target,
                    v->path);
        break;
    }
    buf_append_byte(out, '`');
}

static void
put_failure(struct volume *v)
{
    buf_reset(&v->error, 0);
    buf_append_str(&v->error, "failed to mount NFS at ");
    put_quoted(&v->error, v->path);
    buf_append_str(&v->error, ": ");
    put_command(&v->error, v);
    buf_append_str(&v->error, " failed: ");
}

/* ---- ends ---------------------------------------------------------------- */

static void
volume_stop(struct volume *v)
{
    struct volume_job *j = TAKE_PTR(v->job);

    loop_timer_cancel(&v->timer);
    loop_timer_cancel(&v->retry);
    loop_defer_cancel(v->env->loop, &v->fail);
    helper_abandon(&v->helper);
    v->waiting = false;
    if (j == NULL)
        return;
    j->volume = NULL;
    job_cancel(&j->job);
    TAILQ_INSERT_TAIL(&v->env->strays, j, link);
}

static void
volume_end(struct volume *v, const char *error)
{
    volume_stop(v);
    v->running = false;
    v->done(v, error);
}

/* With the words in v->error. */
static void
volume_end_badly(struct volume *v)
{
    buf_append_byte(&v->error, '\0');
    volume_end(v, v->error.failed ? "failed to mount NFS"
                                  : (const char *)buf_data(&v->error));
}

static void
volume_fail(struct volume *v, const char *why)
{
    put_failure(v);
    buf_append_str(&v->error, why);
    volume_end_badly(v);
}

/* ---- mounting ------------------------------------------------------------ */

/* The server, or the way to it, may be there in a moment. */
static bool
is_transient(int r)
{
    return r == -ECONNREFUSED || r == -ECONNRESET || r == -ETIMEDOUT ||
           r == -EHOSTUNREACH || r == -ENETUNREACH || r == -EHOSTDOWN ||
           r == -EAGAIN || r == -ENOTCONN || r == -EPIPE;
}

static void
mount_failed(struct volume *v, int r)
{
    if (!is_transient(r) || loop_now_ms() + v->pause_ms >= v->until_ms) {
        volume_fail(v, errno_text(-r));
        return;
    }
    loop_timer_set(&v->retry, v->pause_ms);
    v->pause_ms = MIN(2 * v->pause_ms, (int64_t)PAUSE_MOST_MS);
}

static void
on_helper_end(struct helper *h, const struct helper_exit *end)
{
    struct volume *v = container_of(h, struct volume, helper);

    if (end->status == 0 || (end->lost && volume_is_mounted(v->point))) {
        volume_end(v, NULL);
        return;
    }
    put_failure(v);
    if (end->killed)
        buf_append_str(&v->error, "signal: killed");
    else
        buf_appendf(&v->error, "exit status %d", end->status);
    buf_append_byte(&v->error, '\n');
    buf_append(&v->error, buf_data(&h->output), h->output.len);
    volume_end_badly(v);
}

/* As mount(8) would call it. */
static int
start_helper(struct volume *v)
{
    const char *const argv[] = {v->program, v->target,      v->point, "-v",
                                "-o",       helper_options, NULL};

    return helper_start(&v->helper, v->env->loop, v->env->spawner, argv,
                        v->until_ms - loop_now_ms(), on_helper_end);
}

/* ---- phases -------------------------------------------------------------- */

static int64_t
phase_ms(const struct volume *v)
{
    static const int64_t times[] = {
        [VOLUME_LOOK] = VOLUMES_LOOK_MS,
        [VOLUME_DETACH] = VOLUMES_DETACH_MS,
        [VOLUME_MKDIR] = VOLUMES_MKDIR_MS,
    };

    if (v->phase == VOLUME_UMOUNT)
        return v->env->umount_ms;
    if (v->phase == VOLUME_MOUNT)
        return MAX(v->until_ms - loop_now_ms(), (int64_t)0);
    return times[v->phase];
}

static void
take_point(struct volume *v, struct volume_job *j)
{
    free(v->point);
    v->point = TAKE_PTR(j->found);
    free(v->program);
    v->program = TAKE_PTR(j->program);
}

static void
log_own_locks(const struct volume *v)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "envd"))
        return;
    log_str(&line, "path", v->path);
    log_end(&line, "rpc.statd does not run: locks on the volume are not the "
                   "server's");
}

static void
phase_over(struct volume *v, struct volume_job *j)
{
    int r = j->result;

    switch (v->phase) {
    case VOLUME_LOOK:
        if (r < 0) {
            volume_fail(v, errno_text(-r));
            return;
        }
        take_point(v, j);
        volume_enter(v, j->mounted ? VOLUME_UMOUNT : VOLUME_MKDIR);
        return;
    case VOLUME_UMOUNT:
        volume_enter(v, r < 0 ? VOLUME_DETACH : VOLUME_MKDIR);
        return;
    case VOLUME_DETACH:
        if (r < 0)
            volume_fail(v, errno_text(-r));
        else
            volume_enter(v, VOLUME_MKDIR);
        return;
    case VOLUME_MKDIR:
        if (r < 0) {
            volume_fail(v, errno_text(-r));
            return;
        }
        take_point(v, j);
        v->until_ms = loop_now_ms() + v->env->mount_ms;
        v->pause_ms = PAUSE_FIRST_MS;
        volume_enter(v, VOLUME_MOUNT);
        return;
    case VOLUME_MOUNT:
        if (r < 0) {
            mount_failed(v, r);
            return;
        }
        if (j->own_locks)
            log_own_locks(v);
        volume_end(v, NULL);
        return;
    }
}

static void
on_job_done(struct job *job)
{
    struct volume_job *j = container_of(job, struct volume_job, job);
    struct volume_env *env = j->env;
    struct volume *v = j->volume;

    if (v == NULL) {
        TAILQ_REMOVE(&env->strays, j, link);
        volume_job_free(j);
        env->on_stray_end(env);
        return;
    }
    v->job = NULL;
    loop_timer_cancel(&v->timer);
    if (!job_cancelled(job)) /* the workers are gone */
        phase_over(v, j);
    volume_job_free(j);
}

static void
on_time(struct loop_timer *t)
{
    struct volume *v = container_of(t, struct volume, timer);

    if (v->phase != VOLUME_UMOUNT || v->waiting) {
        volume_fail(v, v->waiting ? "an earlier attempt still hangs"
                                  : "deadline exceeded");
        return;
    }
    volume_stop(v); /* force was no help: out of the way with it */
    volume_enter(v, VOLUME_DETACH);
}

static void
on_fail(struct loop_deferred *d)
{
    struct volume *v = container_of(d, struct volume, fail);

    volume_fail(v, "too much is waiting for disks");
}

static void
on_retry(struct loop_timer *t)
{
    struct volume *v = container_of(t, struct volume, retry);

    volume_enter(v, VOLUME_MOUNT);
}

static void
volume_enter(struct volume *v, enum volume_phase phase)
{
    int r;

    v->phase = phase;
    if (phase == VOLUME_MOUNT && v->program != NULL)
        r = start_helper(v);
    else
        r = volume_job_submit(v, on_job_done);
    if (r < 0)
        loop_defer(v->env->loop, &v->fail);
    else if (v->job != NULL)
        loop_timer_set(&v->timer, phase_ms(v));
}

static bool
has_stray(const struct volume *v)
{
    const struct volume_job *j;

    TAILQ_FOREACH (j, &v->env->strays, link)
        if (strcmp(j->path, v->path) == 0)
            return true;
    return false;
}

void
volume_start(struct volume *v, volume_cb done)
{
    v->done = done;
    v->running = true;
    v->phase = VOLUME_LOOK;
    v->fail.run = on_fail;
    loop_timer_init(v->env->loop, &v->timer, on_time);
    loop_timer_init(v->env->loop, &v->retry, on_retry);
    if (has_stray(v)) {
        v->waiting = true;
        loop_timer_set(&v->timer, v->env->mount_ms);
    } else {
        volume_enter(v, VOLUME_LOOK);
    }
}

void
volume_go_on(struct volume *v)
{
    if (!v->waiting || has_stray(v))
        return;
    v->waiting = false;
    loop_timer_cancel(&v->timer);
    volume_enter(v, VOLUME_LOOK);
}

void
volume_abandon(struct volume *v)
{
    if (v->running)
        volume_stop(v);
    v->running = false;
}

void
volume_done(struct volume *v)
{
    volume_abandon(v);
    helper_free_output(&v->helper);
    buf_done(&v->error);
    free(v->target);
    free(v->path);
    free(v->point);
    free(v->program);
}
