/*
 * Raw clone calls.
 */
#include "process/spawn_clone.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nobody else reaps the child: its pid is its own until it has a descriptor. */
static long
fork_raw(int *ret_pid_fd)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid <= 0)
        return pid;
    *ret_pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (*ret_pid_fd < 0) {
        int err = errno;

        (void)kill((pid_t)pid, SIGKILL);
        (void)waitpid((pid_t)pid, NULL, 0);
        errno = err;
        return -1;
    }
    return pid;
}

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
    } else if (call == CLONE_CALL_FORK) {
        pid = fork_raw(&pid_fd);
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
