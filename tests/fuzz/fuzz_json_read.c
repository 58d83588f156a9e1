/*
 * JSON to messages.  The first byte of an input picks the message and the
 * rules.  What was read and written once reads and writes to the same again,
 * and so it does by way of binary.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "connect/codec.h"
#include "connect/json_any.h"
#include "connect/json_read.h"
#include "connect/json_write.h"
#include "messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *desc;
    SCOPE(status_done) struct status st = {0};
    SCOPE(arena_done) struct arena arena = {.limit = MESSAGE_ARENA_BYTES};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) char *text = NULL;
    enum json_rules rules;
    const ProtobufCMessage *m;

    if (size == 0)
        return 0;
    json_any_declare(message_types, ARRAY_LEN(message_types));
    desc = message_types[data[0] % ARRAY_LEN(message_types)];
    rules = (enum json_rules)(data[0] / ARRAY_LEN(message_types) % 3);
    size--;
    text = malloc(size > 0 ? size : 1);
    memcpy(text, data + 1, size);
    m = json_read(desc, text, size, rules, &arena, &st);
    assert((m == NULL) == (st.code != RPC_OK));
    if (m == NULL)
        return 0;
    assert(json_write(m, JSON_STYLE_PROTO, &out, &st) == 0);
    check_round_trip(CODEC_JSON, m, &out);
    check_round_trip(CODEC_PROTO, m, &out);
    return 0;
}
