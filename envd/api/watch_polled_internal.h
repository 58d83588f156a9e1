/*
 * What the files of polled watchers share: watch_polled.c (their life),
 * watch_poll.c (what a poll is answered).
 */
#ifndef ENVD_API_WATCH_POLLED_INTERNAL_H
#define ENVD_API_WATCH_POLLED_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "api/watch_batch.h"
#include "api/watch_polled.h"

struct call;
struct envd;
struct poll;
struct watcher;

/* `w`, 20 characters, NUL. */
#define POLLED_ID_BYTES 22

TAILQ_HEAD(polls, poll);

struct polled {
    LIST_ENTRY(polled) link;
    struct envd *envd;
    struct watcher *watcher;
    struct call *creator; /* the call that makes it, until it is answered */
    bool entries;
    char id[POLLED_ID_BYTES];

    /*
     * Events wait in the watcher's own queue.  Those that carry entries are
     * looked up when they come, and wait here, as far as there is room.
     */
    struct watch_batches ready;
    size_t ready_bytes;
    struct watch_lookup *lookup; /* of events that come behind `ready` */

    struct poll *answering; /* one at a time, so that order is kept */
    struct polls waiting;
};

/* Find a watcher, NULL when there is none of that name. */
struct polled *polled_find(struct envd *e, const char *id);

/* Count what `ready` holds anew, after it has changed. */
void polled_account(struct polled *p);

/* Look up what has come, if nothing hinders. */
void polled_look_up(struct polled *p);

/* Go on with whatever is due: the next poll, or looking up. */
void polled_advance(struct polled *p);

/* Its watcher ends: refuse those who wait, let the one who is served be. */
void polled_refuse_polls(struct polled *p);

#endif
