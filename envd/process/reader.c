/*
 * Readers: cursors into the output of a process.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/scope.h"
#include "limits.h"
#include "process/output.h"

/* Whether it still needs the bytes from its offset on. */
static bool
reader_needs_ring(const struct process_reader *r)
{
    return !r->ended && !r->cut && r->offset < r->end;
}

bool
reader_has_event(const struct output *o, const struct process_reader *r)
{
    if (r->ended || (o->phase == OUTPUT_PENDING && !r->cut))
        return false;
    return r->cut || !r->started || o->phase != OUTPUT_STARTED ||
           r->offset < MIN(o->ring.end, r->end);
}

uint64_t
reader_floor(struct ring *ring)
{
    const struct output *o = container_of(ring, struct output, ring);
    const struct process_reader *r;
    uint64_t floor = UINT64_MAX;

    TAILQ_FOREACH (r, &o->readers, link) {
        if (reader_needs_ring(r))
            floor = MIN(floor, r->offset);
    }
    return floor;
}

bool
reader_any_waiting(const struct output *o)
{
    const struct process_reader *r;

    TAILQ_FOREACH (r, &o->readers, link) {
        if (r->waiting && !r->cut && !r->ended && r->offset == o->ring.end)
            return true;
    }
    return false;
}

/* When a reader that makes no progress is late. */
static int64_t
stall_due_ms(const struct output *o, const struct process_reader *r,
             int64_t contended_ms)
{
    return MAX(r->progress_ms, contended_ms) + o->stall_ms;
}

/*
 * Cut all that are late, not only those that hold the pipe up now: the others
 * would do so in turn, each for as long again.
 */
static void
cut_late(struct output *o, int64_t contended_ms, int64_t now_ms)
{
    struct process_reader *r;

    TAILQ_FOREACH (r, &o->readers, link) {
        if (!reader_needs_ring(r) || r->offset >= o->ring.end ||
            stall_due_ms(o, r, contended_ms) > now_ms)
            continue;
        if (!r->cut)
            o->ring.pool->readers_cut++;
        r->cut = true;
        r->waiting = true;
    }
    output_wake(o);
    output_resume(o);
}

int64_t
reader_cut_stalled(struct output *o, int64_t contended_ms, int64_t now_ms)
{
    uint64_t oldest_end = ring_oldest_end(&o->ring);
    struct process_reader *r;
    int64_t next = 0;
    bool cut = false;

    TAILQ_FOREACH (r, &o->readers, link) {
        int64_t due = stall_due_ms(o, r, contended_ms);

        if (!reader_needs_ring(r) || r->offset >= oldest_end)
            continue;
        if (due <= now_ms)
            cut = true;
        else
            next = next == 0 ? due : MIN(next, due);
    }
    if (cut)
        cut_late(o, contended_ms, now_ms);
    return next;
}

/* Where a new reader begins, before it is known what is still kept. */
static uint64_t
replay_offset(const struct output *o, enum process_replay replay, uint64_t from)
{
    switch (replay) {
    case PROCESS_REPLAY_NOW:
        return o->ring.end;
    case PROCESS_REPLAY_RESUME:
        return o->reader_count == 0 ? o->resume : o->ring.end;
    case PROCESS_REPLAY_ALL:
        return 0;
    case PROCESS_REPLAY_FROM:
        return MIN(from, o->ring.end);
    }
    return o->ring.end;
}

int
reader_attach(struct output *o, struct process_reader *r,
              enum process_replay replay, uint64_t from, struct status *st)
{
    uint64_t wanted = replay_offset(o, replay, from);

    if (o->reader_count >= LIMIT_PROCESS_READERS)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "process with pid %u has %d readers already", o->pid,
                          (int)LIMIT_PROCESS_READERS);
    r->offset = MAX(wanted, o->ring.begin);
    r->end = o->phase == OUTPUT_ENDED ? o->ring.end : UINT64_MAX;
    r->lost = r->offset - wanted;
    o->ring.pool->missed += r->lost;
    r->progress_ms = loop_now_ms();
    r->started = false;
    r->ended = false;
    r->waiting = true;
    r->cut = false;
    TAILQ_INSERT_TAIL(&o->readers, r, link);
    o->reader_count++;
    output_wake(o);
    return 0;
}

void
reader_detach(struct output *o, struct process_reader *r)
{
    if (o->notify_next == r)
        o->notify_next = TAILQ_NEXT(r, link);
    TAILQ_REMOVE(&o->readers, r, link);
    o->reader_count--;
    if (o->reader_count == 0)
        o->resume = r->offset;
    output_resume(o);
    output_check_stall(o);
}

static void
event_last(struct process_reader *r, enum process_event_kind kind,
           struct process_event *ret)
{
    ret->kind = kind;
    r->ended = true;
}

static void
event_cut(struct output *o, struct process_reader *r, struct process_event *ret)
{
    event_last(r, PROCESS_EVENT_CUT, ret);
    (void)status_set(&o->cut, RPC_RESOURCE_EXHAUSTED,
                     "reader made no progress for %lld ms while others waited: "
                     "output continues at offset %llu",
                     (long long)o->stall_ms, (unsigned long long)r->offset);
    ret->failure = &o->cut;
}

static void
event_start(struct output *o, struct process_reader *r,
            struct process_event *ret)
{
    ret->kind = PROCESS_EVENT_START;
    ret->pid = o->pid;
    ret->lost = r->lost;
    r->started = true;
}

static void
event_data(struct output *o, struct process_reader *r, size_t max,
           struct process_event *ret)
{
    uint64_t left = MIN(o->ring.end, r->end) - r->offset;
    size_t len;

    ret->kind = PROCESS_EVENT_DATA;
    ret->data = ring_at(&o->ring, r->offset, &ret->source, &len);
    len = MIN(len, max);
    ret->len = len < left ? len : (size_t)left;
    r->offset += ret->len;
    r->progress_ms = loop_now_ms();
    output_resume(o);
}

void
reader_next(struct output *o, struct process_reader *r, size_t max,
            struct process_event *ret)
{
    *ret = (struct process_event){.offset = r->offset};
    if (!reader_has_event(o, r)) {
        r->waiting = true;
        output_check_stall(o);
        return;
    }
    if (r->cut) {
        event_cut(o, r, ret);
    } else if (o->phase == OUTPUT_FAILED) {
        event_last(r, PROCESS_EVENT_FAILED, ret);
        ret->failure = o->failure;
    } else if (!r->started) {
        event_start(o, r, ret);
    } else if (r->offset < MIN(o->ring.end, r->end)) {
        event_data(o, r, max, ret);
    } else {
        event_last(r, PROCESS_EVENT_END, ret);
        ret->pid = o->pid;
        ret->exit = o->exit;
        /* It may have been all that held up what comes after the end. */
        output_resume(o);
    }
}
