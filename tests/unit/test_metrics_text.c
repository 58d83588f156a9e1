/*
 * Figures as text, read back by a strict parser; and which form is asked for.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/metrics_text.h"
#include "guest/figures.h"
#include "http/accept.h"

static struct buf out;

static struct metric_writer
writer(enum metric_format format)
{
    buf_done(&out);
    return (struct metric_writer){.out = &out, .format = format};
}

static const char *
text(void)
{
    assert_false(out.failed);
    buf_append_byte(&out, '\0');
    return (const char *)buf_data(&out);
}

static void
write_all(struct metric_writer *w)
{
    metric_family(w, "envd_build", METRIC_INFO, "What it was made from");
    metric_add(w, 1, 0, "version", "0.6.13", "commit", "a\\b\"c\nd", NULL);
    metric_one(w, "process_cpu_seconds", METRIC_COUNTER, "Time", 1234567, 6);
    metric_family(w, "envd_processes", METRIC_GAUGE, "Commands");
    metric_add(w, 0, 0, "state", "live", NULL);
    metric_add(w, UINT64_MAX, 0, "state", "", NULL);
    metric_end(w);
}

static void
test_prometheus(void **state)
{
    struct metric_writer w = writer(METRIC_PROMETHEUS);

    (void)state;
    write_all(&w);
    assert_string_equal(
        text(),
        "# HELP envd_build_info What it was made from\n"
        "# TYPE envd_build_info gauge\n"
        "envd_build_info{version=\"0.6.13\",commit=\"a\\\\b\\\"c\\nd\"} "
        "1\n"
        "# HELP process_cpu_seconds_total Time\n"
        "# TYPE process_cpu_seconds_total counter\n"
        "process_cpu_seconds_total 1.234567\n"
        "# HELP envd_processes Commands\n"
        "# TYPE envd_processes gauge\n"
        "envd_processes{state=\"live\"} 0\n"
        "envd_processes{state=\"\"} 18446744073709551615\n");
    assert_string_equal(metric_content_type(METRIC_PROMETHEUS),
                        "text/plain; version=0.0.4; charset=utf-8");
}

static void
test_openmetrics(void **state)
{
    struct metric_writer w = writer(METRIC_OPENMETRICS);

    (void)state;
    write_all(&w);
    assert_string_equal(
        text(),
        "# HELP envd_build What it was made from\n"
        "# TYPE envd_build info\n"
        "envd_build_info{version=\"0.6.13\",commit=\"a\\\\b\\\"c\\nd\"} "
        "1\n"
        "# HELP process_cpu_seconds Time\n"
        "# TYPE process_cpu_seconds counter\n"
        "process_cpu_seconds_total 1.234567\n"
        "# HELP envd_processes Commands\n"
        "# TYPE envd_processes gauge\n"
        "envd_processes{state=\"live\"} 0\n"
        "envd_processes{state=\"\"} 18446744073709551615\n"
        "# EOF\n");
}

static void
test_decimals(void **state)
{
    static const struct {
        uint64_t value;
        unsigned int digits;
        const char *text;
    } cases[] = {
        {0, 0, "x 0\n"},
        {0, 6, "x 0\n"},
        {5, 3, "x 0.005\n"},
        {1000, 3, "x 1\n"},
        {1100, 3, "x 1.1\n"},
        {1010, 3, "x 1.01\n"},
        {999999, 6, "x 0.999999\n"},
        {10, 1, "x 1\n"},
        {UINT64_MAX, 19, "x 1.8446744073709551615\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct metric_writer w = writer(METRIC_PROMETHEUS);

        w.name = "x";
        metric_add(&w, cases[i].value, cases[i].digits, NULL);
        assert_string_equal(text(), cases[i].text);
    }
    buf_done(&out);
}

/* ---- what is asked for --------------------------------------------------- */

static void
expect_weight(const char *header, const char *type, int hundredths)
{
    double found = accept_media(str_from(header), type, "0.0.4") * 100;

    assert_int_equal((int)(found < 0 ? found - 0.5 : found + 0.5), hundredths);
}

