/*
 * JSON to messages: each rule of the contract's input table, and of REST.
 * What was read is shown by writing it back.
 */
#include "connect/json_read.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/scope.h"
#include "codec_test.pb-c.h"
#include "connect/json_any.h"
#include "connect/json_write.h"
#include "filesystem.pb-c.h"
#include "limits.h"
#include "process.pb-c.h"
#include "rest.pb-c.h"

#define KINDS  (&codec_test__kinds__descriptor)
#define LISTS  (&codec_test__lists__descriptor)
#define MAPS   (&codec_test__maps__descriptor)
#define EMPTY  (&codec_test__empty__descriptor)
#define START  (&process__start_request__descriptor)
#define SIGNAL (&process__send_signal_request__descriptor)
#define INPUT  (&process__send_input_request__descriptor)
#define STREAM (&process__stream_input_request__descriptor)
#define WATCH  (&filesystem__watch_dir_request__descriptor)
#define ENTRY  (&filesystem__entry_info__descriptor)
#define INIT   (&rest__init_request__descriptor)

static const ProtobufCMessageDescriptor *const any_types[] = {
    &codec_test__kinds__descriptor,
    &codec_test__empty__descriptor,
};

/*
 * Read a text, in memory of exactly its size, and give its canonical form, or
 * the reason why it was refused.  The caller frees it.
 */
static char *
reread(const ProtobufCMessageDescriptor *desc, enum json_rules rules,
       const char *text, size_t len, struct status *st)
{
    SCOPE(scope_free) char *copy = malloc(len > 0 ? len : 1);
    SCOPE(arena_done) struct arena arena = {0};
    SCOPE(buf_done) struct buf out = {0};
    ProtobufCMessage *m;

    memcpy(copy, text, len);
    m = json_read(desc, copy, len, rules, &arena, st);
    if (m == NULL)
        return strdup(status_message(st));
    assert_int_equal(json_write(m, JSON_STYLE_PROTO, &out, st), 0);
    return strndup((const char *)buf_data(&out), out.len);
}

struct read_case {
    const ProtobufCMessageDescriptor *desc;
    const char *text;
    const char *want; /* canonical form, or with `!` in front the reason */
};

static void
check(const struct read_case *cases, size_t count, enum json_rules rules)
{
    for (size_t i = 0; i < count; i++) {
        SCOPE(status_done) struct status st = {0};
        bool refused = cases[i].want[0] == '!';
        SCOPE(scope_free)
        char *got = reread(cases[i].desc, rules, cases[i].text,
                           strlen(cases[i].text), &st);

        if (strcmp(got, cases[i].want + (refused ? 1 : 0)) != 0 ||
            (st.code != RPC_OK) != refused)
            fail_msg("%s\n  gave   %s\n  wanted %s", cases[i].text, got,
                     cases[i].want);
        if (refused)
            assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    }
}

static const struct read_case names[] = {
    {WATCH, "{\"includeEntry\":true}", "{\"includeEntry\":true}"},
    {WATCH, "{\"include_entry\":true}", "{\"includeEntry\":true}"},
    {WATCH, "{\"allow_network_mounts\":true,\"path\":\"/\"}",
     "{\"path\":\"/\",\"allowNetworkMounts\":true}"},
    /* exact case, else unknown */
    {WATCH, "{\"IncludeEntry\":true,\"includeentry\":true}", "{}"},
    {WATCH, "{\"include_Entry\":true,\"includeEntr\":true}", "{}"},
    {WATCH, "{\"includeEntryy\":true,\"\":true,\"_\":1}", "{}"},
    {WATCH, "{\"path\\u0000\":\"x\"}", "{}"},
    {WATCH, "{\"p\\u0061th\":\"x\"}", "{\"path\":\"x\"}"},
    /* twice */
    {WATCH, "{\"path\":\"a\",\"path\":\"b\"}",
     "!(offset 13): duplicate field path"},
    {WATCH, "{\"includeEntry\":true,\"include_entry\":true}",
     "!(offset 22): duplicate field include_entry"},
    {WATCH, "{\"path\":null,\"path\":\"b\"}",
     "!(offset 14): duplicate field path"},
    {KINDS, "{\"optNumber\":1,\"opt_number\":1}",
     "!(offset 16): duplicate field opt_number"},
    {WATCH, "{\"nope\":1,\"nope\":2}", "{}"},
};

