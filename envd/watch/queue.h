/*
 * The events of one watcher that wait for its reader, in a few large blocks.
 *
 * Zero-initialise it, and queue_init() it; queue_done() ends it.
 */
#ifndef ENVD_WATCH_QUEUE_H
#define ENVD_WATCH_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "watch/watch.h"

struct queue_block;
STAILQ_HEAD(queue_blocks, queue_block);

struct queue {
    struct queue_blocks blocks;
    struct queue_block *last;
    struct queue_entry *tail; /* the last one added, NULL when it was taken */
    size_t count;             /* events */
    size_t count_max;         /* LIMIT_WATCH_QUEUE_EVENTS; less in tests */
    size_t bytes;             /* of all blocks */
    size_t *total_bytes;      /* of all queues; borrowed */
};

void queue_init(struct queue *q, size_t *total_bytes);

/* Whether one more event, with `len` bytes of name, exceeds no limit. */
bool queue_has_room(const struct queue *q, size_t len);

/*
 * Add an event; a WRITE or CHMOD that repeats the last one is left out.
 * e  copied, with the `len` bytes of its name
 * Returns 0, -ENOMEM.
 */
int queue_put(struct queue *q, const struct watch_event *e, size_t len);

/* The oldest event; its name lives until the next call.  False: none. */
bool queue_take(struct queue *q, struct watch_event *ret);

void queue_done(struct queue *q);

#endif
