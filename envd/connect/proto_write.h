/*
 * A protobuf-c message to protobuf binary, driven by the message's descriptor.
 *
 * Unlike protobuf_c_message_pack(): strings are checked, bytes are copied only
 * once however deep they lie, and an empty string in a oneof is written.
 *
 * Rule: the encoding chapter of the Protocol Buffers documentation.
 */
#ifndef ENVD_CONNECT_PROTO_WRITE_H
#define ENVD_CONNECT_PROTO_WRITE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/status.h"

/* Append the binary form of `msg`.  Returns and fails as json_write(). */
int proto_write(const ProtobufCMessage *msg, struct buf *out,
                struct status *st);

#endif
