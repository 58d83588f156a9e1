/*
 * Both codecs by their common front: error texts, binary decoding rule by rule,
 * binary encoding, agreement.
 */
#include "connect/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "codec_test.pb-c.h"
#include "filesystem.pb-c.h"
#include "limits.h"
#include "process.pb-c.h"

#define KINDS (&codec_test__kinds__descriptor)
#define LISTS (&codec_test__lists__descriptor)
#define MAPS  (&codec_test__maps__descriptor)
#define EMPTY (&codec_test__empty__descriptor)

/* Bytes from hex digits, blanks skipped; the caller frees. */
static uint8_t *
from_hex(const char *hex, size_t *ret_len)
{
    uint8_t *bytes = calloc(1, strlen(hex) / 2 + 1);
    size_t len = 0;
    bool high = true;

    for (; *hex != '\0'; hex++) {
        char pair[2] = {*hex, '\0'};

        if (*hex == ' ')
            continue;
        bytes[len] = (uint8_t)(bytes[len] * 16U + strtoul(pair, NULL, 16));
        len += high ? 0 : 1;
        high = !high;
    }
    *ret_len = len;
    return realloc(bytes, len > 0 ? len : 1);
}

/* Read binary and give its JSON, or the error's text.  The caller frees. */
static char *
as_json(const ProtobufCMessageDescriptor *desc, const char *hex,
        struct status *st)
{
    SCOPE(arena_done) struct arena arena = {0};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) uint8_t *data = NULL;
    ProtobufCMessage *m;
    size_t len;

    data = from_hex(hex, &len);
    m = codec_decode(CODEC_PROTO, desc, data, len, &arena, st);
    if (m == NULL)
        return strdup(status_message(st));
    assert_int_equal(codec_encode(CODEC_JSON, m, &out, st), 0);
    return strndup((const char *)buf_data(&out), out.len);
}

struct binary_case {
    const ProtobufCMessageDescriptor *desc;
    const char *hex;
    const char *want; /* JSON, or with `!` in front the reason */
};

#define MALFORMED "!cannot parse invalid wire-format data"

