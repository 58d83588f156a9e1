/*
 * One way to both codecs, and the words that go around their errors.
 */
#include "connect/codec.h"

#include "base/mem.h"
#include "connect/json_read.h"
#include "connect/json_write.h"
#include "connect/proto_read.h"
#include "connect/proto_write.h"

ProtobufCMessage *
codec_decode(enum codec codec, const ProtobufCMessageDescriptor *desc,
             uint8_t *data, size_t len, struct arena *arena, struct status *st)
{
    ProtobufCMessage *m;

    if (codec == CODEC_JSON && len == 0) {
        (void)status_set(st, RPC_INVALID_ARGUMENT,
                         "unmarshal message: zero-length payload is not a "
                         "valid JSON object");
        return NULL;
    }
    m = codec == CODEC_JSON
            ? json_read(desc, (char *)data, len, JSON_RULES_PROTO, arena, st)
            : proto_read(desc, data, len, arena, st);
    if (m == NULL)
        (void)status_set(st, st->code,
                         "unmarshal message: unmarshal into *%s: proto: %s",
                         desc->name, status_message(st));
    return m;
}

int
codec_encode(enum codec codec, const ProtobufCMessage *msg, struct buf *out,
             struct status *st)
{
    return codec == CODEC_JSON ? json_write(msg, JSON_STYLE_PROTO, out, st)
                               : proto_write(msg, out, st);
}