static const struct read_case unknown_fields[] = {
    {WATCH, "{\"x\":1,\"path\":\"p\",\"y\":{\"path\":[1,{}]}}",
     "{\"path\":\"p\"}"},
    {WATCH, "{\"x\":[[[{\"a\":[]}]]],\"z\":\"\\u0000\\ud83d\\ude00\"}", "{}"},
    {WATCH, "{\"x\":-1.5e300,\"y\":true,\"z\":null}", "{}"},
    {WATCH, "{\"x\":[1,}", "!syntax error (offset 8): unexpected token }"},
    {WATCH, "{\"x\":nul}", "!syntax error (offset 5): unexpected token n"},
    {WATCH, "{\"x\":\"\xff\"}",
     "!syntax error (offset 6): invalid UTF-8 in string"},
};

static const struct read_case nulls[] = {
    {START, "{\"process\":null,\"pty\":null,\"tag\":null,\"stdin\":null}",
     "{}"},
    {START, "{\"process\":{\"args\":null,\"envs\":null,\"cwd\":null}}",
     "{\"process\":{}}"},
    {SIGNAL, "{\"signal\":null,\"process\":{\"pid\":null,\"tag\":\"a\"}}",
     "{\"process\":{\"tag\":\"a\"}}"},
    {KINDS,
     "{\"aBool\":null,\"aDouble\":null,\"aBytes\":null,\"at\":null,"
     "\"any\":null}",
     "{}"},
    {START, "{\"process\":{\"args\":[null]}}",
     "!syntax error (offset 20): unexpected token n"},
    {START, "{\"process\":{\"envs\":{\"a\":null}}}",
     "!syntax error (offset 24): unexpected token n"},
    {LISTS, "{\"kinds\":[null]}",
     "!syntax error (offset 10): unexpected token n"},
    {LISTS, "{\"int32s\":[1,null]}",
     "!syntax error (offset 13): unexpected token n"},
};

static const struct read_case top_level[] = {
    {EMPTY, "{}", "{}"},
    {EMPTY, " \t\r\n{ } \n", "{}"},
    {EMPTY, "", "!syntax error (offset 0): unexpected EOF"},
    {EMPTY, " ", "!syntax error (offset 1): unexpected EOF"},
    {EMPTY, "[]", "!syntax error (offset 0): unexpected token ["},
    {EMPTY, "null", "!syntax error (offset 0): unexpected token n"},
    {EMPTY, "\"a\"", "!syntax error (offset 0): unexpected token \""},
    {EMPTY, "1", "!syntax error (offset 0): unexpected token 1"},
    {EMPTY, "\xef\xbb\xbf{}", "!syntax error (offset 0): unexpected byte 0xef"},
    {EMPTY, "{}x", "!syntax error (offset 2): unexpected token x"},
    {EMPTY, "{}{}", "!syntax error (offset 2): unexpected token {"},
    {EMPTY, "{},", "!syntax error (offset 2): unexpected token ,"},
    {EMPTY, "{\"a\":1,}", "!syntax error (offset 7): unexpected token }"},
    {EMPTY, "{'a':1}", "!syntax error (offset 1): unexpected token '"},
    {EMPTY, "{}//", "!syntax error (offset 2): unexpected token /"},
    {EMPTY, "{/**/}", "!syntax error (offset 1): unexpected token /"},
};

static const struct read_case strings[] = {
    {KINDS, "{\"aString\":\"\"}", "{}"},
    {KINDS, "{\"aString\":\"a\\/\\b\\f\\n\\r\\t\\\"\\\\\"}",
     "{\"aString\":\"a/\\b\\f\\n\\r\\t\\\"\\\\\"}"},
    {KINDS, "{\"aString\":\"\\u00e9\\ud83d\\ude00\\u007f\"}",
     "{\"aString\":\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"}"},
    {KINDS, "{\"aString\":\"\xc3\xa9\"}", "{\"aString\":\"\xc3\xa9\"}"},
    {KINDS, "{\"aString\":\"\xc3\"}",
     "!syntax error (offset 12): invalid UTF-8 in string"},
    {KINDS, "{\"aString\":\"\\ud800\"}",
     "!syntax error (offset 12): lone surrogate in string"},
    {KINDS, "{\"aString\":\"a\tb\"}",
     "!syntax error (offset 13): control character in string"},
    {KINDS, "{\"aString\":1}",
     "!(offset 11): invalid value for string field a_string"},
    {KINDS, "{\"aString\":true}",
     "!(offset 11): invalid value for string field a_string"},
    {KINDS, "{\"aString\":[]}",
     "!(offset 11): invalid value for string field a_string"},
    {KINDS, "{\"aString\":}", "!syntax error (offset 11): unexpected token }"},
    {KINDS, "{\"aString\":\"a\\u0000b\"}", "{\"aString\":\"a\\u0000b\"}"},
    {START, "{\"process\":{\"args\":[\"x\",\"\\u0000\"]}}",
     "{\"process\":{\"args\":[\"x\",\"\\u0000\"]}}"},
    {START, "{\"process\":{\"envs\":{\"A\\u0000B\":\"c\"}}}",
     "{\"process\":{\"envs\":{\"A\\u0000B\":\"c\"}}}"},
    {START, "{\"process\":{\"envs\":{\"A\":\"\\u0000\"}}}",
     "{\"process\":{\"envs\":{\"A\":\"\\u0000\"}}}"},
};