static const struct binary_case binary[] = {
    {EMPTY, "", "{}"},
    {KINDS, "", "{}"},
    /* every type */
    {KINDS,
     "0801 10ffffffffffffffffff01 18feffffffffffffffff01 20ffffffff0f"
     "28ffffffffffffffffff01 3001 3803 4501000000 490200000000000000"
     "55fdffffff 59fcffffffffffffff 650000803f 69000000000000f83f"
     "7203616263 7a02ff00 800105",
     "{\"aBool\":true,\"anInt32\":-1,\"anInt64\":\"-2\","
     "\"aUint32\":4294967295,\"aUint64\":\"18446744073709551615\","
     "\"aSint32\":-1,\"aSint64\":\"-2\",\"aFixed32\":1,\"aFixed64\":\"2\","
     "\"anSfixed32\":-3,\"anSfixed64\":\"-4\",\"aFloat\":1,"
     "\"aDouble\":1.5,\"aString\":\"abc\",\"aBytes\":\"/wA=\","
     "\"aColour\":\"COLOUR_BLUE\"}"},
    /* any order, the last scalar wins */
    {KINDS, "720162 0801 720163", "{\"aBool\":true,\"aString\":\"c\"}"},
    {KINDS, "2001 2002", "{\"aUint32\":2}"},
    /* varints are cut to their type; long forms are accepted */
    {KINDS, "2081808080 8080808080 01", "{\"aUint32\":1}"},
    {KINDS, "10ffffffff0f", "{\"anInt32\":-1}"},
    {KINDS, "0802", "{\"aBool\":true}"},
    {KINDS, "088080808010", "{\"aBool\":true}"},
    {KINDS, "80018f80808080808080 8001", "{\"aColour\":15}"},
    {KINDS, "8001feffffffffffffffff01", "{\"aColour\":\"COLOUR_BELOW\"}"},
    /* messages of a singular field merge */
    {KINDS, "8a010208018a01022007",
     "{\"child\":{\"aBool\":true,\"aUint32\":7}}"},
    {KINDS, "8a0100", "{\"child\":{}}"},
    /* oneof: the last one wins, a message of the same member merges */
    {KINDS, "a201016ba80107", "{\"choiceNumber\":7}"},
    {KINDS, "a80107a201016b", "{\"choiceString\":\"k\"}"},
    {KINDS, "b201020801b201022007",
     "{\"choiceChild\":{\"aBool\":true,\"aUint32\":7}}"},
    {KINDS, "b201020801a80107b201022007", "{\"choiceChild\":{\"aUint32\":7}}"},
    {KINDS, "a20100", "{\"choiceString\":\"\"}"},
    {KINDS, "a80100", "{\"choiceNumber\":0}"},
    {KINDS, "f00100 fa0100 820200",
     "{\"optNumber\":0,\"optString\":\"\",\"optChild\":{}}"},
    /* unknown fields, among them groups */
    {KINDS, "c03e05 c23e03616263 c53e01020304 c13e0102030405060708 0801",
     "{\"aBool\":true}"},
    {KINDS, "c33e 0805 c43e 0801", "{\"aBool\":true}"},
    {KINDS, "c33e c33e c43e c43e", "{}"},
    {KINDS, "c33e", MALFORMED},
    {KINDS, "c33e cc3e", MALFORMED},
    {KINDS, "c43e", MALFORMED},
    /* a known field of another wire type is unknown */
    {KINDS, "0a0101 0801", "{\"aBool\":true}"},
    {KINDS, "7001 25ffffffff", "{}"},
    /* repeated: packed, not packed, mixed */
    {LISTS, "1203010203", "{\"int32s\":[1,2,3]}"},
    {LISTS, "1001 1002", "{\"int32s\":[1,2]}"},
    {LISTS, "1001 12020203 1200 1004", "{\"int32s\":[1,2,3,4]}"},
    {LISTS, "5a020102 5803", "{\"loose\":[1,2,3]}"},
    {LISTS, "2a080100000002000000 2d03000000", "{\"fixed32s\":[1,2,3]}"},
    {LISTS, "3208000000000000f03f", "{\"doubles\":[1]}"},
    {LISTS, "3a00 3a0161", "{\"strings\":[\"\",\"a\"]}"},
    {LISTS, "5200 52020801", "{\"kinds\":[{},{\"aBool\":true}]}"},
    {LISTS, "120181", MALFORMED},
    {LISTS, "2a03010000", MALFORMED},
    /* maps: missing halves are defaults, the last of equal keys counts */
    {MAPS, "0a060a016112 0131 0a030a0162 0a0312 0133 0a00",
     "{\"strings\":{\"\":\"\",\"a\":\"1\",\"b\":\"\"}}"},
    {MAPS, "0a060a0161120131 0a060a0162120132 0a060a0161120133",
     "{\"strings\":{\"a\":\"3\",\"b\":\"2\"}}"},
    {MAPS, "12040801 1001 12020802 1200",
     "{\"byInt32\":{\"0\":false,\"1\":true,\"2\":false}}"},
    {MAPS, "1a020801", "{\"byUint64\":{\"1\":{}}}"},
    /* strings */
    {KINDS, "7202c3a9", "{\"aString\":\"\xc3\xa9\"}"},
    {KINDS, "7200", "{}"},
    {KINDS, "7201ff", "!string field contains invalid UTF-8"},
    {KINDS, "7203eda080", "!string field contains invalid UTF-8"},
    {KINDS, "72036100 62", "{\"aString\":\"a\\u0000b\"}"},
    {KINDS, "720100", "{\"aString\":\"\\u0000\"}"},
    {KINDS, "8a0104720261ff", "!string field contains invalid UTF-8"},
    {MAPS, "0a030a01ff", "!string field contains invalid UTF-8"},
    {KINDS, "7a03ff0080", "{\"aBytes\":\"/wCA\"}"},
    /* rubbish */
    {KINDS, "ff", MALFORMED},
    {KINDS, "08", MALFORMED},
    {KINDS, "0880", MALFORMED},
    {KINDS, "00", MALFORMED},
    {KINDS, "0001", MALFORMED},
    {KINDS, "0e01", MALFORMED},
    {KINDS, "0f01", MALFORMED},
    {KINDS, "7202 61", MALFORMED},
    {KINDS, "72ffffffffffffffffff01", MALFORMED},
    {KINDS, "4501", MALFORMED},
    {KINDS, "4901020304050607", MALFORMED},
    {KINDS, "20ffffffffffffffffff02", MALFORMED},
    {KINDS, "20ffffffffffffffffffff01", MALFORMED},
    {KINDS, "8080808010 01", MALFORMED},
    {KINDS, "f8ffffff0f 01", "{}"},
    {KINDS, "8a0103 0801", MALFORMED},
    {KINDS, "8a0101 08", MALFORMED},
};

