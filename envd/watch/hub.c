/*
 * The inotify instance: reading it, and giving each event to the places that
 * its directory has.
 */
#include "watch/hub.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "watch/scan.h"

#define BATCH_BYTES (64 * 1024)

/* Enough to be worth a way to the worker and back. */
#define SLICE_DIRS 256

/* Batches read in one turn of the loop. */
#define TURN_BATCHES 4

/*
 * Watches ended at once.  Each leaves an event in the kernel's queue: too many
 * together would make it overflow.
 */
#define SWEEP_MAX 256

/* Kept events that are forgotten when no listing needs them any more. */
#define TRIM_MIN 1024

/* Events were lost somewhere: every tree is compared with what was told. */
static void
on_overflow(struct watch_hub *hub)
{
    struct watcher *w;

    hub->overflows++;
    LIST_FOREACH (w, &hub->watchers, link)
        watcher_list_all(w);
}

struct watch_stats
watch_hub_stats(const struct watch_hub *hub)
{
    return (struct watch_stats){
        .watchers = hub->watcher_count,
        .directories = hub->node_count,
        .entries = hub->entry_count,
        .queue_bytes = hub->queue_bytes,
        .events = hub->events,
        .overflows = hub->overflows,
    };
}

/* Keep it for the listings on their way. */
static void
keep(struct watch_hub *hub, const struct raw_event *e)
{
    if (hub->scans == 0 ||
        backlog_add(&hub->log, e, LIMIT_WATCH_BACKLOG_EVENTS))
        return;
    /* The listings find out that their beginning is gone, and start again. */
    backlog_done(&hub->log);
    hub->log.first++;
}

static void
dispatch(struct watch_hub *hub, const struct raw_event *e)
{
    struct node *node;
    struct dir *d;
    struct dir *next;

    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        on_overflow(hub);
        return;
    }
    keep(hub, e);
    node = node_find(hub, e->wd);
    if (node == NULL)
        return;
    if ((e->mask & IN_IGNORED) != 0) {
        node_ended(hub, node);
        return;
    }
    for (d = LIST_FIRST(&node->dirs); d != NULL; d = next) {
        /* Only this one's own watcher may be changed, and the node be freed
         * with the last one. */
        next = LIST_NEXT(d, same_node);
        dir_event(d, e, /* fresh= */ false);
    }
}

/* For tests: whether this event is to be lost. */
static bool
is_lost(struct watch_hub *hub, const struct raw_event *e)
{
    if (hub->lose_events == 0)
        return false;
    /* The end of a watch is never lost in this way: it is told at once. */
    if ((e->mask & IN_IGNORED) != 0)
        return false;
    if (--hub->lose_events == 0)
        on_overflow(hub);
    return true;
}

/* Read one batch.  Returns its bytes, 0 when there is nothing. */
static size_t
read_batch(struct watch_hub *hub)
{
    ssize_t n = read(hub->fd, hub->batch, BATCH_BYTES);

    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *in = (const void *)(hub->batch + at);
        struct raw_event e = {in->wd, in->mask, in->cookie,
                              in->len > 0 ? in->name : ""};

        at += (ssize_t)(sizeof(*in) + in->len);
        hub->bytes_read += sizeof(*in) + in->len;
        if (!is_lost(hub, &e))
            dispatch(hub, &e);
    }
    return n > 0 ? (size_t)n : 0;
}

/* End a few of the watches nobody needs. */
static void
sweep(struct watch_hub *hub)
{
    int ended = 0;

    while (hub->garbage_count > 0 && ended < SWEEP_MAX) {
        int wd = hub->garbage[--hub->garbage_count];

        if (node_find(hub, wd) == NULL && inotify_rm_watch(hub->fd, wd) == 0)
            ended++;
    }
    if (hub->garbage_count == 0) {
        free(hub->garbage);
        hub->garbage = NULL;
        hub->garbage_cap = 0;
    }
    /* Otherwise the events of those make us read, and come here again. */
}

