/*
 * The one thread that no filter of ours is ever put on.
 *
 * A system call filter is inherited by children and across exec, and by the
 * threads that a thread makes.  So commands are cloned here, and threads that
 * need other filters than the loop's are made here.  If the agent is ever to
 * execute another program in its place, it does so here, too.
 */
#ifndef ENVD_LOOP_SPAWNER_H
#define ENVD_LOOP_SPAWNER_H

/*
 * Start the thread; before any filter is installed.  A second call does
 * nothing.  Returns 0 or -errno.  Context: the main thread.
 */
int spawner_start(void);

/* End it.  Context: as spawner_start(). */
void spawner_stop(void);

/*
 * Run fn(ctx) on that thread and wait for its end; without such a thread it
 * runs at once, on the caller's.  `fn` must be as short as what it was called
 * for: the loop stands still meanwhile.  All signals are blocked in it.
 *
 * Context: loop, or the main thread before there is one; one at a time.
 */
void spawner_call(void (*fn)(void *ctx), void *ctx);

#endif
