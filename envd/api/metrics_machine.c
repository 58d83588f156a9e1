/*
 * Families of this process, its cgroups and the machine.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "api/metrics.h"
#include "base/now.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/metrics.h"
#include "loop/loop.h"
#include "process/cgroup.h"

void
metrics_collect_process(struct metric_writer *w, struct envd *e)
{
    const struct figures *f = &metrics_newest(e)->figures;
    struct rusage usage = {0};
    struct rlimit files = {0};
    int64_t age_ms = loop_now_ms() - e->started_ms;

    (void)getrusage(RUSAGE_SELF, &usage);
    (void)getrlimit(RLIMIT_NOFILE, &files);
    metric_one(w, "process_cpu_seconds", METRIC_COUNTER,
               "User and system time spent in seconds",
               timeval_us(&usage.ru_utime) + timeval_us(&usage.ru_stime), 6);
    metric_one(w, "process_start_time_seconds", METRIC_GAUGE,
               "Start time of the process since the epoch in seconds",
               (uint64_t)(clock_now_ms(CLOCK_REALTIME) - age_ms), 3);
    metric_one(w, "process_max_fds", METRIC_GAUGE,
               "Most file descriptors that may be open", files.rlim_cur, 0);
    if (f->memory_known) {
        metric_one(w, "process_resident_memory_bytes", METRIC_GAUGE,
                   "Resident memory size in bytes", f->resident_bytes, 0);
        metric_one(w, "process_virtual_memory_bytes", METRIC_GAUGE,
                   "Virtual memory size in bytes", f->virtual_bytes, 0);
        metric_one(w, "process_open_fds", METRIC_GAUGE, "Open file descriptors",
                   f->open_fds, 0);
    }
    metric_family(
        w, "envd_page_faults", METRIC_COUNTER,
        "Page faults of the agent, major ones have waited for a disk");
    metric_add(w, (uint64_t)usage.ru_minflt, 0, "kind", "minor", NULL);
    metric_add(w, (uint64_t)usage.ru_majflt, 0, "kind", "major", NULL);
}

void
metrics_collect_machine(struct metric_writer *w, struct envd *e)
{
    struct guest_metrics m;

    if (guest_metrics_read(e->cpu, "/proc", "/", &m) < 0)
        return;
    metric_one(w, "envd_machine_cpus", METRIC_GAUGE,
               "Processors that are online", m.cpu_count, 0);
    metric_one(w, "envd_machine_cpu_used_ratio", METRIC_GAUGE,
               "Use of all processors over the last second or more",
               (uint64_t)(m.cpu_used_pct * 100 + 0.5), 4);
    metric_one(w, "envd_machine_memory_bytes", METRIC_GAUGE,
               "Memory of the machine", m.mem_total, 0);
    metric_one(w, "envd_machine_memory_used_bytes", METRIC_GAUGE,
               "Memory that is not available to new programs", m.mem_used, 0);
    metric_one(w, "envd_machine_memory_cache_bytes", METRIC_GAUGE,
               "Memory that caches files", m.mem_cache, 0);
    metric_one(w, "envd_machine_disk_bytes", METRIC_GAUGE,
               "Size of the root file system", m.disk_total, 0);
    metric_one(w, "envd_machine_disk_used_bytes", METRIC_GAUGE,
               "Bytes of it that are not available", m.disk_used, 0);
}

/* Rule: the kernel's chapter on pressure stall information. */
void
metrics_collect_pressure(struct metric_writer *w, struct envd *e)
{
    static const char *const kinds[] = {
        [PRESSURE_SOME] = "some", [PRESSURE_FULL] = "full"};
    static const char *const windows[] = {"10s", "60s", "300s"};
    const struct figures *f = &metrics_newest(e)->figures;

    metric_family(w, "envd_machine_pressure_seconds", METRIC_COUNTER,
                  "Time in which some or all programs have waited");
    for (size_t i = 0; i < PRESSURE_FILES; i++)
        for (size_t k = 0; k < PRESSURE_KINDS; k++)
            if (f->pressure[i][k].known)
                metric_add(w, f->pressure[i][k].total_us, 6, "resource",
                           figures_resources[i], "kind", kinds[k], NULL);
    metric_family(w, "envd_machine_pressure_ratio", METRIC_GAUGE,
                  "Share of the last seconds in which they have waited");
    for (size_t i = 0; i < PRESSURE_FILES; i++)
        for (size_t k = 0; k < PRESSURE_KINDS; k++)
            for (size_t n = 0; n < ARRAY_LEN(windows); n++)
                if (f->pressure[i][k].known)
                    metric_add(w, f->pressure[i][k].average[n], 4, "resource",
                               figures_resources[i], "kind", kinds[k], "window",
                               windows[n], NULL);
}

void
metrics_collect_cgroups(struct metric_writer *w, struct envd *e)
{
    static const char *const names[] = {
        [CGROUP_USER] = "user", [CGROUP_PTYS] = "ptys"};
    const struct cgroup_figures *c = metrics_newest(e)->cgroups;

    if (e->cgroups == NULL)
        return;
    metric_family(w, "envd_cgroup_cpu_seconds", METRIC_COUNTER,
                  "Processor time of all commands of a kind");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!c[i].cpu_known)
            continue;
        metric_add(w, c[i].cpu_user_us, 6, "cgroup", names[i], "mode", "user",
                   NULL);
        metric_add(w, c[i].cpu_system_us, 6, "cgroup", names[i], "mode",
                   "system", NULL);
    }
    metric_family(w, "envd_cgroup_memory_bytes", METRIC_GAUGE,
                  "Memory of all commands of a kind, caches included");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (c[i].memory_known)
            metric_add(w, c[i].memory_bytes, 0, "cgroup", names[i], NULL);
    metric_family(w, "envd_cgroup_oom_kills", METRIC_COUNTER,
                  "Processes that the kernel has ended for want of memory");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (c[i].memory_known)
            metric_add(w, c[i].oom_kills, 0, "cgroup", names[i], NULL);
    metric_family(w, "envd_cgroup_pids", METRIC_GAUGE,
                  "Processes and threads of all commands of a kind");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (c[i].pids_known)
            metric_add(w, c[i].pids, 0, "cgroup", names[i], NULL);
}
