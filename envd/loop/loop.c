/*
 * One turn after the other: wait, run what is ready, then what was deferred,
 * then some of the bulk work.
 */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "limits.h"
#include "loop/stall.h"

#define TEN_YEARS_MS (10LL * 365 * 24 * 3600 * 1000)

TAILQ_HEAD(deferred_list, loop_deferred);
TAILQ_HEAD(slack_list, loop_slack);

struct loop {
    struct event_base *base;
    struct deferred_list end_of_turn;
    struct stall_watch stall;
    unsigned int stall_ms; /* 0: not watched */
    struct slack_list slack;
    bool stop;
};

/* The loop of this thread that runs: its handlers get nothing but themselves.
 */
static _Thread_local struct loop *running;

static void
enter(const char *name)
{
    if (running != NULL)
        stall_enter(&running->stall, name);
}

struct loop *
loop_new(void)
{
    struct event_config *config = event_config_new();
    struct loop *l = xcalloc(1, sizeof(*l));

    TAILQ_INIT(&l->end_of_turn);
    TAILQ_INIT(&l->slack);
    if (config != NULL) {
        /* The loop has one thread; workers wake it through an eventfd. */
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
                                                EVENT_BASE_FLAG_IGNORE_ENV);
        l->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    if (l->base == NULL) {
        free(l);
        return NULL;
    }
    return l;
}

void
loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    event_base_free(l->base);
    libevent_global_shutdown();
    free(l);
}

void
loop_run_deferred(struct loop *l)
{
    struct loop_deferred *d;

    while ((d = TAILQ_FIRST(&l->end_of_turn)) != NULL) {
        TAILQ_REMOVE(&l->end_of_turn, d, link);
        d->queued = false;
        enter("the end of a turn");
        d->run(d);
    }
}

static void
run_slack(struct loop *l)
{
    int64_t end = clock_now_ns(CLOCK_MONOTONIC) + LOOP_SLACK_NS;
    struct loop_slack *s;

    while ((s = TAILQ_FIRST(&l->slack)) != NULL) {
        loop_slack_cancel(l, s);
        s->run(s);
        if (clock_now_ns(CLOCK_MONOTONIC) >= end)
            break;
    }
    loop_run_deferred(l);
}

int
loop_run(struct loop *l)
{
    int r = 0;

    l->stop = false;
    running = l;
    if (l->stall_ms > 0)
        stall_start(&l->stall, MAX(l->stall_ms / 5, 1U));
    enter("the first turn");
    loop_run_deferred(l);
    stall_leave(&l->stall);
    while (!l->stop && r == 0) {
        int wait = TAILQ_EMPTY(&l->slack) ? EVLOOP_ONCE : EVLOOP_NONBLOCK;

        if (event_base_loop(l->base, wait | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
            r = -EIO;
        else
            loop_run_deferred(l);
        if (!TAILQ_EMPTY(&l->slack))
            run_slack(l);
        stall_leave(&l->stall);
    }
    stall_stop(&l->stall);
    running = NULL;
    return r;
}

void
loop_watch_stalls(struct loop *l, unsigned int ms)
{
    l->stall_ms = ms > 0 ? ms : LIMIT_STALL_MS;
}

struct loop_stalls
loop_stalls(const struct loop *l)
{
    return (struct loop_stalls){l->stall.count, l->stall.longest_ms,
                                l->stall.longest};
}

void
loop_note(struct loop *l, const char *name)
{
    stall_enter(&l->stall, name);
}

void
loop_stop(struct loop *l)
{
    l->stop = true;
}

int64_t
loop_now_ms(void)
{
    return clock_now_ms(CLOCK_MONOTONIC);
}

void
loop_defer(struct loop *l, struct loop_deferred *d)
{
    if (d->queued)
        return;
    d->queued = true;
    TAILQ_INSERT_TAIL(&l->end_of_turn, d, link);
}

void
loop_defer_cancel(struct loop *l, struct loop_deferred *d)
{
    if (!d->queued)
        return;
    d->queued = false;
    TAILQ_REMOVE(&l->end_of_turn, d, link);
}

void
loop_slack_queue(struct loop *l, struct loop_slack *s)
{
    if (s->queued)
        return;
    s->queued = true;
    TAILQ_INSERT_TAIL(&l->slack, s, link);
}

void
loop_slack_cancel(struct loop *l, struct loop_slack *s)
{
    if (!s->queued)
        return;
    s->queued = false;
    TAILQ_REMOVE(&l->slack, s, link);
}

static void
on_io_event(evutil_socket_t fd, short events, void *ctx)
{
    struct loop_io *io = ctx;

    (void)fd;
    (void)events;
    enter(io->name);
    io->on_ready(io);
}

void
loop_io_init_as(struct loop *l, struct loop_io *io, int fd, short events,
                void (*on_ready)(struct loop_io *io), const char *name)
{
    io->name = name;
    io->on_ready = on_ready;
    io->armed = false;
    (void)event_assign(&io->ev, l->base, fd, (short)(events | EV_PERSIST),
                       on_io_event, io);
}

void
loop_io_arm(struct loop_io *io)
{
    if (io->armed)
        return;
    io->armed = event_add(&io->ev, NULL) == 0;
}

void
loop_io_disarm(struct loop_io *io)
{
    if (!io->armed)
        return;
    io->armed = false;
    (void)event_del(&io->ev);
}

static void
on_timer_event(evutil_socket_t fd, short events, void *ctx)
{
    struct loop_timer *t = ctx;

    (void)fd;
    (void)events;
    enter(t->name);
    t->on_time(t);
}

void
loop_timer_init_as(struct loop *l, struct loop_timer *t,
                   void (*on_time)(struct loop_timer *t), const char *name)
{
    t->name = name;
    t->on_time = on_time;
    (void)evtimer_assign(&t->ev, l->base, on_timer_event, t);
}

void
loop_timer_set(struct loop_timer *t, int64_t ms)
{
    struct timeval tv;

    ms = MAX(ms, (int64_t)0);
    ms = MIN(ms, (int64_t)TEN_YEARS_MS);
    tv.tv_sec = ms / 1000;
    tv.tv_usec = ms % 1000 * 1000;
    (void)evtimer_add(&t->ev, &tv);
}

void
loop_timer_cancel(struct loop_timer *t)
{
    (void)evtimer_del(&t->ev);
}

static void
on_signal_event(evutil_socket_t fd, short events, void *ctx)
{
    struct loop_signal *s = ctx;

    (void)fd;
    (void)events;
    enter("a signal");
    s->on_signal(s);
}

void
loop_signal_init(struct loop *l, struct loop_signal *s, int signum,
                 void (*on_signal)(struct loop_signal *s))
{
    s->on_signal = on_signal;
    (void)evsignal_assign(&s->ev, l->base, signum, on_signal_event, s);
    (void)evsignal_add(&s->ev, NULL);
}

void
loop_signal_done(struct loop_signal *s)
{
    (void)evsignal_del(&s->ev);
}
