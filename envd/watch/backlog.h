/*
 * Kernel events kept for later: while directories are being listed, to be
 * compared with what was found; and those of a directory on its way from one
 * place to another.
 *
 * Zero-initialise it; backlog_done() ends it.
 */
#ifndef ENVD_WATCH_BACKLOG_H
#define ENVD_WATCH_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* One event as the kernel tells it. */
struct raw_event {
    int wd;
    uint32_t mask;
    uint32_t cookie;
    const char *name; /* "" for the directory itself; borrowed */
};

struct backlog_event;

struct backlog {
    struct backlog_event *events;
    size_t count;
    size_t cap;
    uint64_t first;    /* how many there were before events[0] */
    struct buf text;   /* their names, NUL after NUL */
    uint64_t text_cut; /* bytes of text dropped so far */
};

/* Keep one; false when there are `max` already, or memory is exhausted. */
bool backlog_add(struct backlog *b, const struct raw_event *e, size_t max);

/* The number that the next event will have. */
static inline uint64_t
backlog_end(const struct backlog *b)
{
    return b->first + b->count;
}

/* Event number `n`, from b->first to before backlog_end(). */
void backlog_get(const struct backlog *b, uint64_t n, struct raw_event *ret);

/* Forget those before number `from`. */
void backlog_trim(struct backlog *b, uint64_t from);

void backlog_done(struct backlog *b);

#endif
