/*
 * One program that the agent runs on its own behalf: a hook, or the system's
 * helper for NFS.  By absolute path, in a session of its own, for a limited
 * time, with a limited part of its output kept.
 *
 * How it is made is left to whoever makes processes.
 */
#ifndef ENVD_GUEST_HELPER_H
#define ENVD_GUEST_HELPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "loop/loop.h"

/* The descriptors are close-on-exec, non-blocking; the caller owns them. */
struct helper_child {
    pid_t pid;  /* leads a session, and so a process group */
    int pid_fd; /* readable when it has ended; nobody else reaps it */
    int out_fd; /* read end of its standard output, or -1 */
    int err_fd;
};

/*
 * Run argv[0], an absolute path, as root in "/", with stdin from /dev/null.
 *
 * argv, env  NULL at the end; borrowed for the call
 *
 * Returns 0 or -errno.  Context: loop.
 */
typedef int (*helper_spawn_fn)(void *ctx, const char *const *argv,
                               const char *const *env,
                               struct helper_child *ret);

/* Who makes the process; borrowed for as long as what was given it. */
struct helper_spawner {
    helper_spawn_fn spawn;
    void *ctx;
};

/* How it ended. */
struct helper_exit {
    int status;  /* exit status; -1 when it was killed, or nobody knows */
    bool killed; /* by us: time, or helper_kill() */
    bool lost;   /* somebody else has taken its status */
};

struct helper;
typedef void (*helper_cb)(struct helper *h, const struct helper_exit *end);

/* Embed it, zero-initialised. */
struct helper {
    struct loop *loop;
    helper_cb done;
    struct helper_child child;
    struct loop_io exit_io;
    struct loop_io out_io[2];
    struct loop_timer timer;
    struct buf output; /* both, the first LIMIT_HELPER_OUTPUT_BYTES; until it
                          is started again, or helper_free_output() */
    bool running;
    bool killed;
};

/*
 * Start it, with PATH and LC_ALL as its environment.  At the end, or after
 * `budget_ms`, all of its process group is killed.
 *
 * done  on the loop, never from inside; may start it again or free it
 *
 * Returns 0, or -errno: then nothing runs.  Context: loop.
 */
int helper_start(struct helper *h, struct loop *loop,
                 const struct helper_spawner *spawner, const char *const *argv,
                 int64_t budget_ms, helper_cb done);

/* Kill it now; `done` comes as ever.  Nothing happens when it does not run. */
void helper_kill(struct helper *h);

/* Kill it and forget it: `done` will not be called. */
void helper_abandon(struct helper *h);

void helper_free_output(struct helper *h);

#endif
