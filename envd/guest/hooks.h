/*
 * What an image wants done around a pause: the programs of
 * /etc/e2b/hooks.d/EVENT, in the order of their names.
 *
 * Only root's: the directories on the way, that one and the programs belong to
 * root and cannot be written by others; names are of letters, digits, - and _.
 */
#ifndef ENVD_GUEST_HOOKS_H
#define ENVD_GUEST_HOOKS_H

#include <stdbool.h>

struct helper_spawner;
struct hooks;
struct loop;
struct worker_pool;

#define HOOKS_DIR "/etc/e2b/hooks.d"

/* Milliseconds for one program, and for all of an event. */
#define HOOKS_ONE_MS 1000
#define HOOKS_ALL_MS 3000

struct hooks_result {
    unsigned int ran;    /* programs that were started */
    unsigned int failed; /* of those, an exit status other than 0 or killed */
    bool cut;            /* time was over before all were started */
    int error;           /* 0; or -errno: the directory was refused (-EPERM),
                            not readable or not read in time (-ETIMEDOUT), or
                            the workers are busy (-EAGAIN) */
};

typedef void (*hooks_cb)(void *ctx, const struct hooks_result *result);

/*
 * dir      NULL: HOOKS_DIR; copied
 * spawner  borrowed, as loop and pool
 */
struct hooks *hooks_new(struct loop *loop, struct worker_pool *pool,
                        const struct helper_spawner *spawner, const char *dir);

/* After the pool; what runs is killed, nobody called back.  NULL is fine. */
void hooks_free(struct hooks *h);

/*
 * Run the programs of one event, one after the other; their process groups are
 * killed at their end.  Each is given the event as its argument; its output is
 * dropped.  Events take turns, and the times
 * begin with the turn.
 *
 * event  "pre-freeze", "post-thaw" or "post-resume"; static
 * cb     on the loop, never from inside; as soon as it is known that there is
 *        no such directory
 */
void hooks_run(struct hooks *h, const char *event, hooks_cb cb, void *ctx);

#endif
