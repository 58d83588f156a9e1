/*
 * A resume: the machine goes on in another life than the one in which its
 * memory was saved, perhaps as one of several copies.  Its first POST /init
 * has another lifecycle id.
 *
 * Rule: the contract's chapter on duties after a resume.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/init.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "base/status.h"
#include "envd.h"
#include "guest/entropy.h"
#include "guest/generation.h"
#include "guest/hooks.h"
#include "guest/log_export.h"
#include "guest/mmds.h"
#include "guest/ports.h"
#include "guest/run_files.h"
#include "http/server.h"

/* With what it needs: a worker that stands still may outlive the work. */
struct reseed {
    struct job job;
    struct init_work *work; /* for the loop alone */
    char *lifecycle;
    int64_t timestamp_ns;
    int seed_error;
    int generation_error;
    uint64_t generation;
};

/* No two lives of one memory are to draw the same random numbers. */
static void
run_reseed(struct job *job)
{
    struct reseed *r = container_of(job, struct reseed, job);
    char seed[160];
    size_t most = sizeof(seed) - 1;
    int len =
        snprintf(seed, sizeof(seed), "%" PRId64 " %" PRId64 " %s",
                 r->timestamp_ns, clock_now_ns(CLOCK_MONOTONIC), r->lifecycle);

    r->seed_error = entropy_reseed(seed, len < 0 ? 0 : MIN((size_t)len, most));
    r->generation_error =
        generation_bump(RUN_DIR, r->lifecycle, &r->generation);
}

static void
reseed_free(struct reseed *r)
{
    free(r->lifecycle);
    free(r);
}

static void
on_reseeded(struct job *job)
{
    struct reseed *r = container_of(job, struct reseed, job);
    struct init_work *w = r->work;

    w->resume.reseed_error = r->seed_error;
    w->resume.generation_error = r->generation_error;
    w->resume.generation = r->generation;
    reseed_free(r);
    init_work_continue(w);
}

/* Returns whether init_work_continue() will be called. */
static bool
reseed_begin(struct init_work *w)
{
    struct reseed *r = xcalloc(1, sizeof(*r));

    r->job = (struct job){.run = run_reseed,
                          .done = on_reseeded,
                          .urgent = true,
                          .writes = true,
                          .path = RUN_DIR};
    r->work = w;
    r->lifecycle = xstrdup(w->request->message->lifecycle_id);
    r->timestamp_ns = w->request->timestamp_ns;
    if (worker_submit(w->service->envd->workers, &r->job) == 0)
        return true;
    reseed_free(r);
    w->resume.reseed_error = w->resume.generation_error = -EAGAIN;
    return false;
}

/* What belonged to the life before: connections, log lines, forwarded ports. */
static void
drop_old_life(struct init_work *w)
{
    struct envd *e = w->service->envd;
    const struct init_waiter *newest = TAILQ_LAST(&w->waiters, init_waiters);

    /* Clients of this request that are cut leave it, and may come again. */
    w->resume.cut = http_server_cut_others(
        e->http, newest != NULL ? newest->exchange : NULL);
    if (e->exporter != NULL)
        log_exporter_drop(e->exporter);
    if (e->mmds != NULL)
        mmds_resumed(e->mmds);
    if (e->ports != NULL)
        ports_resumed(e->ports);
}

/* Whether the id differs from the one before; the first one is no resume. */
static bool
is_resume(struct init_service *s, const char *lifecycle)
{
    bool first = s->lifecycle == NULL;

    if (*lifecycle == '\0' || (!first && strcmp(s->lifecycle, lifecycle) == 0))
        return false;
    free(s->lifecycle);
    s->lifecycle = xstrdup(lifecycle);
    return !first;
}

bool
init_step_resume(struct init_work *w)
{
    struct init_service *s = w->service;

    if (!is_resume(s, w->request->message->lifecycle_id))
        return true;
    w->resume.resumed = true;
    s->stats.resumes++;
    drop_old_life(w);
    return !reseed_begin(w);
}

static void
log_resume(const struct init_work *w, const struct hooks_result *hooks)
{
    const struct init_resume *resume = &w->resume;
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_INFO, "envd"))
        return;
    log_bool(&line, "clock_set", w->clock_set);
    log_i64(&line, "clock_delta_ms", w->clock_delta_ns / 1000000);
    log_u64(&line, "connections_cut", resume->cut);
    log_u64(&line, "generation", resume->generation);
    if (resume->reseed_error < 0)
        log_str(&line, "reseed_error", errno_text(-resume->reseed_error));
    if (resume->generation_error < 0)
        log_str(&line, "generation_error",
                errno_text(-resume->generation_error));
    if (hooks != NULL) {
        log_u64(&line, "hooks", hooks->ran);
        log_u64(&line, "hooks_failed", hooks->failed);
        log_bool(&line, "hooks_cut", hooks->cut);
        if (hooks->error < 0)
            log_str(&line, "hooks_error", errno_text(-hooks->error));
    }
    log_end(&line, "resumed");
}

static void
on_hooks(void *ctx, const struct hooks_result *result)
{
    struct init_work *w = ctx;

    log_resume(w, result);
    init_work_continue(w);
}

bool
init_step_hooks(struct init_work *w)
{
    struct hooks *h = w->service->envd->hooks;

    if (h == NULL) {
        log_resume(w, NULL);
        return true;
    }
    hooks_run(h, "post-resume", on_hooks, w);
    return false;
}

void
init_resume_header(const struct init_work *w, struct buf *out)
{
    const struct init_resume *resume = &w->resume;

    if (!resume->resumed)
        return;
    buf_appendf(out,
                "{\"generation\":%" PRIu64 ",\"connections\":%zu"
                ",\"clock_set\":%s,\"clock_delta_ms\":%" PRId64
                ",\"reseeded\":%s}",
                resume->generation, resume->cut,
                w->clock_set ? "true" : "false", w->clock_delta_ns / 1000000,
                resume->reseed_error == 0 ? "true" : "false");
}
