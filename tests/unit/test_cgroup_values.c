/*
 * The layout of cgroups and what each gets, on plain directories; and word of
 * kills for want of memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "loop/loop.h"
#include "process/cgroup.h"
#include "process/cgroup_mount.h"
#include "process/cgroup_oom.h"
#include "process/cgroup_values.h"

#define MIB ((uint64_t)1024 * 1024)

static const char *
at(const char *path)
{
    static char paths[4][4200];
    static unsigned int turn;
    char *out = paths[turn++ % 4];

    (void)snprintf(out, sizeof(paths[0]), "%s/%s", scratch_root, path);
    return out;
}

static void
put(const char *path, const char *text)
{
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static void
assert_text(const char *path, const char *expected)
{
    SCOPE(scope_free) char *text = NULL;

    print_message("%s\n", path);
    assert_int_equal(fd_read_file(at(path), 4096, &text, NULL), 0);
    assert_string_equal(text, expected);
}

static int
root_fd(void)
{
    return open(scratch_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* ---- the budget ---------------------------------------------------------- */

static const struct {
    const char *meminfo;
    int result;
    uint64_t memory;
} memories[] = {
    {"MemTotal:        1024000 kB\nMemFree: 1 kB\n", 0,
     (uint64_t)1024000 * 1024 / 8 * 7},
    {"MemTotal: 1048576 kB\n", 0, 1024 * MIB - 128 * MIB},
    {"MemTotal: 4194304 kB\n", 0, 4096 * MIB - 128 * MIB},
    {"MemFree: 4194304 kB\n", -ENODATA, 0},
    {"MemTotal: many kB\n", -ENODATA, 0},
    {"", -ENODATA, 0},
    {NULL, -ENODATA, 0},
};

static void
test_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(memories); i++) {
        struct cgroup_budget b = {0};

        (void)unlink(at("meminfo"));
        if (memories[i].meminfo != NULL)
            put("meminfo", memories[i].meminfo);
        print_message("%zu\n", i);
        assert_int_equal(cgroup_budget_read(scratch_root, 0, &b),
                         memories[i].result);
        assert_true(b.memory_bytes == memories[i].memory);
        assert_int_equal(b.pids, 0);
    }
}

static const struct {
    const char *pid_max;
    const char *threads_max;
    const char *loadavg;
    uint64_t mine;
    uint64_t pids;
} pids[] = {
    {"32768\n", "4000\n", "0.00 0.01 0.05 1/136 4242\n", 0, 3800},
    {"1000\n", "4000\n", "0.00 0.01 0.05 1/136 4242\n", 0, 800},
    /* Commands from before an agent's restart are not others. */
    {"32768\n", "4000\n", "0.00 0.01 0.05 1/3136 4242\n", 3000, 3800},
    {"32768\n", "4000\n", "0.00 0.01 0.05 1/3136 4242\n", 5000, 3936},
    /* A limit that small would be none that anybody wants. */
    {"300\n", "4000\n", "0.00 0.01 0.05 1/136 4242\n", 0, 0},
    {"32768\n", "x\n", "0.00 0.01 0.05 1/136 4242\n", 0, 0},
    {"32768\n", "4000\n", "", 0, 3936},
};

