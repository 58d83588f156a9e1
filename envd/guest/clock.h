/*
 * The wall clock after a pause: stepped to the host's when it is off by too
 * much, and left to the time service of the guest otherwise.
 */
#ifndef ENVD_GUEST_CLOCK_H
#define ENVD_GUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds behind and ahead of the host that are still left alone. */
#define CLOCK_BEHIND_NS (50LL * 1000 * 1000)
#define CLOCK_AHEAD_NS  (5LL * 1000 * 1000 * 1000)

/* The clock itself, which tests replace. */
struct clock_ops {
    int64_t (*now_ns)(void *ctx);         /* since the epoch */
    int (*set_ns)(void *ctx, int64_t ns); /* 0 or -errno */
    void *ctx;
};

/*
 * Whether a guest's clock is more than CLOCK_BEHIND_NS behind the host's, or
 * more than CLOCK_AHEAD_NS ahead of it; both ns since the epoch.  Context: any.
 */
bool clock_needs_step(int64_t guest_ns, int64_t host_ns);

/*
 * Set the clock to the host's if it needs a step.
 *
 * ops        borrowed for the call; NULL is CLOCK_REALTIME
 * host_ns    ns since the epoch
 * ret_delta  guest minus host before, ns (clamped); may be NULL
 *
 * Returns 1 when it was set, 0 when that was not needed, or -errno (-EINVAL
 * for a time before the epoch).  Nothing waits: on the loop, too.
 */
int clock_step(const struct clock_ops *ops, int64_t host_ns,
               int64_t *ret_delta_ns);

#endif
