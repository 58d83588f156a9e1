/*
 * Rules on system calls to a program for the kernel.
 *
 * Rules are tried in order: the first of which all tests hold decides.  Calls
 * that no rule names get the default action; those of another kind of machine
 * (i386 and x32 on x86_64) kill the process; and those with numbers of which
 * this build knows no names get ENOSYS where the default is not to allow, so
 * that the C library uses an older call.
 *
 * Rule: seccomp(2); the OCI runtime specification, linux.seccomp.
 */
#ifndef ENVD_SECURITY_SECCOMP_COMPILE_H
#define ENVD_SECURITY_SECCOMP_COMPILE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arguments that a call has. */
#define SECCOMP_ARGS 6

enum seccomp_compare {
    SECCOMP_COMPARE_NE,
    SECCOMP_COMPARE_LT,
    SECCOMP_COMPARE_LE,
    SECCOMP_COMPARE_EQ,
    SECCOMP_COMPARE_GE,
    SECCOMP_COMPARE_GT,
    SECCOMP_COMPARE_MASKED_EQ, /* (argument & value) == value_two */
};

struct seccomp_test {
    uint32_t arg; /* below SECCOMP_ARGS */
    enum seccomp_compare compare;
    uint64_t value;
    uint64_t value_two;
};

struct seccomp_rule {
    const char *const *names; /* unknown ones do not count */
    size_t name_count;
    uint32_t action; /* SECCOMP_RET_* with its data */
    const struct seccomp_test *tests;
    size_t test_count; /* at most SECCOMP_ARGS */
};

/*
 * The action of a name of OCI's, as SCMP_ACT_ERRNO.
 *
 * err  what SCMP_ACT_ERRNO answers, at most 4095
 *
 * Returns false for what we do not have: SCMP_ACT_TRACE and SCMP_ACT_NOTIFY,
 * which need another process, and unknown ones.
 */
bool seccomp_action(const char *name, uint32_t err, uint32_t *ret);

/* The same for comparisons, as SCMP_CMP_EQ. */
bool seccomp_compare(const char *name, enum seccomp_compare *ret);

/* What this machine is called by OCI, and by Go and so Docker; static. */
const char *seccomp_machine(void);
const char *seccomp_machine_go(void);

/*
 * Compile at most LIMIT_SECCOMP_RULES rules.
 *
 * ret  the caller frees ret->filter with free(3)
 *
 * Returns 0, -E2BIG when it would be longer than LIMIT_SECCOMP_STEPS, or
 * -ENOMEM.  Context: any.
 */
int seccomp_compile(uint32_t default_action, const struct seccomp_rule *rules,
                    size_t rule_count, struct sock_fprog *ret);

#endif