static const struct read_case numbers[] = {
    {KINDS, "{\"aUint32\":7}", "{\"aUint32\":7}"},
    {KINDS, "{\"aUint32\":\"7\"}", "{\"aUint32\":7}"},
    {KINDS, "{\"aUint32\":1.0}", "{\"aUint32\":1}"},
    {KINDS, "{\"aUint32\":1e0}", "{\"aUint32\":1}"},
    {KINDS, "{\"aUint32\":\"1e2\"}", "{\"aUint32\":100}"},
    {KINDS, "{\"aUint32\":1.5e1}", "{\"aUint32\":15}"},
    {KINDS, "{\"aUint32\":100e-2}", "{\"aUint32\":1}"},
    {KINDS, "{\"aUint32\":0.0010e3}", "{\"aUint32\":1}"},
    {KINDS, "{\"aUint32\":-0}", "{}"},
    {KINDS, "{\"aUint32\":0e999999999999}", "{}"},
    {KINDS, "{\"aUint32\":4294967295}", "{\"aUint32\":4294967295}"},
    {KINDS, "{\"aUint32\":4294967296}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":-1}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":1.5}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":1e-1}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":1e400}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":\"\"}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":\" 1\"}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":\"1 \"}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":\"+1\"}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":\"0x1\"}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":\"01\"}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":true}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"aUint32\":{}}",
     "!(offset 11): invalid value for uint32 field a_uint32"},
    {KINDS, "{\"anInt32\":-2147483648}", "{\"anInt32\":-2147483648}"},
    {KINDS, "{\"anInt32\":2147483647}", "{\"anInt32\":2147483647}"},
    {KINDS, "{\"anInt32\":2147483648}",
     "!(offset 11): invalid value for int32 field an_int32"},
    {KINDS, "{\"anInt32\":-2147483649}",
     "!(offset 11): invalid value for int32 field an_int32"},
    {KINDS, "{\"anInt64\":-9223372036854775808}",
     "{\"anInt64\":\"-9223372036854775808\"}"},
    {KINDS, "{\"anInt64\":\"9223372036854775807\"}",
     "{\"anInt64\":\"9223372036854775807\"}"},
    {KINDS, "{\"anInt64\":9223372036854775808}",
     "!(offset 11): invalid value for int64 field an_int64"},
    {KINDS, "{\"aUint64\":18446744073709551615}",
     "{\"aUint64\":\"18446744073709551615\"}"},
    {KINDS, "{\"aUint64\":18446744073709551616}",
     "!(offset 11): invalid value for uint64 field a_uint64"},
    {KINDS, "{\"aSint32\":-5,\"aSint64\":\"-6\"}",
     "{\"aSint32\":-5,\"aSint64\":\"-6\"}"},
    {KINDS,
     "{\"aFixed32\":5,\"aFixed64\":6,\"anSfixed32\":-7,"
     "\"anSfixed64\":-8}",
     "{\"aFixed32\":5,\"aFixed64\":\"6\",\"anSfixed32\":-7,"
     "\"anSfixed64\":\"-8\"}"},
    {KINDS, "{\"aDouble\":1.5,\"aFloat\":\"2.5\"}",
     "{\"aFloat\":2.5,\"aDouble\":1.5}"},
    {KINDS, "{\"aDouble\":1e308,\"aFloat\":-1e-5}",
     "{\"aFloat\":-0.00001,\"aDouble\":1e+308}"},
    {KINDS, "{\"aDouble\":\"NaN\",\"aFloat\":\"-Infinity\"}",
     "{\"aFloat\":\"-Infinity\",\"aDouble\":\"NaN\"}"},
    {KINDS, "{\"aDouble\":\"Infinity\"}", "{\"aDouble\":\"Infinity\"}"},
    {KINDS, "{\"aDouble\":1e309}",
     "!(offset 11): invalid value for double field a_double"},
    {KINDS, "{\"aFloat\":1e39}",
     "!(offset 10): invalid value for float field a_float"},
    {KINDS, "{\"aDouble\":\"nan\"}",
     "!(offset 11): invalid value for double field a_double"},
    {KINDS, "{\"aDouble\":\"0x1p3\"}",
     "!(offset 11): invalid value for double field a_double"},
    {KINDS, "{\"aDouble\":\"\"}",
     "!(offset 11): invalid value for double field a_double"},
    {KINDS, "{\"aDouble\":1", "!syntax error (offset 12): unexpected EOF"},
};

