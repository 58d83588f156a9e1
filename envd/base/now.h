/*
 * Clocks as one number.
 */
#ifndef ENVD_BASE_NOW_H
#define ENVD_BASE_NOW_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL

/* What a clock of the kernel's shows, in ns.  Rule: clock_gettime(2). */
static inline int64_t
clock_now_ns(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The same in ms. */
static inline int64_t
clock_now_ms(clockid_t clock)
{
    return clock_now_ns(clock) / NS_PER_MS;
}

#endif
