/*
 * Binary to messages.  The first byte of an input picks the message.  Whatever
 * was read is written to the same JSON again after a round through either
 * codec.
 */
#include "connect/codec.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_any.h"
#include "messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *desc;
    SCOPE(status_done) struct status st = {0};
    SCOPE(arena_done) struct arena arena = {.limit = MESSAGE_ARENA_BYTES};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) uint8_t *copy = NULL;
    const ProtobufCMessage *m;

    if (size == 0)
        return 0;
    json_any_declare(message_types, ARRAY_LEN(message_types));
    desc = message_types[data[0] % ARRAY_LEN(message_types)];
    size--;
    copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data + 1, size);
    m = codec_decode(CODEC_PROTO, desc, copy, size, &arena, &st);
    assert((m == NULL) == (st.code != RPC_OK));
    if (m == NULL)
        return 0;
    /* Times out of range, and an Any of unknown content, are not writable. */
    if (codec_encode(CODEC_JSON, m, &out, &st) < 0) {
        assert(st.code == RPC_INTERNAL);
        return 0;
    }
    check_round_trip(CODEC_JSON, m, &out);
    check_round_trip(CODEC_PROTO, m, &out);
    return 0;
}
