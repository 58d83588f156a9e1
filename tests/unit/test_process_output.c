/*
 * Readers over pipes without processes: cursors, replay, bounds, cuts.
 */
#include "process_fixture.h"

#include <fcntl.h>
#include <stdio.h>

#include "limits.h"
#include "process/exit.h"
#include "process/output.h"

/* An output and the write ends of its pipes. */
struct source {
    struct fixture f;
    struct ring_pool pool;
    struct output output;
    struct process_exit ex;
    int fd[2]; /* of stdout and stderr */
    unsigned int settled;
};

/* A reader of an output that belongs to no process. */
struct cursor {
    struct process_reader reader;
    struct source *source;
    unsigned int calls;
};

static void
on_settled(struct output *o)
{
    container_of(o, struct source, output)->settled++;
}

static void
source_init(struct source *s, const struct process_settings *set)
{
    (void)memset(s, 0, sizeof(*s));
    fixture_init(&s->f, set);
    ring_pool_init(&s->pool, set->rings_bytes);
    output_init(&s->output, s->f.loop, &s->pool, set);
    s->output.on_settled = on_settled;
    for (int i = 0; i < 2; i++) {
        int fd[2];

        assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
        output_open(&s->output, fd[0],
                    i == 0 ? PROCESS_STDOUT : PROCESS_STDERR);
        s->fd[i] = fd[1];
    }
    output_start(&s->output, 42);
}

static void
source_close(struct source *s, int i)
{
    if (s->fd[i] >= 0)
        (void)close(s->fd[i]);
    s->fd[i] = -1;
}

static void
source_done(struct source *s)
{
    source_close(s, 0);
    source_close(s, 1);
    output_done(&s->output);
    assert_int_equal(s->pool.bytes, 0);
    fixture_done(&s->f);
}

/* Write a text and let it be read. */
static void
say(struct source *s, int i, const char *text)
{
    uint64_t end = s->output.ring.end + strlen(text);

    assert_int_equal(write(s->fd[i], text, strlen(text)), strlen(text));
    while (s->output.ring.end < end)
        run_for(&s->f, 0);
}

/* Write until the pipe is full and stays so; returns the bytes. */
static uint64_t
flood(struct source *s, int i)
{
    static const char chunk[4096] = {0};
    uint64_t total = 0;
    int full = 0;

    while (full < 3) {
        ssize_t n = write(s->fd[i], chunk, sizeof(chunk));

        if (n > 0) {
            total += (uint64_t)n;
            full = 0;
        } else {
            full++;
            run_for(&s->f, 0);
        }
    }
    return total;
}

static void
on_readable(struct process_reader *r)
{
    container_of(r, struct cursor, reader)->calls++;
}

static void
attach(struct source *s, struct cursor *c, enum process_replay replay,
       uint64_t from)
{
    struct status st = {0};

    *c = (struct cursor){.source = s};
    c->reader.on_readable = on_readable;
    assert_int_equal(reader_attach(&s->output, &c->reader, replay, from, &st),
                     0);
    assert_int_equal(c->calls, 0);
}

static void
detach(struct cursor *c)
{
    reader_detach(&c->source->output, &c->reader);
}

static struct process_event
next(struct cursor *c, size_t max)
{
    struct process_event e;

    reader_next(&c->source->output, &c->reader, max, &e);
    return e;
}

static void
expect_kind(struct cursor *c, enum process_event_kind kind)
{
    assert_int_equal(next(c, SIZE_MAX).kind, kind);
}

static void
expect_start(struct cursor *c, uint64_t offset, uint64_t lost)
{
    struct process_event e = next(c, SIZE_MAX);

    assert_int_equal(e.kind, PROCESS_EVENT_START);
    assert_int_equal(e.pid, 42);
    assert_int_equal(e.offset, offset);
    assert_int_equal(e.lost, lost);
}

static void
expect_data(struct cursor *c, size_t max, enum process_source source,
            const char *text, uint64_t offset)
{
    struct process_event e = next(c, max);

    assert_int_equal(e.kind, PROCESS_EVENT_DATA);
    assert_int_equal(e.source, source);
    assert_int_equal(e.offset, offset);
    assert_int_equal(e.lost, 0);
    assert_int_equal(e.len, strlen(text));
    assert_memory_equal(e.data, text, e.len);
}

