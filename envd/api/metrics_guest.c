/*
 * Figures of what the host does with the machine: initialise, freeze, reach its
 * ports, take its log.
 */
#include "api/init.h"
#include "api/metrics.h"
#include "envd.h"
#include "guest/freezer.h"
#include "guest/fsfreeze.h"
#include "guest/log_export.h"
#include "guest/mmds.h"
#include "guest/ports.h"

void
metrics_collect_init(struct metric_writer *w, struct envd *e)
{
    const struct init_step *steps = init_ops.steps;
    struct init_stats s;

    init_get_stats(e->init, &s);
    metric_family(w, "envd_init_requests", METRIC_COUNTER,
                  "Requests of POST /init by what became of them");
    metric_add(w, s.requests, 0, "fate", "received", NULL);
    metric_add(w, s.shared, 0, "fate", "shared", NULL);
    metric_add(w, s.refused, 0, "fate", "refused", NULL);
    metric_add(w, s.cut, 0, "fate", "cut", NULL);
    metric_family(w, "envd_init_works", METRIC_COUNTER,
                  "What was done for them by its end");
    metric_add(w, s.works - s.failed - s.stale, 0, "end", "applied", NULL);
    metric_add(w, s.stale, 0, "end", "stale", NULL);
    metric_add(w, s.failed, 0, "end", "failed", NULL);
    metric_add(w, s.dropped, 0, "end", "dropped", NULL);
    metric_family(w, "envd_init_phase_seconds", METRIC_COUNTER,
                  "Time in the phases of POST /init");
    for (size_t i = 0; i < init_ops.step_count; i++)
        metric_add(w, (uint64_t)s.phase_us[i], 6, "phase", steps[i].name, NULL);
    metric_one(w, "envd_init_last_seconds", METRIC_GAUGE,
               "The last one, from its arrival to its end", (uint64_t)s.last_us,
               6);
    metric_one(w, "envd_resumes", METRIC_COUNTER,
               "Lives of the machine after the first", s.resumes, 0);
}

static void
collect_workload(struct metric_writer *w, struct envd *e)
{
    struct freezer_stats s = freezer_get_stats(e->freezer);

    metric_one(w, "envd_freezer_frozen", METRIC_GAUGE,
               "Whether a freeze of the workload stands", s.stands, 0);
    metric_one(w, "envd_freezer_freezes", METRIC_COUNTER,
               "Freezes of the workload", s.freezes, 0);
    metric_family(w, "envd_freezer_thaws", METRIC_COUNTER,
                  "Thaws of the workload by who has asked for them");
    metric_add(w, s.thaws - s.rescues, 0, "by", "host", NULL);
    metric_add(w, s.rescues, 0, "by", "watchdog", NULL);
    metric_one(w, "envd_freezer_dirty_thaws", METRIC_COUNTER,
               "Thaws of the workload in which something failed", s.dirty_thaws,
               0);
    metric_one(w, "envd_freezer_failures", METRIC_COUNTER,
               "Cgroups that could not be written or read", s.failed, 0);
}

void
metrics_collect_freezes(struct metric_writer *w, struct envd *e)
{
    struct fsfreeze_stats s;

    if (e->freezer != NULL)
        collect_workload(w, e);
    fsfreeze_get_stats(e->fsfreeze, &s);
    metric_one(w, "envd_fsfreeze_frozen", METRIC_GAUGE,
               "Whether the root file system is frozen", s.frozen, 0);
    metric_one(w, "envd_fsfreeze_freezes", METRIC_COUNTER,
               "Freezes of the root file system", s.freezes, 0);
    metric_family(w, "envd_fsfreeze_thaws", METRIC_COUNTER,
                  "Thaws of the root file system by who has asked for them");
    metric_add(w, s.thaws, 0, "by", "host", NULL);
    metric_add(w, s.watchdog, 0, "by", "watchdog", NULL);
    metric_one(w, "envd_fsfreeze_failures", METRIC_COUNTER,
               "Freezes and thaws of the root file system that failed",
               s.failures, 0);
}

void
metrics_collect_ports(struct metric_writer *w, struct envd *e)
{
    struct ports_stats s;

    ports_get_stats(e->ports, &s);
    metric_family(w, "envd_ports", METRIC_GAUGE,
                  "Ports that programs of the machine have opened");
    metric_add(w, s.open, 0, "state", "open", NULL);
    metric_add(w, s.forwarded, 0, "state", "forwarded", NULL);
    metric_one(w, "envd_forward_connections", METRIC_GAUGE,
               "Connections passed on to loopback", s.connections, 0);
    metric_family(w, "envd_forward_connections_seen", METRIC_COUNTER,
                  "Those so far by what became of them");
    metric_add(w, s.connections_total, 0, "fate", "accepted", NULL);
    metric_add(w, s.refused, 0, "fate", "refused", NULL);
    metric_add(w, s.failed, 0, "fate", "failed", NULL);
    metric_family(w, "envd_forward_bytes", METRIC_COUNTER,
                  "Bytes passed on, as seen by the machine");
    metric_add(w, s.bytes_in, 0, "direction", "in", NULL);
    metric_add(w, s.bytes_out, 0, "direction", "out", NULL);
    metric_one(w, "envd_port_scans", METRIC_COUNTER,
               "Looks for ports in the kernel's tables", s.scans, 0);
}

static void
collect_lookups(struct metric_writer *w, const struct mmds *m)
{
    struct mmds_stats s;

    mmds_get_stats(m, &s);
    metric_family(w, "envd_mmds_lookups", METRIC_COUNTER,
                  "Questions to the metadata service by their end");
    metric_add(w, s.lookups - s.failures, 0, "end", "answered", NULL);
    metric_add(w, s.failures, 0, "end", "failed", NULL);
    metric_family(w, "envd_mmds_heals", METRIC_COUNTER,
                  "Repairs of the route to the metadata service by their end");
    metric_add(w, s.heals, 0, "end", "done", NULL);
    metric_add(w, s.heals_failed, 0, "end", "failed", NULL);
}

static void
collect_export(struct metric_writer *w, const struct log_exporter *x)
{
    struct log_export_stats s;

    log_exporter_get_stats(x, &s);
    metric_family(w, "envd_log_exported_lines", METRIC_COUNTER,
                  "Log lines for the host by what became of them");
    metric_add(w, s.sent, 0, "fate", "sent", NULL);
    metric_add(w, s.refused, 0, "fate", "refused", NULL);
    metric_add(w, s.failed, 0, "fate", "failed", NULL);
    metric_add(w, s.dropped + s.dropped_long, 0, "fate", "dropped", NULL);
    metric_add(w, s.dropped_old, 0, "fate", "outdated", NULL);
    metric_one(w, "envd_log_export_queue_bytes", METRIC_GAUGE,
               "Log lines that wait for the host", s.queued_bytes, 0);
    metric_one(w, "envd_log_export_connections", METRIC_COUNTER,
               "Connections made to the log collector", s.connections, 0);
}

void
metrics_collect_metadata(struct metric_writer *w, struct envd *e)
{
    if (e->mmds != NULL)
        collect_lookups(w, e->mmds);
    if (e->exporter != NULL)
        collect_export(w, e->exporter);
}
