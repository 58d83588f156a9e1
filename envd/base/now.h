/*
 * Clocks, and spans of time, as one number.
 */
#ifndef ENVD_BASE_NOW_H
#define ENVD_BASE_NOW_H

#include <stdint.h>
#include <sys/time.h>
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

/* ns, not negative, in the kernel's form. */
static inline struct timespec
timespec_of_ns(int64_t ns)
{
    return (struct timespec){(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
}

/* When it will be `ms` later by that clock: an end of waiting. */
static inline struct timespec
clock_in_ms(clockid_t clock, int64_t ms)
{
    return timespec_of_ns(clock_now_ns(clock) + ms * NS_PER_MS);
}

/* Time spent, in microseconds.  Rule: getrusage(2). */
static inline uint64_t
timeval_us(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

#endif