static void
test_accept(void **state)
{
    static const char *const text_plain = "text/plain";

    (void)state;
    expect_weight(NULL, text_plain, 100);
    expect_weight("", text_plain, 100);
    expect_weight("*/*", text_plain, 100);
    expect_weight("text/plain", text_plain, 100);
    expect_weight("TEXT/Plain", text_plain, 100);
    expect_weight(" text/plain ; q=0.5 ", text_plain, 50);
    expect_weight("text/*;q=0.25", text_plain, 25);
    expect_weight("text/html, */*;q=0.8", text_plain, 80);
    /* the most precise item counts, not the first and not the best */
    expect_weight("*/*, text/plain;q=0.1", text_plain, 10);
    expect_weight("text/plain;q=0, text/*, */*", text_plain, 0);
    expect_weight("text/*;q=0.2,*/*;q=0.9", text_plain, 20);
    /* of those that are equally precise the best */
    expect_weight("text/plain;q=0.2, text/plain;q=0.3", text_plain, 30);
    /* versions */
    expect_weight("text/plain;version=0.0.4;q=0.3", text_plain, 30);
    expect_weight("text/plain;q=0.3;Version=0.0.4", text_plain, 30);
    expect_weight("text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;"
                  "q=0.3,*/*;q=0.2",
                  text_plain, 30);
    expect_weight("text/plain;version=1.0.0", text_plain, -100);
    expect_weight("text/plain;version=1.0.0,*/*;q=0.2", text_plain, 20);
    /* others, and nonsense */
    expect_weight("application/json", text_plain, -100);
    expect_weight("text", text_plain, -100);
    expect_weight("text/", text_plain, -100);
    expect_weight("text/plainer", text_plain, -100);
    expect_weight("*", text_plain, -100);
    expect_weight("text/**", text_plain, -100);
    expect_weight(",,;;,", text_plain, -100);
}

/* ---- the kernel's files -------------------------------------------------- */

static void
test_pressure(void **state)
{
    struct pressure_line p[PRESSURE_KINDS];

    (void)state;
    pressure_parse("some avg10=1.23 avg60=99.99 avg300=0.07 total=123456789\n"
                   "full avg10=0.00 avg60=0.00 avg300=100.00 total=0\n",
                   p);
    assert_true(p[PRESSURE_SOME].known);
    assert_int_equal(p[PRESSURE_SOME].average[0], 123);
    assert_int_equal(p[PRESSURE_SOME].average[1], 9999);
    assert_int_equal(p[PRESSURE_SOME].average[2], 7);
    assert_int_equal(p[PRESSURE_SOME].total_us, 123456789);
    assert_true(p[PRESSURE_FULL].known);
    assert_int_equal(p[PRESSURE_FULL].average[2], 10000);

    /* an older kernel's file about processors */
    pressure_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", p);
    assert_true(p[PRESSURE_SOME].known);
    assert_false(p[PRESSURE_FULL].known);
    assert_int_equal(p[PRESSURE_FULL].total_us, 0);
}

static void
test_pressure_nonsense(void **state)
{
    static const char *const texts[] = {
        "",
        "some",
        "some\n",
        "some avg10=",
        "some avg10=0",
        "some avg10=0.",
        "some avg10=0.00 avg60=0.00 avg300=0.00",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=99999999999999999999999",
        "some avg10=101.00 avg60=0.00 avg300=0.00 total=1",
        "some avg10=0.100 avg60=0.00 avg300=0.00 total=1",
        "some avg60=0.00 avg10=0.00 avg300=0.00 total=1",
        "many avg10=0.00 avg60=0.00 avg300=0.00 total=1",
    };
    struct pressure_line p[PRESSURE_KINDS];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        pressure_parse(texts[i], p);
        assert_false(p[PRESSURE_SOME].known);
        assert_false(p[PRESSURE_FULL].known);
    }
}

static void
test_figures_of_this_process(void **state)
{
    struct cgroup_figures c;
    struct figures f;

    (void)state;
    figures_read("/proc", &f);
    assert_true(f.memory_known);
    assert_true(f.resident_bytes > 4096);
    assert_true(f.virtual_bytes >= f.resident_bytes);
    assert_true(f.open_fds >= 3);
    figures_read("/nowhere", &f);
    assert_false(f.memory_known);
    assert_int_equal(f.open_fds, 0);
    figures_read_cgroup(-1, &c);
    assert_false(c.cpu_known || c.memory_known || c.pids_known);
}

static void
plant(int dir_fd, const char *name, const char *content)
{
    int fd = openat(dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    (void)close(fd);
}

static void
test_figures_of_a_cgroup(void **state)
{
    static const char *const files[] = {"cpu.stat", "memory.current",
                                        "memory.events", "pids.current"};
    char folder[] = "/tmp/envd-figures-XXXXXX";
    struct cgroup_figures c;
    int dir;

    (void)state;
    assert_non_null(mkdtemp(folder));
    dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    figures_read_cgroup(dir, &c);
    assert_false(c.cpu_known || c.memory_known || c.pids_known);

    plant(dir, "cpu.stat",
          "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 0\n");
    plant(dir, "memory.current", "4096\n");
    plant(dir, "memory.events",
          "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 9\n");
    plant(dir, "pids.current", "5\n");
    figures_read_cgroup(dir, &c);
    assert_true(c.cpu_known && c.memory_known && c.pids_known);
    assert_int_equal(c.cpu_user_us, 10);
    assert_int_equal(c.cpu_system_us, 20);
    assert_int_equal(c.memory_bytes, 4096);
    assert_int_equal(c.oom_kills, 2);
    assert_int_equal(c.pids, 5);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        assert_int_equal(unlinkat(dir, files[i], 0), 0);
    (void)close(dir);
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_pressure_nonsense),
        cmocka_unit_test(test_figures_of_this_process),
        cmocka_unit_test(test_figures_of_a_cgroup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