static const struct read_case others[] = {
    /* bool */
    {KINDS, "{\"aBool\":true}", "{\"aBool\":true}"},
    {KINDS, "{\"aBool\":false}", "{}"},
    {KINDS, "{\"aBool\":\"true\"}",
     "!(offset 9): invalid value for bool field a_bool"},
    {KINDS, "{\"aBool\":1}",
     "!(offset 9): invalid value for bool field a_bool"},
    /* enum */
    {SIGNAL, "{\"signal\":\"SIGNAL_SIGKILL\"}",
     "{\"signal\":\"SIGNAL_SIGKILL\"}"},
    {SIGNAL, "{\"signal\":15}", "{\"signal\":\"SIGNAL_SIGTERM\"}"},
    {SIGNAL, "{\"signal\":2}", "{\"signal\":2}"},
    {SIGNAL, "{\"signal\":1.5e1}", "{\"signal\":\"SIGNAL_SIGTERM\"}"},
    {SIGNAL, "{\"signal\":\"SIGNAL_NOPE\"}", "{}"},
    {SIGNAL, "{\"signal\":\"9\"}", "{}"},
    {SIGNAL, "{\"signal\":\"SIGNAL_SIGKILL\\u0000\"}", "{}"},
    {SIGNAL, "{\"signal\":1.5}",
     "!(offset 10): invalid value for enum field signal"},
    {SIGNAL, "{\"signal\":true}",
     "!(offset 10): invalid value for enum field signal"},
    {SIGNAL, "{\"signal\":3000000000}",
     "!(offset 10): invalid value for enum field signal"},
    {KINDS, "{\"aColour\":-2}", "{\"aColour\":\"COLOUR_BELOW\"}"},
    {LISTS, "{\"colours\":[\"COLOUR_RED\",\"NOPE\",5,77]}",
     "{\"colours\":[\"COLOUR_RED\",\"COLOUR_BLUE\",77]}"},
    {MAPS, "{\"colours\":{\"a\":\"NOPE\",\"b\":\"COLOUR_RED\"}}",
     "{\"colours\":{\"b\":\"COLOUR_RED\"}}"},
    {KINDS, "{\"choiceColour\":\"NOPE\"}", "{}"},
    /* bytes */
    {KINDS, "{\"aBytes\":\"aGkK\"}", "{\"aBytes\":\"aGkK\"}"},
    {KINDS, "{\"aBytes\":\"aGk=\"}", "{\"aBytes\":\"aGk=\"}"},
    {KINDS, "{\"aBytes\":\"aGk\"}", "{\"aBytes\":\"aGk=\"}"},
    {KINDS, "{\"aBytes\":\"-_-_\"}", "{\"aBytes\":\"+/+/\"}"},
    {KINDS, "{\"aBytes\":\"-_8\"}", "{\"aBytes\":\"+/8=\"}"},
    {KINDS, "{\"aBytes\":\"\\u002b\\/+\\/\"}", "{\"aBytes\":\"+/+/\"}"},
    {KINDS, "{\"aBytes\":\"\"}", "{}"},
    {KINDS, "{\"choiceBytes\":\"\"}", "{\"choiceBytes\":\"\"}"},
    {KINDS, "{\"aBytes\":\"+_+_\"}",
     "!(offset 10): invalid value for bytes field a_bytes"},
    {KINDS, "{\"aBytes\":\"aGk= \"}",
     "!(offset 10): invalid value for bytes field a_bytes"},
    {KINDS, "{\"aBytes\":\"aG k\"}",
     "!(offset 10): invalid value for bytes field a_bytes"},
    {KINDS, "{\"aBytes\":\"aGkKa\"}",
     "!(offset 10): invalid value for bytes field a_bytes"},
    {KINDS, "{\"aBytes\":\"aGk=\\n\"}",
     "!(offset 10): invalid value for bytes field a_bytes"},
    {KINDS, "{\"aBytes\":[1]}",
     "!(offset 10): invalid value for bytes field a_bytes"},
    /* repeated */
    {LISTS, "{\"strings\":[\"a\",\"\",\"b\"],\"bools\":[]}",
     "{\"strings\":[\"a\",\"\",\"b\"]}"},
    {LISTS,
     "{\"bools\":[true,false],\"int32s\":[1,2,3,4,5,6,7,8,9],"
     "\"uint64s\":[1],\"sint64s\":[-1],\"fixed32s\":[2],\"doubles\":[0,1],"
     "\"chunks\":[\"\",\"YQ==\"],\"kinds\":[{},{\"aBool\":true}]}",
     "{\"bools\":[true,false],\"int32s\":[1,2,3,4,5,6,7,8,9],"
     "\"uint64s\":[\"1\"],\"sint64s\":[\"-1\"],\"fixed32s\":[2],"
     "\"doubles\":[0,1],\"chunks\":[\"\",\"YQ==\"],"
     "\"kinds\":[{},{\"aBool\":true}]}"},
    {LISTS, "{\"strings\":\"a\"}",
     "!syntax error (offset 11): unexpected token \""},
    {LISTS, "{\"strings\":{}}",
     "!syntax error (offset 11): unexpected token {"},
    {LISTS, "{\"strings\":[\"a\",]}",
     "!syntax error (offset 16): unexpected token ]"},
    /* map */
    {MAPS, "{\"strings\":{\"b\":\"2\",\"a\":\"1\",\"\":\"\"}}",
     "{\"strings\":{\"\":\"\",\"a\":\"1\",\"b\":\"2\"}}"},
    {MAPS, "{\"strings\":{}}", "{}"},
    {MAPS, "{\"byInt32\":{\"10\":true,\"-9\":false,\"9\":true}}",
     "{\"byInt32\":{\"-9\":false,\"9\":true,\"10\":true}}"},
    {MAPS,
     "{\"byUint64\":{\"18446744073709551615\":{\"aBool\":true},"
     "\"1\":{}}}",
     "{\"byUint64\":{\"1\":{},\"18446744073709551615\":{\"aBool\":true}}}"},
    {MAPS, "{\"byBool\":{\"true\":\"YQ==\",\"false\":\"\"}}",
     "{\"byBool\":{\"false\":\"\",\"true\":\"YQ==\"}}"},
    {MAPS, "{\"strings\":{\"a\":\"1\",\"b\":\"\",\"a\":\"2\"}}",
     "!(offset 36): duplicate map key in strings"},
    {MAPS, "{\"byInt32\":{\"1\":true,\"1\":true}}",
     "!(offset 31): duplicate map key in by_int32"},
    {MAPS, "{\"byInt32\":{\"x\":true}}",
     "!(offset 13): invalid value for int32 field key"},
    {MAPS, "{\"byInt32\":{\"\":true}}",
     "!(offset 13): invalid value for int32 field key"},
    {MAPS, "{\"byBool\":{\"True\":\"\"}}",
     "!(offset 12): invalid value for bool field key"},
    {MAPS, "{\"strings\":{\"a\":1}}",
     "!(offset 16): invalid value for string field value"},
    {MAPS, "{\"strings\":[]}", "!syntax error (offset 11): unexpected token ["},
    /* message */
    {KINDS, "{\"child\":{}}", "{\"child\":{}}"},
    {KINDS, "{\"child\":{\"child\":{\"aBool\":true}}}",
     "{\"child\":{\"child\":{\"aBool\":true}}}"},
    {KINDS, "{\"child\":[]}", "!syntax error (offset 9): unexpected token ["},
    {KINDS, "{\"child\":\"\"}",
     "!syntax error (offset 9): unexpected token \""},
    {KINDS, "{\"child\":1}", "!syntax error (offset 9): unexpected token 1"},
};

