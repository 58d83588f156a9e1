/*
 * Events taken off a watcher, with the entries that belong to them.
 */
#ifndef ENVD_API_WATCH_BATCH_H
#define ENVD_API_WATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "filesystem.pb-c.h"
#include "loop/worker.h"
#include "watch/watch.h"

struct envd;
struct user_names;

struct watch_item {
    enum watch_event_type type;
    bool rescanned;
    uint32_t cookie;
    const char *name;             /* UTF-8: what was none is replaced */
    const char *path;             /* to be looked up, bytes; NULL: nothing is */
    Filesystem__EntryInfo *entry; /* NULL: not looked up, or gone */
};

/* All it points to lies in its arena. */
struct watch_batch {
    STAILQ_ENTRY(watch_batch) link;
    struct arena arena;
    struct watch_item *items;
    size_t count;
    size_t room; /* of `items` */
    bool failed; /* memory was exhausted: some are missing */
};

STAILQ_HEAD(watch_batches, watch_batch);

/*
 * Take events off a watcher, at most `max` of them.
 *
 * entries  they are to carry entries: prepare the look-up
 *
 * Returns NULL when there is none.
 */
struct watch_batch *watch_batch_take(struct watcher *w, bool entries,
                                     size_t max);

void watch_batch_free(struct watch_batch *b);
void watch_batches_free(struct watch_batches *list);

/* Bytes that a batch takes. */
size_t watch_batch_bytes(const struct watch_batch *b);

/*
 * Look the entries up, those that were not already; stops when the job is
 * cancelled.  Context: worker.
 */
void watch_batch_look_up(struct watch_batch *b, const struct user_names *names,
                         struct job *job);

/*
 * Fill the message of an event, which points into the batch.
 * legacy  only what the earliest clients know
 */
void watch_item_message(const struct watch_item *item, bool legacy,
                        Filesystem__FilesystemEvent *ret);

/* A batch whose entries a worker looks up. */
struct watch_lookup {
    struct job job;
    struct watch_batch *batch; /* owned */
    struct user_names *names;
    void *ctx; /* NULL: nobody waits any more */
    void (*tell)(void *ctx, struct watch_batch *batch);
};

/*
 * Look up on a worker, then give the batch to `tell`, which owns it then.
 * batch  taken over; left to the caller on failure
 *
 * Returns NULL when too many jobs wait.
 */
struct watch_lookup *
watch_lookup_start(struct envd *e, struct watch_batch *batch, void *ctx,
                   void (*tell)(void *ctx, struct watch_batch *batch));

/* Nobody waits for it any more; NULL is fine. */
void watch_lookup_abandon(struct watch_lookup *l);

#endif
