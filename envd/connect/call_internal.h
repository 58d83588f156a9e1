/*
 * What the files that make up a call share: call.c (its life), call_serve.c
 * (gates), call_input.c (body to messages), call_output.c (answers).
 */
#ifndef ENVD_CONNECT_CALL_INTERNAL_H
#define ENVD_CONNECT_CALL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "connect/call.h"
#include "connect/envelope.h"
#include "connect/error.h"
#include "connect/protocol.h"
#include "loop/loop.h"

enum call_state {
    CALL_READING, /* the request is not complete, the handler knows nothing */
    CALL_RUNNING, /* the handler has it */
    CALL_BROKEN,  /* a message of the handler's could not be encoded: it is
                   * told so, and the failure answered, at the end of turn */
    CALL_ENDED,   /* answered or given up: freed at the end of the turn */
};

enum call_input {
    INPUT_OPEN,  /* more of the body may come */
    INPUT_ENDED, /* the body is complete, or broken */
    INPUT_TOLD,  /* and the handler knows */
};

struct call {
    const struct rpc_server *server;
    const struct rpc_method *method;
    const struct content_type *type;
    struct http_exchange *x;
    void *ctx;
    enum call_state state;

    /* The request. */
    enum call_input input;
    struct rpc_compression compression;
    struct envelope_rules rules;
    struct rpc_timeout timeout;
    struct buf in;        /* received, not yet consumed */
    struct buf inflated;  /* the message, when it was compressed */
    struct arena arena;   /* the message, decoded */
    size_t held_bytes;    /* of `in`: the envelope of the message */
    uint64_t extra_bytes; /* seen behind the end of the stream */
    int body_err;         /* why the body ended: 0 or -errno */
    bool end_stream;      /* an envelope said that nothing follows */
    bool paused;          /* the handler holds the messages back */
    bool half_closed;     /* the peer sends no more, and waits for no answer */

    /* The answer. */
    struct buf scratch;    /* a message before it is deflated */
    struct status failure; /* of a broken call */
    struct error_end end;
    bool has_headers; /* the handler added some */

    struct loop_timer deadline;
    struct loop_deferred work; /* what must not run inside the handler */
    struct loop_deferred reap;
};

/* Whether the call's messages come one by one while the handler runs. */
static inline bool
call_streams_in(const struct call *c)
{
    return c->method->kind == RPC_CLIENT_STREAM ||
           c->method->kind == RPC_BIDI_STREAM;
}

/* call.c */

struct call *call_new(const struct rpc_server *s,
                      const struct rpc_method *method, struct http_exchange *x,
                      const struct content_type *type);

/* The exchange is over: stop everything and free the call at end of turn. */
void call_close(struct call *c);

/* Hand the call to its handler.  request  NULL for streams of messages */
void call_start(struct call *c, const ProtobufCMessage *request);

/*
 * Fail the call for a reason that is not the handler's: tell it `why` if it
 * has the call, then answer.  Empties `st`.
 */
void call_cancel(struct call *c, enum call_cancel why, struct status *st);

/* call_input.c */

/* Deliver what can be delivered, and ask for more if there is room. */
void call_input_advance(struct call *c);

void call_input_bytes(struct call *c, const uint8_t *data, size_t len);
void call_input_end(struct call *c, int err);

/* call_output.c */

/*
 * Answer the failure, or success (`st` NULL) after the messages of a stream,
 * in the form of the protocol.  This ends the exchange.
 */
void call_answer_end(struct call *c, const struct status *st);

#endif
