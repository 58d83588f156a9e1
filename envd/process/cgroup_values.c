/*
 * Weights and limits.  memory.high and memory.max are equal on purpose: a
 * command that is too large is killed, and does not crawl.
 */
#include "process/cgroup_values.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"

#define MEMORY_RESERVE ((uint64_t)128 * 1024 * 1024)
#define PIDS_RESERVE   64

/* Fewer are no limit worth having. */
#define PIDS_MIN 256

#define FILE_BYTES ((size_t)64 * 1024)

/* One file of one cgroup; `text` NULL: out of the budget. */
struct value {
    const char *cgroup;
    const char *file;
    const char *text;
};

static const struct value values[] = {
    {"user", "cpu.weight", "50"},        {"user", "io.weight", "default 10"},
    {"user", "memory.high", NULL},       {"user", "memory.max", NULL},
    {"user", "pids.max", NULL},          {"ptys", "cpu.weight", "200"},
    {"ptys", "io.weight", "default 50"}, {"ptys", "memory.high", NULL},
    {"ptys", "memory.max", NULL},        {"ptys", "pids.max", NULL},
    {"socats", "cpu.weight", "150"},     {"socats", "io.weight", "default 50"},
    {"socats", "memory.min", "5242880"}, {"socats", "memory.low", "8388608"},
};

/* The number behind `key` in a file below `dir`; 0 when there is none. */
static uint64_t
read_number(const char *dir, const char *file, const char *key)
{
    SCOPE(scope_free) char *text = NULL;
    char path[256];
    const char *at;
    uint64_t number = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    if (fd_read_file(path, FILE_BYTES, &text, NULL) < 0)
        return 0;
    at = strstr(text, key);
    if (at == NULL)
        return 0;
    at += strlen(key);
    at += strspn(at, " \t");
    if (str_to_u64((struct str){at, strspn(at, "0123456789")}, UINT64_MAX,
                   &number) < 0)
        return 0;
    return number;
}

int
cgroup_budget_read(const char *proc, uint64_t mine, struct cgroup_budget *ret)
{
    uint64_t total = read_number(proc, "meminfo", "MemTotal:");
    uint64_t most = read_number(proc, "sys/kernel/pid_max", "");
    uint64_t threads = read_number(proc, "sys/kernel/threads-max", "");
    /* 0.00 0.00 0.00 RUNNING/ALL LAST */
    uint64_t others = read_number(proc, "loadavg", "/");

    if (total == 0 || ckd_mul(&total, total, (uint64_t)1024))
        return -ENODATA;
    *ret = (struct cgroup_budget){
        .memory_bytes = total - MIN(total / 8, MEMORY_RESERVE),
    };
    others -= MIN(others, mine);
    most = MIN(most, threads);
    if (most > others + PIDS_RESERVE + PIDS_MIN)
        ret->pids = most - others - PIDS_RESERVE;
    return 0;
}

uint64_t
cgroup_pids(int dir_fd)
{
    SCOPE(fd_close)
    int fd = openat(dir_fd, "pids.current", O_RDONLY | O_CLOEXEC);
    uint64_t number = 0;
    char text[24];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= 0 ||
        str_to_u64((struct str){text, (size_t)n}, UINT64_MAX, &number) < 0)
        return 0;
    return number;
}

/* What is to be written; NULL when there is no limit. */
static const char *
value_text(const struct value *v, const struct cgroup_budget *b, char text[24])
{
    uint64_t number =
        strcmp(v->file, "pids.max") == 0 ? b->pids : b->memory_bytes;

    if (v->text != NULL)
        return v->text;
    (void)snprintf(text, 24, "%" PRIu64, number);
    return number > 0 ? text : NULL;
}

static void
log_skipped(const char *name, const char *files)
{
    struct log_line line;

    if (*files == '\0' || !log_begin(&line, LOG_LEVEL_WARN, "cgroup"))
        return;
    log_str(&line, "cgroup", name);
    log_str(&line, "files", files);
    log_end(&line, "Limits that this machine does not let us set");
}

int
cgroup_values_write(int dir_fd, const char *name, const struct cgroup_budget *b)
{
    char skipped[128] = ""; /* all of them fit */
    char *end = skipped;

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        const struct value *v = &values[i];
        char number[24];
        const char *text = value_text(v, b, number);
        int r;

        if (text == NULL || strcmp(v->cgroup, name) != 0)
            continue;
        r = cgroup_write(dir_fd, v->file, text);
        if (r == -ENOENT || r == -EACCES || r == -EPERM)
            end = stpcpy(stpcpy(end, end != skipped ? " " : ""), v->file);
        else if (r < 0)
            return r;
    }
    log_skipped(name, skipped);
    return 0;
}
