/*
 * The machine's figures, from procfs and statfs(2).
 *
 * The files stay open: measured, that saves a third of the time of a reading.
 */
#include "guest/metrics.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "loop/loop.h"

/* A baseline serves from this age on. */
#define BASELINE_MS 1000

/* The processors' lines stand first in /proc/stat; this holds some 150. */
#define STAT_BYTES    (16 * 1024)
#define MEMINFO_BYTES (8 * 1024)

struct cpu_sampler {
    int stat_fd;
    int meminfo_fd;
    bool has_base;
    struct cpu_counters base;
    int64_t base_ms; /* monotonic */
    double used_pct; /* what was computed last */
};

/* Read a file of procfs from its beginning.  Returns 0 or -errno. */
static int
read_proc(int *fd, const char *proc_root, const char *name, char *text,
          size_t size)
{
    ssize_t n;

    if (*fd < 0) {
        char path[256];
        int len = snprintf(path, sizeof(path), "%s/%s", proc_root, name);

        if (len < 0 || (size_t)len >= sizeof(path))
            return -ENAMETOOLONG;
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (*fd < 0)
            return -errno;
    }
    n = pread(*fd, text, size - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return 0;
}

/* ---- processors ---------------------------------------------------------- */

static bool
is_blank_char(char c)
{
    return c == ' ' || c == '\t';
}

/* Read a number after blanks and move *text behind it. */
static bool
take_number(const char **text, uint64_t *ret)
{
    const char *p = *text;
    size_t len;

    while (is_blank_char(*p))
        p++;
    len = strspn(p, "0123456789");
    *text = p + len;
    return str_to_u64((struct str){p, len}, UINT64_MAX, ret) == 0;
}

int
cpu_counters_parse(const char *text, struct cpu_counters *ret)
{
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COUNT };
    uint64_t ticks[COUNT];
    const char *p = text;

    *ret = (struct cpu_counters){0};
    if (strncmp(p, "cpu ", 4) != 0)
        return -EBADMSG;
    p += 4;
    for (int i = 0; i < COUNT; i++) {
        if (!take_number(&p, &ticks[i]) ||
            ckd_add(&ret->total, ret->total, ticks[i]))
            return -EBADMSG;
        if (i != IDLE && i != IOWAIT)
            ret->busy += ticks[i];
    }
    /*
     * /proc/cpuinfo has as many entries, but measures clock rates to write
     * them, which can take longer than the host waits for the answer.
     */
    while ((p = strchr(p, '\n')) != NULL) {
        p++;
        if (strncmp(p, "cpu", 3) != 0 || !isdigit((unsigned char)p[3]))
            break;
        ret->cpu_count++;
    }
    return ret->cpu_count > 0 ? 0 : -EBADMSG;
}

/* Rule: the contract's rules for counters that do not grow. */
static double
used_percent(const struct cpu_counters *from, const struct cpu_counters *to)
{
    double percent;

    if (to->busy <= from->busy)
        return 0;
    if (to->total <= from->total)
        return 100;
    percent = 100 * (double)(to->busy - from->busy) /
              (double)(to->total - from->total);
    if (percent >= 100)
        return 100;
    return (double)(uint64_t)(percent * 100 + 0.5) / 100;
}

double
cpu_sampler_update(struct cpu_sampler *s, const struct cpu_counters *now,
                   int64_t now_ms)
{
    if (s->has_base && now_ms - s->base_ms < BASELINE_MS)
        return s->used_pct;
    if (s->has_base)
        s->used_pct = used_percent(&s->base, now);
    s->has_base = true;
    s->base = *now;
    s->base_ms = now_ms;
    return s->used_pct;
}

static int
sample_cpu(struct cpu_sampler *s, const char *proc_root,
           struct cpu_counters *ret)
{
    char text[STAT_BYTES];
    int r = read_proc(&s->stat_fd, proc_root, "stat", text, sizeof(text));

    return r < 0 ? r : cpu_counters_parse(text, ret);
}

/* ---- memory, disk -------------------------------------------------------- */

/* The value of a line `Name:  123 kB`, in bytes; `name` with its colon. */
static bool
meminfo_value(const char *text, const char *name, uint64_t *ret)
{
    size_t len = strlen(name);

    while (text != NULL) {
        if (strncmp(text, name, len) == 0) {
            text += len;
            return take_number(&text, ret) && !ckd_mul(ret, *ret, 1024U);
        }
        text = strchr(text, '\n');
        if (text != NULL)
            text++;
    }
    return false;
}

int
meminfo_parse(const char *text, struct guest_metrics *ret)
{
    uint64_t total;
    uint64_t available;
    uint64_t cached;
    uint64_t reclaimable;

    if (!meminfo_value(text, "MemTotal:", &total) ||
        !meminfo_value(text, "MemAvailable:", &available) ||
        !meminfo_value(text, "Cached:", &cached) ||
        !meminfo_value(text, "SReclaimable:", &reclaimable) ||
        available > total)
        return -EBADMSG;
    ret->mem_total = total;
    ret->mem_used = total - available;
    ret->mem_cache = cached + reclaimable;
    return 0;
}

static int
sample_memory(struct cpu_sampler *s, const char *proc_root,
              struct guest_metrics *ret)
{
    char text[MEMINFO_BYTES];
    int r = read_proc(&s->meminfo_fd, proc_root, "meminfo", text, sizeof(text));

    return r < 0 ? r : meminfo_parse(text, ret);
}

static int
sample_disk(const char *path, struct guest_metrics *ret)
{
    struct statfs fs;
    uint64_t block;

    if (statfs(path, &fs) < 0)
        return -errno;
    block = (uint64_t)fs.f_bsize;
    ret->disk_total = fs.f_blocks * block;
    ret->disk_used = (fs.f_blocks - fs.f_bavail) * block;
    return 0;
}

/* -------------------------------------------------------------------------- */

struct cpu_sampler *
cpu_sampler_new(const char *proc_root)
{
    struct cpu_sampler *s = xcalloc(1, sizeof(*s));
    struct cpu_counters now;

    s->stat_fd = -1;
    s->meminfo_fd = -1;
    if (sample_cpu(s, proc_root, &now) == 0)
        (void)cpu_sampler_update(s, &now, loop_now_ms());
    return s;
}

void
cpu_sampler_free(struct cpu_sampler *s)
{
    if (s == NULL)
        return;
    fd_close(&s->stat_fd);
    fd_close(&s->meminfo_fd);
    free(s);
}

int
guest_metrics_read(struct cpu_sampler *s, const char *proc_root,
                   const char *disk_path, struct guest_metrics *ret)
{
    struct guest_metrics m = {.ts = (int64_t)time(NULL)};
    struct cpu_counters now;
    int r = sample_cpu(s, proc_root, &now);

    if (r == 0)
        r = sample_memory(s, proc_root, &m);
    if (r == 0)
        r = sample_disk(disk_path, &m);
    if (r < 0)
        return r;
    m.cpu_count = now.cpu_count;
    m.cpu_used_pct = cpu_sampler_update(s, &now, loop_now_ms());
    *ret = m;
    return 0;
}
