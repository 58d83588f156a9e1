/*
 * A vector of events and a buffer with their names.
 */
#include "watch/backlog.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

struct backlog_event {
    int wd;
    uint32_t mask;
    uint32_t cookie;
    uint64_t name_at; /* in the text, counted from its first byte ever */
};

bool
backlog_add(struct backlog *b, const struct raw_event *e, size_t max)
{
    if (b->count >= max)
        return false;
    if (b->count == b->cap) {
        size_t cap = b->cap > 0 ? b->cap * 2 : 64;
        struct backlog_event *events =
            reallocarray(b->events, cap, sizeof(*events));

        if (events == NULL)
            return false;
        b->events = events;
        b->cap = cap;
    }
    b->events[b->count] = (struct backlog_event){e->wd, e->mask, e->cookie,
                                                 b->text_cut + b->text.len};
    buf_append(&b->text, e->name, strlen(e->name) + 1);
    if (b->text.failed)
        return false;
    b->count++;
    return true;
}

void
backlog_get(const struct backlog *b, uint64_t n, struct raw_event *ret)
{
    const struct backlog_event *e = &b->events[n - b->first];

    *ret = (struct raw_event){e->wd, e->mask, e->cookie,
                              (const char *)buf_data(&b->text) +
                                  (e->name_at - b->text_cut)};
}

void
backlog_trim(struct backlog *b, uint64_t from)
{
    size_t drop = from > b->first ? (size_t)(from - b->first) : 0;
    size_t text;

    drop = MIN(drop, b->count);
    if (drop == 0)
        return;
    text = drop < b->count ? (size_t)(b->events[drop].name_at - b->text_cut)
                           : b->text.len;
    buf_consume(&b->text, text);
    b->text_cut += text;
    b->count -= drop;
    b->first += drop;
    memmove(b->events, b->events + drop, b->count * sizeof(*b->events));
    if (b->count > 0)
        return;
    buf_reset(&b->text, 4096);
    if (b->cap > 256) {
        free(b->events);
        b->events = NULL;
        b->cap = 0;
    }
}

void
backlog_done(struct backlog *b)
{
    free(b->events);
    buf_done(&b->text);
    *b = (struct backlog){.first = b->first + b->count};
}