static void
test_cursor(void **state)
{
    struct source s;
    struct cursor c;

    (void)state;
    source_init(&s, &fixture_settings);
    attach(&s, &c, PROCESS_REPLAY_NOW, 0);
    run_for(&s.f, 1);
    assert_int_equal(c.calls, 1);
    expect_start(&c, 0, 0);
    expect_kind(&c, PROCESS_EVENT_NONE);
    say(&s, 0, "one");
    assert_int_equal(c.calls, 2);
    say(&s, 0, "two");
    say(&s, 1, "ERR");
    say(&s, 0, "three");
    /* Told once, until it has taken everything. */
    assert_int_equal(c.calls, 2);
    expect_data(&c, 2, PROCESS_STDOUT, "on", 0);
    expect_data(&c, SIZE_MAX, PROCESS_STDOUT, "etwo", 2);
    expect_data(&c, SIZE_MAX, PROCESS_STDERR, "ERR", 6);
    expect_data(&c, 100, PROCESS_STDOUT, "three", 9);
    expect_kind(&c, PROCESS_EVENT_NONE);
    say(&s, 1, "x");
    assert_int_equal(c.calls, 3);
    expect_data(&c, 100, PROCESS_STDERR, "x", 14);
    assert_int_equal(s.output.bytes[PROCESS_STDOUT], 11);
    assert_int_equal(s.output.bytes[PROCESS_STDERR], 4);
    detach(&c);
    source_done(&s);
}

static void
test_replay(void **state)
{
    struct source s;
    struct cursor a;
    struct cursor b;

    (void)state;
    source_init(&s, &fixture_settings);
    say(&s, 0, "early");
    /* The first reader gets what nobody has seen. */
    attach(&s, &a, PROCESS_REPLAY_RESUME, 0);
    expect_start(&a, 0, 0);
    expect_data(&a, 3, PROCESS_STDOUT, "ear", 0);
    /* With another one attached resuming means: from now on. */
    attach(&s, &b, PROCESS_REPLAY_RESUME, 0);
    expect_start(&b, 5, 0);
    detach(&b);
    detach(&a);
    attach(&s, &b, PROCESS_REPLAY_RESUME, 0);
    expect_start(&b, 3, 0);
    expect_data(&b, 9, PROCESS_STDOUT, "ly", 3);
    detach(&b);
    attach(&s, &a, PROCESS_REPLAY_ALL, 0);
    expect_start(&a, 0, 0);
    expect_data(&a, 9, PROCESS_STDOUT, "early", 0);
    attach(&s, &b, PROCESS_REPLAY_FROM, 4);
    expect_start(&b, 4, 0);
    expect_data(&b, 9, PROCESS_STDOUT, "y", 4);
    detach(&b);
    attach(&s, &b, PROCESS_REPLAY_FROM, 99);
    expect_start(&b, 5, 0);
    detach(&b);
    attach(&s, &b, PROCESS_REPLAY_NOW, 0);
    expect_start(&b, 5, 0);
    expect_kind(&b, PROCESS_EVENT_NONE);
    detach(&b);
    detach(&a);
    source_done(&s);
}

static void
test_lost_is_counted(void **state)
{
    struct source s;
    struct cursor c;
    uint64_t begin;
    uint64_t total = 0;

    (void)state;
    source_init(&s, &fixture_settings);
    attach(&s, &c, PROCESS_REPLAY_NOW, 0);
    say(&s, 0, "seen");
    expect_start(&c, 0, 0);
    expect_data(&c, 99, PROCESS_STDOUT, "seen", 0);
    detach(&c);
    while (total < 1000000) {
        say(&s, total % 2 != 0, "0123456789abcde");
        total += 15;
    }
    begin = s.output.ring.begin;
    assert_true(begin > 4 && s.output.ring.end - begin <= 256 * KIB);
    /* Small pieces of two sources in turn cost room. */
    assert_true(s.output.ring.end - begin >= 64 * KIB);
    attach(&s, &c, PROCESS_REPLAY_RESUME, 0);
    expect_start(&c, begin, begin - 4);
    detach(&c);
    attach(&s, &c, PROCESS_REPLAY_ALL, 0);
    expect_start(&c, begin, begin);
    detach(&c);
    attach(&s, &c, PROCESS_REPLAY_FROM, begin + 1);
    expect_start(&c, begin + 1, 0);
    detach(&c);
    source_done(&s);
}

