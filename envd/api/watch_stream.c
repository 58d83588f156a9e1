/*
 * WatchDir: a stream that follows a watcher.
 *
 * Events are taken while the client has room, so that what it does not take
 * waits in the watcher's own queue, which is bounded.  With entries they are
 * taken in batches, one at a time, that a worker completes.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filesystem_entry.h"
#include "api/keepalive.h"
#include "api/rpc_log.h"
#include "api/watch_batch.h"
#include "api/watch_rpc.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "connect/call.h"
#include "envd.h"
#include "watch/watch.h"

/* Events that are looked up together. */
#define BATCH_MAX 128

struct watch_stream {
    struct call *call;
    struct watcher *watcher;
    struct keepalive keepalive;
    bool entries; /* events carry them */
    bool legacy;

    struct watch_lookup *lookup; /* of the next batch, or NULL */
    struct watch_batch *batch;   /* being sent, or NULL */
    size_t sent;                 /* events of it */
};

static void
watch_stream_free(struct watch_stream *s)
{
    if (s->watcher != NULL)
        watch_close(s->watcher);
    watch_lookup_abandon(s->lookup);
    watch_batch_free(s->batch);
    keepalive_stop(&s->keepalive);
    call_set_ctx(s->call, NULL);
    free(s);
}

/* End the stream; the failure may be the watcher's own. */
static void
fail(struct watch_stream *s, struct status *failure)
{
    struct call *c = s->call;
    struct status st = {0};

    status_move(&st, failure);
    rpc_log_done(c, "filesystem", "Filesystem watchDir", &st);
    watch_stream_free(s);
    call_fail(c, &st);
}

static void
fail_exhausted(struct watch_stream *s, const char *what)
{
    struct status st = {0};

    (void)status_set(&st, RPC_RESOURCE_EXHAUSTED, "%s", what);
    fail(s, &st);
}

static void
send_start(struct watch_stream *s)
{
    Filesystem__WatchDirResponse response =
        FILESYSTEM__WATCH_DIR_RESPONSE__INIT;
    Filesystem__WatchDirResponse__StartEvent start =
        FILESYSTEM__WATCH_DIR_RESPONSE__START_EVENT__INIT;

    response.event_case = FILESYSTEM__WATCH_DIR_RESPONSE__EVENT_START;
    response.start = &start;
    call_send(s->call, &response.base);
    keepalive_start(&s->keepalive);
}

static void
send_keepalive(struct keepalive *k)
{
    struct watch_stream *s = container_of(k, struct watch_stream, keepalive);
    Filesystem__WatchDirResponse response =
        FILESYSTEM__WATCH_DIR_RESPONSE__INIT;
    Filesystem__WatchDirResponse__KeepAlive keepalive =
        FILESYSTEM__WATCH_DIR_RESPONSE__KEEP_ALIVE__INIT;

    response.event_case = FILESYSTEM__WATCH_DIR_RESPONSE__EVENT_KEEPALIVE;
    response.keepalive = &keepalive;
    call_send(s->call, &response.base);
    keepalive_note(k);
}

static void
send_item(struct watch_stream *s, const struct watch_item *item)
{
    Filesystem__WatchDirResponse response =
        FILESYSTEM__WATCH_DIR_RESPONSE__INIT;
    Filesystem__FilesystemEvent event;

    watch_item_message(item, s->legacy, &event);
    response.event_case = FILESYSTEM__WATCH_DIR_RESPONSE__EVENT_FILESYSTEM;
    response.filesystem = &event;
    call_send(s->call, &response.base);
    keepalive_note(&s->keepalive);
}

static void pump(struct watch_stream *s);

static void
on_looked_up(void *ctx, struct watch_batch *batch)
{
    struct watch_stream *s = ctx;

    s->lookup = NULL;
    s->batch = batch;
    s->sent = 0;
    pump(s);
}

/* Give the next events to a worker; false when there are none. */
static bool
look_up_next(struct watch_stream *s)
{
    struct watch_batch *batch =
        watch_batch_take(s->watcher, /* entries= */ true, BATCH_MAX);

    if (batch == NULL)
        return false;
    s->lookup = watch_lookup_start(api_envd(s->call), batch, s, on_looked_up);
    if (s->lookup != NULL)
        return true;
    watch_batch_free(batch);
    fail_exhausted(s, "too many file operations are waiting");
    return false;
}

/* Send what was looked up, then have the next events looked up. */
static void
pump_entries(struct watch_stream *s)
{
    while (s->lookup == NULL && call_has_room(s->call)) {
        if (s->batch == NULL) {
            if (!look_up_next(s))
                return;
        } else if (s->sent < s->batch->count) {
            send_item(s, &s->batch->items[s->sent++]);
        } else if (s->batch->failed) {
            fail_exhausted(s, "out of memory");
            return;
        } else {
            watch_batch_free(TAKE_PTR(s->batch));
        }
    }
}

/* Send an event as it is; false when the stream had to be ended instead. */
static bool
send_event(struct watch_stream *s, const struct watch_event *event)
{
    SCOPE(scope_free) char *repaired = NULL;
    struct watch_item item = {
        .type = event->type,
        .rescanned = event->rescanned,
        .cookie = event->cookie,
        .name = event->name,
    };

    if (!utf8_valid(event->name, strlen(event->name))) {
        repaired = utf8_sanitize(event->name);
        item.name = repaired;
    }
    if (item.name == NULL) {
        fail_exhausted(s, "out of memory");
        return false;
    }
    send_item(s, &item);
    return true;
}

/* Send what there is while the client takes it. */
static void
pump(struct watch_stream *s)
{
    struct watch_event event;

    if (s->entries) {
        pump_entries(s);
        return;
    }
    while (call_has_room(s->call) && watch_next(s->watcher, &event))
        if (!send_event(s, &event))
            return;
}

static void
on_open(struct watcher *w, struct status *st)
{
    struct watch_stream *s = watch_ctx(w);

    if (st != NULL) {
        fail(s, st);
        return;
    }
    rpc_log_done(s->call, "filesystem", "Filesystem watchDir", NULL);
    send_start(s);
    pump(s);
}

static void
on_readable(struct watcher *w)
{
    pump(watch_ctx(w));
}

void
watch_rpc_stream(struct call *c, const ProtobufCMessage *request)
{
    static const struct watch_callbacks callbacks = {
        .on_open = on_open,
        .on_readable = on_readable,
    };
    const Filesystem__WatchDirRequest *r =
        (const Filesystem__WatchDirRequest *)request;
    const struct watch_request wanted = {
        .path = r->path,
        .recursive = r->recursive,
        .allow_network_mounts = r->allow_network_mounts,
        .close_write = r->close_write,
        .ignore = r->ignore,
        .ignore_count = r->n_ignore,
    };
    struct watch_stream *s = xcalloc(1, sizeof(*s));
    struct status st = {0};

    s->call = c;
    s->legacy = entry_call_is_legacy(c);
    /* The earliest clients know no entry. */
    s->entries = r->include_entry && !s->legacy;
    keepalive_init(&s->keepalive, c, send_keepalive);
    call_set_ctx(c, s);
    if (s->legacy)
        entry_call_mark_legacy(c);
    if (watch_rpc_open(c, &wanted, &callbacks, s, &s->watcher, &st) < 0)
        fail(s, &st);
    status_done(&st);
}

void
watch_rpc_on_stream_room(struct call *c)
{
    pump(call_ctx(c));
}

void
watch_rpc_on_stream_cancel(struct call *c, enum call_cancel why)
{
    struct watch_stream *s = call_ctx(c);

    (void)why;
    if (s != NULL)
        watch_stream_free(s);
}
