/*
 * CLOCK_REALTIME against the host's.
 */
#include "guest/clock.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/now.h"
#include "base/scope.h"

static int64_t
real_now_ns(void *ctx)
{
    (void)ctx;
    return clock_now_ns(CLOCK_REALTIME);
}

static int
real_set_ns(void *ctx, int64_t ns)
{
    const struct timespec t = timespec_of_ns(ns);

    (void)ctx;
    return clock_settime(CLOCK_REALTIME, &t) < 0 ? -errno : 0;
}

static const struct clock_ops real_clock = {real_now_ns, real_set_ns, NULL};

static int64_t
delta_of(int64_t guest_ns, int64_t host_ns)
{
    int64_t delta;

    if (ckd_sub(&delta, guest_ns, host_ns))
        delta = guest_ns < host_ns ? INT64_MIN : INT64_MAX;
    return delta;
}

bool
clock_needs_step(int64_t guest_ns, int64_t host_ns)
{
    int64_t delta = delta_of(guest_ns, host_ns);

    return delta < -CLOCK_BEHIND_NS || delta > CLOCK_AHEAD_NS;
}

int
clock_step(const struct clock_ops *ops, int64_t host_ns, int64_t *ret_delta_ns)
{
    int64_t guest_ns;
    int r;

    if (host_ns < 0)
        return -EINVAL;
    if (ops == NULL)
        ops = &real_clock;
    guest_ns = ops->now_ns(ops->ctx);
    if (ret_delta_ns != NULL)
        *ret_delta_ns = delta_of(guest_ns, host_ns);
    if (!clock_needs_step(guest_ns, host_ns))
        return 0;
    r = ops->set_ns(ops->ctx, host_ns);
    return r < 0 ? r : 1;
}
