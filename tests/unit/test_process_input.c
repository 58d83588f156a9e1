/*
 * The queue of writes towards a process: order, pieces, ends, failures.
 */
#include "process_fixture.h"

#include <fcntl.h>
#include <stdio.h>

#include "limits.h"
#include "process/input.h"

/* A write that notes how it ended. */
struct note {
    struct process_input in;
    unsigned int done;
    bool failed;
    char text[256];
    unsigned int *order; /* counts all that were done */
    unsigned int place;
};

/* The queue of a process that is not there, over a pipe. */
struct queue {
    struct fixture f;
    struct input input;
    int read_fd;
    unsigned int order;
};

static void
on_done(struct process_input *in, struct status *st)
{
    struct note *n = in->ctx;

    n->done++;
    n->place = ++*n->order;
    n->failed = st != NULL;
    if (st != NULL)
        (void)snprintf(n->text, sizeof(n->text), "%s", status_message(st));
}

static struct note
note(struct queue *q, enum process_input_kind kind, const void *data,
     size_t len)
{
    return (struct note){
        .in = {.kind = kind, .data = data, .len = len, .on_done = on_done},
        .order = &q->order,
    };
}

static void
queue_init(struct queue *q, bool pty)
{
    int fd[2];

    *q = (struct queue){0};
    fixture_init(&q->f, &fixture_settings);
    assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
    q->read_fd = fd[0];
    input_init(&q->input, q->f.loop, 42, fd[1], pty);
}

static void
queue_done(struct queue *q)
{
    input_done(&q->input);
    if (q->read_fd >= 0)
        (void)close(q->read_fd);
    fixture_done(&q->f);
}

static int
add(struct queue *q, struct note *n, struct status *st)
{
    n->in.ctx = n;
    return input_add(&q->input, &n->in, st);
}

/* Read all there is; returns the bytes, -1 at the end of file. */
static ssize_t
drain(struct queue *q, char *into, size_t size)
{
    ssize_t total = 0;

    for (;;) {
        ssize_t n = read(q->read_fd, into + total, size - (size_t)total);

        if (n == 0)
            return total > 0 ? total : -1;
        if (n < 0)
            return total;
        total += n;
    }
}

static void
test_at_once(void **state)
{
    struct queue q;
    struct note n;
    struct status st = {0};
    char text[16];

    (void)state;
    queue_init(&q, false);
    n = note(&q, PROCESS_INPUT_STDIN, "abc", 3);
    assert_int_equal(add(&q, &n, &st), 1);
    assert_int_equal(n.in.written, 3);
    n = note(&q, PROCESS_INPUT_STDIN, NULL, 0);
    assert_int_equal(add(&q, &n, &st), 1);
    n = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    assert_int_equal(add(&q, &n, &st), 1);
    n = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    assert_int_equal(add(&q, &n, &st), 1);
    assert_int_equal(drain(&q, text, sizeof(text)), 3);
    assert_int_equal(drain(&q, text, sizeof(text)), -1);
    n = note(&q, PROCESS_INPUT_STDIN, "x", 1);
    assert_int_equal(add(&q, &n, &st), -1);
    assert_int_equal(st.code, RPC_INTERNAL);
    assert_string_equal(st.message,
                        "error writing to stdin: stdin not enabled or closed");
    assert_int_equal(n.done, 0);
    status_done(&st);
    queue_done(&q);
}

/* What does not fit waits; all is written in order, the end last. */
static void
test_order(void **state)
{
    enum { SIZE = 300000 };
    struct queue q;
    struct note a;
    struct note b;
    struct note end;
    struct note again;
    struct note late;
    struct status st = {0};
    char *data = malloc(SIZE);
    char *got = malloc((size_t)SIZE * 2 + 16);
    ssize_t total = 0;

    (void)state;
    assert_true(data != NULL && got != NULL);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 + i / 1000);
    queue_init(&q, false);
    a = note(&q, PROCESS_INPUT_STDIN, data, SIZE);
    b = note(&q, PROCESS_INPUT_STDIN, data, SIZE);
    end = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    again = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    late = note(&q, PROCESS_INPUT_STDIN, "x", 1);
    assert_int_equal(add(&q, &a, &st), 0);
    assert_true(a.in.written > 0 && a.in.written < SIZE);
    assert_int_equal(add(&q, &b, &st), 0);
    assert_int_equal(add(&q, &end, &st), 0);
    assert_int_equal(add(&q, &again, &st), 0);
    assert_int_equal(add(&q, &late, &st), 0);
    while (end.done == 0) {
        ssize_t n = drain(&q, got + total, (size_t)(SIZE * 2 + 16 - total));

        assert_true(n >= 0);
        total += n;
        run_for(&q.f, 1);
    }
    total += MAX((ssize_t)0,
                 drain(&q, got + total, (size_t)(SIZE * 2 + 16 - total)));
    assert_int_equal(total, SIZE * 2);
    assert_memory_equal(got, data, SIZE);
    assert_memory_equal(got + SIZE, data, SIZE);
    assert_true(a.done == 1 && b.done == 1 && again.done == 1);
    assert_false(a.failed || b.failed || end.failed || again.failed);
    assert_true(a.place < b.place && b.place < end.place &&
                end.place < again.place);
    assert_true(late.done == 1 && late.failed);
    assert_string_equal(late.text,
                        "error writing to stdin: stdin not enabled or closed");
    assert_int_equal(q.input.waiting_bytes, 0);
    queue_done(&q);
    free(data);
    free(got);
}