static const struct read_case oneofs[] = {
    {SIGNAL, "{\"process\":{\"pid\":0}}", "{\"process\":{\"pid\":0}}"},
    {SIGNAL, "{\"process\":{\"tag\":\"\"}}", "{\"process\":{\"tag\":\"\"}}"},
    {INPUT, "{\"input\":{\"stdin\":\"\"}}", "{\"input\":{\"stdin\":\"\"}}"},
    {STREAM, "{\"keepalive\":{}}", "{\"keepalive\":{}}"},
    {SIGNAL, "{\"process\":{\"pid\":1,\"tag\":\"a\"}}",
     "!(offset 26): oneof process.ProcessSelector.selector is already set"},
    {SIGNAL, "{\"process\":{\"tag\":\"\",\"pid\":0}}",
     "!(offset 27): oneof process.ProcessSelector.selector is already set"},
    {INPUT, "{\"input\":{\"pty\":\"\",\"stdin\":\"\"}}",
     "!(offset 27): oneof process.ProcessInput.input is already set"},
    {SIGNAL, "{\"process\":{\"tag\":null,\"pid\":0}}",
     "{\"process\":{\"pid\":0}}"},
    /* proto3 optional */
    {START, "{\"stdin\":false,\"tag\":\"\",\"pty\":{}}",
     "{\"pty\":{},\"tag\":\"\",\"stdin\":false}"},
    {START, "{\"process\":{\"cwd\":\"\"}}", "{\"process\":{\"cwd\":\"\"}}"},
    {KINDS, "{\"optNumber\":0,\"optString\":\"\",\"optChild\":{}}",
     "{\"optNumber\":0,\"optString\":\"\",\"optChild\":{}}"},
};

