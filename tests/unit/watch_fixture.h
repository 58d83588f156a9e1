/*
 * A loop, workers and a hub, watchers that write down what they are told, and
 * a small language for what happens in the scratch directory.
 */
#ifndef ENVD_TESTS_WATCH_FIXTURE_H
#define ENVD_TESTS_WATCH_FIXTURE_H

#include "scratch.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "watch/hub.h"
#include "watch/watch.h"

#define FIXTURE_USE __attribute__((unused)) static

struct fixture {
    struct loop *loop;
    struct worker_pool *pool;
    struct watch_hub *hub;
    struct loop_timer tick;
    int fds;
};

/* One watcher and what it said. */
struct listener {
    struct watcher *w;
    struct loop *loop;
    bool opened;
    struct status st;
    struct buf text; /* "CREATE a\n" and so on */
    size_t events;
    size_t readable; /* how often on_readable was called */
    bool idle;       /* does not read */
    void (*on_event)(struct listener *l, const struct watch_event *e);
    void *ctx;
};

static struct fixture fix;

FIXTURE_USE const char *
type_name(enum watch_event_type type)
{
    switch (type) {
    case WATCH_CREATE:
        return "CREATE";
    case WATCH_WRITE:
        return "WRITE";
    case WATCH_REMOVE:
        return "REMOVE";
    case WATCH_RENAME:
        return "RENAME";
    case WATCH_CHMOD:
        return "CHMOD";
    case WATCH_CLOSE_WRITE:
        return "CLOSE_WRITE";
    }
    return "?";
}

FIXTURE_USE void
listener_read(struct listener *l)
{
    struct watch_event e;

    while (watch_next(l->w, &e)) {
        l->events++;
        if (l->on_event != NULL) {
            l->on_event(l, &e);
            continue;
        }
        if (strstr(e.name, "settled-") != NULL)
            continue;
        buf_appendf(&l->text, "%s %s%s\n", type_name(e.type), e.name,
                    e.rescanned ? " *" : "");
    }
}

static void
listener_on_open(struct watcher *w, struct status *st)
{
    struct listener *l = watch_ctx(w);

    assert_false(l->opened);
    l->opened = true;
    if (st != NULL)
        status_move(&l->st, st);
}

static void
listener_on_readable(struct watcher *w)
{
    struct listener *l = watch_ctx(w);

    l->readable++;
    if (!l->idle)
        listener_read(l);
}

static const struct watch_callbacks listener_callbacks = {
    .on_open = listener_on_open,
    .on_readable = listener_on_readable,
};

static void
on_tick(struct loop_timer *t)
{
    (void)t;
    loop_stop(fix.loop);
}

/* Turn the loop for a millisecond. */
FIXTURE_USE void
turn(void)
{
    loop_timer_set(&fix.tick, 1);
    assert_int_equal(loop_run(fix.loop), 0);
}

FIXTURE_USE int
fixture_start(void **state)
{
    if (scratch_make(state) < 0)
        return -1;
    fix.fds = scratch_open_fds();
    fix.loop = loop_new();
    fix.pool = worker_pool_new(fix.loop, 2);
    fix.hub = watch_hub_new(fix.loop, fix.pool);
    loop_timer_init(fix.loop, &fix.tick, on_tick);
    return 0;
}

FIXTURE_USE int
fixture_stop(void **state)
{
    size_t left;

    /* Those of a test that failed. */
    while (!LIST_EMPTY(&fix.hub->watchers))
        watch_close(LIST_FIRST(&fix.hub->watchers));
    left = fix.hub->node_count + fix.hub->dir_count + fix.hub->entry_count +
           fix.hub->queue_bytes;
    loop_run_deferred(fix.loop);
    watch_hub_free(fix.hub);
    worker_pool_free(fix.pool);
    loop_timer_cancel(&fix.tick);
    loop_free(fix.loop);
    if (left != 0 || scratch_open_fds() != fix.fds) {
        print_error("left behind: %zu, %d descriptors\n", left,
                    scratch_open_fds() - fix.fds);
        return -1;
    }
    return scratch_remove(state);
}

