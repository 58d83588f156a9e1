/*
 * Raw clone calls.
 */
#include "process/spawn_clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t
clone_raw(enum clone_call call, int cgroup_fd, int *ret_pid_fd)
{
    int pid_fd = -1;
    long pid;

    if (call == CLONE_CALL_NEW) {
        struct clone_args args = {
            .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
            .pidfd = (uintptr_t)&pid_fd,
            .exit_signal = SIGCHLD,
        };

        if (cgroup_fd >= 0) {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = (__u64)cgroup_fd;
        }
        pid = syscall(SYS_clone3, &args, sizeof(args));
    } else {
        /* The first three arguments are the same on all machines. */
        pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &pid_fd, NULL,
                      NULL);
    }
    if (pid < 0)
        return -errno;
    if (pid > 0)
        *ret_pid_fd = pid_fd;
    return (pid_t)pid;
}