static void
test_cancel(void **state)
{
    enum { SIZE = 200000 };
    struct queue q;
    struct note a;
    struct note b;
    struct status st = {0};
    char *data = calloc(1, SIZE);

    (void)state;
    assert_non_null(data);
    queue_init(&q, false);
    a = note(&q, PROCESS_INPUT_STDIN, data, SIZE);
    b = note(&q, PROCESS_INPUT_STDIN, "b", 1);
    assert_int_equal(add(&q, &a, &st), 0);
    assert_int_equal(add(&q, &b, &st), 0);
    input_remove(&q.input, &a.in);
    assert_true(a.in.written > 0 && a.in.written < SIZE);
    while (b.done == 0) {
        char chunk[4096];

        (void)drain(&q, chunk, sizeof(chunk));
        run_for(&q.f, 1);
    }
    assert_int_equal(a.done, 0);
    assert_false(b.failed);
    assert_int_equal(q.input.waiting_bytes, 0);
    assert_false(q.input.io.armed);
    queue_done(&q);
    free(data);
}

static void
test_reader_gone(void **state)
{
    static const char text[] = "error writing to stdin: error writing to stdin "
                               "of process '42': write |1: broken pipe";
    enum { SIZE = 200000 };
    struct queue q;
    struct note a;
    struct note b;
    struct note c;
    struct status st = {0};
    char *data = calloc(1, SIZE);

    (void)state;
    assert_non_null(data);
    queue_init(&q, false);
    a = note(&q, PROCESS_INPUT_STDIN, data, SIZE);
    b = note(&q, PROCESS_INPUT_STDIN, "b", 1);
    assert_int_equal(add(&q, &a, &st), 0);
    assert_int_equal(add(&q, &b, &st), 0);
    (void)close(q.read_fd);
    q.read_fd = -1;
    while (b.done == 0)
        run_for(&q.f, 1);
    assert_true(a.failed && b.failed);
    assert_string_equal(a.text, text);
    assert_string_equal(b.text, text);
    c = note(&q, PROCESS_INPUT_STDIN, "c", 1);
    assert_int_equal(add(&q, &c, &st), -1);
    assert_int_equal(st.code, RPC_INTERNAL);
    assert_string_equal(st.message, text);
    status_done(&st);
    c = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    assert_int_equal(add(&q, &c, &st), 1);
    queue_done(&q);
    free(data);
}

static void
test_process_ended(void **state)
{
    enum { SIZE = 200000 };
    static const struct {
        bool pty;
        enum process_input_kind kind;
        enum rpc_code code;
        const char *text;
    } cases[] = {
        {false, PROCESS_INPUT_STDIN, RPC_INTERNAL,
         "error writing to stdin: error writing to stdin of process '42': "
         "write |1: file already closed"},
        {false, PROCESS_INPUT_EOF, RPC_UNKNOWN,
         "error closing stdin: close |1: file already closed"},
        {true, PROCESS_INPUT_PTY, RPC_INTERNAL,
         "error writing to tty: error writing to tty of process '42': "
         "write /dev/ptmx: file already closed"},
    };
    char *data = calloc(1, SIZE);

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum process_input_kind first_kind =
            cases[i].pty ? PROCESS_INPUT_PTY : PROCESS_INPUT_STDIN;
        struct queue q;
        struct note first;
        struct note n;
        struct status st = {0};

        queue_init(&q, cases[i].pty);
        first = note(&q, first_kind, data, SIZE);
        n = note(&q, cases[i].kind, "x", 1);
        assert_int_equal(add(&q, &first, &st), 0);
        assert_int_equal(add(&q, &n, &st), 0);
        input_end(&q.input);
        assert_true(first.done == 1 && first.failed);
        assert_true(n.done == 1 && n.failed);
        assert_string_equal(n.text, cases[i].text);
        assert_int_equal(add(&q, &n, &st), -1);
        assert_int_equal(st.code, cases[i].code);
        assert_string_equal(st.message, cases[i].text);
        status_done(&st);
        queue_done(&q);
    }
    free(data);
}

