/*
 * The end of the machine: programs first, then file systems, then the power.
 */
#ifndef ENVD_INIT_END_H
#define ENVD_INIT_END_H

#include <stdint.h>

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

/*
 * End every process: SIGTERM, SIGKILL after `stop_ms`; write everything to the
 * disks, unmount what can be, and end the machine.
 *
 * signal_fd    a signalfd of SIGCHLD
 * cgroup_root  what is frozen there is thawed before; NULL: nothing is
 */
_Noreturn void init_end(enum init_end how, int64_t stop_ms, int signal_fd,
                        const char *cgroup_root);

#endif
