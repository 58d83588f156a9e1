/*
 * Families of what the agent does for the host and the machine: ports, logs,
 * the metadata service, freezes.
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
metrics_collect_ports(struct metric_writer *w, struct envd *e)
{
    struct ports_stats s;

    if (e->ports == NULL)
        return;
    ports_get_stats(e->ports, &s);
    metric_family(w, "envd_ports", METRIC_GAUGE,
                  "Ports found open, and those reached through the agent");
    metric_add(w, s.open, 0, "state", "open", NULL);
    metric_add(w, s.forwarded, 0, "state", "forwarded", NULL);
    metric_one(w, "envd_forward_connections", METRIC_GAUGE,
               "Connections forwarded now", s.connections, 0);
    metric_family(w, "envd_forward_connections_seen", METRIC_COUNTER,
                  "Connections to be forwarded by what became of them");
    metric_add(w, s.connections_total, 0, "fate", "accepted", NULL);
    metric_add(w, s.refused, 0, "fate", "refused", NULL);
    metric_add(w, s.failed, 0, "fate", "failed", NULL);
    metric_family(w, "envd_forward_bytes", METRIC_COUNTER,
                  "Bytes forwarded to programs of the machine, and from them");
    metric_add(w, s.bytes_in, 0, "direction", "in", NULL);
    metric_add(w, s.bytes_out, 0, "direction", "out", NULL);
    metric_one(w, "envd_port_scans", METRIC_COUNTER, "Looks for open ports",
               s.scans, 0);
}

void
metrics_collect_logs(struct metric_writer *w, struct envd *e)
{
    struct log_export_stats s;

    if (e->exporter == NULL)
        return;
    log_exporter_get_stats(e->exporter, &s);
    metric_family(w, "envd_log_export_lines", METRIC_COUNTER,
                  "Log lines for the host by what became of them");
    metric_add(w, s.sent, 0, "fate", "sent", NULL);
    metric_add(w, s.refused, 0, "fate", "refused", NULL);
    metric_add(w, s.failed, 0, "fate", "failed", NULL);
    metric_add(w, s.dropped, 0, "fate", "dropped", NULL);
    metric_add(w, s.dropped_old, 0, "fate", "dropped_old", NULL);
    metric_add(w, s.dropped_long, 0, "fate", "dropped_long", NULL);
    metric_one(w, "envd_log_export_connections", METRIC_COUNTER,
               "Connections to the collector", s.connections, 0);
    metric_one(w, "envd_log_export_queue_bytes", METRIC_GAUGE,
               "Log lines that wait for the collector", s.queued_bytes, 0);
}

void
metrics_collect_mmds(struct metric_writer *w, struct envd *e)
{
    struct mmds_stats s;

    if (e->mmds == NULL)
        return;
    mmds_get_stats(e->mmds, &s);
    metric_one(w, "envd_mmds_lookups", METRIC_COUNTER,
               "Questions to the metadata service", s.lookups, 0);
    metric_one(w, "envd_mmds_failures", METRIC_COUNTER,
               "Of those, without an answer", s.failures, 0);
    metric_one(w, "envd_mmds_polls_given_up", METRIC_COUNTER,
               "Times that the poller has given up", s.gave_up, 0);
    metric_family(w, "envd_mmds_heals", METRIC_COUNTER,
                  "Attempts to mend the route to it");
    metric_add(w, s.heals, 0, "result", "success", NULL);
    metric_add(w, s.heals_failed, 0, "result", "failure", NULL);
}

void
metrics_collect_freezer(struct metric_writer *w, struct envd *e)
{
    struct freezer_stats s;

    if (e->freezer == NULL)
        return;
    s = freezer_get_stats(e->freezer);
    metric_one(w, "envd_frozen", METRIC_GAUGE,
               "Whether a freeze of the commands stands", s.stands ? 1 : 0, 0);
    metric_family(w, "envd_freezes", METRIC_COUNTER,
                  "Freezes and thaws of the commands by how they went");
    metric_add(w, s.freezes, 0, "kind", "freeze", NULL);
    metric_add(w, s.dropped, 0, "kind", "freeze_dropped", NULL);
    metric_add(w, s.thaws, 0, "kind", "thaw", NULL);
    metric_add(w, s.dirty_thaws, 0, "kind", "thaw_dirty", NULL);
    metric_add(w, s.rescues, 0, "kind", "thaw_by_watchdog", NULL);
    metric_one(w, "envd_freeze_failures", METRIC_COUNTER,
               "Cgroups that could not be frozen, thawed or looked at",
               s.failed, 0);
}

void
metrics_collect_fsfreeze(struct metric_writer *w, struct envd *e)
{
    struct fsfreeze_stats s;

    if (e->fsfreeze == NULL)
        return;
    fsfreeze_get_stats(e->fsfreeze, &s);
    metric_one(w, "envd_fs_frozen_seconds", METRIC_GAUGE,
               "For how long the root file system has been frozen",
               (uint64_t)s.frozen_ms, 3);
    metric_family(w, "envd_fs_freezes", METRIC_COUNTER,
                  "Freezes and thaws of the root file system");
    metric_add(w, s.freezes, 0, "kind", "freeze", NULL);
    metric_add(w, s.thaws, 0, "kind", "thaw", NULL);
    metric_add(w, s.watchdog, 0, "kind", "thaw_by_watchdog", NULL);
    metric_add(w, s.failures, 0, "kind", "failure", NULL);
}

void
metrics_collect_init(struct metric_writer *w, struct envd *e)
{
    struct init_stats s;

    if (e->init == NULL)
        return;
    init_get_stats(e->init, &s);
    metric_family(w, "envd_init_requests", METRIC_COUNTER,
                  "Requests of /init by what became of them");
    metric_add(w, s.requests, 0, "fate", "received", NULL);
    metric_add(w, s.shared, 0, "fate", "joined", NULL);
    metric_add(w, s.refused, 0, "fate", "refused", NULL);
    metric_add(w, s.cut, 0, "fate", "no_room", NULL);
    metric_family(w, "envd_init_works", METRIC_COUNTER,
                  "What was done for them by how it went");
    metric_add(w, s.works, 0, "result", "done", NULL);
    metric_add(w, s.stale, 0, "result", "stale", NULL);
    metric_add(w, s.failed, 0, "result", "failed", NULL);
    metric_add(w, s.dropped, 0, "result", "dropped", NULL);
    metric_one(w, "envd_resumes", METRIC_COUNTER,
               "Resumes of the machine that /init has told of", s.resumes, 0);
    metric_one(w, "envd_init_last_seconds", METRIC_GAUGE,
               "How long the last of them took", (uint64_t)s.last_us, 6);
}
