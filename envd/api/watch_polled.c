/*
 * The life of a polled watcher.
 */
#include "api/watch_polled.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/api.h"
#include "api/filesystem_entry.h"
#include "api/rpc_log.h"
#include "api/watch_polled_internal.h"
#include "api/watch_rpc.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "limits.h"

#define BUCKETS 256

/* Events that are looked up together. */
#define BATCH_MAX 128

struct polled_table {
    LIST_HEAD(, polled) buckets[BUCKETS];
    size_t ready_bytes; /* of all */
};

struct polled_table *
polled_table_new(void)
{
    return xcalloc(1, sizeof(struct polled_table));
}

/* The characters of an id are random: any of them will do. */
static size_t
bucket_of(const char *id)
{
    size_t sum = 0;

    for (; *id != '\0'; id++)
        sum = sum * 31 + (unsigned char)*id;
    return sum % BUCKETS;
}

struct polled *
polled_find(struct envd *e, const char *id)
{
    struct polled *p;

    LIST_FOREACH (p, &e->polled->buckets[bucket_of(id)], link)
        if (strcmp(p->id, id) == 0)
            return p;
    return NULL;
}

static void
polled_free(struct polled *p)
{
    if (p->id[0] != '\0')
        LIST_REMOVE(p, link);
    polled_refuse_polls(p);
    watch_lookup_abandon(p->lookup);
    watch_batches_free(&p->ready);
    polled_account(p);
    if (p->watcher != NULL)
        watch_close(p->watcher);
    free(p);
}

void
polled_table_free(struct polled_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (!LIST_EMPTY(&t->buckets[i]))
            polled_free(LIST_FIRST(&t->buckets[i]));
    free(t);
}

void
polled_account(struct polled *p)
{
    struct polled_table *t = p->envd->polled;
    const struct watch_batch *b;

    t->ready_bytes -= p->ready_bytes;
    p->ready_bytes = 0;
    STAILQ_FOREACH (b, &p->ready, link)
        p->ready_bytes += watch_batch_bytes(b);
    t->ready_bytes += p->ready_bytes;
}

/* ---- looking up ---------------------------------------------------------- */

static void
on_looked_up(void *ctx, struct watch_batch *batch)
{
    struct polled *p = ctx;

    p->lookup = NULL;
    STAILQ_INSERT_TAIL(&p->ready, batch, link);
    polled_account(p);
    polled_advance(p);
}

void
polled_look_up(struct polled *p)
{
    struct watch_batch *batch;

    /* What finds no room is looked up when it is asked for. */
    if (!p->entries || p->lookup != NULL || p->answering != NULL ||
        p->ready_bytes >= LIMIT_WATCH_POLLED_BYTES ||
        p->envd->polled->ready_bytes >= LIMIT_WATCH_ALL_POLLED_BYTES)
        return;
    batch = watch_batch_take(p->watcher, /* entries= */ true, BATCH_MAX);
    if (batch == NULL)
        return;
    p->lookup = watch_lookup_start(p->envd, batch, p, on_looked_up);
    if (p->lookup == NULL) {
        STAILQ_INSERT_TAIL(&p->ready, batch, link);
        polled_account(p);
    }
}

/* ---- making one ---------------------------------------------------------- */

static int
make_id(char id[POLLED_ID_BYTES])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    const size_t count = sizeof(letters) - 1;
    size_t len = 0;

    id[len++] = 'w';
    while (len < POLLED_ID_BYTES - 1) {
        uint8_t bytes[POLLED_ID_BYTES];
        ssize_t got = getrandom(bytes, sizeof(bytes), GRND_NONBLOCK);

        if (got < 0)
            return -errno;
        for (ssize_t i = 0; i < got && len < POLLED_ID_BYTES - 1; i++)
            /* All of the letters are to be equally likely. */
            if (bytes[i] < UINT8_MAX / count * count)
                id[len++] = letters[bytes[i] % count];
    }
    id[len] = '\0';
    return 0;
}

