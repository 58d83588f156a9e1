/*
 * Process 1: on a machine (or in a container) without an init system the agent
 * brings its own.
 *
 * It is a process apart from the agent, and does little: it mounts what every
 * program expects, starts the agent, keeps its listening socket, starts it
 * again when it ends, reaps orphans, runs one command of the user's, and takes
 * the machine down.  The kernel panics when process 1 ends; this one never
 * reads a byte that came over the network.
 */
#ifndef ENVD_INIT_INIT_H
#define ENVD_INIT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the command is started again when it has ended. */
enum init_restart {
    INIT_RESTART_NO,
    INIT_RESTART_ON_FAILURE, /* when its status was not 0 */
    INIT_RESTART_ALWAYS,
};

struct init_options {
    const char *start; /* -start: a command for the shell; NULL: none */
    enum init_restart start_restart; /* -start-restart */
    int64_t stop_ms;                 /* -stop-ms: from SIGTERM to SIGKILL */
};

/* What process 1 must know of the agent. */
struct init_agent {
    char *const *args; /* of the agent, without its name */
    size_t arg_count;
    const char *cgroup_root; /* NULL: leave cgroups alone */
    bool firecracker;        /* where only a restart ends the machine */
};

/*
 * Before anything else in process 1: standard descriptors, mounts, devices,
 * loopback, host name, the files that every image should have, and a name of
 * its own for the process.  Then the environment: PATH, and what the kernel's
 * command line says as `envd.NAME=VALUE`, as ENVD_NAME unless that is set.
 * What fails is said on standard error and left out.
 *
 * argv     as main() got it; executed again under the other name
 * cgroups  false: leave /sys/fs/cgroup alone
 */
void init_prepare(char **argv, bool cgroups);

/* Be process 1 until the machine goes down. */
_Noreturn void init_run(const struct init_options *options,
                        const struct init_agent *agent);

#endif