FIXTURE_USE void
listener_open(struct listener *l, const char *path,
              const struct watch_options *options)
{
    struct watch_options o =
        options != NULL ? *options : (struct watch_options){.recursive = true};

    o.path = path;
    l->loop = fix.loop;
    l->w = watch_open(fix.hub, &o, &listener_callbacks, l);
    assert_non_null(l->w);
}

FIXTURE_USE void
listener_wait(struct listener *l)
{
    while (!l->opened)
        turn();
}

FIXTURE_USE void
listener_close(struct listener *l)
{
    if (l->w != NULL)
        watch_close(l->w);
    l->w = NULL;
    buf_done(&l->text);
    status_done(&l->st);
}

/* Nothing more is on its way to it. */
FIXTURE_USE bool
is_quiet(const struct listener *l)
{
    const struct watcher *w = l->w;

    return w->scan == NULL && w->todo_count == 0 && !w->list_all && !w->lost &&
           TAILQ_EMPTY(&w->moving) && w->queue.count == 0 && !w->retrying;
}

/* Until all that was done before has been told. */
FIXTURE_USE void
settle(struct listener *l)
{
    uint64_t end;

    for (int quiet = 0; quiet < 2;) {
        end = fix.hub->bytes_read;
        turn();
        hub_drain(fix.hub);
        quiet = is_quiet(l) && fix.hub->bytes_read == end ? quiet + 1 : 0;
    }
}

FIXTURE_USE void
act(const char *command)
{
    char verb[32] = "";
    char a[256] = "";
    char b[256] = "";
    int fd;

    assert_true(sscanf(command, "%31s %255s %255s", verb, a, b) >= 2);
    if (strcmp(verb, "mkdir") == 0) {
        assert_int_equal(mkdir(scratch("%s", a), 0755), 0);
    } else if (strcmp(verb, "touch") == 0) {
        fd = open(scratch("%s", a), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        (void)close(fd);
    } else if (strcmp(verb, "write") == 0 || strcmp(verb, "append") == 0) {
        fd = open(scratch("%s", a), O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND,
                  0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "content", 7), 7);
        (void)close(fd);
    } else if (strcmp(verb, "truncate") == 0) {
        assert_int_equal(truncate(scratch("%s", a), 0), 0);
    } else if (strcmp(verb, "mv") == 0) {
        assert_int_equal(rename(scratch("%s", a), scratch("%s", b)), 0);
    } else if (strcmp(verb, "swap") == 0) {
        assert_int_equal(renameat2(AT_FDCWD, scratch("%s", a), AT_FDCWD,
                                   scratch("%s", b), RENAME_EXCHANGE),
                         0);
    } else if (strcmp(verb, "rm") == 0) {
        assert_int_equal(unlink(scratch("%s", a)), 0);
    } else if (strcmp(verb, "rmdir") == 0) {
        assert_int_equal(rmdir(scratch("%s", a)), 0);
    } else if (strcmp(verb, "ln") == 0) {
        assert_int_equal(link(scratch("%s", a), scratch("%s", b)), 0);
    } else if (strcmp(verb, "symlink") == 0) {
        assert_int_equal(symlink(a, scratch("%s", b)), 0);
    } else if (strcmp(verb, "mkfifo") == 0) {
        assert_int_equal(mkfifo(scratch("%s", a), 0644), 0);
    } else if (strcmp(verb, "chmod") == 0) {
        assert_int_equal(chmod(scratch("%s", a), 0700), 0);
        assert_int_equal(chmod(scratch("%s", a), 0755), 0);
    } else {
        fail_msg("what is %s?", verb);
    }
}

/* Commands separated by "; ". */
FIXTURE_USE void
act_all(const char *commands)
{
    char copy[4096];
    char *save = NULL;

    (void)snprintf(copy, sizeof(copy), "%s", commands);
    for (char *c = strtok_r(copy, ";", &save); c != NULL;
         c = strtok_r(NULL, ";", &save))
        act(c);
}

FIXTURE_USE void
expect_text(struct listener *l, const char *want)
{
    buf_append_byte(&l->text, '\0');
    assert_string_equal((const char *)buf_data(&l->text), want);
    buf_truncate(&l->text, 0);
}

#endif
