/*
 * Pipes and terminals, read into the ring as fast as its readers allow.
 */
#include "process/output.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"

/* Bytes read from one pipe before others get their turn. */
#define TURN_BYTES ((size_t)256 * 1024)

/* What a terminal may hold at the end, where no one can tell. */
#define TERMINAL_DRAIN_BYTES ((int64_t)64 * 1024)

static const char *
source_name(enum process_source source)
{
    switch (source) {
    case PROCESS_STDOUT:
        return "stdout";
    case PROCESS_STDERR:
        return "stderr";
    case PROCESS_PTY:
        return "pty";
    }
    return "output";
}

static bool
pipe_settled(const struct output_pipe *p)
{
    return p->fd < 0 || (p->output->draining && p->drain_left <= 0);
}

bool
output_settled(const struct output *o)
{
    return o->pipes == NULL || (pipe_settled(&o->pipes->pipe[0]) &&
                                pipe_settled(&o->pipes->pipe[1]));
}

bool
output_closed(const struct output *o)
{
    return o->pipes == NULL ||
           (o->pipes->pipe[0].fd < 0 && o->pipes->pipe[1].fd < 0);
}

void
output_fds(const struct output *o, int ret_fds[2])
{
    for (size_t i = 0; i < 2; i++)
        ret_fds[i] = o->pipes != NULL ? o->pipes->pipe[i].fd : -1;
}

static void
pipe_close(struct output_pipe *p)
{
    if (p->fd < 0)
        return;
    loop_io_disarm(&p->io);
    p->held = false;
    fd_close(&p->fd);
}

/* A terminal reports the end of its last user as an I/O error. */
static void
pipe_log_error(const struct output_pipe *p, int err)
{
    struct log_line line;

    if (p->source == PROCESS_PTY && err == EIO)
        return;
    if (!log_begin(&line, LOG_LEVEL_ERROR, "process"))
        return;
    log_u64(&line, "pid", p->output->pid);
    log_str(&line, "error", errno_text(err));
    log_end(&line, "error reading from %s", source_name(p->source));
}

static void
pipe_hold(struct output_pipe *p)
{
    loop_io_disarm(&p->io);
    p->held = true;
    output_check_stall(p->output);
}

/*
 * One read(2) into the ring.  Returns its bytes, or 0 when there is nothing
 * more to read now; *ret_more says whether another one may give something.
 */
static size_t
pipe_read_once(struct output_pipe *p, size_t max, bool *ret_more)
{
    struct output *o = p->output;
    size_t room;
    uint8_t *into = ring_reserve(&o->ring, &room);
    ssize_t n;

    *ret_more = false;
    if (into == NULL) {
        pipe_hold(p);
        return 0;
    }
    room = MIN(room, max);
    n = read(p->fd, into, room);
    if (n < 0 && errno == EINTR) {
        *ret_more = true;
        return 0;
    }
    if (n < 0 && errno == EAGAIN) {
        p->drain_left = 0;
        return 0;
    }
    if (n <= 0) {
        if (n < 0)
            pipe_log_error(p, errno);
        pipe_close(p);
        return 0;
    }
    ring_commit(&o->ring, p->source, (size_t)n);
    o->bytes[p->source] += (uint64_t)n;
    p->drain_left -= n;
    /* A pipe gives less only when it is empty, a terminal gives pieces. */
    *ret_more = (size_t)n == room || p->source == PROCESS_PTY;
    return (size_t)n;
}

/* Read what there is, up to a turn's share. */
static void
pipe_read(struct output_pipe *p)
{
    size_t total = 0;
    bool more = true;

    while (more && total < TURN_BYTES)
        total += pipe_read_once(p, TURN_BYTES - total, &more);
    if (total > 0)
        output_wake(p->output);
}

static void
on_pipe_ready(struct loop_io *io)
{
    struct output_pipe *p = container_of(io, struct output_pipe, io);

    pipe_read(p);
    if (pipe_settled(p) && output_settled(p->output))
        p->output->on_settled(p->output);
}

static void
on_stall(struct loop_timer *t)
{
    struct output_pipes *pipes = container_of(t, struct output_pipes, stall);

    output_check_stall(pipes->pipe[0].output);
}

void
output_init(struct output *o, struct loop *loop, struct ring_pool *pool,
            const struct process_settings *set)
{
    *o = (struct output){.loop = loop, .stall_ms = set->stall_ms};
    ring_init(&o->ring, pool, set->ring_bytes, reader_floor);
    TAILQ_INIT(&o->readers);
}

