/*
 * One line a freeze, thaw or audit: counts, and the first few cgroups that
 * something is wrong with.
 */
#include "guest/freeze_log.h"

#include "base/log.h"
#include "base/status.h"
#include "guest/freeze_work.h"

/* A list of names; nothing when there are none. */
static void
log_sample(struct log_line *line, const char *key,
           const struct freeze_sample *s)
{
    if (s->count > 0)
        log_str(line, key, s->text);
}

static void
log_error(struct log_line *line, int error)
{
    if (error != 0)
        log_str(line, "error", errno_text(-error));
}

void
freeze_log_freeze(const struct freeze_run *run)
{
    const struct freeze_result *r = &run->result;
    bool late = run->params.max_wait_ms > 0 && r->not_frozen > 0;
    bool wrong = late || r->failed > 0 || r->truncated || run->self_error != 0;
    struct log_line line;

    if (!log_begin(&line,
                   run->self_error != 0 ? LOG_LEVEL_ERROR
                   : wrong              ? LOG_LEVEL_WARN
                                        : LOG_LEVEL_INFO,
                   "envd"))
        return;
    log_error(&line, run->self_error != 0 ? run->self_error : run->error);
    log_str(&line, "mode",
            r->mode == FREEZE_HIERARCHY ? "hierarchy" : "legacy");
    log_u64(&line, "visited", r->visited);
    log_u64(&line, "allowlisted", r->allowlisted);
    log_bool(&line, "truncated", r->truncated);
    log_u64(&line, "pre_frozen", r->pre_frozen);
    log_u64(&line, "requested", r->requested);
    log_u64(&line, "frozen", r->frozen);
    log_u64(&line, "not_frozen", r->not_frozen);
    log_u64(&line, "failed", r->failed);
    log_u64(&line, "unobservable", r->unobservable);
    log_i64(&line, "sweep_ms", r->sweep_ms);
    log_i64(&line, "wait_ms", r->wait_ms);
    log_sample(&line, "failed_cgroups", &run->refused);
    if (late)
        log_sample(&line, "not_frozen_cgroups", &run->moving);
    log_end(&line, run->self_error != 0
                       ? "Own cgroup unknown: only those of commands frozen"
                   : wrong ? "Workload not frozen in whole"
                           : "Workload frozen");
}

void
freeze_log_thaw(const struct thaw_run *run, bool rescue)
{
    const struct thaw_result *r = &run->result;
    bool wrong = rescue || r->error != 0;
    struct log_line line;

    /* Each /init thaws; nearly always there is nothing to. */
    if (!log_begin(&line,
                   wrong      ? LOG_LEVEL_WARN
                   : r->stood ? LOG_LEVEL_INFO
                              : LOG_LEVEL_DEBUG,
                   "envd"))
        return;
    log_error(&line, r->error);
    log_bool(&line, "stood", r->stood);
    log_bool(&line, "truncated", r->truncated);
    log_u64(&line, "thawed", r->thawed);
    log_u64(&line, "preserved", r->preserved);
    log_u64(&line, "failed", r->failed);
    log_i64(&line, "thaw_ms", r->thaw_ms);
    log_sample(&line, "failed_cgroups", &run->refused);
    log_end(&line, rescue  ? "Workload was frozen for too long, and is thawed"
                   : wrong ? "Workload not thawed in whole"
                           : "Workload thawed");
}

void
freeze_log_audit(const struct audit_run *run)
{
    const struct freeze_audit *r = &run->result;
    bool wrong = r->escaped > 0 || r->violations > 0 || run->error != 0;
    struct log_line line;

    if (!log_begin(&line, wrong ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "envd"))
        return;
    log_error(&line, run->error);
    log_u64(&line, "visited", r->visited);
    log_u64(&line, "frozen", r->frozen);
    log_u64(&line, "escaped", r->escaped);
    log_u64(&line, "violations", r->violations);
    log_bool(&line, "truncated", r->truncated);
    log_sample(&line, "escaped_cgroups", &run->escaped);
    log_sample(&line, "violating_cgroups", &run->violations);
    log_end(&line, "Frozen cgroups audited");
}
