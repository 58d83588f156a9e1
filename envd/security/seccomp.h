/*
 * System call filters of our own making: those for the agent's threads, and
 * the one for commands that ask for it.  The programs are made at build time,
 * by envd/security/build/seccomp_filters.c.
 *
 * Rule: the contract's section on seccomp; seccomp(2).
 */
#ifndef ENVD_SECURITY_SECCOMP_H
#define ENVD_SECURITY_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>

/* What becomes of a call of the agent's that the filter is against. */
enum seccomp_mode {
    SECCOMP_ON,  /* EPERM, and a line in the kernel's log */
    SECCOMP_LOG, /* the line only */
    SECCOMP_OFF, /* no filter */
};

/*
 * The mode in which a build runs when nothing is said: ON, but OFF with
 * sanitizers, whose run time calls what the filters are against.
 */
enum seccomp_mode seccomp_default_mode(void);

/*
 * Filter the calling thread, and those that it makes from now on.
 *
 * privileged  for a thread that mounts and freezes: those are allowed
 *
 * Without the right to filter, no_new_privs is set for this thread first.
 *
 * Returns 0, or -errno: -ENOSYS, -EINVAL where the kernel has no filters.
 * Context: any thread but the spawner.
 */
int seccomp_filter_thread(enum seccomp_mode mode, bool privileged);

/* The program of the profile `hardened`; static. */
const struct sock_fprog *seccomp_hardened(void);

#endif
