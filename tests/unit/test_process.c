/*
 * Real children: from their start to what is kept of them.
 */
#include "process_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "process/exit.h"
#include "process/table.h"

static void
test_events_in_order(void **state)
{
    struct fixture f;
    struct client c = {0};

    (void)state;
    fixture_init(&f, &fixture_settings);
    run_script(&f, "echo out; echo err >&2; exit 3", &c);
    assert_int_equal(c.starts, 1);
    assert_int_equal(c.ends, 1);
    assert_int_equal(c.exit.exit_code, 3);
    assert_true(c.exit.exited);
    assert_string_equal(c.exit.status, "exit status 3");
    assert_string_equal(client_text(&c, PROCESS_STDOUT), "out\n");
    assert_string_equal(client_text(&c, PROCESS_STDERR), "err\n");
    client_done(&c);
    fixture_done(&f);
}

static void
test_large_output_whole(void **state)
{
    struct fixture f;
    struct client c = {.forget = true};

    (void)state;
    fixture_init(&f, &fixture_settings);
    run_script(&f, "head -c 30000000 /dev/zero; head -c 5000 /dev/zero >&2",
               &c);
    assert_int_equal(c.bytes, 30005000);
    assert_int_equal(c.lost, 0);
    client_done(&c);
    fixture_done(&f);
}

static void
test_signals(void **state)
{
    static const int signals[] = {SIGTERM, SIGKILL, SIGINT,  SIGHUP,
                                  SIGUSR1, SIGQUIT, SIGALRM, 34};
    struct fixture f;

    (void)state;
    fixture_init(&f, &fixture_settings);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        struct client c = {0};
        struct status st = {0};
        struct process *p = start(&f, "ulimit -c 0; echo up; exec sleep 1000");
        struct process_exit expected;
        struct rusage usage = {0};

        client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
        while (c.bytes == 0)
            run_for(&f, 1);
        assert_int_equal(process_signal(p, signals[i], PROCESS_SCOPE_TREE, &st),
                         0);
        run_until(&f, client_at_end, &c);
        process_exit_set(&expected, signals[i], &usage, false);
        assert_string_equal(c.exit.status, expected.status);
        assert_int_equal(c.exit.exit_code, -1);
        assert_false(c.exit.exited);
        assert_int_equal(process_signal(p, SIGTERM, PROCESS_SCOPE_TREE, &st),
                         -1);
        assert_int_equal(st.code, RPC_INTERNAL);
        assert_string_equal(
            st.message, "error sending signal: os: process already finished");
        status_done(&st);
        client_done(&c);
    }
    fixture_done(&f);
}

static void
test_lookups(void **state)
{
    struct fixture f;
    const char *args[2];
    struct spawn_spec spec = shell("read x", args);
    struct process *first;
    struct process *second;
    struct process *other;
    struct client c = {0};
    struct status st = {0};
    uint32_t pid;

    (void)state;
    fixture_init(&f, &fixture_settings);
    assert_null(process_first(f.table));
    first = start_spec(&f, &spec, "a", 0);
    other = start_spec(&f, &spec, "", 0);
    second = start_spec(&f, &spec, "a", 0);
    assert_ptr_equal(process_first(f.table), first);
    assert_ptr_equal(process_next(first), other);
    assert_ptr_equal(process_next(other), second);
    assert_null(process_next(second));
    assert_ptr_equal(process_by_tag(f.table, STR("a")), second);
    assert_ptr_equal(process_by_tag(f.table, STR("")), other);
    assert_null(process_by_tag(f.table, STR("a\0")));
    assert_null(process_by_tag(f.table, STR("b")));
    assert_null(process_by_pid(f.table, 0));
    assert_string_equal(process_tag(second), "a");
    assert_false(process_has_pty(second));
    assert_true(process_serial(first) != process_serial(second));

    /* The latest live owner ends: the one before is found again. */
    pid = process_pid(second);
    client_attach(&c, second, PROCESS_REPLAY_NOW, 0);
    assert_int_equal(process_signal(second, SIGTERM, PROCESS_SCOPE_TREE, &st),
                     0);
    run_until(&f, client_at_end, &c);
    assert_ptr_equal(process_by_tag(f.table, STR("a")), first);
    assert_ptr_equal(process_retained_by_tag(f.table, STR("a")), second);
    assert_ptr_equal(process_retained_by_pid(f.table, pid), second);
    assert_null(process_by_pid(f.table, pid));
    assert_int_equal(process_pid(second), pid);

    /* A new owner drops what is retained of the tag, and of no other. */
    client_done(&c);
    assert_non_null(start_spec(&f, &spec, "b", 0));
    assert_ptr_equal(process_retained_by_tag(f.table, STR("a")), second);
    assert_non_null(start_spec(&f, &spec, "a", 0));
    assert_null(process_retained_by_tag(f.table, STR("a")));
    assert_null(process_retained_by_pid(f.table, pid));
    fixture_done(&f);
}

