/*
 * POST /fsfreeze and POST /fsthaw: for a host that takes a snapshot of the
 * disk alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/fsfreeze.h"
#include "http/exchange.h"

struct fsfreeze_post {
    struct fsfreeze_request request;
    struct envd *envd;
    struct http_exchange *x; /* NULL when the client is gone */
};

static void
on_done(struct fsfreeze_request *r, int err, const char *text)
{
    struct fsfreeze_post *p = container_of(r, struct fsfreeze_post, request);

    if (p->x != NULL) {
        http_add_header(p->x, "Cache-Control", "no-store");
        if (err == 0)
            http_reply(p->x, 204, NULL, 0);
        else if (text == NULL)
            http_reply(p->x, 503, NULL, 0);
        else
            api_error(p->x, 500, "%s", text);
    }
    free(p);
}

static void
on_half_close(struct http_exchange *x, void *ctx)
{
    struct fsfreeze_post *p = ctx;

    (void)x;
    fsfreeze_drop(p->envd->fsfreeze, &p->request);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct fsfreeze_post *p = ctx;

    p->x = NULL;
    on_half_close(x, ctx);
}

static struct fsfreeze_post *
accept_post(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_half_close = on_half_close,
        .on_cancel = on_cancel,
    };
    struct fsfreeze_post *p = xcalloc(1, sizeof(*p));

    p->envd = e;
    p->x = x;
    p->request.done = on_done;
    http_accept(x, &handler, p);
    return p;
}

void
api_fsfreeze(struct envd *e, struct http_exchange *x)
{
    fsfreeze_freeze(e->fsfreeze, &accept_post(e, x)->request);
}

void
api_fsthaw(struct envd *e, struct http_exchange *x)
{
    fsfreeze_thaw(e->fsfreeze, &accept_post(e, x)->request);
}