static const struct read_case timestamps[] = {
    {ENTRY, "{\"modifiedTime\":\"2025-11-21T12:00:00Z\"}",
     "{\"modifiedTime\":\"2025-11-21T12:00:00Z\"}"},
    {ENTRY, "{\"modified_time\":\"2025-11-21T12:00:00.5+01:30\"}",
     "{\"modifiedTime\":\"2025-11-21T10:30:00.500Z\"}"},
    {ENTRY, "{\"modifiedTime\":\"1969-12-31T23:59:58.5Z\"}",
     "{\"modifiedTime\":\"1969-12-31T23:59:58.500Z\"}"},
    {ENTRY, "{\"modifiedTime\":\"2025-11-21T12:00:00.0123456789Z\"}",
     "!(offset 16): invalid timestamp"},
    {ENTRY, "{\"modifiedTime\":\"2025-11-21\"}",
     "!(offset 16): invalid timestamp"},
    {ENTRY, "{\"modifiedTime\":1}", "!(offset 16): invalid timestamp"},
    {ENTRY, "{\"modifiedTime\":{}}", "!(offset 16): invalid timestamp"},
};

static const struct read_case anys[] = {
    {KINDS, "{\"any\":{}}", "{\"any\":{}}"},
    {KINDS,
     "{\"any\":{\"@type\":\"type.googleapis.com/codec_test.Kinds\","
     "\"aString\":\"a\\nb\",\"x\":\"\\n\"}}",
     "{\"any\":{\"@type\":\"type.googleapis.com/codec_test.Kinds\","
     "\"aString\":\"a\\nb\"}}"},
    /* the type may come last */
    {KINDS,
     "{\"any\":{\"aString\":\"a\\nb\",\"x\":[1],"
     "\"@type\":\"type.googleapis.com/codec_test.Kinds\"},\"aBool\":true}",
     "{\"aBool\":true,\"any\":{"
     "\"@type\":\"type.googleapis.com/codec_test.Kinds\","
     "\"aString\":\"a\\nb\"}}"},
    {LISTS,
     "{\"anys\":[{\"@type\":\"x/codec_test.Empty\"},"
     "{\"@type\":\"/codec_test.Kinds\",\"any\":"
     "{\"@type\":\"/codec_test.Empty\"}}]}",
     "{\"anys\":[{\"@type\":\"x/codec_test.Empty\"},"
     "{\"@type\":\"/codec_test.Kinds\",\"any\":"
     "{\"@type\":\"/codec_test.Empty\"}}]}"},
    {KINDS, "{\"any\":{\"@type\":\"/codec_test.Nope\"}}",
     "!(offset 7): Any of an unknown or missing @type"},
    {KINDS, "{\"any\":{\"aBool\":true}}",
     "!(offset 7): Any of an unknown or missing @type"},
    {KINDS, "{\"any\":{\"@type\":\"\\u0000\\/codec_test.Empty\"}}",
     "!(offset 7): Any of an unknown or missing @type"},
    {KINDS, "{\"any\":{\"@type\":1}}",
     "!(offset 7): Any of an unknown or missing @type"},
    {KINDS, "{\"any\":{\"@type\":\"/codec_test.Kinds\",\"aBool\":1}}",
     "!(offset 44): invalid value for bool field a_bool"},
    {KINDS, "{\"any\":{\"@type\":\"/codec_test.Kinds\"",
     "!syntax error (offset 35): unexpected EOF"},
    {KINDS, "{\"any\":[]}", "!(offset 7): invalid Any"},
};

