/*
 * A program that process 1 keeps running: the agent, or the user's command.
 */
#ifndef ENVD_INIT_PROGRAM_H
#define ENVD_INIT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "init/init.h"

struct keeper;

/* How long it waits before it is started again. */
struct program_pace {
    int64_t first_ms; /* after the first end in quick succession; it doubles */
    int64_t most_ms;
    int64_t steady_ms; /* having lived that long, its next end is a first */
};

struct program {
    const char *name; /* for what is said */
    struct program_pace pace;
    pid_t pid;          /* 0: does not run */
    int64_t started_ms; /* these are of the monotonic clock */
    int64_t due_ms;     /* when it is to be started; -1: not at all */
    int64_t delay_ms;
    unsigned int quick_ends; /* in a row */
};

/* Note its end, and when the next start is due if there is to be one. */
void program_ended(struct program *p, int wait_status, bool again);

/*
 * Become the agent; called in the child.
 *
 * args  those of the agent, without its name
 * own   run the binary that process 1 runs, not the one that is in its place
 *       now: the latter may be damaged
 */
_Noreturn void program_run_agent(const struct init_agent *agent,
                                 const struct keeper *keeper, bool own);

/* Become the user's command; called in the child. */
_Noreturn void program_run_command(const char *command,
                                   const char *cgroup_root);

/*
 * Start it: fork, and in the child return true.  In the parent false; a
 * failure is tried again later.
 */
bool program_fork(struct program *p);

#endif
