/*
 * GetWatcherEvents: everything that has come since the last one.
 *
 * The polls of a watcher are answered one after the other, by a worker that
 * completes the entries and encodes the answer, however large it is.  What
 * could not be answered, since the client has gone meanwhile, waits for the
 * next poll.
 */
#include <stdlib.h>

#include "api/api.h"
#include "api/filesystem_entry.h"
#include "api/rpc_log.h"
#include "api/watch_polled_internal.h"
#include "api/watch_rpc.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/call.h"
#include "connect/codec.h"
#include "envd.h"
#include "security/user.h"

/* An answer with so few events needs no thread of its own. */
#define QUICK_MAX 64

/* One call; `polled` has it waiting, or answers it. */
struct poll {
    TAILQ_ENTRY(poll) link;
    struct job job;
    struct call *call;     /* NULL: the client is gone */
    struct polled *polled; /* NULL: it was removed meanwhile */
    struct user_names *names;
    enum codec codec;
    bool legacy;

    struct watch_batches batches;
    size_t count; /* events encoded */
    struct buf answer;
    struct status st;
};

static void
poll_free(struct poll *poll)
{
    watch_batches_free(&poll->batches);
    user_names_unref(poll->names);
    buf_done(&poll->answer);
    status_done(&poll->st);
    free(poll);
}

/* Answer with `poll->st` or, if that is none, with what was encoded. */
static void
reply(struct poll *poll)
{
    struct call *c = poll->call;
    bool failed = poll->st.code != RPC_OK;

    call_set_ctx(c, NULL);
    rpc_log_done(c, "filesystem", "Filesystem getWatcherEvents",
                 failed ? &poll->st : NULL);
    if (poll->legacy && !failed)
        entry_call_mark_legacy(c);
    if (failed)
        call_fail(c, &poll->st);
    else
        call_reply_encoded(c, &poll->answer);
}

/* ---- on a worker --------------------------------------------------------- */

/* Append one event, as on_entry() of a listing does. */
static int
encode_item(struct poll *poll, const struct watch_item *item)
{
    Filesystem__GetWatcherEventsResponse one =
        FILESYSTEM__GET_WATCHER_EVENTS_RESPONSE__INIT;
    Filesystem__FilesystemEvent event;
    Filesystem__FilesystemEvent *events[] = {&event};

    watch_item_message(item, poll->legacy, &event);
    if (poll->codec == CODEC_JSON) {
        buf_append_str(&poll->answer,
                       poll->count++ > 0 ? "," : "{\"events\":[");
        return codec_encode(poll->codec, &event.base, &poll->answer, &poll->st);
    }
    /* Lists of one, one behind the other, are the whole list. */
    one.n_events = 1;
    one.events = events;
    return codec_encode(poll->codec, &one.base, &poll->answer, &poll->st);
}

