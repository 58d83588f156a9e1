/*
 * A watch over the loop: a turn that lasts long is told while it does, and
 * counted when it ends.
 *
 * A thread with a tiny stack counts seconds of its own sleep while a turn goes
 * on: time in which the machine stood still, or had no processor for us, does
 * not count.  It sleeps without any timeout while the loop is idle.
 */
#ifndef ENVD_LOOP_STALL_H
#define ENVD_LOOP_STALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Of one loop; embedded in it. */
struct stall_watch {
    atomic_uint turn;           /* odd while one goes on */
    atomic_uint parked;         /* the thread sleeps until a turn begins */
    atomic_uint stop;           /* the thread ends */
    _Atomic(const char *) name; /* of what runs */
    atomic_uint stalled_turn;   /* the one that was told last */
    unsigned int tick_ms;       /* LIMIT_STALL_MS in so many pieces of five */
    bool running;               /* the thread exists */
    pthread_t thread;
    int64_t begin_ms;    /* of the turn */
    uint64_t count;      /* turns that were told of */
    int64_t longest_ms;  /* of those */
    const char *longest; /* what it was that ran then */
};

/*
 * Begin to watch; without a thread to be had nothing is watched.
 *
 * tick_ms  a fifth of the time after which a turn is told
 */
void stall_start(struct stall_watch *s, unsigned int tick_ms);

/* End it; may be called when it has not begun. */
void stall_stop(struct stall_watch *s);

/* Something begins to run, in this turn or as the first of one. */
void stall_enter(struct stall_watch *s, const char *name);

/* The turn has ended. */
void stall_leave(struct stall_watch *s);

#endif
