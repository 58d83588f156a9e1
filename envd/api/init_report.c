/*
 * What is told of a work when it ends: to the client in milliseconds, to the
 * log in a line.
 */
#include <sys/resource.h>

#include "api/init.h"
#include "base/log.h"

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

/* Refusals are what anybody can make happen as often as he likes. */
static bool
begin_line(struct log_line *line, const struct init_work *w, int status)
{
    static struct log_quota quota = LOG_QUOTA(10, 10000);

    if (status == 204)
        return log_begin(line, LOG_LEVEL_INFO, "envd");
    if (w->began_ns != 0)
        return log_begin(line, LOG_LEVEL_ERROR, "envd");
    return log_begin_limited(line, LOG_LEVEL_ERROR, "envd", &quota);
}

void
init_report_log(const struct init_work *w, int status, const char *text,
                int64_t total_ns)
{
    struct log_line line;
    struct rusage usage;

    if (!begin_line(&line, w, status))
        return;
    log_i64(&line, "duration_us", total_ns / 1000);
    if (w->began_ns != 0 && getrusage(RUSAGE_SELF, &usage) == 0) {
        log_i64(&line, "minor_faults", usage.ru_minflt - w->faults_minor);
        log_i64(&line, "major_faults", usage.ru_majflt - w->faults_major);
    }
    if (status == 204)
        log_end(&line, w->stale ? "init: older than what is known" : "init");
    else
        log_end(&line, "init refused: %s", text);
}
