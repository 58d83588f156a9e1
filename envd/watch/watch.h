/*
 * Watching directories: all watchers of the agent on one inotify instance.
 *
 * Directories are nodes keyed by watch descriptor and shared between watchers;
 * names are derived from the tree of nodes, never from strings.  Initial walks
 * and rescans run on workers; everything else runs on the loop, and calls back
 * only from the loop, never from inside a call of the caller's.
 *
 * Nothing is missed: a directory that appears is watched, then listed, and what
 * is there already is announced once.  When the kernel's queue or a watcher's
 * own queue overflows, the tree is listed again and the difference announced.
 */
#ifndef ENVD_WATCH_WATCH_H
#define ENVD_WATCH_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct loop;
struct watch_hub;
struct watcher;
struct worker_pool;

/* `workers` is borrowed.  The inotify instance is made at the first watcher. */
struct watch_hub *watch_hub_new(struct loop *loop, struct worker_pool *workers);

/* All watchers must have been closed, and loop_run_deferred() called. */
void watch_hub_free(struct watch_hub *hub);

/* Numbers are those of the contract's EventType. */
enum watch_event_type {
    WATCH_CREATE = 1,
    WATCH_WRITE = 2,
    WATCH_REMOVE = 3,
    WATCH_RENAME = 4,
    WATCH_CHMOD = 5,
    WATCH_CLOSE_WRITE = 1000, /* only where it was asked for */
};

struct watch_event {
    enum watch_event_type type;
    /*
     * Relative to the watched directory, "." for itself.  Bytes as they are in
     * the file system: the caller makes them UTF-8.  Borrowed until the next
     * call on this watcher.
     */
    const char *name;
    /* It was found by listing again after an overflow. */
    bool rescanned;
    /*
     * Not 0: what a RENAME and a later CREATE have in common when they are the
     * two ends of one move.  A directory's content then came with it and is not
     * announced; a CREATE of a directory without one is followed by its
     * content.
     */
    uint32_t cookie;
};

/* What a hub holds, and what has happened since it was made. */
struct watch_stats {
    size_t watchers;
    size_t directories; /* watched by the kernel */
    size_t entries;     /* remembered */
    size_t queue_bytes; /* of events that wait for their readers */
    uint64_t events;    /* queued for readers */
    uint64_t overflows; /* of the kernel's queue, and of readers' own */
};

struct watch_stats watch_hub_stats(const struct watch_hub *hub);

struct watch_options {
    const char *path; /* absolute, as resolved; cleaned here for names */
    bool recursive;
    bool allow_network_mounts;
    bool close_write;
    /* Patterns (base/glob.h) of names, or of relative paths when they hold a
     * slash: what matches is neither reported nor entered. */
    const char *const *ignore;
    size_t ignore_count;
};

struct watch_callbacks {
    /*
     * Once: every watch is in place (`st` is NULL), or why not, with the codes
     * and texts of the contract; only watch_close() may then be called.
     */
    void (*on_open)(struct watcher *w, struct status *st);
    /* watch_next() would give something; once after it gave nothing. */
    void (*on_readable)(struct watcher *w);
};

/*
 * Begin to watch.
 * options    copied
 * callbacks  borrowed as long as the watcher lives
 * ctx        for watch_ctx()
 *
 * Returns the watcher, NULL when too many exist (LIMIT_WATCHERS).
 */
struct watcher *watch_open(struct watch_hub *hub,
                           const struct watch_options *options,
                           const struct watch_callbacks *callbacks, void *ctx);

void *watch_ctx(const struct watcher *w);

/* The cleaned path of the watched directory; lives as long as the watcher. */
const char *watch_path(const struct watcher *w);

/* The next event, in order; false when there is none now. */
bool watch_next(struct watcher *w, struct watch_event *ret);

/*
 * Raise the machine's limits of inotify to what the agent may need, as far as
 * that is allowed; for an agent that has the machine to itself.
 */
void watch_raise_limits(void);

/* End it, at any time; no callback comes any more. */
void watch_close(struct watcher *w);

#endif