/* The end is seen by readers that come later, with what output is left. */
static void
test_late_readers(void **state)
{
    struct fixture f;
    struct client first = {0};
    struct client now = {0};
    struct client all = {0};
    struct client resume = {0};
    struct client from = {0};
    struct process *p;

    (void)state;
    fixture_init(&f, &fixture_settings);
    run_script(&f, "printf hello; exit 7", &first);
    p = first.reader.process;
    client_attach(&now, p, PROCESS_REPLAY_NOW, 0);
    client_attach(&all, p, PROCESS_REPLAY_ALL, 0);
    client_attach(&from, p, PROCESS_REPLAY_FROM, 2);
    process_detach(&now.reader);
    process_detach(&all.reader);
    process_detach(&from.reader);
    process_detach(&first.reader);
    client_attach(&resume, p, PROCESS_REPLAY_RESUME, 0);
    client_attach(&now, p, PROCESS_REPLAY_NOW, 0);
    client_attach(&all, p, PROCESS_REPLAY_ALL, 0);
    client_attach(&from, p, PROCESS_REPLAY_FROM, 2);
    run_until(&f, client_at_end, &from);
    assert_int_equal(resume.bytes, 0);
    assert_int_equal(now.bytes, 0);
    assert_string_equal(client_text(&all, PROCESS_STDOUT), "hello");
    assert_string_equal(client_text(&from, PROCESS_STDOUT), "llo");
    assert_int_equal(now.exit.exit_code, 7);
    assert_int_equal(all.exit.exit_code, 7);
    assert_int_equal(resume.exit.exit_code, 7);
    client_done(&first);
    client_done(&now);
    client_done(&all);
    client_done(&resume);
    client_done(&from);
    fixture_done(&f);
}

static bool
no_live(void *ctx)
{
    return process_first(ctx) == NULL;
}

/* Output without a reader waits for the first one. */
static void
test_nobody_listens(void **state)
{
    struct fixture f;
    struct client c = {0};
    struct process *p;
    uint32_t pid;

    (void)state;
    fixture_init(&f, &fixture_settings);
    p = start(&f, "head -c 2000000 /dev/zero; echo end");
    pid = process_pid(p);
    run_until(&f, no_live, f.table);
    p = process_retained_by_pid(f.table, pid);
    assert_non_null(p);
    client_attach(&c, p, PROCESS_REPLAY_RESUME, 0);
    run_until(&f, client_at_end, &c);
    assert_int_equal(c.lost + c.bytes, 2000004);
    assert_true(c.bytes > 64 * KIB && c.bytes <= 256 * KIB);
    assert_memory_equal(buf_data(&c.out[PROCESS_STDOUT]) + c.bytes - 4, "end\n",
                        4);
    client_done(&c);
    fixture_done(&f);
}

