/*
 * What the headers of a request say about its protocol: content type, timeout,
 * compression, version.
 *
 * Rule: the Connect protocol and gRPC over HTTP, as the contract narrows them.
 * Context: any; nothing here has effects.
 */
#ifndef ENVD_CONNECT_PROTOCOL_H
#define ENVD_CONNECT_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "connect/codec.h"

enum rpc_protocol {
    PROTOCOL_CONNECT_UNARY,  /* the bare message is the body */
    PROTOCOL_CONNECT_STREAM, /* envelopes, ended by one with JSON */
    PROTOCOL_GRPC,           /* envelopes, then HTTP trailers */
    PROTOCOL_GRPC_WEB,       /* envelopes, ended by one with trailers */
};

struct content_type {
    const char *name; /* normalised, as the answer repeats it */
    enum rpc_protocol protocol;
    enum codec codec;
};

/*
 * The content type a header value names: its letters' case and blanks do not
 * matter, the only parameter known is `charset=utf-8` of JSON types.  NULL for
 * any other.
 */
const struct content_type *content_type_find(struct str value);

/* The unary type for the `encoding` of a GET: `json` or `proto`, or NULL. */
const struct content_type *content_type_of_get(struct str encoding);

/* The value of Accept-Post on unary and on streaming routes. */
const char *content_type_accepted(bool unary);

/* A client's limit on its call. */
struct rpc_timeout {
    bool given;
    int64_t ms; /* 0 or negative: it has passed already */
};

/*
 * Read the timeout header of the protocol; absent and empty are none.
 *
 * Returns 0, or -1 with `st` invalid_argument.
 */
int rpc_timeout_parse(enum rpc_protocol protocol, struct str value,
                      struct rpc_timeout *ret, struct status *st);

struct rpc_compression {
    bool request_gzip; /* or identity */
    bool reply_gzip;
};

/*
 * Choose the codings of both directions.
 *
 * sent    the coding of the request; absent and empty are identity
 * accept  what the client takes back
 *
 * Returns 0, or -1 with `st` unimplemented for an unknown coding.
 */
int rpc_compression_choose(struct str sent, struct str accept,
                           struct rpc_compression *ret, struct status *st);

/*
 * Check that a version parameter, when it is there, has its one value.
 *
 * name  what the client calls it
 *
 * Returns 0, or -1 with `st` invalid_argument.
 */
int rpc_version_check(const char *name, const char *want, struct str got,
                      struct status *st);

#endif
