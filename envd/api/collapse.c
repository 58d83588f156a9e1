/*
 * POST /collapse: our memory into huge pages, before a pause.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "envd.h"
#include "guest/collapse.h"
#include "http/exchange.h"
#include "loop/worker.h"

struct collapse_post {
    struct job job;
    struct http_exchange *x;       /* NULL when the client is gone */
    struct collapse_counts counts; /* (job) */
    const char *what;              /* (job) */
    int err;                       /* (job) 0 or -errno */
};

static void
run(struct job *job)
{
    struct collapse_post *p = container_of(job, struct collapse_post, job);

    p->err = collapse_run(&job->cancelled, &p->counts, &p->what);
}

static void
log_counts(const struct collapse_counts *c)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_INFO, "envd"))
        return;
    log_u64(&line, "regions", c->regions);
    log_u64(&line, "chunks", c->chunks);
    log_u64(&line, "collapsed", c->collapsed);
    log_u64(&line, "already_huge", c->already_huge);
    log_u64(&line, "skipped", c->skipped);
    log_i64(&line, "elapsed_ms", c->elapsed_ms);
    log_end(&line, "collapsed envd heap");
}

static void
answer(struct http_exchange *x, const struct collapse_counts *c)
{
    SCOPE(buf_done) struct buf body = {0};

    buf_appendf(&body,
                "{\"alreadyHuge\":%" PRIu64 ",\"chunks\":%" PRIu64
                ",\"collapsed\":%" PRIu64 ",\"elapsedMs\":%" PRId64
                ",\"regions\":%" PRIu64 ",\"skipped\":%" PRIu64 "}\n",
                c->already_huge, c->chunks, c->collapsed, c->elapsed_ms,
                c->regions, c->skipped);
    http_add_header(x, "Content-Type", "application/json");
    http_reply_buf(x, 200, &body);
}

static void
done(struct job *job)
{
    struct collapse_post *p = container_of(job, struct collapse_post, job);

    if (p->err == 0 && !job_cancelled(job))
        log_counts(&p->counts);
    if (p->x != NULL) {
        http_add_header(p->x, "Cache-Control", "no-store");
        if (job_cancelled(job))
            api_error(p->x, 500, "context canceled");
        else if (p->err < 0)
            api_error(p->x, 500, "%s: %s", p->what, errno_text(-p->err));
        else
            answer(p->x, &p->counts);
    }
    free(p);
}

static void
on_half_close(struct http_exchange *x, void *ctx)
{
    struct collapse_post *p = ctx;

    (void)x;
    job_cancel(&p->job);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct collapse_post *p = ctx;

    p->x = NULL;
    on_half_close(x, ctx);
}

void
api_collapse(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_half_close = on_half_close,
        .on_cancel = on_cancel,
    };
    struct collapse_post *p = xcalloc(1, sizeof(*p));

    p->x = x;
    p->job.run = run;
    p->job.done = done;
    if (worker_submit(e->workers, &p->job) < 0) {
        http_add_header(x, "Cache-Control", "no-store");
        api_error(x, 500, "too many operations are waiting");
        free(p);
        return;
    }
    http_accept(x, &handler, p);
}
