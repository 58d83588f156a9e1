/*
 * The child between clone and exec.
 */
#ifndef ENVD_PROCESS_SPAWN_CHILD_H
#define ENVD_PROCESS_SPAWN_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct sock_fprog;

/* Longest command line or command name in a text, bytes. */
#define SPAWN_TEXT_BYTES 1024

/* All that the child needs, prepared before the clone. */
struct spawn_plan {
    const char *cmd;
    const char *path;    /* value of PATH in envp */
    size_t cmd_text_len; /* bytes of cmd that fit a message */
    const char *cwd;     /* NULL: stay */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    bool same_user;    /* the agent is this user already, not root */
    const char **argv; /* [0] is spare, for the shell of a script without
                          `#!`; the command from [1] on */
    const char **envp;
    size_t pwd_index; /* in envp: a free slot for PWD */
    int stdio_fd[3];
    int status_fd;    /* word of a failure goes here */
    int procs_fd;     /* cgroup.procs to enter late, or -1 */
    bool pty;         /* stdio_fd are a terminal to be controlled by */
    uint64_t ignored; /* signals to set to their default: bit N-1 */
    struct rlimit nofile;
    struct rlimit core;
    const struct sock_fprog *filter; /* or NULL */
};

/* What goes through the status pipe. */
struct spawn_word {
    int32_t err;
    int32_t stage;
};

/*
 * Become the command; never returns.  All signals are blocked at entry.
 *
 * Context: child.  Raw system calls only: the C library's locks may be held by
 * threads that do not exist here, and its credential calls would look for them.
 * Rule: signal-safety(7); the contract's chapter on what is executed.
 */
_Noreturn void spawn_child_run(struct spawn_plan *plan);

#endif
