/*
 * The end of the machine: programs first, then file systems, then the power.
 */
#ifndef ENVD_INIT_END_H
#define ENVD_INIT_END_H

#include <stdint.h>
#include <sys/types.h>

enum init_end {
    INIT_END_NONE,
    INIT_END_RESTART,
    INIT_END_POWER_OFF,
    INIT_END_HALT,
};

/*
 * What a signal to process 1 asks for.  The conventions of busybox (SIGTERM,
 * SIGUSR1, SIGUSR2), of systemd (SIGRTMIN+3 to +5), of the kernel
 * (ctrl-alt-del: SIGINT) and of containers and UPS daemons (SIGPWR).
 */
enum init_end init_end_of_signal(int signum);

/* What is to be known for it. */
struct init_going {
    int64_t stop_ms;         /* from SIGTERM to SIGKILL */
    int signal_fd;           /* a signalfd of SIGCHLD */
    pid_t agent;             /* 0: it does not run */
    const char *cgroup_root; /* what is frozen there is thawed; NULL: nothing */
};

/*
 * End every process, write everything to the disks, unmount what can be, and
 * end the machine.
 */
_Noreturn void init_end(enum init_end how, const struct init_going *going);

#endif