static void
test_wrong_kind(void **state)
{
    static const struct {
        bool pty;
        enum process_input_kind kind;
        enum rpc_code code;
        const char *text;
    } cases[] = {
        {true, PROCESS_INPUT_STDIN, RPC_INTERNAL,
         "error writing to stdin: tty assigned to process \xe2\x80\x94 input "
         "should be written to the pty, not the stdin"},
        {false, PROCESS_INPUT_PTY, RPC_INTERNAL,
         "error writing to tty: tty not assigned to process \xe2\x80\x94 input "
         "should be written to the stdin, not the tty"},
        {true, PROCESS_INPUT_EOF, RPC_UNKNOWN,
         "error closing stdin: cannot close stdin for PTY process \xe2\x80\x94 "
         "send Ctrl+D (0x04) instead"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue q;
        struct note n;
        struct status st = {0};

        queue_init(&q, cases[i].pty);
        n = note(&q, cases[i].kind, "x", 1);
        assert_int_equal(add(&q, &n, &st), -1);
        assert_int_equal(st.code, cases[i].code);
        assert_string_equal(st.message, cases[i].text);
        status_done(&st);
        queue_done(&q);
    }
}

static void
test_no_stdin(void **state)
{
    struct queue q;
    struct note n;
    struct status st = {0};

    (void)state;
    queue_init(&q, false);
    input_done(&q.input);
    input_init(&q.input, q.f.loop, 42, -1, false);
    n = note(&q, PROCESS_INPUT_STDIN, "x", 1);
    assert_int_equal(add(&q, &n, &st), -1);
    assert_string_equal(st.message,
                        "error writing to stdin: stdin not enabled or closed");
    status_done(&st);
    n = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    assert_int_equal(add(&q, &n, &st), 1);
    queue_done(&q);
}

static void
test_bounded(void **state)
{
    const size_t size = LIMIT_PROCESS_INPUT_BYTES + 200000;
    struct queue q;
    struct note a;
    struct note b;
    struct note end;
    struct status st = {0};
    char *data = calloc(1, size);

    (void)state;
    assert_non_null(data);
    queue_init(&q, false);
    a = note(&q, PROCESS_INPUT_STDIN, data, size);
    b = note(&q, PROCESS_INPUT_STDIN, "b", 1);
    end = note(&q, PROCESS_INPUT_EOF, NULL, 0);
    assert_int_equal(add(&q, &a, &st), 0);
    assert_int_equal(add(&q, &b, &st), -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    status_done(&st);
    assert_int_equal(add(&q, &end, &st), 0);
    input_remove(&q.input, &a.in);
    assert_int_equal(add(&q, &b, &st), 0);
    queue_done(&q);
    free(data);
}

/* A whole round trip through a real process. */
static void
test_cat(void **state)
{
    enum { SIZE = 5000000 };
    struct fixture f;
    struct client c = {0};
    struct process *p;
    struct status st = {0};
    unsigned int order = 0;
    struct note a = {.order = &order};
    struct note end = {.order = &order};
    uint8_t *data = malloc(SIZE);

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 13 + i / 777);
    fixture_init(&f, &fixture_settings);
    p = start(&f, "exec cat");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    a.in = (struct process_input){
        .data = data, .len = SIZE, .ctx = &a, .on_done = on_done};
    end.in = (struct process_input){
        .kind = PROCESS_INPUT_EOF, .ctx = &end, .on_done = on_done};
    assert_int_equal(process_input(p, &a.in, &st), 0);
    assert_int_equal(process_input(p, &end.in, &st), 0);
    run_until(&f, client_at_end, &c);
    assert_true(a.done == 1 && !a.failed && end.done == 1 && !end.failed);
    assert_int_equal(c.bytes, SIZE);
    assert_memory_equal(buf_data(&c.out[PROCESS_STDOUT]), data, SIZE);
    assert_int_equal(c.exit.exit_code, 0);

    /* After the end. */
    assert_int_equal(process_input(p, &end.in, &st), -1);
    assert_string_equal(st.message,
                        "error closing stdin: close |1: file already closed");
    status_done(&st);
    run_for(&f, 10);
    assert_int_equal(process_input(p, &end.in, &st), -1);
    status_done(&st);
    process_input_cancel(&end.in);
    client_done(&c);
    fixture_done(&f);
    free(data);
}

/* What waits when a process is killed fails. */
static void
test_killed(void **state)
{
    enum { SIZE = 500000 };
    struct fixture f;
    struct client c = {0};
    struct process *p;
    struct status st = {0};
    unsigned int order = 0;
    struct note a = {.order = &order};
    struct note b = {.order = &order};
    uint8_t *data = calloc(1, SIZE);

    (void)state;
    assert_non_null(data);
    fixture_init(&f, &fixture_settings);
    p = start(&f, "sleep 1000");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    a.in = (struct process_input){
        .data = data, .len = SIZE, .ctx = &a, .on_done = on_done};
    b.in = a.in;
    b.in.ctx = &b;
    assert_int_equal(process_input(p, &a.in, &st), 0);
    assert_int_equal(process_input(p, &b.in, &st), 0);
    process_input_cancel(&a.in);
    process_input_cancel(&a.in);
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    assert_int_equal(a.done, 0);
    assert_true(b.done == 1 && b.failed);
    client_done(&c);
    fixture_done(&f);
    free(data);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_process_ended),
        cmocka_unit_test(test_wrong_kind),
        cmocka_unit_test(test_no_stdin),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_cat),
        cmocka_unit_test(test_killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