static void
test_end_after_all_data(void **state)
{
    struct source s;
    struct cursor early;
    struct cursor late;

    (void)state;
    source_init(&s, &fixture_settings);
    attach(&s, &early, PROCESS_REPLAY_NOW, 0);
    expect_start(&early, 0, 0);
    say(&s, 0, "out");
    source_close(&s, 0);
    run_for(&s.f, 5);
    assert_int_equal(s.settled, 0);
    say(&s, 1, "err");
    source_close(&s, 1);
    run_for(&s.f, 5);
    assert_int_equal(s.settled, 1);
    assert_true(output_closed(&s.output) && output_settled(&s.output));
    output_trim(&s.output);
    process_exit_set(&s.ex, 3 << 8, &(struct rusage){0}, false);
    output_end(&s.output, &s.ex);
    expect_data(&early, 99, PROCESS_STDOUT, "out", 0);
    expect_data(&early, 99, PROCESS_STDERR, "err", 3);
    assert_int_equal(next(&early, 99).exit->exit_code, 3);
    expect_kind(&early, PROCESS_EVENT_NONE);
    attach(&s, &late, PROCESS_REPLAY_NOW, 0);
    run_for(&s.f, 1);
    assert_int_equal(late.calls, 1);
    expect_start(&late, 6, 0);
    expect_kind(&late, PROCESS_EVENT_END);
    detach(&early);
    detach(&late);
    source_done(&s);
}

/* Draining waits for what is in the pipes, not for their end. */
static void
test_drain(void **state)
{
    struct source s;
    struct cursor c;

    (void)state;
    source_init(&s, &fixture_settings);
    attach(&s, &c, PROCESS_REPLAY_NOW, 0);
    assert_int_equal(write(s.fd[0], "left", 4), 4);
    output_drain(&s.output);
    assert_int_equal(s.settled, 1);
    assert_true(output_settled(&s.output));
    assert_false(output_closed(&s.output));
    output_end(&s.output, &s.ex);
    /* What comes later is kept, but not part of what ended. */
    say(&s, 1, "later");
    expect_start(&c, 0, 0);
    expect_data(&c, 99, PROCESS_STDOUT, "left", 0);
    expect_kind(&c, PROCESS_EVENT_END);
    detach(&c);
    attach(&s, &c, PROCESS_REPLAY_RESUME, 0);
    expect_start(&c, 4, 0);
    expect_data(&c, 99, PROCESS_STDERR, "later", 4);
    expect_kind(&c, PROCESS_EVENT_END);
    detach(&c);
    source_done(&s);
}

/* With a slow reader the drain goes on as it makes room. */
static void
test_drain_waits_for_reader(void **state)
{
    struct source s;
    struct cursor c;
    struct process_event e;
    uint64_t total;
    uint64_t got = 0;

    (void)state;
    source_init(&s, &fixture_settings);
    attach(&s, &c, PROCESS_REPLAY_NOW, 0);
    expect_start(&c, 0, 0);
    total = flood(&s, 0);
    assert_true(total > s.output.ring.end);
    output_drain(&s.output);
    run_for(&s.f, 5);
    assert_int_equal(s.settled, 0);
    while (got < total) {
        e = next(&c, 1000);
        if (e.kind == PROCESS_EVENT_NONE)
            run_for(&s.f, 1);
        got += e.len;
        if (got < s.output.ring.bytes_max / 8)
            assert_int_equal(s.settled, 0);
    }
    run_for(&s.f, 1);
    assert_true(s.settled > 0 && output_settled(&s.output));
    detach(&c);
    source_done(&s);
}

/* Alone, a reader may take its time; memory stays what it is. */
static void
test_lone_reader_is_not_cut(void **state)
{
    struct process_settings set = fixture_settings;
    struct source s;
    struct cursor c;
    uint64_t total;
    uint64_t got = 0;

    (void)state;
    set.stall_ms = 20;
    source_init(&s, &set);
    attach(&s, &c, PROCESS_REPLAY_NOW, 0);
    total = flood(&s, 0);
    run_for(&s.f, 100);
    assert_true(s.pool.bytes <= set.ring_bytes);
    expect_start(&c, 0, 0);
    while (got < total) {
        struct process_event e = next(&c, SIZE_MAX);

        assert_int_equal(e.lost, 0);
        if (e.kind == PROCESS_EVENT_NONE)
            run_for(&s.f, 1);
        else
            assert_int_equal(e.kind, PROCESS_EVENT_DATA);
        got += e.len;
    }
    assert_int_equal(got, total);
    detach(&c);
    source_done(&s);
}

