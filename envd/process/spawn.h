/*
 * Make one child: clone, credentials, limits, exec, and word of how it went.
 *
 * The one seam through which every child is made.  The clone itself is the
 * spawner's (loop/spawner.h), so that no child gets the filter of the loop.
 */
#ifndef ENVD_PROCESS_SPAWN_H
#define ENVD_PROCESS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

struct sock_fprog;

/* What to run; everything borrowed for the call. */
struct spawn_spec {
    const char *cmd;         /* as the client gave it, looked up in PATH of
                                `env` when it holds no slash */
    const char *const *args; /* without the command itself */
    size_t arg_count;
    const char *const *env; /* `NAME=value`, NULL at the end; PATH, HOME …
                               complete but for PWD, which is added */
    const char *cwd;        /* absolute; empty stays where the agent is */
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary groups */
    size_t group_count;
    bool pty;      /* a terminal instead of three pipes */
    gid_t tty_gid; /* the terminal's group, (gid_t)-1 to leave it */
    uint32_t cols; /* used modulo 65536 */
    uint32_t rows;
    bool stdin_open; /* a pipe; else /dev/null.  Ignored with pty */
    int cgroup_fd;   /* directory of the leaf, O_PATH is enough; or -1 */
    /* What the command may call, for good: no_new_privs is set along with it.
       NULL: anything, and sudo works. */
    const struct sock_fprog *filter;
};

/* What came of it; every fd non-blocking, close-on-exec, -1 when unused. */
struct spawn_child {
    pid_t pid;
    int pid_fd;    /* readable when the child has ended */
    int status_fd; /* for spawn_read_status() when readable */
    int stdin_fd;  /* write end */
    int stdout_fd; /* read ends */
    int stderr_fd;
    int tty_fd;    /* the pty's master */
    bool unplaced; /* the kernel would not have it in the leaf: it runs in the
                      agent's cgroup */
};

enum spawn_stage {
    SPAWN_STAGE_CLONE,
    SPAWN_STAGE_TERMINAL,
    SPAWN_STAGE_SESSION,
    SPAWN_STAGE_CREDENTIALS,
    SPAWN_STAGE_CWD,
    SPAWN_STAGE_STDIO,
    SPAWN_STAGE_FILTER,
    SPAWN_STAGE_EXEC,
};

/* How a child failed before its command ran. */
struct spawn_failure {
    int err; /* errno, 0 when it did not fail */
    enum spawn_stage stage;
};

/*
 * Note what children get back: limits on open files and core size as the
 * agent was given them, and which signals it was started with ignored.  To be
 * called once at the start, before the agent changes any; otherwise the first
 * spawn() does it.
 */
void spawn_init(void);

/*
 * Clone a child and let it go.  Whether its command could be executed is known
 * later, through status_fd: nothing here waits for the child, which may be
 * held up in a frozen cgroup.
 *
 * A command that is not found or not executable is no failure: the child
 * writes one line to its stderr (or terminal) and exits with 127 or 126.
 *
 * Returns 0, or -1 with `st` set to the texts of the contract (`error creating
 * stdout pipe for command …`, `error starting process 'CMD ARGS': CAUSE`,
 * `error starting pty with command …`); nothing is left open then.  Exhausted
 * resources are resource_exhausted.  Context: loop.
 * Rule: the contract's chapter on Start; clone(2), execve(2), pty(7).
 */
int spawn(const struct spawn_spec *spec, struct spawn_child *ret,
          struct status *st);

/*
 * Read the word of the child when status_fd is readable; closes it.
 *
 * spec  as given to spawn(), for the text: cmd, args, cwd, pty, cols and rows
 *
 * Returns 1 when the command runs (or ended with 126/127), 0 when there is no
 * word yet, -1 when the child failed: *ret says where, and `st` holds the text
 * for the client.
 */
int spawn_read_status(const struct spawn_spec *spec, struct spawn_child *child,
                      struct spawn_failure *ret, struct status *st);

/* The lower-case word for a stage, as "exec"; static. */
const char *spawn_stage_name(enum spawn_stage stage);

/* Set a terminal's size, both modulo 65536.  Returns 0 or -errno. */
int pty_resize(int tty_fd, uint32_t cols, uint32_t rows);

#endif
