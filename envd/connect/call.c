/*
 * The life of one RPC.
 *
 * A call is made when its head has passed the gates, is handed to its handler
 * when the request is there (or at once, when the request is a stream), and
 * ends by the handler's answer, by a failure of its input, by its deadline or
 * by the peer.  The handler is never called from inside one of its own calls:
 * what such a call entails is put off to the end of the turn.
 */
#include "connect/call.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/scope.h"
#include "connect/call_internal.h"
#include "http/exchange.h"
#include "limits.h"

static void
call_free(struct loop_deferred *d)
{
    struct call *c = container_of(d, struct call, reap);

    buf_done(&c->in);
    buf_done(&c->inflated);
    buf_done(&c->scratch);
    arena_done(&c->arena);
    error_end_done(&c->end);
    status_done(&c->failure);
    free(c);
}

void
call_close(struct call *c)
{
    c->state = CALL_ENDED;
    c->x = NULL;
    loop_timer_cancel(&c->deadline);
    loop_defer_cancel(c->server->loop, &c->work);
    loop_defer(c->server->loop, &c->reap);
}

/* Tell the handler, if it has the call, that it has it no longer. */
static void
tell_cancelled(struct call *c, enum call_cancel why)
{
    bool has = c->state == CALL_RUNNING || c->state == CALL_BROKEN;

    c->state = CALL_ENDED;
    if (has && c->method->on_cancel != NULL)
        c->method->on_cancel(c, why);
}

void
call_cancel(struct call *c, enum call_cancel why, struct status *st)
{
    tell_cancelled(c, why);
    call_answer_end(c, st);
    status_done(st);
    call_close(c);
}

static void
on_deadline(struct loop_timer *t)
{
    struct call *c = container_of(t, struct call, deadline);
    struct status st = {0};

    (void)status_set(&st, RPC_DEADLINE_EXCEEDED, "context deadline exceeded");
    call_cancel(c, CALL_DEADLINE, &st);
}

static void
cancel_half_closed(struct call *c)
{
    struct status st = {0};

    (void)status_set(&st, RPC_CANCELED, "context canceled");
    call_cancel(c, CALL_HALF_CLOSED, &st);
}

static void
on_work(struct loop_deferred *d)
{
    struct call *c = container_of(d, struct call, work);

    if (c->state == CALL_BROKEN)
        call_cancel(c, CALL_PEER_GONE, &c->failure);
    else if (c->half_closed)
        cancel_half_closed(c);
    else if (!c->paused)
        call_input_advance(c);
}

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    (void)x;
    call_input_bytes(ctx, data, len);
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    (void)x;
    call_input_end(ctx, err);
}

static void
on_room(struct http_exchange *x, void *ctx)
{
    struct call *c = ctx;

    (void)x;
    if (c->state == CALL_RUNNING && c->method->on_room != NULL)
        c->method->on_room(c);
}

/*
 * The peer shut its sending side.  A client of a streamed answer leaves this
 * way; one that waits for a single message has merely said all it had to say.
 */
static void
on_half_close(struct http_exchange *x, void *ctx)
{
    struct call *c = ctx;

    (void)x;
    if (c->method->kind != RPC_SERVER_STREAM &&
        c->method->kind != RPC_BIDI_STREAM)
        return;
    c->half_closed = true;
    if (c->state == CALL_RUNNING)
        cancel_half_closed(c);
}

static void
on_gone(struct http_exchange *x, void *ctx)
{
    struct call *c = ctx;

    (void)x;
    tell_cancelled(c, CALL_PEER_GONE);
    call_close(c);
}

struct call *
call_new(const struct rpc_server *s, const struct rpc_method *method,
         struct http_exchange *x, const struct content_type *type)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_room = on_room,
        .on_half_close = on_half_close,
        .on_cancel = on_gone,
    };
    struct call *c = xcalloc(1, sizeof(*c));

    c->server = s;
    c->method = method;
    c->type = type;
    c->x = x;
    arena_init(&c->arena, LIMIT_RPC_DECODED_BYTES);
    c->work.run = on_work;
    c->reap.run = call_free;
    error_end_init(&c->end);
    loop_timer_init(s->loop, &c->deadline, on_deadline);
    http_accept(x, &handler, c);
    /* The input of a terminal may be silent for hours. */
    if (call_streams_in(c))
        http_body_allow_silence(x);
    return c;
}

void
call_start(struct call *c, const ProtobufCMessage *request)
{
    c->state = CALL_RUNNING;
    c->method->start(c, request);
    if (c->state == CALL_RUNNING && c->half_closed)
        loop_defer(c->server->loop, &c->work);
}

void *
call_server_ctx(const struct call *c)
{
    return c->server->ctx;
}

void
call_set_ctx(struct call *c, void *ctx)
{
    c->ctx = ctx;
}

void *
call_ctx(const struct call *c)
{
    return c->ctx;
}

struct loop *
call_loop(const struct call *c)
{
    return c->server->loop;
}

const struct rpc_method *
call_method(const struct call *c)
{
    return c->method;
}

struct str
call_header(const struct call *c, const char *name)
{
    return c->x != NULL ? http_header(c->x, name) : (struct str){0};
}

struct http_exchange *
call_exchange(const struct call *c)
{
    return c->x;
}

int64_t
call_timeout_ms(const struct call *c, bool connect_only)
{
    bool grpc = c->type->protocol == PROTOCOL_GRPC ||
                c->type->protocol == PROTOCOL_GRPC_WEB;

    if (!c->timeout.given || (connect_only && grpc))
        return 0;
    return c->timeout.ms;
}

void
call_pause(struct call *c)
{
    if (c->state != CALL_RUNNING || !call_streams_in(c) || c->paused)
        return;
    c->paused = true;
    http_body_pause(c->x);
}

void
call_resume(struct call *c)
{
    if (c->state != CALL_RUNNING || !c->paused)
        return;
    c->paused = false;
    loop_defer(c->server->loop, &c->work);
}
