/*
 * A protobuf-c message to JSON, driven by the message's descriptor, straight
 * into the output buffer.
 *
 * Rule: protobuf's JSON mapping: camelCase names, defaults omitted unless the
 * field has presence, 64-bit integers as strings, bytes as base64, no blanks.
 */
#ifndef ENVD_CONNECT_JSON_WRITE_H
#define ENVD_CONNECT_JSON_WRITE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/status.h"

enum json_style {
    JSON_STYLE_PROTO,
    /* REST: 64-bit integers as numbers, zeros and empty values included. */
    JSON_STYLE_REST,
};

/*
 * Append the JSON form of `msg`.
 *
 * Returns 0; -1 with `st` set (and `out` holding what was written so far) to
 * internal `marshal message: proto: field pkg.Message.field contains invalid
 * UTF-8`, or resource_exhausted when memory is exhausted.  Context: any.
 */
int json_write(const ProtobufCMessage *msg, enum json_style style,
               struct buf *out, struct status *st);

/* Append a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void json_write_string(struct buf *out, const char *s, size_t len);

#endif