/* End a CreateWatcher that failed; the failure may be the watcher's own. */
static void
refuse(struct polled *p, struct status *failure)
{
    struct call *c = p->creator;
    struct status st = {0};

    status_move(&st, failure);
    rpc_log_done(c, "filesystem", "Filesystem createWatcher", &st);
    call_set_ctx(c, NULL);
    polled_free(p);
    call_fail(c, &st);
}

static void
on_open(struct watcher *w, struct status *failure)
{
    Filesystem__CreateWatcherResponse response;
    struct polled *p = watch_ctx(w);
    struct call *c = p->creator;
    struct status st = {0};
    char id[POLLED_ID_BYTES];
    int err;

    if (failure != NULL) {
        refuse(p, failure);
        return;
    }
    err = make_id(id);
    if (err < 0) {
        (void)status_errno(&st, RPC_UNAVAILABLE, -err, "getting random bytes");
        refuse(p, &st);
        return;
    }
    memcpy(p->id, id, sizeof(id));
    LIST_INSERT_HEAD(&p->envd->polled->buckets[bucket_of(id)], p, link);
    p->creator = NULL;
    call_set_ctx(c, NULL);
    rpc_log_done(c, "filesystem", "Filesystem createWatcher", NULL);
    if (entry_call_is_legacy(c))
        entry_call_mark_legacy(c);
    filesystem__create_watcher_response__init(&response);
    response.watcher_id = p->id;
    call_reply(c, &response.base);
    polled_look_up(p);
}

static void
on_readable(struct watcher *w)
{
    polled_look_up(watch_ctx(w));
}

void
watch_rpc_create(struct call *c, const ProtobufCMessage *request)
{
    static const struct watch_callbacks callbacks = {
        .on_open = on_open,
        .on_readable = on_readable,
    };
    const Filesystem__CreateWatcherRequest *r =
        (const Filesystem__CreateWatcherRequest *)request;
    const struct watch_request wanted = {
        .path = r->path,
        .recursive = r->recursive,
        .allow_network_mounts = r->allow_network_mounts,
        .close_write = r->close_write,
        .ignore = r->ignore,
        .ignore_count = r->n_ignore,
    };
    struct polled *p = xcalloc(1, sizeof(*p));
    struct status st = {0};

    p->envd = api_envd(c);
    p->creator = c;
    p->entries = r->include_entry;
    STAILQ_INIT(&p->ready);
    TAILQ_INIT(&p->waiting);
    call_set_ctx(c, p);
    if (watch_rpc_open(c, &wanted, &callbacks, p, &p->watcher, &st) < 0)
        refuse(p, &st);
    status_done(&st);
}

/* Nobody will know the id. */
void
watch_rpc_on_create_cancel(struct call *c, enum call_cancel why)
{
    struct polled *p = call_ctx(c);

    (void)why;
    if (p == NULL)
        return;
    call_set_ctx(c, NULL);
    polled_free(p);
}

/* ---- removing one -------------------------------------------------------- */

void
watch_rpc_remove(struct call *c, const ProtobufCMessage *request)
{
    static const Filesystem__RemoveWatcherResponse response =
        FILESYSTEM__REMOVE_WATCHER_RESPONSE__INIT;
    const Filesystem__RemoveWatcherRequest *r =
        (const Filesystem__RemoveWatcherRequest *)request;
    struct polled *p = polled_find(api_envd(c), r->watcher_id);
    struct status st = {0};

    if (p == NULL) {
        (void)status_set(&st, RPC_NOT_FOUND, "watcher with id %s not found",
                         r->watcher_id);
        rpc_log_done(c, "filesystem", "Filesystem removeWatcher", &st);
        call_fail(c, &st);
        return;
    }
    polled_free(p);
    rpc_log_done(c, "filesystem", "Filesystem removeWatcher", NULL);
    if (entry_call_is_legacy(c))
        entry_call_mark_legacy(c);
    call_reply(c, &response.base);
}