/* The REST chapter, section 13 item 9, and 8.9. */
static const struct read_case rest[] = {
    /* keys: whatever the case, underscores do not count */
    {INIT, "{\"hyperloopIP\":\"1.2.3.4\",\"lifecycleID\":\"x\"}",
     "{\"hyperloopIp\":\"1.2.3.4\",\"lifecycleId\":\"x\"}"},
    {INIT, "{\"ACCESSTOKEN\":\"t\",\"default_USER\":\"u\"}",
     "{\"accessToken\":\"t\",\"defaultUser\":\"u\"}"},
    {INIT, "{\"volumeMounts\":[{\"nfs_target\":\"a\",\"path\":\"b\"}]}",
     "{\"volumeMounts\":[{\"nfsTarget\":\"a\",\"path\":\"b\"}]}"},
    {INIT, "{\"_hyper_loop_ip_\":\"1\"}", "{\"hyperloopIp\":\"1\"}"},
    {INIT, "{\"hyperloopI\":\"1\",\"hyperloopIPx\":\"1\",\"\":1,\"_\":2}",
     "{}"},
    /* a repeated key overwrites, maps merge */
    {INIT, "{\"caBundle\":\"a\",\"caBundle\":\"b\"}", "{\"caBundle\":\"b\"}"},
    {INIT, "{\"accessToken\":\"a\",\"ACCESSTOKEN\":\"b\"}",
     "{\"accessToken\":\"b\"}"},
    {INIT,
     "{\"volumeMounts\":[{\"path\":\"a\"},{\"path\":\"b\"}],"
     "\"volumeMounts\":[{\"path\":\"c\"}]}",
     "{\"volumeMounts\":[{\"path\":\"c\"}]}"},
    {INIT,
     "{\"envVars\":{\"a\":\"1\",\"b\":\"2\"},"
     "\"envVars\":{\"b\":\"3\",\"c\":\"4\"}}",
     "{\"envVars\":{\"a\":\"1\",\"b\":\"3\",\"c\":\"4\"}}"},
    {INIT, "{\"envVars\":{\"a\":\"1\",\"a\":\"2\",\"a\":\"3\"}}",
     "{\"envVars\":{\"a\":\"3\"}}"},
    /* null */
    {INIT, "null", "{}"},
    {INIT, " null ", "{}"},
    {INIT,
     "{\"accessToken\":null,\"envVars\":null,\"caBundle\":null,"
     "\"volumeMounts\":null}",
     "{}"},
    {INIT, "{\"accessToken\":\"a\",\"accessToken\":null}", "{}"},
    {INIT, "{\"envVars\":{\"a\":\"1\"},\"envVars\":null}", "{}"},
    {INIT, "{\"envVars\":{\"a\":null}}", "{\"envVars\":{\"a\":\"\"}}"},
    {INIT, "{\"volumeMounts\":[null]}", "{\"volumeMounts\":[{}]}"},
    /* presence */
    {INIT, "{\"accessToken\":\"\",\"timestamp\":\"\"}",
     "{\"timestamp\":\"\",\"accessToken\":\"\"}"},
    /* unknown keys */
    {INIT, "{\"nope\":{\"a\":[1,null]},\"caBundle\":\"b\"}",
     "{\"caBundle\":\"b\"}"},
    /* wrong types */
    {INIT, "{\"accessToken\":1}",
     "!(offset 15): invalid value for string field access_token"},
    {INIT, "{\"envVars\":[]}", "!syntax error (offset 11): unexpected token ["},
    {INIT, "{\"envVars\":{\"a\":1}}",
     "!(offset 16): invalid value for string field value"},
    {INIT, "{\"volumeMounts\":{}}",
     "!syntax error (offset 16): unexpected token {"},
    {INIT, "{\"volumeMounts\":[\"a\"]}",
     "!syntax error (offset 17): unexpected token \""},
    {INIT, "[]", "!syntax error (offset 0): unexpected token ["},
    {INIT, "\"\"", "!syntax error (offset 0): unexpected token \""},
    /* trailing garbage */
    {INIT, "{}x", "!syntax error (offset 2): unexpected token x"},
    {INIT, "null null", "!syntax error (offset 5): unexpected token n"},
    {INIT, "", "!syntax error (offset 0): unexpected EOF"},
    {INIT, "{\"caBundle\":\"a\\u0000\"}", "{\"caBundle\":\"a\\u0000\"}"},
};

static const struct read_case rest_prefix[] = {
    {INIT, "{\"caBundle\":\"a\"} garbage", "{\"caBundle\":\"a\"}"},
    {INIT, "{}}", "{}"},
    {INIT, "null{", "{}"},
    {INIT, "", "!syntax error (offset 0): unexpected EOF"},
    {INIT, "x", "!syntax error (offset 0): unexpected token x"},
    {INIT, "{\"caBundle\":", "!syntax error (offset 12): unexpected EOF"},
};

static void
test_proto_rules(void **state)
{
    (void)state;
    json_any_declare(any_types, ARRAY_LEN(any_types));
    check(names, ARRAY_LEN(names), JSON_RULES_PROTO);
    check(unknown_fields, ARRAY_LEN(unknown_fields), JSON_RULES_PROTO);
    check(nulls, ARRAY_LEN(nulls), JSON_RULES_PROTO);
    check(top_level, ARRAY_LEN(top_level), JSON_RULES_PROTO);
    check(strings, ARRAY_LEN(strings), JSON_RULES_PROTO);
    check(numbers, ARRAY_LEN(numbers), JSON_RULES_PROTO);
    check(others, ARRAY_LEN(others), JSON_RULES_PROTO);
    check(oneofs, ARRAY_LEN(oneofs), JSON_RULES_PROTO);
    check(timestamps, ARRAY_LEN(timestamps), JSON_RULES_PROTO);
    check(anys, ARRAY_LEN(anys), JSON_RULES_PROTO);
}

