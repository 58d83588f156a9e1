/*
 * What GET /metrics reports of the machine: processors, memory, disk.
 */
#ifndef ENVD_GUEST_METRICS_H
#define ENVD_GUEST_METRICS_H

#include <stdint.h>

struct cpu_sampler;

struct guest_metrics {
    int64_t ts;          /* now, seconds since the epoch */
    uint32_t cpu_count;  /* processors that are online */
    double cpu_used_pct; /* 0 to 100, rounded to two decimals */
    uint64_t mem_total;  /* bytes, as all below */
    uint64_t mem_used;   /* what is not available to new programs */
    uint64_t mem_cache;
    uint64_t disk_used;
    uint64_t disk_total;
};

/*
 * Begin to measure: the counters of now are the first baseline.  Files that
 * cannot be read yet are tried again by guest_metrics_read().
 *
 * proc_root  where procfs is mounted ("/proc"), borrowed for the call
 */
struct cpu_sampler *cpu_sampler_new(const char *proc_root);
void cpu_sampler_free(struct cpu_sampler *s);

/*
 * Measure.  The use of the processors is that since a baseline which is at
 * least a second old, so that callers in quick succession do not shorten each
 * other's interval: within a second they see the same figure.  There is no
 * timer; nothing runs while nobody asks.
 *
 * proc_root  as given to cpu_sampler_new(); its files are kept open
 * disk_path  any path of the filesystem to report
 *
 * Returns 0 or -errno (-EBADMSG for files that do not look like the kernel's).
 * Rule: the contract's chapter on GET /metrics.
 */
int guest_metrics_read(struct cpu_sampler *s, const char *proc_root,
                       const char *disk_path, struct guest_metrics *ret);

/* The parts, for tests. */

/* The counters of /proc/stat, in ticks since boot. */
struct cpu_counters {
    uint64_t busy;
    uint64_t total;
    uint32_t cpu_count;
};

/* Returns 0 or -EBADMSG.  `text` is NUL-terminated.  Context: any. */
int cpu_counters_parse(const char *text, struct cpu_counters *ret);

/* Returns 0 or -EBADMSG.  `text` is NUL-terminated.  Context: any. */
int meminfo_parse(const char *text, struct guest_metrics *ret);

/* The use in percent for counters read at `now_ms` (monotonic). */
double cpu_sampler_update(struct cpu_sampler *s, const struct cpu_counters *now,
                          int64_t now_ms);

#endif
