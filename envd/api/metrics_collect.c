/*
 * Families of what the agent does, and the table of all collectors.
 */
#include <stdlib.h>

#include "api/api.h"
#include "api/metrics.h"
#include "base/log.h"
#include "base/scope.h"
#include "envd.h"
#include "http/server.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "process/process.h"
#include "watch/watch.h"

static void
collect_build(struct metric_writer *w, struct envd *e)
{
    const char *commit = e->options.commit;

    metric_family(w, "envd_build", METRIC_INFO, "What the agent was made from");
    metric_add(w, 1, 0, "version", ENVD_VERSION, "commit",
               commit != NULL ? commit : "", NULL);
}

static void
collect_loop(struct metric_writer *w, struct envd *e)
{
    struct loop_stalls s = loop_stalls(e->loop);

    metric_one(w, "envd_loop_stalls", METRIC_COUNTER,
               "Turns of the event loop that stood still", s.count, 0);
    metric_one(w, "envd_loop_longest_stall_seconds", METRIC_GAUGE,
               "The longest of them", (uint64_t)s.longest_ms, 3);
    metric_one(w, "envd_log_lines_dropped", METRIC_COUNTER,
               "Log lines that found no room", log_dropped(), 0);
}

static void
collect_connections(struct metric_writer *w, struct envd *e)
{
    const struct http_stats *s = http_server_stats(e->http);

    metric_one(w, "envd_http_connections", METRIC_GAUGE, "Open connections",
               http_server_connections(e->http), 0);
    metric_family(w, "envd_http_connections_seen", METRIC_COUNTER,
                  "Connections by what became of them");
    metric_add(w, s->accepted, 0, "fate", "accepted", NULL);
    metric_add(w, s->refused, 0, "fate", "refused", NULL);
    metric_add(w, s->strangers, 0, "fate", "not_admitted", NULL);
    metric_add(w, s->reset, 0, "fate", "reset", NULL);
}

static void
collect_requests(struct metric_writer *w, struct envd *e)
{
    static const char *const codes[] = {"other", "1xx", "2xx",
                                        "3xx",   "4xx", "5xx"};
    const struct http_answers *a = http_server_stats(e->http)->answers;

    metric_family(w, "envd_http_requests", METRIC_COUNTER,
                  "Answered requests by route and class of status");
    for (size_t i = 0; i < API_KINDS; i++)
        for (size_t c = 0; c < ARRAY_LEN(codes); c++)
            if (a[i].count[c] > 0)
                metric_add(w, a[i].count[c], 0, "route", api_kinds[i], "code",
                           codes[c], NULL);
    metric_family(w, "envd_http_received_bytes", METRIC_COUNTER,
                  "Bodies of requests");
    for (size_t i = 0; i < API_KINDS; i++)
        metric_add(w, a[i].received, 0, "route", api_kinds[i], NULL);
    metric_family(w, "envd_http_sent_bytes", METRIC_COUNTER,
                  "Bodies of answers");
    for (size_t i = 0; i < API_KINDS; i++)
        metric_add(w, a[i].sent, 0, "route", api_kinds[i], NULL);
}

static void
collect_commands(struct metric_writer *w, struct envd *e)
{
    struct process_stats s = process_table_stats(e->processes);

    metric_family(w, "envd_processes", METRIC_GAUGE,
                  "Commands that live, and ended ones that are kept");
    metric_add(w, s.live, 0, "state", "live", NULL);
    metric_add(w, s.retained, 0, "state", "retained", NULL);
    metric_one(w, "envd_processes_started", METRIC_COUNTER, "Commands started",
               s.started, 0);
    metric_one(w, "envd_processes_ended", METRIC_COUNTER,
               "Commands that have ended", s.ended, 0);
    metric_one(w, "envd_processes_failed", METRIC_COUNTER,
               "Commands that have never run", s.failed, 0);
    metric_one(w, "envd_process_output_bytes", METRIC_COUNTER,
               "Output read from commands", s.output_bytes, 0);
    metric_one(w, "envd_process_output_dropped_bytes", METRIC_COUNTER,
               "Output that was gone when a reader wanted it", s.dropped_bytes,
               0);
    metric_one(w, "envd_process_readers_cut", METRIC_COUNTER,
               "Readers that held others up", s.readers_cut, 0);
    metric_one(w, "envd_process_rings_bytes", METRIC_GAUGE,
               "Memory of recent output", s.ring_bytes, 0);
}

static void
collect_watches(struct metric_writer *w, struct envd *e)
{
    struct watch_stats s = watch_hub_stats(e->watches);

    metric_one(w, "envd_watchers", METRIC_GAUGE, "Watchers", s.watchers, 0);
    metric_one(w, "envd_watch_directories", METRIC_GAUGE, "Watched directories",
               s.directories, 0);
    metric_one(w, "envd_watch_entries", METRIC_GAUGE,
               "Names that are remembered", s.entries, 0);
    metric_one(w, "envd_watch_queue_bytes", METRIC_GAUGE,
               "Events that wait for their readers", s.queue_bytes, 0);
    metric_one(w, "envd_watch_events", METRIC_COUNTER,
               "Events queued for readers", s.events, 0);
    metric_one(w, "envd_watch_overflows", METRIC_COUNTER,
               "Queues that were full, of the kernel and of readers",
               s.overflows, 0);
}

static void
collect_workers(struct metric_writer *w, struct envd *e)
{
    struct worker_stats s = worker_pool_stats(e->workers);

    metric_family(w, "envd_worker_threads", METRIC_GAUGE,
                  "Threads for blocking work by what they do");
    metric_add(w, s.threads - s.running, 0, "state", "idle", NULL);
    metric_add(w, s.running - s.still, 0, "state", "running", NULL);
    metric_add(w, s.still, 0, "state", "still", NULL);
    metric_family(w, "envd_worker_jobs", METRIC_GAUGE,
                  "Jobs that wait for a thread, or for a file system");
    metric_add(w, s.waiting, 0, "state", "queued", NULL);
    metric_add(w, s.held, 0, "state", "held", NULL);
    metric_add(w, s.gated, 0, "state", "gated", NULL);
    metric_one(w, "envd_worker_jobs_submitted", METRIC_COUNTER,
               "Jobs given to workers", s.submitted, 0);
}

static void
collect_transfers(struct metric_writer *w, struct envd *e)
{
    metric_family(w, "envd_transfers", METRIC_GAUGE,
                  "Transfers of files that go on");
    metric_add(w, e->uploads, 0, "kind", "upload", NULL);
    metric_add(w, e->archives, 0, "kind", "archive", NULL);
    metric_add(w, e->downloads_gzip, 0, "kind", "compressed_download", NULL);
}

const metrics_collect_fn metrics_collectors[] = {
    collect_build,
    metrics_collect_process,
    collect_loop,
    collect_connections,
    collect_requests,
    collect_commands,
    collect_watches,
    collect_workers,
    collect_transfers,
    metrics_collect_init,
    metrics_collect_freezes,
    metrics_collect_ports,
    metrics_collect_metadata,
    metrics_collect_cgroups,
    metrics_collect_pressure,
    metrics_collect_machine,
    NULL,
};
