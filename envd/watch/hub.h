/*
 * What the files of watch/ share: the hub with its nodes, the directories of
 * each watcher, and the watcher itself.
 *
 * A node is a directory the kernel watches.  A `struct dir` is the place that
 * it has in the tree of one watcher; several watchers have one each at the same
 * node.  A watcher sees the past: its tree is what the kernel's events have
 * told so far.  What a listing (scan.h) finds belongs to the present, and is
 * taken over when all events up to then have been applied (merge.h).
 */
#ifndef ENVD_WATCH_HUB_H
#define ENVD_WATCH_HUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "loop/loop.h"
#include "watch/backlog.h"
#include "watch/names.h"
#include "watch/queue.h"
#include "watch/watch.h"

struct dir;
struct scan;
struct watcher;
struct worker_pool;

LIST_HEAD(dir_list, dir);
LIST_HEAD(watcher_list, watcher);

/* A directory watched by the kernel. */
struct node {
    LIST_ENTRY(node) link; /* of its hash chain */
    int wd;
    struct dir_list dirs; /* at most one of each watcher */
};

LIST_HEAD(node_list, node);

/*
 * The place of a node in the tree of a watcher.
 *
 * Values of its entries: of a directory's, the child's struct dir, or what
 * slot_token() makes while there is none; of any other, a stamp (below).
 */
struct dir {
    struct watcher *w;
    struct node *node;         /* NULL: the kernel has ended its watch */
    LIST_ENTRY(dir) same_node; /* while node is set */
    struct dir *parent;        /* NULL: the root, or being moved */
    char *name;                /* in the parent */
    struct names entries;      /* what the reader was told or can see */
    uint32_t cursor;           /* for going through the tree */
    uint32_t generation;       /* of the listing that saw it last */
    bool unmounted;            /* its file system is gone */
    uint64_t attached;         /* hub->bytes_read when it got here */
};

/*
 * What is remembered of an entry that is no directory, when nobody has looked
 * at it since it appeared or was written: it equals no stamp of a listing, so
 * that after lost events it counts as changed.
 */
#define STAMP_UNKNOWN UINT64_C(0)

/* A directory on its way: told gone from one place, not yet seen elsewhere. */
struct moving {
    TAILQ_ENTRY(moving) link;
    uint32_t cookie;
    struct dir *dir;
    bool left;           /* it is elsewhere by now */
    bool torn;           /* events inside it were lost */
    struct backlog held; /* events inside it meanwhile */
};

TAILQ_HEAD(moving_list, moving);

/* A directory that waits to be listed. */
struct todo {
    STAILQ_ENTRY(todo) link;
    int wd;         /* of the directory it is in, or itself without a name */
    uint64_t token; /* its entry has this one, or it is no longer wanted */
    char *name;     /* NULL: list the directory `wd` again, with all below */
    unsigned int tries;
};

STAILQ_HEAD(todo_list, todo);

enum watcher_state {
    WATCHER_OPENING, /* the first listing goes on */
    WATCHER_OPEN,    /* on_open was called, events flow */
    WATCHER_FAILED,  /* on_open was called with an error */
    WATCHER_CLOSED,  /* will be freed at the end of the turn, or of its scan */
};

struct watcher {
    struct watch_hub *hub;
    LIST_ENTRY(watcher) link;
    const struct watch_callbacks *callbacks;
    void *ctx;
    enum watcher_state state;

    char *path;       /* as it was asked for */
    char *clean_path; /* lexically cleaned */
    bool recursive;
    bool allow_network_mounts;
    bool close_write;
    char **ignore; /* patterns */
    size_t ignore_count;
    bool ignore_paths; /* one of them has a slash */

    struct dir *root; /* NULL before it is watched, and when dead */
    bool dead;        /* the root is gone; what is queued can be read */
    struct moving_list moving;
    uint32_t generation; /* of the newest listing of all */

    struct queue queue;
    bool lost; /* the queue was full: nothing is told until it is empty */
    bool told; /* on_readable was called, nothing was read to the end yet */
    bool logged_full; /* that the kernel watches no more directories */
    struct loop_deferred tell;

    struct todo_list todo;
    size_t todo_count;
    bool list_all;     /* list the whole tree again */
    struct scan *scan; /* the listing on its way, NULL: none */
    struct loop_deferred advance;
    struct loop_timer retry;
    bool retrying;
    struct loop_deferred reap;
};

#define NODE_CHAINS_MIN 64

struct watch_hub {
    struct loop *loop;
    struct worker_pool *workers;
    int fd; /* -1 until the first watcher */
    struct loop_io readable;
    char *batch; /* what is read into */
    struct watcher_list watchers;
    size_t watcher_count;
    uint32_t seed;

    struct node_list *chains;
    size_t chain_count; /* a power of two */
    size_t node_count;
    size_t dir_count;   /* of all watchers */
    size_t entry_count; /* of all watchers, without directories */
    size_t queue_bytes; /* of all watchers */
    uint64_t tokens;
    uint64_t bytes_read; /* from the kernel, ever */
    uint64_t events;     /* queued for readers, ever */
    uint64_t overflows;

    struct backlog log; /* events since the oldest listing on its way began */
    size_t scans;       /* listings on their way */

    int *garbage; /* watch descriptors nobody uses any more */
    size_t garbage_count;
    size_t garbage_cap;
    struct loop_deferred sweep;

    struct buf path; /* for the name of an event */
    bool freed;      /* watch_hub_free() was called during a listing */

    size_t slice_dirs; /* directories that a slice of a listing has at most */

    /* Seams for tests. */
    size_t lose_events;       /* read and dropped, before an overflow */
    atomic_int *watches_left; /* beyond: no space left on device */
};

/* ---- hub.c ---- */