/* A lone reader that stops holds the process, and loses nothing. */
static void
test_back_pressure(void **state)
{
    struct fixture f;
    struct client c = {.paused = true, .forget = true};
    struct process *p;
    struct status st = {0};
    uint64_t held;

    (void)state;
    fixture_init(&f, &fixture_settings);
    p = start(&f, "yes");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    while (!p->output.pipes->pipe[0].held)
        run_for(&f, 5);
    c.paused = false;
    client_read(&c, SIZE_MAX);
    held = c.bytes;
    assert_true(held > 128 * KIB && held <= fixture_settings.ring_bytes);
    while (c.bytes < 50000000)
        run_for(&f, 5);
    assert_int_equal(c.lost, 0);
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    assert_int_equal(c.cuts, 0);
    client_done(&c);
    fixture_done(&f);
}

/* A reader that stops is cut for the sake of another one. */
static void
test_stalled_is_cut(void **state)
{
    struct fixture f;
    struct client slow = {.paused = true};
    struct client quick = {.forget = true};
    struct client again = {.forget = true};
    struct process *p;
    struct status st = {0};
    uint64_t offset;
    char text[128];

    (void)state;
    fixture_init(&f, &fixture_settings);
    p = start(&f, "yes");
    client_attach(&slow, p, PROCESS_REPLAY_NOW, 0);
    client_attach(&quick, p, PROCESS_REPLAY_NOW, 0);
    while (quick.bytes < 20000000)
        run_for(&f, 5);
    slow.paused = false;
    client_read(&slow, SIZE_MAX);
    assert_int_equal(slow.cuts, 1);
    offset = slow.reader.offset;
    (void)snprintf(text, sizeof(text),
                   "reader made no progress for 300 ms while others waited: "
                   "output continues at offset %llu",
                   (unsigned long long)offset);
    assert_string_equal(slow.failure, text);
    process_detach(&slow.reader);
    client_attach(&again, p, PROCESS_REPLAY_FROM, offset);
    run_until(&f, client_started, &again);
    assert_true(again.lost > 1000000);
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &quick);
    assert_int_equal(quick.lost, 0);
    client_done(&slow);
    client_done(&quick);
    client_done(&again);
    fixture_done(&f);
}

/* Something in the background holds the pipe: the end comes all the same. */
static void
test_background_holds_pipe(void **state)
{
    struct fixture f;
    struct client c = {0};
    struct client late = {0};
    struct process *p;
    char path[] = "/tmp/test_process.XXXXXX";
    char script[256];
    int fd = mkstemp(path);
    struct stat stat_now;

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    fixture_init(&f, &fixture_settings);
    /* It writes more than a pipe and a ring hold, after the end. */
    (void)snprintf(script, sizeof(script),
                   "(while [ -e %s ]; do sleep 0.05; done; "
                   "head -c 500000 /dev/zero; echo last) & echo hi",
                   path);
    run_script(&f, script, &c);
    assert_string_equal(client_text(&c, PROCESS_STDOUT), "hi\n");
    assert_int_equal(c.exit.exit_code, 0);
    p = c.reader.process;
    assert_null(process_first(f.table));
    (void)unlink(path);
    while (p->output.pipes != NULL)
        run_for(&f, 10);
    client_attach(&late, p, PROCESS_REPLAY_ALL, 0);
    run_until(&f, client_at_end, &late);
    assert_int_equal(late.lost + late.bytes, 500000 + 3 + 5);
    assert_memory_equal(buf_data(&late.out[PROCESS_STDOUT]) + late.bytes - 5,
                        "last\n", 5);
    client_done(&c);
    client_done(&late);
    assert_int_equal(stat(path, &stat_now), -1);
    fixture_done(&f);
}

