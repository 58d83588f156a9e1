/*
 * What is told of a work when it ends: to the client in milliseconds, to the
 * log in a line.
 */
#include <sys/resource.h>

#include "api/init.h"
#include "base/log.h"

#define REFUSALS_MS 1000

static void
append_ms(struct buf *out, const char *name, int64_t ns)
{
    buf_appendf(out, "%s\"%s\":%lld.%03lld", out->len > 0 ? "," : "{", name,
                (long long)(ns / 1000000), (long long)(ns / 1000 % 1000));
}

void
init_report_times(const struct init_work *w, struct buf *out, int64_t now_ns)
{
    const struct init_ops *ops = w->service->ops;
    int64_t authorised_ns = w->authorised_ns != 0 ? w->authorised_ns : now_ns;

    append_ms(out, "authorise", authorised_ns - w->came_ns);
    if (w->began_ns != 0) {
        append_ms(out, "queue", w->began_ns - authorised_ns);
        for (size_t i = 0; i < ops->step_count; i++)
            if (w->took_ns[i] >= 0)
                append_ms(out, ops->steps[i].name, w->took_ns[i]);
    }
    append_ms(out, "total", now_ns - w->came_ns);
    buf_append_byte(out, '}');
}

/* Whether a refusal may be logged: one a second, however many there are. */
static bool
may_log_refusal(struct init_service *s)
{
    int64_t now_ms = loop_now_ms();

    if (s->refusal_logged_ms != 0 &&
        now_ms - s->refusal_logged_ms < REFUSALS_MS) {
        s->refusals_unlogged++;
        return false;
    }
    s->refusal_logged_ms = now_ms;
    return true;
}

void
init_report_log(const struct init_work *w, int status, const char *text,
                int64_t total_ns)
{
    struct init_service *s = w->service;
    struct log_line line;
    struct rusage usage;

    if (status != 204 && w->began_ns == 0 && !may_log_refusal(s))
        return;
    if (!log_begin(&line, status == 204 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
                   "envd"))
        return;
    log_i64(&line, "duration_us", total_ns / 1000);
    if (w->began_ns != 0 && getrusage(RUSAGE_SELF, &usage) == 0) {
        log_i64(&line, "minor_faults", usage.ru_minflt - w->faults_minor);
        log_i64(&line, "major_faults", usage.ru_majflt - w->faults_major);
    }
    if (s->refusals_unlogged > 0 && status != 204) {
        log_u64(&line, "suppressed", s->refusals_unlogged);
        s->refusals_unlogged = 0;
    }
    if (status == 204)
        log_end(&line, w->stale ? "init: older than what is known" : "init");
    else
        log_end(&line, "init refused: %s", text);
}
