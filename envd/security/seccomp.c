/*
 * Putting the ready-made programs on threads.
 */
#include "security/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scope.h"

#define SECCOMP_WANT_FILTERS
#include "seccomp_filters.inc"

/* Sanitizers trace the process to find leaks, and change its personality. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DEFAULT_MODE SECCOMP_OFF
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DEFAULT_MODE SECCOMP_OFF
#endif
#endif
#ifndef DEFAULT_MODE
#define DEFAULT_MODE SECCOMP_ON
#endif

#define STEPS_MAX ARRAY_LEN(loop_filter)
_Static_assert(ARRAY_LEN(privileged_filter) <= STEPS_MAX, "has fewer rules");

enum seccomp_mode
seccomp_default_mode(void)
{
    return DEFAULT_MODE;
}

static int
install(const struct sock_fprog *program)
{
    const unsigned int flags =
        SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW;

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) == 0)
        return 0;
    /* This thread never executes anything that could need new ones. */
    if (errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) == 0)
        return 0;
    return -errno;
}

int
seccomp_filter_thread(enum seccomp_mode mode, bool privileged)
{
    const struct sock_filter *from =
        privileged ? privileged_filter : loop_filter;
    size_t count =
        privileged ? ARRAY_LEN(privileged_filter) : ARRAY_LEN(loop_filter);
    struct sock_filter steps[STEPS_MAX];
    const struct sock_fprog program = {(unsigned short)count, steps};

    if (mode == SECCOMP_OFF)
        return 0;
    memcpy(steps, from, count * sizeof(*steps));
    for (size_t i = 0; i < count && mode == SECCOMP_LOG; i++)
        if (steps[i].code == (BPF_RET | BPF_K) &&
            steps[i].k != SECCOMP_RET_ALLOW)
            steps[i].k = SECCOMP_RET_LOG;
    return install(&program);
}

const struct sock_fprog *
seccomp_hardened(void)
{
    /* The kernel only reads it, which its struct does not say. */
    static const struct sock_fprog program = {
        ARRAY_LEN(hardened_filter),
        (struct sock_filter *)(uintptr_t)hardened_filter};

    return &program;
}