/* As upstream, when it is set so: the end waits for the end of file. */
static void
test_linger_for_ever(void **state)
{
    struct process_settings set = fixture_settings;
    struct fixture f;
    struct client c = {0};
    struct process *p;
    struct status st = {0};

    (void)state;
    set.linger_ms = -1;
    fixture_init(&f, &set);
    run_script(&f, "(sleep 0.4; echo later) & echo hi", &c);
    assert_string_equal(client_text(&c, PROCESS_STDOUT), "hi\nlater\n");
    client_done(&c);

    /* Unless it is asked to end; then its exit is what counts. */
    c = (struct client){0};
    p = start(&f, "sleep 1000 & exit 5");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    run_for(&f, 300);
    assert_false(c.at_end);
    assert_ptr_equal(process_by_pid(f.table, process_pid(p)), p);
    assert_int_equal(process_signal(p, SIGTERM, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    assert_int_equal(c.exit.exit_code, 5);
    client_done(&c);
    fixture_done(&f);
}

static void
test_deadline(void **state)
{
    struct fixture f;
    struct client c = {0};
    const char *args[2];
    struct spawn_spec spec = shell("sleep 1000", args);

    (void)state;
    fixture_init(&f, &fixture_settings);
    client_attach(&c, start_spec(&f, &spec, NULL, 150), PROCESS_REPLAY_NOW, 0);
    run_until(&f, client_at_end, &c);
    assert_true(c.exit.deadline);
    assert_string_equal(c.exit.status, "signal: killed");
    client_done(&c);
    fixture_done(&f);
}

static int frees;

static void
on_config_free(void *config)
{
    assert_ptr_equal(config, &frees);
    frees++;
}

static void
test_failures(void **state)
{
    struct process_settings set = fixture_settings;
    const char *args[2];
    struct spawn_spec spec = shell("read x", args);
    struct fixture f;
    struct client c = {0};
    struct status st = {0};
    struct process *p;

    (void)state;
    set.processes_max = 1;
    fixture_init(&f, &set);

    /* Found out after the clone. */
    frees = 0;
    spec.cwd = "/dev/null";
    assert_int_equal(
        process_start(f.table, &spec, "t", 0, &frees, on_config_free, &p, &st),
        0);
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    assert_ptr_equal(process_config(p), &frees);
    run_until(&f, client_at_end, &c);
    assert_int_equal(c.failures, 1);
    assert_string_equal(c.failure, "error starting process '/bin/sh -c read "
                                   "x': fork/exec /bin/sh: not a directory");
    assert_null(process_first(f.table));
    assert_null(process_by_tag(f.table, STR("t")));
    assert_null(process_retained_by_tag(f.table, STR("t")));
    client_done(&c);
    run_for(&f, 50);
    assert_int_equal(frees, 1);

    /* Too many. */
    spec.cwd = "/";
    p = start_spec(&f, &spec, NULL, 0);
    assert_int_equal(
        process_start(f.table, &spec, NULL, 0, &frees, on_config_free, &p, &st),
        -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    assert_int_equal(frees, 1);
    status_done(&st);
    fixture_done(&f);
}

static void
test_pty(void **state)
{
    struct fixture f;
    const char *args[2];
    struct spawn_spec spec =
        shell("read l; echo got $l; stty size; read l; stty size", args);
    struct client c = {0};
    struct status st = {0};
    struct process *p;
    struct process_input in = {
        .kind = PROCESS_INPUT_PTY,
        .data = (const uint8_t *)"one\n",
        .len = 4,
    };

    (void)state;
    fixture_init(&f, &fixture_settings);
    spec.pty = true;
    spec.cols = 80;
    spec.rows = 24;
    p = start_spec(&f, &spec, NULL, 0);
    assert_true(process_has_pty(p));
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    assert_int_equal(process_input(p, &in, &st), 1);
    while (c.bytes == 0 ||
           strstr(client_text(&c, PROCESS_PTY), "24 80") == NULL)
        run_for(&f, 1);
    assert_int_equal(process_resize(p, 132, 50, &st), 0);
    assert_int_equal(process_input(p, &in, &st), 1);
    run_until(&f, client_at_end, &c);
    assert_string_equal(client_text(&c, PROCESS_PTY),
                        "one\r\ngot one\r\n24 80\r\none\r\n50 132\r\n");
    assert_int_equal(c.exit.exit_code, 0);
    assert_int_equal(process_resize(p, 1, 1, &st), -1);
    status_done(&st);
    client_done(&c);

    p = start(&f, "exit 0");
    assert_int_equal(process_resize(p, 1, 1, &st), -1);
    assert_int_equal(st.code, RPC_INTERNAL);
    assert_string_equal(st.message,
                        "error resizing tty: tty not assigned to process");
    status_done(&st);
    fixture_done(&f);
}

#define MANY     1000
#define PARALLEL 64

/* Many short commands, with as many at once. */
struct crowd {
    struct fixture f;
    struct client client[PARALLEL];
    int number[PARALLEL];
    int started;
    int done;
};

static void
crowd_start(struct crowd *m, int slot)
{
    char script[128];

    m->number[slot] = m->started++;
    (void)snprintf(script, sizeof(script),
                   "echo out %d; echo err %d >&2; exit %d", m->number[slot],
                   m->number[slot], m->number[slot] % 256);
    m->client[slot] = (struct client){0};
    client_attach(&m->client[slot], start(&m->f, script), PROCESS_REPLAY_NOW,
                  0);
}

static bool
crowd_done(void *ctx)
{
    struct crowd *m = ctx;

    for (int i = 0; i < PARALLEL; i++) {
        struct client *c = &m->client[i];
        char expected[32];

        if (!c->at_end || m->number[i] < 0)
            continue;
        assert_int_equal(c->ends, 1);
        assert_int_equal(c->exit.exit_code, m->number[i] % 256);
        (void)snprintf(expected, sizeof(expected), "out %d\n", m->number[i]);
        assert_string_equal(client_text(c, PROCESS_STDOUT), expected);
        (void)snprintf(expected, sizeof(expected), "err %d\n", m->number[i]);
        assert_string_equal(client_text(c, PROCESS_STDERR), expected);
        client_done(c);
        m->number[i] = -1;
        m->done++;
        if (m->started < MANY)
            crowd_start(m, i);
    }
    return m->done == MANY;
}

static void
test_many_short(void **state)
{
    struct crowd *m = xcalloc(1, sizeof(*m));

    (void)state;
    fixture_init(&m->f, &fixture_settings);
    for (int i = 0; i < PARALLEL; i++)
        crowd_start(m, i);
    run_until(&m->f, crowd_done, m);
    assert_null(process_first(m->f.table));
    fixture_done(&m->f);
    free(m);
}

/* Attached and detached all the time, nothing is lost and nothing leaks. */
static void
test_come_and_go(void **state)
{
    struct fixture f;
    struct client c = {0};
    struct process *p;

    (void)state;
    fixture_init(&f, &fixture_settings);
    p = start(&f, "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.01; done");
    client_attach(&c, p, PROCESS_REPLAY_RESUME, 0);
    while (!c.at_end) {
        run_for(&f, 7);
        if (c.at_end)
            break;
        process_detach(&c.reader);
        run_for(&f, 7);
        c.starts = 0;
        client_attach(&c, p, PROCESS_REPLAY_RESUME, 0);
    }
    assert_string_equal(client_text(&c, PROCESS_STDOUT),
                        "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_int_equal(c.lost, 0);
    client_done(&c);
    fixture_done(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_in_order),
        cmocka_unit_test(test_large_output_whole),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_late_readers),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_stalled_is_cut),
        cmocka_unit_test(test_background_holds_pipe),
        cmocka_unit_test(test_linger_for_ever),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_pty),
        cmocka_unit_test(test_many_short),
        cmocka_unit_test(test_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
