/*
 * Protobuf binary to a protobuf-c message, driven by the message's descriptor.
 *
 * Unlike protobuf_c_message_unpack(): strings are checked and bytes are not
 * copied, members of a oneof merge and replace as the language says, and a
 * field of an unexpected wire type is unknown, not a fault.
 *
 * Rule: the encoding chapter of the Protocol Buffers documentation.
 */
#ifndef ENVD_CONNECT_PROTO_READ_H
#define ENVD_CONNECT_PROTO_READ_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct arena;

/*
 * Read one message.
 *
 * data   `len` bytes, modified and pointed into: must live as long as the
 *        message
 * arena  where the message and its arrays are made
 *
 * Returns the message, or NULL with `st` set: invalid_argument and one of the
 * texts in codec.h, or resource_exhausted when memory or LIMIT_RPC_NESTING is
 * exhausted.  Context: any.
 */
ProtobufCMessage *proto_read(const ProtobufCMessageDescriptor *desc,
                             uint8_t *data, size_t len, struct arena *arena,
                             struct status *st);

#endif
