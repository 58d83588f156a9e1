/*
 * Profiles of system calls in the form of OCI and of Docker.
 */
#ifndef ENVD_API_PROFILE_READ_H
#define ENVD_API_PROFILE_READ_H

#include <linux/filter.h>
#include <stddef.h>

#include "base/status.h"

/*
 * Read and compile one.
 *
 * Unknown names of calls do not count, as in runc.  Of Docker's conditions,
 * rules for those with a capability are left out (commands are taken to have
 * none), and a least kernel is taken to be there.  What cannot be done (other
 * machines only, SCMP_ACT_NOTIFY, an unknown operator) is refused.
 *
 * text  `len` bytes, modified
 * ret   the caller frees ret->filter with free(3)
 *
 * Returns 0, or -1 with `st` set: failed_precondition and what is wrong.
 * Context: any.  Rule: the OCI runtime specification, linux.seccomp.
 */
int profile_read(char *text, size_t len, struct sock_fprog *ret,
                 struct status *st);

#endif
