/*
 * POST /freeze and POST /unfreeze: the host stops what users run before it
 * pauses the machine, and lets it go on.
 *
 * Who asked for a freeze and has left is not served any more; a thaw is carried
 * out whatever becomes of its client.
 */
#include "api/freeze.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_write.h"
#include "envd.h"
#include "guest/freezer.h"
#include "guest/hooks.h"
#include "guest/log_export.h"
#include "http/exchange.h"
#include "http/query.h"
#include "rest.pb-c.h"

/* How long lines of the log may take to the host: it waits two seconds. */
#define FLUSH_MS 200

/* One request for a freeze. */
struct freeze_post {
    struct envd *envd;
    struct http_exchange *x; /* NULL: the client has left */
    struct freeze_params params;
    struct freezer_wait *wait; /* NULL while others come before it */
};

/* One for a thaw. */
struct thaw_post {
    struct http_exchange *x;
    struct freezer_wait *wait;
};

/* ---- before and after ---------------------------------------------------- */

/* On its way to a freeze. */
struct before {
    struct envd *envd;
    void (*done)(void *ctx);
    void *ctx;
};

static void
on_flushed(void *ctx, bool all)
{
    struct before *b = ctx;

    (void)all;
    b->done(b->ctx);
    free(b);
}

static void
on_before_hooks(void *ctx, const struct hooks_result *result)
{
    struct before *b = ctx;

    (void)result; /* the log tells */
    if (b->envd->exporter != NULL)
        log_exporter_flush(b->envd->exporter, FLUSH_MS, on_flushed, b);
    else
        on_flushed(b, true);
}

void
api_before_freeze(struct envd *e, void (*done)(void *ctx), void *ctx)
{
    struct before *b = xcalloc(1, sizeof(*b));

    *b = (struct before){e, done, ctx};
    hooks_run(e->hooks, "pre-freeze", on_before_hooks, b);
}

static void
on_after_hooks(void *ctx, const struct hooks_result *result)
{
    (void)ctx;
    (void)result;
}

void
api_after_thaw(void *ctx, const struct thaw_result *r)
{
    struct envd *e = ctx;

    if (r->stood)
        hooks_run(e->hooks, "post-thaw", on_after_hooks, NULL);
}

/* ---- the body, which says nothing ---------------------------------------- */

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    (void)x;
    (void)ctx;
    (void)data;
    (void)len;
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    (void)x;
    (void)ctx;
    (void)err;
}

/* ---- freeze -------------------------------------------------------------- */

static void
reply_result(struct http_exchange *x, const struct freeze_result *r)
{
    char hierarchy[] = "hierarchy";
    char legacy[] = "legacy";
    SCOPE(buf_done) struct buf body = {0};
    SCOPE(status_done) struct status st = {0};
    Rest__FreezeResult message;

    rest__freeze_result__init(&message);
    message.allowlisted = r->allowlisted;
    message.failed = r->failed;
    message.frozen = r->frozen;
    message.mode = r->mode == FREEZE_HIERARCHY ? hierarchy : legacy;
    message.notfrozen = r->not_frozen;
    message.prefrozen = r->pre_frozen;
    message.requested = r->requested;
    message.sweepms = r->sweep_ms;
    message.truncated = r->truncated;
    message.unobservable = r->unobservable;
    message.visited = r->visited;
    message.waitms = r->wait_ms;
    (void)json_write(&message.base, JSON_STYLE_REST, &body, &st);
    buf_append_byte(&body, '\n');
    http_add_header(x, "Cache-Control", "no-store");
    http_add_header(x, "Content-Type", "application/json");
    http_reply_buf(x, 200, &body);
}

static void
on_frozen(void *ctx, const struct freeze_result *r)
{
    struct freeze_post *p = ctx;

    if (p->params.max_wait_ms > 0)
        reply_result(p->x, r);
    else
        http_reply(p->x, 204, NULL, 0);
    free(p);
}

static void
freeze_now(void *ctx)
{
    struct freeze_post *p = ctx;

    if (p->x != NULL)
        p->wait = freezer_freeze(p->envd->freezer, &p->params, on_frozen, p);
    if (p->wait != NULL)
        return;
    if (p->x != NULL)
        http_reply(p->x, 503, NULL, 0);
    free(p);
}

static void
leave(struct freeze_post *p)
{
    p->x = NULL;
    if (p->wait == NULL)
        return; /* freeze_now() frees it */
    freezer_drop(p->wait);
    free(p);
}

static void
on_freeze_cancel(struct http_exchange *x, void *ctx)
{
    (void)x;
    leave(ctx);
}

/* Whoever says no more has left, as far as can be told. */
static void
on_freeze_half_close(struct http_exchange *x, void *ctx)
{
    leave(ctx);
    http_reply(x, 503, NULL, 0);
}

/* Returns false when the request was refused. */
static bool
read_params(struct http_exchange *x, struct freeze_params *ret)
{
    const struct http_request *request = http_request(x);
    SCOPE(scope_free) char *query = str_dup(request->query);
    SCOPE(scope_free) char *text = NULL;
    SCOPE(status_done) struct status st = {0};
    struct query_param params[] = {
        {.name = "mode"},
        {.name = "maxWaitMs", .is_number = true},
        {.name = "maxCgroups", .is_number = true},
    };

    if (query_bind(query, query != NULL ? request->query.len : 0, params,
                   ARRAY_LEN(params), &st) < 0) {
        if (asprintf(&text, "%s\n", status_message(&st)) < 0)
            text = NULL;
        http_reply_text(x, 400, text != NULL ? text : "");
        return false;
    }
    *ret = (struct freeze_params){
        .mode = str_eq(params[0].value, "hierarchy") ? FREEZE_HIERARCHY
                                                     : FREEZE_LEGACY,
        .max_wait_ms = params[1].number,
        .max_cgroups = params[2].number,
    };
    return true;
}

void
api_freeze(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_half_close = on_freeze_half_close,
        .on_cancel = on_freeze_cancel,
    };
    struct freeze_params params;
    struct freeze_post *p;

    if (!read_params(x, &params))
        return;
    p = xcalloc(1, sizeof(*p));
    p->envd = e;
    p->x = x;
    p->params = params;
    http_accept(x, &handler, p);
    http_body_resume(x);
    api_before_freeze(e, freeze_now, p);
}

/* ---- thaw ---------------------------------------------------------------- */

static void
on_thawed(void *ctx, const struct thaw_result *r)
{
    struct thaw_post *p = ctx;

    if (r->error == 0) {
        http_add_header(p->x, "Cache-Control", "no-store");
        http_reply(p->x, 204, NULL, 0);
    } else {
        api_error(p->x, 500, "failed to unfreeze %u cgroups: %s%s", r->failed,
                  errno_text(-r->error),
                  r->truncated ? ", and not all were looked at" : "");
    }
    free(p);
}

static void
on_thaw_cancel(struct http_exchange *x, void *ctx)
{
    struct thaw_post *p = ctx;

    (void)x;
    freezer_drop(p->wait);
    free(p);
}

void
api_unfreeze(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_cancel = on_thaw_cancel,
    };
    struct thaw_post *p = xcalloc(1, sizeof(*p));

    p->x = x;
    http_accept(x, &handler, p);
    http_body_resume(x);
    p->wait = freezer_thaw(e->freezer, on_thawed, p);
}