void
output_done(struct output *o)
{
    assert(TAILQ_EMPTY(&o->readers));
    if (o->pipes != NULL) {
        pipe_close(&o->pipes->pipe[0]);
        pipe_close(&o->pipes->pipe[1]);
    }
    output_trim(o);
    loop_defer_cancel(o->loop, &o->notify);
    ring_done(&o->ring);
    status_done(&o->cut);
}

static struct output_pipes *
pipes_new(struct output *o)
{
    struct output_pipes *pipes = xcalloc(1, sizeof(*pipes));

    for (size_t i = 0; i < ARRAY_LEN(pipes->pipe); i++) {
        pipes->pipe[i].output = o;
        pipes->pipe[i].fd = -1;
    }
    loop_timer_init(o->loop, &pipes->stall, on_stall);
    return pipes;
}

void
output_open(struct output *o, int fd, enum process_source source)
{
    struct output_pipe *p;

    if (o->pipes == NULL)
        o->pipes = pipes_new(o);
    p = &o->pipes->pipe[o->pipes->pipe[0].fd < 0 ? 0 : 1];
    assert(p->fd < 0);
    p->fd = fd;
    p->source = source;
    loop_io_init(o->loop, &p->io, fd, EV_READ, on_pipe_ready);
    loop_io_arm(&p->io);
}

void
output_trim(struct output *o)
{
    if (o->pipes == NULL || !output_closed(o))
        return;
    loop_timer_cancel(&o->pipes->stall);
    free(o->pipes);
    o->pipes = NULL;
}

void
output_start(struct output *o, uint32_t pid)
{
    o->pid = pid;
    o->phase = OUTPUT_STARTED;
    output_wake(o);
}

void
output_end(struct output *o, const struct process_exit *ex)
{
    struct process_reader *r;

    o->exit = ex;
    o->phase = OUTPUT_ENDED;
    TAILQ_FOREACH (r, &o->readers, link) {
        r->end = o->ring.end;
    }
    ring_retire(&o->ring);
    output_wake(o);
}

void
output_fail(struct output *o, const struct status *failure)
{
    o->failure = failure;
    o->phase = OUTPUT_FAILED;
    output_wake(o);
}

void
output_drain(struct output *o)
{
    if (o->draining)
        return;
    o->draining = true;
    for (size_t i = 0; o->pipes != NULL && i < ARRAY_LEN(o->pipes->pipe); i++) {
        struct output_pipe *p = &o->pipes->pipe[i];
        int waiting = 0;

        if (p->fd < 0)
            continue;
        p->drain_left = TERMINAL_DRAIN_BYTES;
        if (p->source != PROCESS_PTY && ioctl(p->fd, FIONREAD, &waiting) == 0)
            p->drain_left = waiting;
        if (!p->held)
            pipe_read(p);
    }
    if (output_settled(o))
        o->on_settled(o);
}

static bool
is_held(const struct output_pipes *pipes)
{
    return pipes != NULL && (pipes->pipe[0].held || pipes->pipe[1].held);
}

void
output_check_stall(struct output *o)
{
    struct output_pipes *pipes = o->pipes;
    int64_t now;
    int64_t due;

    if (!is_held(pipes) || !reader_any_waiting(o)) {
        if (pipes != NULL && pipes->contended_ms != 0) {
            pipes->contended_ms = 0;
            loop_timer_cancel(&pipes->stall);
        }
        return;
    }
    now = loop_now_ms();
    if (pipes->contended_ms == 0)
        pipes->contended_ms = now;
    due = reader_cut_stalled(o, pipes->contended_ms, now);
    if (due != 0)
        loop_timer_set(&pipes->stall, due - now);
    else
        loop_timer_cancel(&pipes->stall);
}

void
output_resume(struct output *o)
{
    struct output_pipes *pipes = o->pipes;

    if (!is_held(pipes) || !ring_has_room(&o->ring))
        return;
    for (size_t i = 0; i < ARRAY_LEN(pipes->pipe); i++) {
        struct output_pipe *p = &pipes->pipe[i];

        if (!p->held)
            continue;
        p->held = false;
        loop_io_arm(&p->io);
    }
    output_check_stall(o);
}

static void
on_notify(struct loop_deferred *d)
{
    struct output *o = container_of(d, struct output, notify);
    struct process_reader *r = TAILQ_FIRST(&o->readers);

    while (r != NULL) {
        o->notify_next = TAILQ_NEXT(r, link);
        if (r->waiting && reader_has_event(o, r)) {
            r->waiting = false;
            r->on_readable(r);
        }
        r = o->notify_next;
    }
}

void
output_wake(struct output *o)
{
    if (TAILQ_EMPTY(&o->readers))
        return;
    o->notify.run = on_notify;
    loop_defer(o->loop, &o->notify);
}
