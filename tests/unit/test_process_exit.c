/*
 * What is said of every way to end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/scope.h"
#include "process/exit.h"
#include "process/process.h"

#define EXITED(code)     ((code) << 8)
#define SIGNALED(signum) (signum)
#define DUMPED(signum)   ((signum) | 0x80)

static const struct {
    int wait_status;
    bool deadline;
    int32_t exit_code;
    bool exited;
    const char *status;
    const char *error;
} cases[] = {
    {EXITED(0), false, 0, true, "exit status 0", NULL},
    {EXITED(1), false, 1, true, "exit status 1", "exit status 1"},
    {EXITED(3), true, 3, true, "exit status 3", "exit status 3"},
    {EXITED(255), false, 255, true, "exit status 255", "exit status 255"},
    {EXITED(0), true, 0, true, "exit status 0", "context deadline exceeded"},
    {SIGNALED(9), true, -1, false, "signal: killed", "signal: killed"},
    {DUMPED(11), false, -1, false, "signal: segmentation fault (core dumped)",
     "signal: segmentation fault (core dumped)"},
    {DUMPED(34), false, -1, false, "signal: signal 34 (core dumped)",
     "signal: signal 34 (core dumped)"},
};

static const char *const names[] = {
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
    "stack fault",
    "child exited",
    "continued",
    "stopped (signal)",
    "stopped",
    "stopped (tty input)",
    "stopped (tty output)",
    "urgent I/O condition",
    "CPU time limit exceeded",
    "file size limit exceeded",
    "virtual timer expired",
    "profiling timer expired",
    "window changed",
    "I/O possible",
    "power failure",
    "bad system call",
};

static void
test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rusage usage = {
            .ru_maxrss = 77,
            .ru_utime = {.tv_sec = 2, .tv_usec = 5},
            .ru_stime = {.tv_sec = 1, .tv_usec = 999999},
        };
        struct process_exit ex;

        process_exit_set(&ex, cases[i].wait_status, &usage, cases[i].deadline);
        assert_int_equal(ex.exit_code, cases[i].exit_code);
        assert_int_equal(ex.exited, cases[i].exited);
        assert_int_equal(ex.deadline, cases[i].deadline);
        assert_string_equal(ex.status, cases[i].status);
        assert_int_equal(ex.usage.ru_maxrss, 77);
        assert_int_equal(ex.peak_bytes, 77 * 1024);
        assert_int_equal(ex.cpu_us, 4000004);
        assert_false(ex.oom_killed);
        if (cases[i].error == NULL)
            assert_null(ex.error);
        else
            assert_string_equal(ex.error, cases[i].error);
    }
}

static void
test_all_signals(void **state)
{
    (void)state;
    for (int signum = 1; signum <= 64; signum++) {
        struct rusage usage = {0};
        struct process_exit ex;
        char expected[64];

        if ((size_t)signum <= ARRAY_LEN(names))
            (void)snprintf(expected, sizeof(expected), "signal: %s",
                           names[signum - 1]);
        else
            (void)snprintf(expected, sizeof(expected), "signal: signal %d",
                           signum);
        process_exit_set(&ex, SIGNALED(signum), &usage, false);
        assert_string_equal(ex.status, expected);
        assert_string_equal(ex.error, expected);
        assert_int_equal(ex.exit_code, -1);
        assert_false(ex.exited);
    }
}

static void
test_unknown(void **state)
{
    struct process_exit ex;

    (void)state;
    process_exit_set_unknown(&ex, true);
    assert_int_equal(ex.exit_code, -1);
    assert_true(ex.deadline);
    assert_false(ex.exited);
    assert_string_equal(ex.status, "wait4 error");
    assert_string_equal(ex.error, "wait4 error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_all_signals),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