static void
test_cut(void **state)
{
    struct process_settings set = fixture_settings;
    struct source s;
    struct cursor slow;
    struct cursor quick;
    struct process_event e;
    uint64_t held;
    char text[128];

    (void)state;
    set.stall_ms = 50;
    source_init(&s, &set);
    attach(&s, &slow, PROCESS_REPLAY_NOW, 0);
    attach(&s, &quick, PROCESS_REPLAY_NOW, 0);
    expect_start(&slow, 0, 0);
    expect_start(&quick, 0, 0);
    (void)flood(&s, 0);
    e = next(&slow, 5);
    assert_int_equal(e.len, 5);
    held = s.output.ring.end;
    /* Not while the other one has something to do. */
    run_for(&s.f, 150);
    assert_false(slow.reader.cut);
    assert_int_equal(s.output.ring.end, held);
    while (next(&quick, SIZE_MAX).kind == PROCESS_EVENT_DATA)
        continue;
    while (s.output.ring.end == held)
        run_for(&s.f, 5);
    assert_true(slow.reader.cut && !quick.reader.cut);
    assert_int_equal(slow.calls, 2);
    e = next(&slow, SIZE_MAX);
    assert_int_equal(e.kind, PROCESS_EVENT_CUT);
    assert_int_equal(e.failure->code, RPC_RESOURCE_EXHAUSTED);
    (void)snprintf(text, sizeof(text),
                   "reader made no progress for 50 ms while others waited: "
                   "output continues at offset 5");
    assert_string_equal(e.failure->message, text);
    expect_kind(&slow, PROCESS_EVENT_NONE);
    detach(&slow);
    detach(&quick);
    source_done(&s);
}

/* Slow is not stalled: whoever takes something in time is not cut. */
static void
test_progress_is_not_cut(void **state)
{
    struct process_settings set = fixture_settings;
    struct source s;
    struct cursor slow;
    struct cursor quick;

    (void)state;
    set.stall_ms = 1000;
    source_init(&s, &set);
    attach(&s, &slow, PROCESS_REPLAY_NOW, 0);
    attach(&s, &quick, PROCESS_REPLAY_NOW, 0);
    (void)flood(&s, 0);
    while (next(&quick, SIZE_MAX).kind != PROCESS_EVENT_NONE)
        continue;
    for (int i = 0; i < 150; i++) {
        assert_int_not_equal(next(&slow, 1).kind, PROCESS_EVENT_NONE);
        run_for(&s.f, 10);
        assert_false(slow.reader.cut);
    }
    detach(&slow);
    detach(&quick);
    source_done(&s);
}

/* A held pipe goes on when the one who held it leaves. */
static void
test_detach_releases(void **state)
{
    struct source s;
    struct cursor c;
    uint64_t held;

    (void)state;
    source_init(&s, &fixture_settings);
    attach(&s, &c, PROCESS_REPLAY_NOW, 0);
    (void)flood(&s, 0);
    (void)flood(&s, 1);
    held = s.output.ring.end;
    run_for(&s.f, 10);
    assert_int_equal(s.output.ring.end, held);
    detach(&c);
    while (s.output.bytes[PROCESS_STDERR] == 0)
        run_for(&s.f, 1);
    source_done(&s);
}

/* Readers that leave and come while readers are being told. */
#define VICTIMS 3
static struct cursor *victims[VICTIMS];

static void
on_readable_leave(struct process_reader *r)
{
    (void)r;
    for (size_t i = 0; i < VICTIMS; i++) {
        if (victims[i] != NULL)
            detach(victims[i]);
        victims[i] = NULL;
    }
}

static void
test_leave_while_told(void **state)
{
    struct source s;
    struct cursor c[4];

    (void)state;
    source_init(&s, &fixture_settings);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        attach(&s, &c[i], PROCESS_REPLAY_NOW, 0);
    c[0].reader.on_readable = on_readable_leave;
    for (size_t i = 0; i < VICTIMS; i++)
        victims[i] = &c[i];
    run_for(&s.f, 1);
    assert_int_equal(c[1].calls, 0);
    assert_int_equal(c[2].calls, 0);
    assert_int_equal(c[3].calls, 1);
    assert_int_equal(s.output.reader_count, 1);
    detach(&c[3]);
    source_done(&s);
}

static void
test_readers_bounded(void **state)
{
    struct source s;
    struct cursor *c = xcalloc(LIMIT_PROCESS_READERS, sizeof(*c));
    struct cursor more = {0};
    struct status st = {0};

    (void)state;
    source_init(&s, &fixture_settings);
    for (size_t i = 0; i < LIMIT_PROCESS_READERS; i++)
        attach(&s, &c[i], PROCESS_REPLAY_NOW, 0);
    assert_int_equal(
        reader_attach(&s.output, &more.reader, PROCESS_REPLAY_NOW, 0, &st), -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    status_done(&st);
    for (size_t i = 0; i < LIMIT_PROCESS_READERS; i++)
        detach(&c[i]);
    source_done(&s);
    free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_lost_is_counted),
        cmocka_unit_test(test_end_after_all_data),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_waits_for_reader),
        cmocka_unit_test(test_lone_reader_is_not_cut),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_progress_is_not_cut),
        cmocka_unit_test(test_detach_releases),
        cmocka_unit_test(test_leave_while_told),
        cmocka_unit_test(test_readers_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