static void
test_binary(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(binary); i++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(scope_free)
        char *got = as_json(binary[i].desc, binary[i].hex, &st);
        bool refused = binary[i].want[0] == '!';
        char want[1024];

        (void)snprintf(want, sizeof(want), "%s", binary[i].want);
        if (refused)
            (void)snprintf(want, sizeof(want),
                           "unmarshal message: unmarshal into *%s: proto: %s",
                           binary[i].desc->name, binary[i].want + 1);
        if (strcmp(got, want) != 0)
            fail_msg("%s\n  gave   %s\n  wanted %s", binary[i].hex, got, want);
        assert_int_equal(st.code, refused ? RPC_INVALID_ARGUMENT : RPC_OK);
    }
}

/* Fields that point into the data do not disturb each other. */
static void
test_strings_in_place(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(arena_done) struct arena arena = {0};
    SCOPE(scope_free) uint8_t *data = NULL;
    const Process__ProcessConfig *m;
    size_t len;

    (void)state;
    data = from_hex("0a046563686f 1200 12026869 1203e282ac 2200", &len);
    m = (const Process__ProcessConfig *)(const void *)codec_decode(
        CODEC_PROTO, &process__process_config__descriptor, data, len, &arena,
        &st);
    assert_non_null(m);
    assert_string_equal(m->cmd, "echo");
    assert_int_equal(m->n_args, 3);
    assert_string_equal(m->args[0], "");
    assert_string_equal(m->args[1], "hi");
    assert_string_equal(m->args[2], "\xe2\x82\xac");
    assert_int_equal(m->_cwd_case, PROCESS__PROCESS_CONFIG___CWD_CWD);
    assert_string_equal(m->cwd, "");
}

/* ---- bounds ---- */

/* A message of `levels` children inside each other, written from the inside. */
static size_t
nested(uint8_t *end, size_t levels)
{
    uint8_t *p = end;

    for (size_t i = 1; i < levels; i++) {
        size_t len = (size_t)(end - p);
        uint8_t prefix[10];
        size_t n = 0;

        for (; len >= 0x80; len >>= 7)
            prefix[n++] = (uint8_t)(len | 0x80U);
        prefix[n++] = (uint8_t)len;
        p -= n;
        memcpy(p, prefix, n);
        *--p = 0x01;
        *--p = 0x8a;
    }
    return (size_t)(end - p);
}

static enum rpc_code
decode_nested(size_t levels)
{
    const size_t size = levels * 8;
    SCOPE(status_done) struct status st = {0};
    SCOPE(arena_done) struct arena arena = {0};
    SCOPE(scope_free) uint8_t *data = malloc(size);
    size_t len = nested(data + size, levels);

    (void)codec_decode(CODEC_PROTO, KINDS, data + size - len, len, &arena, &st);
    return st.code;
}

static void
test_nesting(void **state)
{
    (void)state;
    assert_int_equal(decode_nested(LIMIT_RPC_NESTING), RPC_OK);
    assert_int_equal(decode_nested(LIMIT_RPC_NESTING + 1),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(decode_nested((size_t)LIMIT_RPC_NESTING * 10),
                     RPC_INVALID_ARGUMENT);
}

static void
test_memory_is_bounded(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct arena arena;
    uint8_t data[20000];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i += 2) {
        data[i] = 0x52; /* kinds, empty */
        data[i + 1] = 0;
    }
    arena_init(&arena, 256 * 1024);
    assert_null(
        codec_decode(CODEC_PROTO, LISTS, data, sizeof(data), &arena, &st));
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    arena_done(&arena);
}