/* Make the inotify instance if there is none.  Returns 0 or -errno. */
int hub_start(struct watch_hub *hub);

/* Read and apply all that the kernel has queued by now. */
void hub_drain(struct watch_hub *hub);

/* A listing begins or has ended: events are kept meanwhile. */
void hub_scan_begins(struct watch_hub *hub);
void hub_scan_ended(struct watch_hub *hub);

/* The kernel need not watch `wd` any longer, unless it has a node again. */
void hub_discard(struct watch_hub *hub, int wd);

/* Seam: as if `events` more events were lost and the queue had overflowed. */
void hub_lose_events(struct watch_hub *hub, size_t events);

/* ---- node.c ---- */

struct node *node_find(const struct watch_hub *hub, int wd);
struct node *node_get(struct watch_hub *hub, int wd); /* makes it if needed */

/* The kernel has ended its watch: take it out of the hub and free it. */
void node_remove(struct watch_hub *hub, struct node *node);
void node_free_all(struct watch_hub *hub);

/* The place of a node in a watcher's tree, NULL: none. */
struct dir *dir_find(const struct watcher *w, int wd);

/* A new place, without parent; NULL when LIMIT_WATCH_NODES is reached. */
struct dir *dir_new(struct watcher *w, int wd);

/* Put it at an entry, which must be a directory's without a place. */
void dir_attach(struct dir *parent, struct name_slot *slot, struct dir *d);

/* Take it from its parent, whose entry stays, without a place. */
void dir_detach(struct dir *d);

/* Detach it and free it with all below; NULL is allowed. */
void dir_drop(struct dir *d);

/* The uppermost directory above it: the root, or one that is being moved. */
struct dir *dir_top(struct dir *d);

/* Whether `d` holds `below`, at any depth, or is it. */
bool dir_is_above(const struct dir *d, const struct dir *below);

/*
 * Go through a tree, parents after what they hold: the next directory after
 * `at`, NULL after `top`.  Begin with dir_deepest(top).
 */
struct dir *dir_deepest(struct dir *top);
struct dir *dir_after(struct dir *top, struct dir *at);

/*
 * The name of an entry (NULL: of `d` itself) relative to the root, "." for the
 * root; valid until the next call, *ret_len bytes and a NUL.
 */
const char *dir_path(struct dir *d, const char *name, size_t *ret_len);

/* Add an entry; NULL when it cannot be remembered. */
struct name_slot *dir_put(struct dir *d, const char *name, bool is_dir);

/* Remove an entry, which has no place (any more). */
void dir_remove(struct dir *d, struct name_slot *slot);

static inline bool
slot_is_dir(const struct name_slot *slot)
{
    return (slot->hash & NAME_DIR) != 0;
}

/* The place of a directory's entry, NULL: none. */
static inline struct dir *
slot_dir(const struct name_slot *slot)
{
    if (!slot_is_dir(slot) || (slot->value & 1) != 0)
        return NULL;
    return (struct dir *)(uintptr_t)slot->value;
}

/* The value of an entry that waits for the listing of this token. */
static inline uint64_t
slot_token(uint64_t token)
{
    return token << 1 | 1;
}

/* ---- watcher.c ---- */

/*
 * Announce it, `name` as for dir_path().  False when the queue is full: the
 * watcher is then lost, and the caller leaves its tree as it is.
 */
bool watcher_emit(struct dir *d, const char *name, enum watch_event_type type,
                  bool rescanned);

/* The same for one end of a move. */
bool watcher_emit_move(struct dir *d, const char *name,
                       enum watch_event_type type, uint32_t cookie);

/* Events were lost: compare the whole tree with what was announced. */
void watcher_list_all(struct watcher *w);

/* The root is gone; `type` says how, 0: silently. */
void watcher_end(struct watcher *w, enum watch_event_type type);

/* List what waits at the end of the turn. */
void watcher_advance(struct watcher *w);

/* List nothing for a while. */
void watcher_wait(struct watcher *w, int64_t ms);

/* Free it: it is closed and has no scan. */
void watcher_free(struct watcher *w);

/* The first listing is over. */
void watcher_opened(struct watcher *w, struct status *st);

/* ---- event.c ---- */

/*
 * Apply an event to a directory.
 * fresh  it comes from before the directory's first listing was over: names
 *        not known may have been there before
 */
void dir_event(struct dir *d, const struct raw_event *e, bool fresh);

/* The kernel has ended the watch of a node. */
void node_ended(struct watch_hub *hub, struct node *node);

/* ---- moving.c ---- */

/* Detach a directory that was moved from where it is. */
void moving_add(struct dir *d, uint32_t cookie);

/* The one with this cookie, or that `top` is; NULL: none. */
struct moving *moving_find(const struct watcher *w, uint32_t cookie);
struct moving *moving_of(const struct watcher *w, const struct dir *top);

/* It has been attached: apply what was held, and free it. */
void moving_arrived(struct moving *m);

/* It has left the tree: drop it. */
void moving_release(struct moving *m);

/* Release those that have left (`all`: every one). */
void moving_sweep(struct watcher *w, bool all);

/* Keep an event of a directory below m->dir. */
void moving_hold(struct moving *m, const struct raw_event *e);

/* ---- todo.c ---- */

/* List an entry's directory soon, which has no place yet. */
void todo_add(struct dir *d, struct name_slot *slot);

/* List a directory again, with all below. */
void todo_add_again(struct dir *d);

/* Put one back, to be tried again a little later. */
void todo_retry(struct watcher *w, struct todo *t);
void todo_free(struct todo *t);
void todo_clear(struct watcher *w);

/* ---- ignore.c ---- */

/* Whether one of the patterns matches; `path` relative to the root. */
bool ignore_matches(char *const *patterns, size_t count, const char *path,
                    const char *name);

#endif
