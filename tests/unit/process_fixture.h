/*
 * For tests of process/: a loop, a table, and readers that note what they are
 * given.
 */
#ifndef TESTS_UNIT_PROCESS_FIXTURE_H
#define TESTS_UNIT_PROCESS_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "loop/loop.h"
#include "process/output.h"
#include "process/process.h"

/* A test that waits longer has failed. */
#define PATIENCE_MS 60000

#define KIB ((size_t)1024)

#define UNUSED __attribute__((unused))

struct fixture {
    struct loop *loop;
    struct process_table *table;
    struct loop_timer tick;
    int fds; /* open before */
};

/* A reader that takes all it is given, unless paused. */
struct client {
    struct process_reader reader;
    struct buf out[3]; /* by source */
    uint64_t next;     /* the offset that must come next */
    uint64_t lost;
    uint64_t bytes;
    unsigned int starts;
    unsigned int ends;
    unsigned int failures;
    unsigned int cuts;
    struct process_exit exit;
    char failure[256];
    bool paused;
    bool forget; /* count bytes only */
    bool at_end;
};

static const struct process_settings fixture_settings = {
    .ring_bytes = 256 * KIB,
    .rings_bytes = 16384 * KIB,
    .processes_max = 256,
    .retained_max = 4096,
    .retained_min = 1024,
    .retain_ms = 600 * 1000,
    .stall_ms = 300,
    .linger_ms = 100,
};

/* Descriptors that are open. */
UNUSED static int
count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

UNUSED static void
fixture_on_tick(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, tick);

    loop_stop(f->loop);
}

UNUSED static void
fixture_init(struct fixture *f, const struct process_settings *set)
{
    (void)signal(SIGPIPE, SIG_IGN);
    *f = (struct fixture){.fds = count_fds()};
    f->loop = loop_new();
    assert_non_null(f->loop);
    f->table = process_table_new(f->loop, set);
    loop_timer_init(f->loop, &f->tick, fixture_on_tick);
}

/* Ends everything, and sees that no descriptor is left open. */
UNUSED static void
fixture_done(struct fixture *f)
{
    loop_timer_cancel(&f->tick);
    process_table_free(f->table);
    loop_free(f->loop);
    assert_int_equal(count_fds(), f->fds);
}

/* Turn the loop until `done`, which is asked every few milliseconds. */
UNUSED static void
run_until(struct fixture *f, bool (*done)(void *ctx), void *ctx)
{
    int64_t end = loop_now_ms() + PATIENCE_MS;

    while (!done(ctx)) {
        assert_true(loop_now_ms() < end);
        loop_timer_set(&f->tick, 5);
        assert_int_equal(loop_run(f->loop), 0);
    }
    loop_timer_cancel(&f->tick);
}

/* Turn the loop for a while. */
UNUSED static void
run_for(struct fixture *f, int64_t ms)
{
    loop_timer_set(&f->tick, ms);
    assert_int_equal(loop_run(f->loop), 0);
}

UNUSED static void
client_note(struct client *c, const struct process_event *e)
{
    assert_true(!c->at_end || e->kind == PROCESS_EVENT_NONE);
    c->lost += e->lost;
    switch (e->kind) {
    case PROCESS_EVENT_NONE:
        return;
    case PROCESS_EVENT_START:
        assert_int_equal(c->starts, 0);
        c->starts++;
        c->next = e->offset;
        return;
    case PROCESS_EVENT_DATA:
        assert_int_equal(c->starts, 1);
        assert_true(e->offset == c->next && e->len > 0);
        c->next += e->len;
        c->bytes += e->len;
        if (!c->forget)
            buf_append(&c->out[e->source], e->data, e->len);
        return;
    case PROCESS_EVENT_END:
        assert_int_equal(c->starts, 1);
        c->ends++;
        c->exit = *e->exit;
        break;
    case PROCESS_EVENT_FAILED:
        assert_int_equal(c->starts, 0);
        c->failures++;
        (void)strncpy(c->failure, status_message(e->failure),
                      sizeof(c->failure) - 1);
        break;
    case PROCESS_EVENT_CUT:
        c->cuts++;
        (void)strncpy(c->failure, status_message(e->failure),
                      sizeof(c->failure) - 1);
        break;
    }
    c->at_end = true;
}

UNUSED static void
client_read(struct client *c, size_t max)
{
    struct process_event e;

    do {
        process_reader_next(&c->reader, max, &e);
        client_note(c, &e);
    } while (e.kind != PROCESS_EVENT_NONE);
}

UNUSED static void
client_on_readable(struct process_reader *r)
{
    struct client *c = r->ctx;

    if (!c->paused)
        client_read(c, SIZE_MAX);
}

UNUSED static void
client_attach(struct client *c, struct process *p, enum process_replay replay,
              uint64_t from)
{
    struct status st = {0};

    c->reader.ctx = c;
    c->reader.on_readable = client_on_readable;
    assert_int_equal(process_attach(p, &c->reader, replay, from, &st), 0);
}

UNUSED static void
client_done(struct client *c)
{
    process_detach(&c->reader);
    for (size_t i = 0; i < ARRAY_LEN(c->out); i++)
        buf_done(&c->out[i]);
}

UNUSED static char *
client_text(struct client *c, enum process_source source)
{
    buf_append_byte(&c->out[source], 0);
    buf_truncate(&c->out[source], c->out[source].len - 1);
    return (char *)buf_data(&c->out[source]);
}

UNUSED static bool
client_at_end(void *ctx)
{
    return ((struct client *)ctx)->at_end;
}

UNUSED static bool
client_started(void *ctx)
{
    return ((struct client *)ctx)->starts > 0;
}

static const char *const fixture_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    NULL,
};

/* What `sh -c SCRIPT` takes; args is filled and borrowed. */
UNUSED static struct spawn_spec
shell(const char *script, const char *args[2])
{
    args[0] = "-c";
    args[1] = script;
    return (struct spawn_spec){
        .cmd = "/bin/sh",
        .args = args,
        .arg_count = 2,
        .env = fixture_env,
        .cwd = "/",
        .uid = geteuid(),
        .gid = getegid(),
        .stdin_open = true,
        .cgroup_fd = -1,
    };
}

UNUSED static struct process *
start_spec(struct fixture *f, const struct spawn_spec *spec, const char *tag,
           int64_t deadline_ms)
{
    SCOPE(status_done) struct status st = {0};
    struct process *p = NULL;
    int r =
        process_start(f->table, spec, tag, deadline_ms, NULL, NULL, &p, &st);

    if (r < 0)
        print_error("%s\n", status_message(&st));
    assert_int_equal(r, 0);
    assert_ptr_equal(process_by_pid(f->table, process_pid(p)), p);
    return p;
}

UNUSED static struct process *
start(struct fixture *f, const char *script)
{
    const char *args[2];
    struct spawn_spec spec = shell(script, args);

    return start_spec(f, &spec, NULL, 0);
}

/* Run a script to its end with one reader. */
UNUSED static void
run_script(struct fixture *f, const char *script, struct client *c)
{
    struct process *p = start(f, script);

    client_attach(c, p, PROCESS_REPLAY_NOW, 0);
    run_until(f, client_at_end, c);
}

#endif
