/*
 * Gather a bounded body, then hand it over.
 */
#include "api/body.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "http/exchange.h"

struct body_reader {
    struct buf body;
    size_t max_bytes;
    body_fn done;
    void *ctx;
};

static void
body_reader_free(struct body_reader *r)
{
    if (r->body.mem != NULL)
        explicit_bzero(r->body.mem, r->body.cap);
    buf_done(&r->body);
    free(r);
}

static void
refuse_large(struct http_exchange *x, struct body_reader *r)
{
    api_error(x, 413, "request body is larger than %zu bytes", r->max_bytes);
    body_reader_free(r);
}

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    struct body_reader *r = ctx;

    if (len > r->max_bytes - r->body.len) {
        refuse_large(x, r);
        return;
    }
    buf_append(&r->body, data, len);
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    struct body_reader *r = ctx;

    if (err != 0)
        http_reply(x, 400, NULL, 0);
    else if (r->body.failed)
        api_error(x, 507, "out of memory");
    else
        r->done(x, r->ctx, &r->body);
    body_reader_free(r);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    (void)x;
    body_reader_free(ctx);
}

void
body_collect(struct http_exchange *x, size_t max_bytes, body_fn done, void *ctx)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_cancel = on_cancel,
    };
    struct body_reader *r = xcalloc(1, sizeof(*r));
    int64_t length = http_request(x)->content_length;

    r->max_bytes = max_bytes;
    r->done = done;
    r->ctx = ctx;
    if (length > 0 && (uint64_t)length > max_bytes) {
        refuse_large(x, r);
        return;
    }
    http_accept(x, &handler, r);
    http_body_resume(x);
}