static void
on_sweep(struct loop_deferred *d)
{
    sweep(container_of(d, struct watch_hub, sweep));
}

static void
on_readable(struct loop_io *io)
{
    struct watch_hub *hub = container_of(io, struct watch_hub, readable);

    for (int i = 0; i < TURN_BATCHES; i++) {
        if (read_batch(hub) < BATCH_BYTES / 2)
            break;
    }
    if (hub->garbage_count > 0)
        loop_defer(hub->loop, &hub->sweep);
}

void
hub_drain(struct watch_hub *hub)
{
    uint64_t end;
    int queued = 0;

    if (ioctl(hub->fd, FIONREAD, &queued) < 0)
        return;
    end = hub->bytes_read + (uint64_t)queued;
    while (hub->bytes_read < end && read_batch(hub) > 0)
        ;
}

void
hub_discard(struct watch_hub *hub, int wd)
{
    if (hub->garbage_count == hub->garbage_cap) {
        size_t cap = hub->garbage_cap > 0 ? hub->garbage_cap * 2 : 64;
        int *garbage = reallocarray(hub->garbage, cap, sizeof(*garbage));

        if (garbage == NULL)
            return; /* it stays watched: its events go to nobody */
        hub->garbage = garbage;
        hub->garbage_cap = cap;
    }
    hub->garbage[hub->garbage_count++] = wd;
    loop_defer(hub->loop, &hub->sweep);
}

void
hub_scan_begins(struct watch_hub *hub)
{
    hub->scans++;
}

/* Forget the events that no listing needs. */
static void
trim(struct watch_hub *hub)
{
    uint64_t from = backlog_end(&hub->log);
    struct watcher *w;

    if (hub->scans > 0 && hub->log.count < TRIM_MIN)
        return;
    LIST_FOREACH (w, &hub->watchers, link) {
        if (w->scan != NULL)
            from = MIN(from, w->scan->from);
    }
    if (hub->scans == 0 || from - hub->log.first > hub->log.count / 2)
        backlog_trim(&hub->log, from);
}

static void
hub_free_now(struct watch_hub *hub)
{
    loop_defer_cancel(hub->loop, &hub->sweep);
    if (hub->fd >= 0)
        loop_io_disarm(&hub->readable);
    fd_close(&hub->fd);
    node_free_all(hub);
    backlog_done(&hub->log);
    buf_done(&hub->path);
    free(hub->garbage);
    free(hub->batch);
    free(hub);
}

void
hub_scan_ended(struct watch_hub *hub)
{
    hub->scans--;
    if (hub->freed && hub->scans == 0)
        hub_free_now(hub);
    else
        trim(hub);
}

int
hub_start(struct watch_hub *hub)
{
    if (hub->fd >= 0)
        return 0;
    hub->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (hub->fd < 0)
        return -errno;
    hub->batch = xcalloc(1, BATCH_BYTES);
    loop_io_init(hub->loop, &hub->readable, hub->fd, EV_READ, on_readable);
    loop_io_arm(&hub->readable);
    return 0;
}

struct watch_hub *
watch_hub_new(struct loop *loop, struct worker_pool *workers)
{
    struct watch_hub *hub = xcalloc(1, sizeof(*hub));

    hub->loop = loop;
    hub->workers = workers;
    hub->fd = -1;
    hub->sweep.run = on_sweep;
    hub->slice_dirs = SLICE_DIRS;
    LIST_INIT(&hub->watchers);
    if (getrandom(&hub->seed, sizeof(hub->seed), GRND_NONBLOCK) < 0)
        hub->seed = (uint32_t)loop_now_ms();
    return hub;
}

void
watch_hub_free(struct watch_hub *hub)
{
    if (hub == NULL)
        return;
    assert(LIST_EMPTY(&hub->watchers));
    hub->freed = true;
    if (hub->scans == 0)
        hub_free_now(hub);
}

void
hub_lose_events(struct watch_hub *hub, size_t events)
{
    hub->lose_events = events;
    if (events == 0)
        on_overflow(hub);
}
