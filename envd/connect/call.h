/*
 * One RPC, whichever of the three protocols it came by: decode, hand to a
 * handler, encode what it answers, end.
 *
 * The kinds: a unary or server-stream handler is started with the decoded
 * request; a client-stream handler is started first and then given each
 * message.  The handler ends the call by call_reply() (unary, client stream),
 * call_end() (server stream) or call_fail(), at any later time, or is told
 * `on_cancel`; after any of these the call is not to be touched again.
 *
 * Nothing here calls the handler from inside a call of the handler's.
 *
 * Rule: the Connect protocol; gRPC over HTTP/1.1; gRPC-Web.  Context: loop.
 */
#ifndef ENVD_CONNECT_CALL_H
#define ENVD_CONNECT_CALL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "connect/codec.h"

struct call;
struct http_exchange;
struct loop;

enum rpc_kind {
    RPC_UNARY,
    RPC_SERVER_STREAM,
    RPC_CLIENT_STREAM,
    RPC_BIDI_STREAM, /* half duplex: all of the input before the output */
};

/* Why a call was cancelled. */
enum call_cancel {
    CALL_PEER_GONE,   /* nothing can be answered any more */
    CALL_DEADLINE,    /* the client's timeout has passed: answered for you */
    CALL_HALF_CLOSED, /* a stream's client left politely: answered for you */
    CALL_BAD_INPUT,   /* a client stream broke its framing: answered for you */
};

struct rpc_method {
    const char *name; /* as in the .proto */
    enum rpc_kind kind;
    bool idempotent; /* also reachable by GET (Connect unary) */
    const ProtobufCMessageDescriptor *input;
    const ProtobufCMessageDescriptor *output;
    /*
     * Client streams: NULL, or what a failure of the input is told as: code
     * unknown, message `PREFIX: code: message`.
     */
    const char *input_error_prefix;

    /*
     * Begin.  `request` is the decoded message, borrowed until the call ends;
     * NULL for kinds with a client stream.
     */
    void (*start)(struct call *c, const ProtobufCMessage *request);
    /*
     * Client streams: one message, borrowed until on_message returns or, when
     * it called call_pause(), until call_resume().
     */
    void (*on_message)(struct call *c, const ProtobufCMessage *message);
    /* Client streams: there will be no more. */
    void (*on_messages_end)(struct call *c);
    /* call_has_room() became true after false; may be NULL. */
    void (*on_room)(struct call *c);
    /* Drop everything that belongs to the call; may be NULL. */
    void (*on_cancel)(struct call *c, enum call_cancel why);
};

struct rpc_service {
    const char *name; /* `package.Service` */
    const struct rpc_method *methods;
    size_t method_count;
};

/* What the calls of one server share; borrowed, constant while in use. */
struct rpc_server {
    struct loop *loop;
    const struct rpc_service *const *services;
    size_t service_count;
    size_t message_max; /* bytes of one inflated message */
    void *ctx;          /* for handlers: call_server_ctx() */
};

/*
 * Whether a path names a method, or belongs to one of the services at all.
 * path  decoded or raw: RPC paths have no escapes
 */
const struct rpc_method *rpc_find(const struct rpc_server *s, struct str path,
                                  const struct rpc_service **ret_service);

/*
 * Serve one exchange whose path names `method`: checks verb, content type,
 * timeout, compression, protocol version in that order, then reads.
 */
void rpc_serve(const struct rpc_server *s, const struct rpc_service *service,
               const struct rpc_method *method, struct http_exchange *x);

/*
 * Answer `refuse`, which a gate before the route found (an unknown Basic user),
 * in the form the request's content type asks for, whatever the path: JSON for
 * unary types, an end-of-stream envelope for Connect streams, gRPC status for
 * gRPC.  Empties `refuse`.
 */
void rpc_refuse(struct http_exchange *x, struct status *refuse);

/* For handlers. */

void *call_server_ctx(const struct call *c);
void call_set_ctx(struct call *c, void *ctx);
void *call_ctx(const struct call *c);
struct loop *call_loop(const struct call *c);
const struct rpc_method *call_method(const struct call *c);

/* A request header; absent when not sent.  Valid until the call ends. */
struct str call_header(const struct call *c, const char *name);
struct http_exchange *call_exchange(const struct call *c);

/*
 * The timeout the client asked for, ms from the start of the call, or 0 when
 * it gave none.  `connect_only`: 0 also when it came by gRPC (whose timeouts
 * limit the call and nothing else).
 */
int64_t call_timeout_ms(const struct call *c, bool connect_only);

/*
 * Add a response header (`trailer` false) or trailer (true); before the first
 * message.
 */
void call_add_metadata(struct call *c, bool trailer, const char *name,
                       const char *value);

/* Answer with one message and end: unary and client-stream methods. */
void call_reply(struct call *c, const ProtobufCMessage *message);

/*
 * The codec of the call, and its answer encoded with it elsewhere: a large one
 * is encoded by the worker that made it.  Consumes the content of `encoded`.
 */
enum codec call_codec(const struct call *c);
void call_reply_encoded(struct call *c, struct buf *encoded);

/* Send one message of a stream.  Produce while call_has_room(). */
void call_send(struct call *c, const ProtobufCMessage *message);
bool call_has_room(const struct call *c);

/* End a stream well. */
void call_end(struct call *c);

/* End with a failure; `st` is emptied. */
void call_fail(struct call *c, struct status *st);

/*
 * One more detail of a failure, before call_fail(): a packed message.
 * type_name  `package.Message`; data is copied
 */
void call_add_error_detail(struct call *c, const char *type_name,
                           const void *data, size_t len);

/* Client streams: hold the messages back, and let them flow again. */
void call_pause(struct call *c);
void call_resume(struct call *c);

#endif