static void
test_rest_rules(void **state)
{
    (void)state;
    check(rest, ARRAY_LEN(rest), JSON_RULES_REST);
    check(rest_prefix, ARRAY_LEN(rest_prefix), JSON_RULES_REST_PREFIX);
}

/* `{}` differs from absent only in the array's address. */
static void
test_rest_map_presence(void **state)
{
    static const struct {
        const char *text;
        bool present;
        size_t count;
    } cases[] = {
        {"{}", false, 0},
        {"{\"envVars\":null}", false, 0},
        {"{\"envVars\":{\"a\":\"b\"},\"envVars\":null}", false, 0},
        {"{\"envVars\":{}}", true, 0},
        {"{\"envVars\":{\"a\":\"b\"}}", true, 1},
        {"{\"envVars\":{\"a\":\"b\"},\"envVars\":{}}", true, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(arena_done) struct arena arena = {0};
        SCOPE(scope_free) char *text = strdup(cases[i].text);
        const Rest__InitRequest *m =
            (const Rest__InitRequest *)(const void *)json_read(
                INIT, text, strlen(text), JSON_RULES_REST, &arena, &st);

        assert_non_null(m);
        assert_int_equal(m->env_vars != NULL, cases[i].present);
        assert_int_equal(m->n_env_vars, cases[i].count);
    }
}

static void
test_truncation(void **state)
{
    const char *text =
        "{\"process\":{\"cmd\":\"a\\u00e9\",\"args\":[\"-l\",\"\xc3\xa9\"],"
        "\"envs\":{\"K\":\"v\"},\"cwd\":\"/\"},\"pty\":{\"size\":{\"cols\":80,"
        "\"rows\":\"24\"}},\"tag\":null,\"stdin\":true,\"x\":[{}]}";

    (void)state;
    for (size_t len = 0; len < strlen(text); len++) {
        SCOPE(status_done) struct status st = {0};
        SCOPE(scope_free)
        char *got = reread(START, JSON_RULES_PROTO, text, len, &st);

        assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    }
}

/* ---- bounds ---- */

struct nest {
    size_t levels;
    enum rpc_code code;
};

/* {"child":{"child": … } } */
static void *
read_nested(void *arg)
{
    struct nest *nest = arg;
    SCOPE(scope_free) char *text = malloc(nest->levels * 10 + 1);
    SCOPE(arena_done) struct arena arena = {0};
    SCOPE(status_done) struct status st = {0};
    char *p = text;

    for (size_t i = 1; i < nest->levels; i++)
        p = stpcpy(p, "{\"child\":");
    p = stpcpy(p, "{}");
    for (size_t i = 1; i < nest->levels; i++)
        p = stpcpy(p, "}");
    (void)json_read(KINDS, text, (size_t)(p - text), JSON_RULES_PROTO, &arena,
                    &st);
    nest->code = st.code;
    return NULL;
}

/* On a stack of its own, since instrumented frames are large. */
static void
test_nesting(void **state)
{
    struct nest cases[] = {
        {.levels = LIMIT_RPC_NESTING},
        {.levels = LIMIT_RPC_NESTING + 1},
    };
    pthread_attr_t attr;

    (void)state;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 64 << 20), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, &attr, read_nested, &cases[i]),
                         0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(cases[0].code, RPC_OK);
    assert_int_equal(cases[1].code, RPC_INVALID_ARGUMENT);
    assert_int_equal(pthread_attr_destroy(&attr), 0);
}

static void
test_memory_is_bounded(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct arena arena;
    SCOPE(buf_done) struct buf text = {0};

    (void)state;
    buf_append_str(&text, "{\"kinds\":[{}");
    for (size_t i = 0; i < 10000; i++)
        buf_append_str(&text, ",{}");
    buf_append_str(&text, "]}");
    arena_init(&arena, 256 * 1024);
    assert_null(json_read(LISTS, (char *)buf_data(&text), text.len,
                          JSON_RULES_PROTO, &arena, &st));
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    arena_done(&arena);
}

/* Values dropped from a list cost no memory, whatever their number. */
static void
test_dropped_values_cost_nothing(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct arena arena;
    SCOPE(buf_done) struct buf text = {0};

    (void)state;
    buf_append_str(&text, "{\"colours\":[1,1,1,1");
    for (size_t i = 0; i < 100000; i++)
        buf_append_str(&text, ",\"X\"");
    buf_append_str(&text, "]}");
    arena_init(&arena, 16 * 1024);
    assert_non_null(json_read(LISTS, (char *)buf_data(&text), text.len,
                              JSON_RULES_PROTO, &arena, &st));
    arena_done(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proto_rules),
        cmocka_unit_test(test_rest_rules),
        cmocka_unit_test(test_rest_map_presence),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_dropped_values_cost_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
