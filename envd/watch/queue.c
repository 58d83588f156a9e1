/*
 * Entries lie one after the other in blocks, which never move: what was taken
 * stays readable until the next one is.
 */
#include "watch/queue.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "limits.h"

#define BLOCK_BYTES (16 * 1024)

struct queue_entry {
    uint32_t len; /* of the name, without its NUL */
    uint32_t cookie;
    uint16_t type;
    bool rescanned;
    char name[];
};

struct queue_block {
    STAILQ_ENTRY(queue_block) link;
    size_t size; /* of `data` */
    size_t begin;
    size_t end;
    char data[] __attribute__((aligned(8)));
};

static size_t
entry_size(size_t len)
{
    return (sizeof(struct queue_entry) + len + 1 + 7) & ~(size_t)7;
}

void
queue_init(struct queue *q, size_t *total_bytes)
{
    STAILQ_INIT(&q->blocks);
    q->total_bytes = total_bytes;
    q->count_max = LIMIT_WATCH_QUEUE_EVENTS;
}

/* The block with room at its end, NULL when a new one is needed. */
static struct queue_block *
last_block(const struct queue *q, size_t size)
{
    struct queue_block *b = q->last;

    return b != NULL && b->size - b->end >= size ? b : NULL;
}

bool
queue_has_room(const struct queue *q, size_t len)
{
    size_t size = entry_size(len);
    size_t more;

    if (q->count >= q->count_max)
        return false;
    if (last_block(q, size) != NULL)
        return true;
    more = MAX(size, (size_t)BLOCK_BYTES);
    return q->bytes + more <= LIMIT_WATCH_QUEUE_BYTES &&
           *q->total_bytes + more <= LIMIT_WATCH_QUEUES_BYTES;
}

static struct queue_block *
add_block(struct queue *q, size_t size)
{
    struct queue_block *b;

    size = MAX(size, (size_t)BLOCK_BYTES);
    b = malloc(sizeof(*b) + size);
    if (b == NULL)
        return NULL;
    *b = (struct queue_block){.size = size};
    STAILQ_INSERT_TAIL(&q->blocks, b, link);
    q->last = b;
    q->bytes += size;
    *q->total_bytes += size;
    return b;
}

static bool
repeats(const struct queue_entry *last, const struct watch_event *e, size_t len)
{
    return (e->type == WATCH_WRITE || e->type == WATCH_CHMOD) &&
           last->type == e->type && last->len == len &&
           memcmp(last->name, e->name, len) == 0;
}

int
queue_put(struct queue *q, const struct watch_event *event, size_t len)
{
    size_t size = entry_size(len);
    struct queue_block *b;
    struct queue_entry *e;

    if (q->tail != NULL && repeats(q->tail, event, len))
        return 0;
    b = last_block(q, size);
    if (b == NULL)
        b = add_block(q, size);
    if (b == NULL)
        return -ENOMEM;
    e = (struct queue_entry *)(void *)(b->data + b->end);
    e->len = (uint32_t)len;
    e->cookie = event->cookie;
    e->type = (uint16_t)event->type;
    e->rescanned = event->rescanned;
    memcpy(e->name, event->name, len);
    e->name[len] = '\0';
    b->end += size;
    q->tail = e;
    q->count++;
    return 0;
}

static void
drop_block(struct queue *q)
{
    struct queue_block *b = STAILQ_FIRST(&q->blocks);

    STAILQ_REMOVE_HEAD(&q->blocks, link);
    q->bytes -= b->size;
    *q->total_bytes -= b->size;
    if (b == q->last)
        q->last = NULL;
    free(b);
}

bool
queue_take(struct queue *q, struct watch_event *ret)
{
    struct queue_block *b = STAILQ_FIRST(&q->blocks);
    struct queue_entry *e;

    if (b != NULL && b->begin == b->end) {
        drop_block(q);
        b = STAILQ_FIRST(&q->blocks);
    }
    if (b == NULL)
        return false;
    e = (struct queue_entry *)(void *)(b->data + b->begin);
    b->begin += entry_size(e->len);
    q->count--;
    if (e == q->tail)
        q->tail = NULL;
    *ret = (struct watch_event){(enum watch_event_type)e->type, e->name,
                                e->rescanned, e->cookie};
    return true;
}

void
queue_done(struct queue *q)
{
    while (!STAILQ_EMPTY(&q->blocks))
        drop_block(q);
    q->tail = NULL;
    q->count = 0;
}