/* ---- words ---- */

static void
test_json_errors(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(arena_done) struct arena arena = {0};
    char text[] = "{\"pid\":\"x\"}";

    (void)state;
    assert_null(codec_decode(CODEC_JSON, &process__list_request__descriptor,
                             NULL, 0, &arena, &st));
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(status_message(&st),
                        "unmarshal message: zero-length payload is not a valid "
                        "JSON object");
    assert_null(codec_decode(CODEC_JSON, &process__process_selector__descriptor,
                             (uint8_t *)text, strlen(text), &arena, &st));
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(
        status_message(&st),
        "unmarshal message: unmarshal into *process.ProcessSelector: proto: "
        "(offset 7): invalid value for uint32 field pid");
}

static void
test_encode_errors(void **state)
{
    Filesystem__EntryInfo entry = FILESYSTEM__ENTRY_INFO__INIT;
    Filesystem__StatResponse response = FILESYSTEM__STAT_RESPONSE__INIT;

    (void)state;
    entry.path = (char *)(uintptr_t) "/caf\xe9";
    response.entry = &entry;
    for (int codec = CODEC_PROTO; codec <= CODEC_JSON; codec++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(buf_done) struct buf out = {0};

        assert_int_equal(
            codec_encode((enum codec)codec, &response.base, &out, &st), -1);
        assert_int_equal(st.code, RPC_INTERNAL);
        assert_string_equal(status_message(&st),
                            "marshal message: proto: field "
                            "filesystem.EntryInfo.path contains invalid "
                            "UTF-8");
    }
}

static void
test_exhausted_memory(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct buf out = {.failed = true};
    Process__ProcessSelector selector = PROCESS__PROCESS_SELECTOR__INIT;

    (void)state;
    selector.selector_case = PROCESS__PROCESS_SELECTOR__SELECTOR_PID;
    assert_int_equal(codec_encode(CODEC_PROTO, &selector.base, &out, &st), -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
}

/* ---- binary output ---- */

/* JSON to binary, by way of a message. */
static const struct {
    const ProtobufCMessageDescriptor *desc;
    const char *json;
    const char *hex;
} encodings[] = {
    /* as captured from the wire */
    {&process__start_request__descriptor,
     "{\"process\":{\"cmd\":\"echo\",\"args\":[\"hi\"]}}",
     "0a0a 0a046563686f 12026869"},
    {&process__start_response__descriptor,
     "{\"event\":{\"start\":{\"pid\":33848}}}", "0a060a0408b88802"},
    {&process__start_response__descriptor,
     "{\"event\":{\"data\":{\"stdout\":\"aGkK\"}}}", "0a0712050a0368690a"},
    {&process__start_response__descriptor,
     "{\"event\":{\"end\":{\"exited\":true,\"status\":\"exit status 0\"}}}",
     "0a131a1110011a0d6578697420737461747573 2030"},
    {&process__process_event__end_event__descriptor, "{\"exitCode\":-1}",
     "0801"},
    {&filesystem__stat_response__descriptor,
     "{\"entry\":{\"name\":\"null\",\"path\":\"/dev/null\",\"mode\":438,"
     "\"permissions\":\"Dcrw-rw-rw-\",\"owner\":\"root\",\"group\":\"root\","
     "\"modifiedTime\":\"2026-11-19T23:42:13.056406236Z\"}}",
     "0a3a 0a046e756c6c 1a092f6465762f6e756c6c 28b603 "
     "320b446372772d72772d72772d"
     "3a04726f6f74 4204726f6f74 4a0b08d592fed70610dce1f21a"},
    /* presence */
    {&process__start_request__descriptor,
     "{\"pty\":{},\"tag\":\"\",\"stdin\":false}", "12001a002000"},
    {&process__process_input__descriptor, "{\"pty\":\"\"}", "1200"},
    {KINDS, "{\"choiceString\":\"\",\"child\":{}}", "8a0100 a20100"},
    /* types */
    {KINDS, "{\"anInt32\":-1,\"aSint32\":-2147483648,\"aSint64\":\"1\"}",
     "10ffffffffffffffffff01 30ffffffff0f 3802"},
    {KINDS, "{\"aFixed32\":1,\"anSfixed64\":\"-1\",\"aFloat\":1}",
     "4501000000 59ffffffffffffffff 650000803f"},
    {KINDS, "{\"aDouble\":-0}", "690000000000000080"},
    {KINDS, "{\"aColour\":\"COLOUR_BELOW\"}", "8001feffffffffffffffff01"},
    {KINDS, "{\"aUint64\":\"18446744073709551615\",\"aUint32\":128}",
     "208001 28ffffffffffffffffff01"},
    /* repeated numbers are packed, unless the schema says no */
    {LISTS, "{\"int32s\":[1,2,300],\"loose\":[1,2]}", "12040102ac02 5801 5802"},
    {LISTS, "{\"strings\":[\"\",\"a\"],\"kinds\":[{}]}", "3a00 3a0161 5200"},
    {MAPS, "{\"strings\":{\"a\":\"1\",\"b\":\"\"}}",
     "0a060a0161120131 0a030a0162"},
};

static void
test_encodings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(arena_done) struct arena arena = {0};
        SCOPE(scope_free) char *text = strdup(encodings[i].json);
        SCOPE(scope_free) uint8_t *want = NULL;
        SCOPE(buf_done) struct buf out = {0};
        ProtobufCMessage *m;
        size_t len;

        m = codec_decode(CODEC_JSON, encodings[i].desc, (uint8_t *)text,
                         strlen(text), &arena, &st);
        if (m == NULL)
            fail_msg("%s: %s", encodings[i].json, status_message(&st));
        assert_int_equal(codec_encode(CODEC_PROTO, m, &out, &st), 0);
        want = from_hex(encodings[i].hex, &len);
        if (out.len != len || memcmp(buf_data(&out), want, len) != 0)
            fail_msg("%s: other bytes", encodings[i].json);
        /* behind what is in the buffer already */
        assert_int_equal(codec_encode(CODEC_PROTO, m, &out, &st), 0);
        assert_int_equal(out.len, 2 * len);
        assert_memory_equal(buf_data(&out) + len, want, len);
    }
}