static void
test_pids(void **state)
{
    (void)state;
    put("meminfo", "MemTotal: 1048576 kB\n");
    (void)mkdir(at("sys"), 0755);
    assert_int_equal(mkdir(at("sys/kernel"), 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        struct cgroup_budget b;

        put("sys/kernel/pid_max", pids[i].pid_max);
        put("sys/kernel/threads-max", pids[i].threads_max);
        put("loadavg", pids[i].loadavg);
        print_message("%zu\n", i);
        assert_int_equal(cgroup_budget_read(scratch_root, pids[i].mine, &b), 0);
        assert_true(b.pids == pids[i].pids);
    }
}

/* ---- values -------------------------------------------------------------- */

static const struct {
    const char *cgroup;
    const char *file;
    const char *text; /* NULL: not written there */
} values[] = {
    {"user", "cpu.weight", "50"},        {"user", "io.weight", "default 10"},
    {"user", "memory.high", "12345"},    {"user", "memory.max", "12345"},
    {"user", "memory.min", NULL},        {"user", "memory.low", NULL},
    {"user", "pids.max", "789"},         {"ptys", "cpu.weight", "200"},
    {"ptys", "io.weight", "default 50"}, {"ptys", "memory.high", "12345"},
    {"ptys", "memory.max", "12345"},     {"ptys", "memory.min", NULL},
    {"ptys", "memory.low", NULL},        {"ptys", "pids.max", "789"},
    {"socats", "cpu.weight", "150"},     {"socats", "io.weight", "default 50"},
    {"socats", "memory.high", NULL},     {"socats", "memory.max", NULL},
    {"socats", "memory.min", "5242880"}, {"socats", "memory.low", "8388608"},
    {"socats", "pids.max", NULL},
};

static void
test_values(void **state)
{
    static const char *const cgroups[] = {"user", "ptys", "socats"};
    const struct cgroup_budget budget = {.memory_bytes = 12345, .pids = 789};
    char path[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cgroups); i++)
        assert_int_equal(mkdir(at(cgroups[i]), 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", values[i].cgroup,
                       values[i].file);
        put(path, "");
    }
    for (size_t i = 0; i < ARRAY_LEN(cgroups); i++) {
        SCOPE(fd_close)
        int fd = open(at(cgroups[i]), O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(cgroup_values_write(fd, cgroups[i], &budget), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", values[i].cgroup,
                       values[i].file);
        assert_text(path, values[i].text != NULL ? values[i].text : "");
    }
}

/* What is not there is not made, and named once. */
static void
test_missing_files(void **state)
{
    const struct cgroup_budget budget = {.memory_bytes = 1};
    char text[1024] = "";
    int fds[2];
    int fd = root_fd();

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    put("memory.max", "");
    log_open(fds[1], LOG_LEVEL_DEBUG);
    assert_int_equal(cgroup_values_write(fd, "user", &budget), 0);
    log_open(-1, LOG_LEVEL_DEBUG);
    assert_text("memory.max", "1");
    assert_int_equal(access(at("cpu.weight"), F_OK), -1);
    assert_int_equal(access(at("pids.max"), F_OK), -1);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_non_null(
        strstr(text, "\"files\":\"cpu.weight io.weight memory.high\""));
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    fd_close(&fd);
}

/* Any other failure is no manager. */
static void
test_failing_file(void **state)
{
    struct loop *loop = loop_new();
    struct cgroups *g;

    (void)state;
    assert_int_equal(mkdir(at("user"), 0755), 0);
    assert_int_equal(mkdir(at("user/cpu.weight"), 0755), 0);
    assert_null(cgroups_open_at(loop, root_fd()));
    assert_int_equal(rmdir(at("user/cpu.weight")), 0);
    put("socats", "");
    assert_null(cgroups_open_at(loop, root_fd()));
    assert_int_equal(unlink(at("socats")), 0);
    g = cgroups_open_at(loop, root_fd());
    assert_non_null(g);
    cgroups_close(g);
    loop_free(loop);
}

static void
test_layout(void **state)
{
    static const char *const names[] = {"user", "ptys", "socats"};
    struct loop *loop = loop_new();
    struct cgroups *g;
    struct stat st;
    int fd;

    (void)state;
    put("cgroup.subtree_control", "");
    g = cgroups_open_at(loop, root_fd());
    assert_non_null(g);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(stat(at(names[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0755);
    }
    /* One by one: each overwrites the one before in a plain file. */
    assert_text("cgroup.subtree_control", "+pidsry");
    fd = cgroups_root(g);
    assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    fd_close(&fd);
    assert_int_equal(cgroups_root(NULL), -1);
    cgroups_close(g);
    loop_free(loop);
}

static void
test_pids_current(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
    } rows[] = {{"17\n", 17}, {"17", 17}, {"", 0}, {"max\n", 0}};
    int fd = root_fd();

    (void)state;
    assert_int_equal(cgroup_pids(fd), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put("pids.current", rows[i].text);
        assert_int_equal(cgroup_pids(fd), rows[i].number);
    }
    fd_close(&fd);
    assert_int_equal(cgroup_pids(-1), 0);
}

/* ---- mounting ------------------------------------------------------------ */

/* In a mount namespace that only this program is in. */
static void
test_mount(void **state)
{
    struct statfs fs;

    (void)state;
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    cgroup_mount(at("none"));
    put("file", "");
    cgroup_mount(scratch_root);
    assert_int_equal(statfs(scratch_root, &fs), 0);
    assert_int_not_equal(fs.f_type, CGROUP2_SUPER_MAGIC);
    assert_int_equal(unlink(at("file")), 0);
    cgroup_mount(scratch_root);
    assert_int_equal(statfs(scratch_root, &fs), 0);
    if (fs.f_type != CGROUP2_SUPER_MAGIC)
        skip(); /* the kernel has none */
    /* Once is enough. */
    cgroup_mount(scratch_root);
    assert_int_equal(umount2(scratch_root, 0), 0);
    assert_int_equal(statfs(scratch_root, &fs), 0);
    assert_int_not_equal(fs.f_type, CGROUP2_SUPER_MAGIC);
}

/* ---- kills --------------------------------------------------------------- */

static struct loop *stopped;

static void
on_tick(struct loop_timer *t)
{
    (void)t;
    loop_stop(stopped);
}

static void
test_oom(void **state)
{
    struct loop *loop = loop_new();
    struct loop_timer tick;
    struct cgroup_oom oom;
    char text[1024] = "";
    int fds[2];
    int fd = root_fd();
    int none = -1;

    (void)state;
    stopped = loop;
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    log_open(fds[1], LOG_LEVEL_DEBUG);
    put("memory.events", "oom 3\noom_kill 2\n");
    cgroup_oom_init(&oom, loop);
    cgroup_oom_watch(&oom, 0, &none, "ptys"); /* nothing there */
    cgroup_oom_watch(&oom, 1, &fd, "user");
    cgroup_oom_watch(&oom, 1, &fd, "user"); /* made again */
    loop_timer_init(loop, &tick, on_tick);
    for (int i = 0; i < 200 && *text == '\0'; i++) {
        /* Rises from look to look, from what it was at the beginning. */
        put("memory.events", "oom 9\noom_kill 5\n");
        loop_timer_set(&tick, 5);
        assert_int_equal(loop_run(loop), 0);
        (void)!read(fds[0], text, sizeof(text) - 1);
    }
    log_open(-1, LOG_LEVEL_DEBUG);
    assert_non_null(strstr(text, "\"cgroup\":\"user\",\"oom_kill\":5"));
    loop_timer_cancel(&tick);
    cgroup_oom_done(&oom);
    loop_free(loop);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
    fd_close(&fd);
}

#define ROW(name) \
    cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_memory),        ROW(test_pids),         ROW(test_values),
        ROW(test_missing_files), ROW(test_failing_file), ROW(test_layout),
        ROW(test_pids_current),  ROW(test_oom),          ROW(test_mount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