static int
encode_batch(struct poll *poll, struct watch_batch *b)
{
    if (b->failed) {
        /* Said once: the next poll gets what there is. */
        b->failed = false;
        return status_set(&poll->st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (!poll->legacy)
        watch_batch_look_up(b, poll->names, &poll->job);
    for (size_t i = 0; i < b->count; i++)
        if (encode_item(poll, &b->items[i]) < 0)
            return -1;
    return 0;
}

static void
run(struct job *job)
{
    struct poll *poll = container_of(job, struct poll, job);
    struct watch_batch *b;

    STAILQ_FOREACH (b, &poll->batches, link)
        if (encode_batch(poll, b) < 0)
            return;
    if (poll->codec == CODEC_JSON)
        buf_append_str(&poll->answer, poll->count > 0 ? "]}" : "{}");
    if (poll->answer.failed)
        (void)status_set(&poll->st, RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- on the loop --------------------------------------------------------- */

/* What was not delivered goes back to the front of what waits. */
static void
put_back(struct poll *poll)
{
    struct polled *p = poll->polled;

    STAILQ_CONCAT(&poll->batches, &p->ready);
    STAILQ_CONCAT(&p->ready, &poll->batches);
    polled_account(p);
}

static void
done(struct job *job)
{
    struct poll *poll = container_of(job, struct poll, job);
    struct polled *p = poll->polled;

    if (p != NULL) {
        p->answering = NULL;
        if (poll->call == NULL || poll->st.code != RPC_OK)
            put_back(poll);
    }
    if (poll->call != NULL)
        reply(poll);
    poll_free(poll);
    if (p != NULL)
        polled_advance(p);
}

/* Give a poll all there is; true when it is being answered. */
static bool
begin(struct polled *p, struct poll *poll)
{
    struct watch_batch *rest =
        watch_batch_take(p->watcher, p->entries, SIZE_MAX);
    size_t count = 0;
    const struct watch_batch *b;

    if (rest != NULL)
        STAILQ_INSERT_TAIL(&p->ready, rest, link);
    STAILQ_CONCAT(&poll->batches, &p->ready);
    polled_account(p);
    STAILQ_FOREACH (b, &poll->batches, link)
        count += b->count;
    if (p->entries) {
        user_db_refresh(p->envd->users);
        poll->names = user_names_ref(p->envd->users);
    }
    poll->job = (struct job){
        .run = run,
        .done = done,
        .quick = count <= QUICK_MAX,
    };
    if (STAILQ_EMPTY(&poll->batches)) {
        run(&poll->job);
    } else if (worker_submit(p->envd->workers, &poll->job) == 0) {
        p->answering = poll;
        return true;
    } else {
        (void)status_set(&poll->st, RPC_RESOURCE_EXHAUSTED,
                         "too many file operations are waiting");
        put_back(poll);
    }
    reply(poll);
    poll_free(poll);
    return false;
}

void
polled_advance(struct polled *p)
{
    while (p->lookup == NULL && p->answering == NULL &&
           !TAILQ_EMPTY(&p->waiting)) {
        struct poll *poll = TAILQ_FIRST(&p->waiting);

        TAILQ_REMOVE(&p->waiting, poll, link);
        if (begin(p, poll))
            return;
    }
    polled_look_up(p);
}

static void
set_not_found(struct status *st, const char *id)
{
    (void)status_set(st, RPC_NOT_FOUND, "watcher with id %s not found", id);
}

void
polled_refuse_polls(struct polled *p)
{
    if (p->answering != NULL)
        p->answering->polled = NULL;
    while (!TAILQ_EMPTY(&p->waiting)) {
        struct poll *poll = TAILQ_FIRST(&p->waiting);

        TAILQ_REMOVE(&p->waiting, poll, link);
        set_not_found(&poll->st, p->id);
        reply(poll);
        poll_free(poll);
    }
}

void
watch_rpc_poll(struct call *c, const ProtobufCMessage *request)
{
    const Filesystem__GetWatcherEventsRequest *r =
        (const Filesystem__GetWatcherEventsRequest *)request;
    struct envd *e = api_envd(c);
    struct polled *p = polled_find(e, r->watcher_id);
    struct poll *poll = xcalloc(1, sizeof(*poll));

    STAILQ_INIT(&poll->batches);
    poll->call = c;
    poll->polled = p;
    poll->codec = call_codec(c);
    poll->legacy = entry_call_is_legacy(c);
    if (p == NULL) {
        set_not_found(&poll->st, r->watcher_id);
        reply(poll);
        poll_free(poll);
        return;
    }
    call_set_ctx(c, poll);
    TAILQ_INSERT_TAIL(&p->waiting, poll, link);
    polled_advance(p);
}

void
watch_rpc_on_poll_cancel(struct call *c, enum call_cancel why)
{
    struct poll *poll = call_ctx(c);
    struct polled *p;

    (void)why;
    if (poll == NULL)
        return;
    call_set_ctx(c, NULL);
    poll->call = NULL;
    p = poll->polled;
    if (p == NULL || p->answering == poll) {
        job_cancel(&poll->job);
        return;
    }
    TAILQ_REMOVE(&p->waiting, poll, link);
    poll_free(poll);
}
