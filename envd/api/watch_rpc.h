/*
 * The handlers that watch directories: as a stream, and polled.
 */
#ifndef ENVD_API_WATCH_RPC_H
#define ENVD_API_WATCH_RPC_H

#include "base/status.h"
#include "connect/call.h"

struct watch_callbacks;
struct watcher;

/* WatchDir (watch_stream.c). */
void watch_rpc_stream(struct call *c, const ProtobufCMessage *request);
void watch_rpc_on_stream_room(struct call *c);
void watch_rpc_on_stream_cancel(struct call *c, enum call_cancel why);

/* Polled watchers (watch_create.c, watch_poll.c). */
void watch_rpc_create(struct call *c, const ProtobufCMessage *request);
void watch_rpc_on_create_cancel(struct call *c, enum call_cancel why);
void watch_rpc_poll(struct call *c, const ProtobufCMessage *request);
void watch_rpc_on_poll_cancel(struct call *c, enum call_cancel why);
void watch_rpc_remove(struct call *c, const ProtobufCMessage *request);

/* What both forms are asked with; borrowed from the message. */
struct watch_request {
    const char *path;
    bool recursive;
    bool allow_network_mounts;
    bool close_write;
    char **ignore;
    size_t ignore_count;
};

/*
 * Begin to watch for a call, as the call's user sees the path.
 *
 * callbacks, ctx  as for watch_open()
 * ret             on success the watcher
 *
 * Returns 0, or -1 with `st`.
 */
int watch_rpc_open(struct call *c, const struct watch_request *r,
                   const struct watch_callbacks *callbacks, void *ctx,
                   struct watcher **ret, struct status *st);

#endif
