/*
 * The clone, in the ways that kernels offer it.
 */
#ifndef ENVD_PROCESS_SPAWN_CLONE_H
#define ENVD_PROCESS_SPAWN_CLONE_H

#include <sys/types.h>

enum clone_call {
    CLONE_CALL_NEW,  /* clone3, able to place the child */
    CLONE_CALL_OLD,  /* clone, for kernels and filters without clone3 */
    CLONE_CALL_FORK, /* clone as fork, for those that know no pidfd there */
};

/*
 * Make a copy of this process, as fork(2), with a pidfd; always with memory of
 * its own and never waiting for it, since a child in a frozen cgroup does not
 * get to run.
 *
 * cgroup_fd   directory to begin in, or -1; with CLONE_CALL_NEW only
 * ret_pid_fd  in the parent, on success, close-on-exec
 *
 * Returns 0 in the child, the pid in the parent, or -errno.  In the child
 * signal handlers are default with CLONE_CALL_NEW, and those of the parent
 * otherwise.
 * Rule: clone(2).
 */
pid_t clone_raw(enum clone_call call, int cgroup_fd, int *ret_pid_fd);

#endif
