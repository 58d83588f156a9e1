/*
 * The two codecs of RPC bodies: JSON and protobuf binary.
 */
#ifndef ENVD_CONNECT_CODEC_H
#define ENVD_CONNECT_CODEC_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/status.h"

struct arena;

enum codec {
    CODEC_PROTO,
    CODEC_JSON,
};

/*
 * Decode one message.
 *
 * data   `len` bytes, modified and pointed into: must live as long as the
 *        message
 * arena  where the message is made; it dies with it
 *
 * Returns the message, or NULL with `st` set.  Text of the reason:
 * `unmarshal message: unmarshal into *pkg.Message: proto: …`, and
 * `unmarshal message: zero-length payload is not a valid JSON object` for JSON
 * of length 0.  Binary strings are checked: invalid UTF-8 is refused with
 * `string field contains invalid UTF-8`, other rubbish with
 * `cannot parse invalid wire-format data`.  A NUL inside a string becomes
 * UTF8_NUL.
 * Context: any.
 */
ProtobufCMessage *codec_decode(enum codec codec,
                               const ProtobufCMessageDescriptor *desc,
                               uint8_t *data, size_t len, struct arena *arena,
                               struct status *st);

/* Append the encoding of `msg`; errors as json_write().  Context: any. */
int codec_encode(enum codec codec, const ProtobufCMessage *msg, struct buf *out,
                 struct status *st);

#endif
