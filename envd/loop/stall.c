/*
 * The loop writes down what runs; a thread looks whether that goes on.
 *
 * The thread cannot use the log, which is the loop's: it writes to standard
 * error.  The line of the log follows when the turn has ended.
 */
#include "loop/stall.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/loop.h"

/* A turn is told when it goes on at this many looks. */
#define TICKS 5

#define STACK_BYTES (24 * 1024)

static void
futex_wait(atomic_uint *word, unsigned int while_is, const struct timespec *t)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_is, t, NULL, 0);
}

static void
futex_wake(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void
tell(struct stall_watch *s, unsigned int turn)
{
    const char *name = atomic_load_explicit(&s->name, memory_order_relaxed);
    char text[160];
    int len = snprintf(text, sizeof(text),
                       "<4>the loop stands still for %u ms in %s\n",
                       TICKS * s->tick_ms, name);

    atomic_store(&s->stalled_turn, turn);
    if (len > 0)
        log_aside(text, strnlen(text, sizeof(text)));
}

/* Sleep until a turn begins, or the watch ends. */
static void
park(struct stall_watch *s, unsigned int seen)
{
    atomic_store(&s->parked, 1);
    if (atomic_load(&s->turn) == seen && atomic_load(&s->stop) == 0)
        futex_wait(&s->parked, 1, NULL);
    atomic_store(&s->parked, 0);
}

static void *
stall_thread(void *ctx)
{
    struct stall_watch *s = ctx;
    const struct timespec tick = {
        .tv_sec = s->tick_ms / 1000,
        .tv_nsec = (long)(s->tick_ms % 1000) * 1000000,
    };
    unsigned int seen = 0;
    unsigned int ticks = 0;

    while (atomic_load(&s->stop) == 0) {
        unsigned int turn = atomic_load(&s->turn);

        if (turn != seen) {
            seen = turn;
            ticks = 0;
        } else if (turn % 2 == 0) {
            park(s, seen);
            continue;
        } else if (++ticks == TICKS) {
            tell(s, turn);
        }
        futex_wait(&s->stop, 0, &tick);
    }
    return NULL;
}

void
stall_start(struct stall_watch *s, unsigned int tick_ms)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;

    atomic_store(&s->name, "");
    s->tick_ms = tick_ms;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES > PTHREAD_STACK_MIN
                                               ? (size_t)STACK_BYTES
                                               : (size_t)PTHREAD_STACK_MIN);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    s->running = pthread_create(&s->thread, &attr, stall_thread, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
}

void
stall_stop(struct stall_watch *s)
{
    if (!s->running)
        return;
    atomic_store(&s->stop, 1);
    atomic_store(&s->parked, 0);
    futex_wake(&s->stop);
    futex_wake(&s->parked);
    (void)pthread_join(s->thread, NULL);
    s->running = false;
}

void
stall_enter(struct stall_watch *s, const char *name)
{
    atomic_store_explicit(&s->name, name, memory_order_relaxed);
    if (!s->running ||
        atomic_load_explicit(&s->turn, memory_order_relaxed) % 2 != 0)
        return;
    s->begin_ms = loop_now_ms();
    (void)atomic_fetch_add(&s->turn, 1);
    if (atomic_load(&s->parked) != 0) {
        atomic_store(&s->parked, 0);
        futex_wake(&s->parked);
    }
}

/* A turn that was told of has ended. */
static void
account(struct stall_watch *s)
{
    const char *name = atomic_load_explicit(&s->name, memory_order_relaxed);
    int64_t ms = loop_now_ms() - s->begin_ms;
    struct log_line line;

    s->count++;
    if (ms > s->longest_ms) {
        s->longest_ms = ms;
        s->longest = name;
    }
    if (!log_begin(&line, LOG_LEVEL_WARN, "envd"))
        return;
    log_str(&line, "handler", name);
    log_i64(&line, "duration_ms", ms);
    log_end(&line, "The loop stood still");
}

void
stall_leave(struct stall_watch *s)
{
    unsigned int turn = atomic_load_explicit(&s->turn, memory_order_relaxed);

    if (turn % 2 == 0)
        return;
    (void)atomic_fetch_add(&s->turn, 1);
    if (atomic_load_explicit(&s->stalled_turn, memory_order_relaxed) == turn)
        account(s);
}
