/*
 * Ending everything that a command has made.
 */
#ifndef ENVD_PROCESS_KILL_H
#define ENVD_PROCESS_KILL_H

#include <stdbool.h>
#include <sys/types.h>

/* What is known of a command; its leader must not have been reaped. */
struct kill_target {
    pid_t leader; /* leads its own session and process group */
    int leader_fd;
    int cgroup_fd;     /* a cgroup of this command alone, or -1 */
    int output_fds[2]; /* our ends of its pipes or terminal, -1 when closed */
    /* Whether a pid leads a command: then it is never another's orphan. */
    bool (*is_leader)(void *ctx, pid_t pid);
    void *ctx;
};

/*
 * Send SIGKILL to the leader and to all that descends from it.
 *
 * What is in its cgroup the kernel kills, all at once.  Descendants outside of
 * it (without one, or moved by a log-in session) are found in /proc: by
 * session, by parent, and of those whose parents are gone the ones that hold
 * the command's output open.  They are stopped first, so that none makes
 * another one behind our back.  What left the cgroup and the session, lost its
 * parents and closed the output is not found.
 *
 * Context: loop; reads /proc a few times, never waits for a process.
 */
void kill_tree(const struct kill_target *t);

/* Send a signal to one process by its pidfd.  Returns 0 or -errno. */
int kill_leader(int leader_fd, int signum);

/*
 * Send a signal to the command's process group, or to its leader while there
 * is no group yet.  Returns 0 or -errno.
 */
int kill_group(pid_t leader, int leader_fd, int signum);

#endif