static void
test_empty_message(void **state)
{
    Process__ListRequest m = PROCESS__LIST_REQUEST__INIT;
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};

    (void)state;
    assert_int_equal(codec_encode(CODEC_PROTO, &m.base, &out, &st), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(codec_encode(CODEC_JSON, &m.base, &out, &st), 0);
    assert_int_equal(out.len, 2);
}

/* Bytes larger than any step of copying come through whole. */
static void
test_large_bytes(void **state)
{
    const size_t size = 100003;
    SCOPE(scope_free) uint8_t *data = malloc(size);
    Process__ProcessEvent__DataEvent m =
        PROCESS__PROCESS_EVENT__DATA_EVENT__INIT;

    (void)state;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    m.output_case = PROCESS__PROCESS_EVENT__DATA_EVENT__OUTPUT_STDOUT;
    m.stdout = (ProtobufCBinaryData){size, data};
    for (int codec = CODEC_PROTO; codec <= CODEC_JSON; codec++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(arena_done) struct arena arena = {0};
        SCOPE(buf_done) struct buf out = {0};
        const Process__ProcessEvent__DataEvent *back;

        assert_int_equal(codec_encode((enum codec)codec, &m.base, &out, &st),
                         0);
        back = (const Process__ProcessEvent__DataEvent *)(const void *)
            codec_decode((enum codec)codec, m.base.descriptor, buf_data(&out),
                         out.len, &arena, &st);
        assert_non_null(back);
        assert_int_equal(back->stdout.len, size);
        assert_memory_equal(back->stdout.data, data, size);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_strings_in_place),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_json_errors),
        cmocka_unit_test(test_encode_errors),
        cmocka_unit_test(test_exhausted_memory),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_empty_message),
        cmocka_unit_test(test_large_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
