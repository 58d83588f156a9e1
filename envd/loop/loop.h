/*
 * The event loop: descriptors, timers, signals and work put off to the end of
 * the turn.  One thread turns it and owns everything that hangs on it; only
 * loop/ sees libevent.
 */
#ifndef ENVD_LOOP_LOOP_H
#define ENVD_LOOP_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct loop;

/* Returns NULL when the kernel refuses what it needs (errno is set). */
struct loop *loop_new(void);

/* Free it; every watcher, timer and signal must have been removed before. */
void loop_free(struct loop *l);

/*
 * Turn until loop_stop().  Each turn: wait, run what is ready, then run what
 * was deferred (also what is deferred meanwhile).  Returns 0 or -errno.
 */
int loop_run(struct loop *l);

/* End loop_run() after this turn. */
void loop_stop(struct loop *l);

/* Turns that stood still; see loop/stall.h. */
struct loop_stalls {
    uint64_t count;
    int64_t longest_ms;
    const char *longest; /* what ran then; NULL: there were none */
};

/*
 * Have turns told that last LIMIT_STALL_MS, from the next loop_run() on.
 *
 * ms  another time, for tests; 0 for that one
 */
void loop_watch_stalls(struct loop *l, unsigned int ms);

struct loop_stalls loop_stalls(const struct loop *l);

/*
 * What runs now, in more detail than the name of its function: for the line of
 * a stall.  Holds until something else runs.  `name` is never freed.
 */
void loop_note(struct loop *l, const char *name);

/* Milliseconds of CLOCK_MONOTONIC, read anew at each call. */
int64_t loop_now_ms(void);

/*
 * Work at the end of the turn.  Embed it, zero-initialised; it is queued at
 * most once.  Objects free themselves this way, so that nothing is freed
 * beneath a caller's feet.
 */
struct loop_deferred {
    TAILQ_ENTRY(loop_deferred) link;
    void (*run)(struct loop_deferred *d);
    bool queued;
};

/* Queue it; a second call before it ran changes nothing. */
void loop_defer(struct loop *l, struct loop_deferred *d);

/* Run what is queued, outside of a turn: when the loop has ended. */
void loop_run_deferred(struct loop *l);

/* Take it off the queue again; nothing happens when it is not there. */
void loop_defer_cancel(struct loop *l, struct loop_deferred *d);

/*
 * Work of the lowest rank: bulk that is nobody's answer.  Embed it,
 * zero-initialised; it is queued at most once.  Behind all that is ready and
 * deferred, a turn runs what is queued, first come first served, for about
 * LOOP_SLACK_NS; the rest waits for the next turn, so that everything else
 * comes in between.  A piece is to be short: it is never interrupted.  `run`
 * may queue itself again, and may free its object.
 */
#define LOOP_SLACK_NS 500000

struct loop_slack {
    TAILQ_ENTRY(loop_slack) link;
    void (*run)(struct loop_slack *s);
    bool queued;
};

void loop_slack_queue(struct loop *l, struct loop_slack *s);
void loop_slack_cancel(struct loop *l, struct loop_slack *s);

/* A descriptor watched for readiness; embed it. */
struct loop_io {
    struct event ev;
    void (*on_ready)(struct loop_io *io);
    const char *name; /* of that function */
    bool armed;
};

/*
 * Prepare watching `fd` (borrowed, non-blocking).  `events` is EV_READ,
 * EV_WRITE or EV_CLOSED, with EV_ET for edges.  It stays unarmed until
 * loop_io_arm(); armed it calls on_ready at each readiness until disarmed.
 */
#define loop_io_init(l, io, fd, events, on_ready) \
    loop_io_init_as(l, io, fd, events, on_ready, #on_ready)
void loop_io_init_as(struct loop *l, struct loop_io *io, int fd, short events,
                     void (*on_ready)(struct loop_io *io), const char *name);
void loop_io_arm(struct loop_io *io);
void loop_io_disarm(struct loop_io *io); /* before the fd is closed */

/* In on_ready: which of EV_READ and EV_WRITE it is ready for. */
static inline short
loop_io_ready(const struct loop_io *io)
{
    return io->ev.ev_res;
}

/* A timer, one shot; embed it. */
struct loop_timer {
    struct event ev;
    void (*on_time)(struct loop_timer *t);
    const char *name; /* of that function */
};

#define loop_timer_init(l, t, on_time) \
    loop_timer_init_as(l, t, on_time, #on_time)
void loop_timer_init_as(struct loop *l, struct loop_timer *t,
                        void (*on_time)(struct loop_timer *t),
                        const char *name);

/* Fire once, `ms` milliseconds (clamped to 0 and ten years) from now. */
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_cancel(struct loop_timer *t);

/* A signal handled on the loop; embed it. */
struct loop_signal {
    struct event ev;
    void (*on_signal)(struct loop_signal *s);
};

void loop_signal_init(struct loop *l, struct loop_signal *s, int signum,
                      void (*on_signal)(struct loop_signal *s));
void loop_signal_done(struct loop_signal *s);

#endif
