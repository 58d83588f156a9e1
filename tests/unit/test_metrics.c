/*
 * Figures from a procfs of our own making, and once from the real one.
 */
#include "guest/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#define STAT                              \
    "cpu  100 20 30 1000 50 1 2 3 40 5\n" \
    "cpu0 50 10 15 500 25 1 1 2 20 3\n"   \
    "cpu1 50 10 15 500 25 0 1 1 20 2\n"   \
    "intr 123 0 0\nctxt 5\ncpufreq 1\nbtime 1\n"
#define MEMINFO                                          \
    "MemTotal:       1000000 kB\nMemFree:  5 kB\n"       \
    "MemAvailable:    600000 kB\nSwapCached:  7 kB\n"    \
    "Cached:          100000 kB\nKReclaimable:   9 kB\n" \
    "SReclaimable:     20000 kB\nHugePages_Total:       0\n"

static char root[] = "/tmp/test_metrics_XXXXXX";

static void
write_file(const char *name, const char *text)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    if (text == NULL) {
        (void)unlink(path);
        return;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    fd_close(&fd);
}

static int
setup(void **state)
{
    (void)state;
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    write_file("stat", NULL);
    write_file("meminfo", NULL);
    if (rmdir(root) < 0)
        return -1;
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return 0;
}

/* ---- parsers ------------------------------------------------------------- */

static void
test_counters(void **state)
{
    struct cpu_counters c;

    (void)state;
    assert_int_equal(cpu_counters_parse(STAT, &c), 0);
    assert_int_equal(c.total, 100 + 20 + 30 + 1000 + 50 + 1 + 2 + 3);
    assert_int_equal(c.busy, 100 + 20 + 30 + 1 + 2 + 3);
    assert_int_equal(c.cpu_count, 2);
}

static void
test_malformed_stat(void **state)
{
    static const char *const texts[] = {
        "",
        "cpu",
        "cpu \n",
        "intr 1\ncpu  1 2 3 4 5 6 7 8\ncpu0 1\n",
        "cpu0 1 2 3 4 5 6 7 8\n",
        "cpu  1 2 3 4 5 6 7\ncpu0 1\n",
        "cpu  1 2 3 x 5 6 7 8\ncpu0 1\n",
        "cpu  1 2 3 -4 5 6 7 8\ncpu0 1\n",
        "cpu  1 2 3 99999999999999999999999 5 6 7 8\ncpu0 1\n",
        "cpu  18446744073709551615 18446744073709551615 3 4 5 6 7 8\ncpu0 1\n",
        "cpu  1 2 3 4 5 6 7 8\n", /* no processor */
        "cpu  1 2 3 4 5 6 7 8\nintr 1\ncpu0 1\n",
        "cpu  1 2 3 4 5 6 7 8\ncpufreq 1\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct cpu_counters c;

        if (cpu_counters_parse(texts[i], &c) != -EBADMSG)
            fail_msg("'%s'", texts[i]);
    }
}

static void
test_meminfo(void **state)
{
    static const char *const malformed[] = {
        "",
        "MemTotal: 1 kB\n",
        "MemTotal: 1 kB\nMemAvailable: x kB\nCached: 1 kB\nSReclaimable: 1 kB",
        "MemTotal: 1 kB\nMemAvailable: 2 kB\nCached: 1 kB\nSReclaimable: 1 kB",
        "MemTotal: 9 kB\nMemAvailable: 2 kB\nSwapCached: 1 kB\n"
        "SReclaimable: 1 kB",
        "MemTotal: 18446744073709551615 kB\nMemAvailable: 2 kB\n"
        "Cached: 1 kB\nSReclaimable: 1 kB",
        "MemTotal 9 kB\nMemAvailable: 2 kB\nCached: 1 kB\nSReclaimable: 1 kB",
    };
    struct guest_metrics m = {0};

    (void)state;
    assert_int_equal(meminfo_parse(MEMINFO, &m), 0);
    assert_int_equal(m.mem_total, 1024000000);
    assert_int_equal(m.mem_used, 400000 * 1024);
    assert_int_equal(m.mem_cache, 120000 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        assert_int_equal(meminfo_parse(malformed[i], &m), -EBADMSG);
}

/* ---- the sampler --------------------------------------------------------- */

static void
test_sampler(void **state)
{
    /* One after the other: counters, the time, what is answered. */
    static const struct {
        uint64_t busy;
        uint64_t total;
        int64_t ms;
        double pct;
    } steps[] = {
        {100, 1000, 5000, 0},  /* the first baseline */
        {190, 1100, 5999, 0},  /* too young to serve */
        {125, 1100, 6000, 25}, /* a second: used, and the new baseline */
        {126, 1101, 6001, 25}, /* in quick succession: the same */
        {199, 1199, 6999, 25},
        {175, 1200, 7000, 50},
        {175, 1300, 9000, 0},              /* not busy */
        {100, 1400, 11000, 0},             /* busy went back */
        {200, 1400, 13000, 100},           /* total did not grow */
        {500, 1450, 15000, 100},           /* more busy than there was */
        {833, 1826, 17000, 88.56},         /* 333 of 376 */
        {834, 4826, 19000, 0.03},          /* 1 of 3000 */
        {834 + 99999, 104826, 21000, 100}, /* 99.999 is rounded */
        {834 + 99999 + 1, 204826, 23000, 0},
    };
    struct cpu_sampler *s = cpu_sampler_new("/nonexistent");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct cpu_counters c = {steps[i].busy, steps[i].total, 1};
        double pct = cpu_sampler_update(s, &c, steps[i].ms);
        char got[32];
        char wanted[32];

        (void)snprintf(got, sizeof(got), "%.17g", pct);
        (void)snprintf(wanted, sizeof(wanted), "%.17g", steps[i].pct);
        assert_string_equal(got, wanted);
    }
    cpu_sampler_free(s);
    cpu_sampler_free(NULL);
}

