/*
 * Turns of the loop that stand still.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"

#define STALL_MS    25
#define PATIENCE_MS 20000

static struct loop *loop;
static int told; /* reads what goes to standard error */
static char line[256];
static const char *note;

/* Stand still until the watch has said so. */
static void
hang_until_told(struct loop_timer *t)
{
    struct pollfd p = {.fd = told, .events = POLLIN};
    ssize_t n;

    (void)t;
    if (note != NULL)
        loop_note(loop, note);
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    n = read(told, line, sizeof(line) - 1);
    assert_true(n > 0);
    line[n] = '\0';
    loop_stop(loop);
}

static void
stop_soon(struct loop_timer *t)
{
    (void)t;
    loop_stop(loop);
}

/* Run the loop with standard error in a pipe. */
static void
run(void (*on_time)(struct loop_timer *t), const char *name, int64_t ms)
{
    struct loop_timer timer;
    int before = dup(2);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], 2), 2);
    (void)close(ends[1]);
    told = ends[0];
    line[0] = '\0';
    loop = loop_new();
    assert_non_null(loop);
    loop_watch_stalls(loop, STALL_MS);
    loop_timer_init_as(loop, &timer, on_time, name);
    loop_timer_set(&timer, ms);
    assert_int_equal(loop_run(loop), 0);
    loop_timer_cancel(&timer);
    assert_int_equal(dup2(before, 2), 2);
    (void)close(before);
}

static void
test_names_what_runs(void **state)
{
    struct loop_stalls s;

    (void)state;
    note = NULL;
    run(hang_until_told, "hang_until_told", 0);
    assert_string_equal(
        line, "<4>the loop stands still for 25 ms in hang_until_told\n");
    s = loop_stalls(loop);
    assert_int_equal(s.count, 1);
    assert_true(s.longest_ms >= 0);
    assert_string_equal(s.longest, "hang_until_told");
    loop_free(loop);
    (void)close(told);
}

static void
test_a_note_is_more_precise(void **state)
{
    (void)state;
    note = "POST /files";
    run(hang_until_told, "hang_until_told", 0);
    assert_string_equal(line,
                        "<4>the loop stands still for 25 ms in POST /files\n");
    assert_string_equal(loop_stalls(loop).longest, "POST /files");
    loop_free(loop);
    (void)close(told);
}

/* Long enough for the watch to say so, if it could. */
static void
hang(struct loop_timer *t)
{
    (void)t;
    (void)poll(NULL, 0, STALL_MS * 40);
    loop_stop(loop);
}

static void
fill_and_hang(struct loop_timer *t)
{
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    char text[1024] = {0};

    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(STDERR_FILENO, text, sizeof(text)) > 0)
        continue;
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, flags), 0);
    hang(t);
}

/* The end waits for the watch, so that must not wait for a reader. */
static void
test_nobody_reads_it(void **state)
{
    (void)state;
    note = NULL;
    (void)alarm(PATIENCE_MS / 1000);
    run(fill_and_hang, "fill_and_hang", 0);
    (void)alarm(0);
    assert_int_equal(loop_stalls(loop).count, 1);
    loop_free(loop);
    (void)close(told);
}

/* Waiting for events is no turn, however long it lasts. */
static void
test_idle_is_no_stall(void **state)
{
    struct loop_stalls s;
    char byte;

    (void)state;
    run(stop_soon, "stop_soon", (int64_t)STALL_MS * 20);
    s = loop_stalls(loop);
    assert_int_equal(s.count, 0);
    assert_null(s.longest);
    assert_int_equal(read(told, &byte, 1), 0);
    loop_free(loop);
    (void)close(told);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_what_runs),
        cmocka_unit_test(test_a_note_is_more_precise),
        cmocka_unit_test(test_nobody_reads_it),
        cmocka_unit_test(test_idle_is_no_stall),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
