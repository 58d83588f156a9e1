/*
 * Notices that the wall clock was set: by a time service after a pause, which
 * is how a machine tells that it was resumed when no host says so, or by
 * somebody within.
 *
 * Rule: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
 */
#ifndef ENVD_GUEST_CLOCK_WATCH_H
#define ENVD_GUEST_CLOCK_WATCH_H

#include <stdint.h>

struct clock_watch;
struct loop;

/*
 * The clock was set.
 *
 * moved_ms  how far, in milliseconds; forward when positive
 */
typedef void (*clock_watch_fn)(void *ctx, int64_t moved_ms);

/*
 * Begin to watch.  Costs one descriptor, and nothing while the clock runs as
 * it should.  Returns NULL when the kernel refuses; nothing else depends on it.
 *
 * fn  called on the loop
 */
struct clock_watch *clock_watch_new(struct loop *loop, clock_watch_fn fn,
                                    void *ctx);

/* NULL is fine. */
void clock_watch_free(struct clock_watch *w);

/* We have set the clock ourselves: that is no news.  NULL is fine. */
void clock_watch_expect(struct clock_watch *w);

/*
 * How far the wall clock moved against the clock since boot: for tests.
 *
 * base_ns  the difference of the two when it was last looked at; updated
 * now_ns   the difference now
 *
 * Returns milliseconds, 0 for what is less than one.
 */
int64_t clock_watch_moved(int64_t *base_ns, int64_t now_ns);

#endif