static void
test_fake_machine(void **state)
{
    struct guest_metrics m = {0};
    struct cpu_sampler *s;
    struct statfs fs;
    int64_t before = time(NULL);

    (void)state;
    write_file("stat", STAT);
    write_file("meminfo", MEMINFO);
    s = cpu_sampler_new(root);
    assert_int_equal(guest_metrics_read(s, root, "/dev", &m), 0);
    assert_int_equal(statfs("/dev", &fs), 0);
    assert_true(m.ts >= before && m.ts <= time(NULL));
    assert_int_equal(m.cpu_count, 2);
    assert_true(m.cpu_used_pct == 0);
    assert_int_equal(m.mem_total, 1024000000);
    assert_int_equal(m.mem_used, 400000 * 1024);
    assert_int_equal(m.mem_cache, 120000 * 1024);
    assert_int_equal(m.disk_total, fs.f_blocks * (uint64_t)fs.f_bsize);
    assert_true(m.disk_used <= m.disk_total);

    /* Errors leave the result alone. */
    m.cpu_count = 77;
    assert_int_equal(guest_metrics_read(s, root, "/nonexistent", &m), -ENOENT);
    write_file("meminfo", "MemTotal: many\n"); /* read anew, same file */
    assert_int_equal(guest_metrics_read(s, root, "/", &m), -EBADMSG);
    write_file("meminfo", MEMINFO);
    write_file("stat", "");
    assert_int_equal(guest_metrics_read(s, root, "/", &m), -EBADMSG);
    assert_int_equal(m.cpu_count, 77);
    cpu_sampler_free(s);
}

static void
test_missing_files(void **state)
{
    struct guest_metrics m;
    struct cpu_sampler *s = cpu_sampler_new(root);

    (void)state;
    assert_int_equal(guest_metrics_read(s, root, "/", &m), -ENOENT);
    write_file("stat", STAT);
    assert_int_equal(guest_metrics_read(s, root, "/", &m), -ENOENT);
    write_file("meminfo", MEMINFO);
    assert_int_equal(guest_metrics_read(s, root, "/", &m), 0);
    cpu_sampler_free(s);
}

static void
test_real_machine(void **state)
{
    struct guest_metrics m;
    struct cpu_sampler *s = cpu_sampler_new("/proc");

    (void)state;
    assert_int_equal(guest_metrics_read(s, "/proc", "/", &m), 0);
    assert_int_equal(m.cpu_count, sysconf(_SC_NPROCESSORS_ONLN));
    assert_true(m.cpu_used_pct >= 0 && m.cpu_used_pct <= 100);
    assert_true(m.mem_used > 0 && m.mem_used < m.mem_total);
    assert_true(m.disk_used <= m.disk_total && m.disk_total > 0);
    cpu_sampler_free(s);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_malformed_stat),
        cmocka_unit_test(test_meminfo),
        cmocka_unit_test(test_sampler),
        TEST(test_fake_machine),
        TEST(test_missing_files),
        cmocka_unit_test(test_real_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
