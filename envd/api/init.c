/*
 * A client of POST /init: its body comes, its answer goes.  What is done for
 * it in between does not depend on it.
 */
#include "api/init.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "http/exchange.h"
#include "limits.h"

#define WHOLE_BODY_BYTES ((int64_t)64 * 1024)

struct init_client {
    struct init_waiter waiter; /* its exchange is the client's */
    struct init_service *service;
    struct buf body;
};

static void
client_free(struct init_client *c)
{
    c->service->body_bytes -= c->body.len;
    init_body_done(&c->body);
    free(c);
}

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    struct init_client *c = ctx;
    struct init_service *s = c->service;

    if (len > LIMIT_REST_JSON_BYTES - c->body.len) {
        api_error(x, 413, "request body is larger than %d bytes",
                  LIMIT_REST_JSON_BYTES);
        client_free(c);
    } else if (len > LIMIT_INIT_BODIES_BYTES - s->body_bytes) {
        s->stats.cut++;
        http_abort(x);
        client_free(c);
    } else {
        buf_append(&c->body, data, len);
        if (!c->body.failed)
            s->body_bytes += len;
    }
}

static void
add_text_header(struct http_exchange *x, const char *name, const char *value)
{
    if (*value != '\0')
        http_add_header(x, name, value);
}

static void
on_done(struct init_waiter *w, const struct init_result *r)
{
    struct init_client *c = container_of(w, struct init_client, waiter);
    struct http_exchange *x = w->exchange;

    add_text_header(x, "X-Envd-Freeze-Audit", r->audit);
    add_text_header(x, "X-Agent-Resume", r->resume);
    add_text_header(x, "X-Agent-Init-Ms", r->times);
    if (r->status == 0) {
        http_abort(x);
    } else if (r->status == 204) {
        http_add_header(x, "Cache-Control", "no-store");
        http_reply(x, 204, NULL, 0);
    } else {
        add_text_header(x, "Content-Type",
                        *r->text != '\0' ? "text/plain; charset=utf-8" : "");
        http_reply(x, r->status, r->text, strlen(r->text));
    }
    client_free(c);
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    struct init_client *c = ctx;
    struct init_request *r = NULL;
    bool memory = c->body.failed;

    c->service->body_bytes -= c->body.len;
    if (err == 0 && !memory)
        r = init_request_new(&c->body, &memory);
    init_body_done(&c->body);
    if (r != NULL) {
        init_submit(c->service, &c->waiter, r);
        return;
    }
    http_reply(x, memory ? 503 : 400, NULL, 0);
    client_free(c);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct init_client *c = ctx;

    (void)x;
    init_leave(&c->waiter);
    client_free(c);
}

static void
on_half_close(struct http_exchange *x, void *ctx)
{
    struct init_client *c = ctx;

    (void)x;
    init_half_close(&c->waiter);
}

void
api_init(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_half_close = on_half_close,
        .on_cancel = on_cancel,
    };
    struct init_client *c = xcalloc(1, sizeof(*c));

    http_add_header(x, "X-Envd-Version", ENVD_VERSION);
    c->service = e->init;
    c->waiter.exchange = x;
    c->waiter.done = on_done;
    if (http_request(x)->content_length > LIMIT_REST_JSON_BYTES) {
        api_error(x, 413, "request body is larger than %d bytes",
                  LIMIT_REST_JSON_BYTES);
        client_free(c);
        return;
    }
    /* In one piece from the start: what has grown leaves copies behind. */
    if (http_request(x)->content_length > 0)
        (void)buf_reserve(&c->body, (size_t)MIN(http_request(x)->content_length,
                                                WHOLE_BODY_BYTES));
    http_accept(x, &handler, c);
    http_body_secret(x);
    http_body_resume(x);
}
