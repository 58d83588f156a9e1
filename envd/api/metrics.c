/*
 * GET /metrics: JSON for the host, at once; text for programs that collect
 * figures, when a worker has read what the loop may not.
 *
 * One reading serves all who ask within a second.  Whoever has waited for it
 * LIMIT_METRICS_WAIT_MS gets what is known without.
 */
#include "api/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "api/api.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/metrics.h"
#include "http/accept.h"
#include "http/exchange.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "process/cgroup.h"

#define FRESH_MS 1000

#define KINDS 2 /* of cgroups */

/* A request that waits for a reading. */
struct scrape {
    TAILQ_ENTRY(scrape) link;
    struct metrics *metrics;
    struct http_exchange *x;
    struct loop_timer patience;
    enum metric_format format;
};

struct metrics {
    struct envd *envd;
    struct metrics_reading newest;
    int64_t read_ms; /* when it was; 0: never */
    TAILQ_HEAD(, scrape) waiting;

    /* Below: of the job while it is on its way. */
    struct job job;
    bool busy;
    int cgroup_fd[KINDS];
    struct metrics_reading reading;
};

/* ---- answers ------------------------------------------------------------- */

static void
answer_text(struct envd *e, struct http_exchange *x, enum metric_format format)
{
    SCOPE(buf_done) struct buf body = {0};
    struct metric_writer w = {.out = &body, .format = format};

    for (const metrics_collect_fn *fn = metrics_collectors; *fn != NULL; fn++)
        (*fn)(&w, e);
    metric_end(&w);
    http_add_header(x, "Cache-Control", "no-store");
    http_add_header(x, "Content-Type", metric_content_type(format));
    http_reply_buf(x, 200, &body);
}

/* Two decimals at most, without trailing zeros. */
static void
append_percent(struct buf *out, double value)
{
    unsigned int hundredths = (unsigned int)(value * 100 + 0.5);

    buf_append_u64(out, hundredths / 100);
    hundredths %= 100;
    if (hundredths == 0)
        return;
    buf_append_byte(out, '.');
    buf_append_byte(out, (uint8_t)('0' + hundredths / 10));
    if (hundredths % 10 != 0)
        buf_append_byte(out, (uint8_t)('0' + hundredths % 10));
}

static void
answer_json(struct envd *e, struct http_exchange *x)
{
    SCOPE(buf_done) struct buf body = {0};
    struct guest_metrics m;

    http_add_header(x, "Cache-Control", "no-store");
    http_add_header(x, "Content-Type", "application/json");
    if (guest_metrics_read(e->cpu, "/proc", "/", &m) < 0) {
        http_reply(x, 500, NULL, 0);
        return;
    }
    buf_appendf(&body, "{\"ts\":%" PRId64 ",\"cpu_count\":%u", m.ts,
                m.cpu_count);
    buf_append_str(&body, ",\"cpu_used_pct\":");
    append_percent(&body, m.cpu_used_pct);
    buf_appendf(&body,
                ",\"mem_total_mib\":%" PRIu64 ",\"mem_used_mib\":%" PRIu64
                ",\"mem_total\":%" PRIu64 ",\"mem_used\":%" PRIu64
                ",\"mem_cache\":%" PRIu64 ",\"disk_used\":%" PRIu64
                ",\"disk_total\":%" PRIu64 "}\n",
                m.mem_total >> 20, m.mem_used >> 20, m.mem_total, m.mem_used,
                m.mem_cache, m.disk_used, m.disk_total);
    http_reply_buf(x, 200, &body);
}

/* ---- readings ------------------------------------------------------------ */

/* Context: worker. */
static void
run_reading(struct job *job)
{
    struct metrics *m = container_of(job, struct metrics, job);

    figures_read("/proc", &m->reading.figures);
    for (size_t i = 0; i < KINDS; i++)
        figures_read_cgroup(m->cgroup_fd[i], &m->reading.cgroups[i]);
}

static void
scrape_free(struct scrape *s)
{
    TAILQ_REMOVE(&s->metrics->waiting, s, link);
    loop_timer_cancel(&s->patience);
    free(s);
}

static void
scrape_answer(struct scrape *s)
{
    answer_text(s->metrics->envd, s->x, s->format);
    scrape_free(s);
}

static void
reading_done(struct job *job)
{
    struct metrics *m = container_of(job, struct metrics, job);
    struct scrape *s;

    m->busy = false;
    for (size_t i = 0; i < KINDS; i++)
        fd_close(&m->cgroup_fd[i]);
    if (!job_cancelled(job)) {
        m->newest = m->reading;
        m->read_ms = loop_now_ms();
    }
    while ((s = TAILQ_FIRST(&m->waiting)) != NULL)
        scrape_answer(s);
}

/* Have a worker read, if none does.  False: there is no room for that. */
static bool
start_reading(struct metrics *m)
{
    if (m->busy)
        return true;
    for (enum cgroup_kind i = 0; i < KINDS; i++)
        m->cgroup_fd[i] = cgroups_dup(m->envd->cgroups, i);
    m->job = (struct job){.run = run_reading, .done = reading_done};
    m->busy = worker_submit(m->envd->workers, &m->job) == 0;
    for (size_t i = 0; i < KINDS && !m->busy; i++)
        fd_close(&m->cgroup_fd[i]);
    return m->busy;
}

static void
on_impatient(struct loop_timer *t)
{
    scrape_answer(container_of(t, struct scrape, patience));
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    (void)x;
    scrape_free(ctx);
}

static const struct http_handler scrape_handler = {.on_cancel = on_cancel};

static void
scrape_begin(struct metrics *m, struct http_exchange *x,
             enum metric_format format)
{
    struct scrape *s;

    if ((m->read_ms != 0 && loop_now_ms() - m->read_ms < FRESH_MS) ||
        !start_reading(m)) {
        answer_text(m->envd, x, format);
        return;
    }
    s = xcalloc(1, sizeof(*s));
    s->metrics = m;
    s->x = x;
    s->format = format;
    loop_timer_init(m->envd->loop, &s->patience, on_impatient);
    loop_timer_set(&s->patience, LIMIT_METRICS_WAIT_MS);
    TAILQ_INSERT_TAIL(&m->waiting, s, link);
    http_accept(x, &scrape_handler, s);
}

const struct metrics_reading *
metrics_newest(const struct envd *e)
{
    return &e->metrics->newest;
}

struct metrics *
metrics_new(struct envd *e)
{
    struct metrics *m = xcalloc(1, sizeof(*m));

    m->envd = e;
    TAILQ_INIT(&m->waiting);
    return m;
}

void
metrics_free(struct metrics *m)
{
    if (m != NULL && !m->busy) /* a thread that was left behind has it */
        free(m);
}

/* JSON wins where it is liked as much: those that say nothing get it. */
void
api_metrics(struct envd *e, struct http_exchange *x)
{
    struct str accept = http_header(x, "Accept");
    double json = accept_media(accept, "application/json", "");
    double text = accept_media(accept, "text/plain", "0.0.4");
    double open = accept_media(accept, "application/openmetrics-text", "1.0.0");

    if (open > 0 && open > json && open >= text)
        scrape_begin(e->metrics, x, METRIC_OPENMETRICS);
    else if (text > 0 && text > json)
        scrape_begin(e->metrics, x, METRIC_PROMETHEUS);
    else
        answer_json(e, x);
}
