/*
 * Messages to JSON: each rule of the contract's output table, and of REST.
 */
#include "connect/json_write.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "codec_test.pb-c.h"
#include "connect/json_any.h"
#include "filesystem.pb-c.h"
#include "process.pb-c.h"

static void
check_style(const void *message, enum json_style style, const char *want)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};

    if (json_write(message, style, &out, &st) < 0)
        fail_msg("%s", status_message(&st));
    buf_append_byte(&out, '\0');
    assert_string_equal((const char *)buf_data(&out), want);
}

static void
check(const void *message, const char *want)
{
    check_style(message, JSON_STYLE_PROTO, want);
}

static void
check_fails(const void *message, const char *want)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};

    assert_int_equal(json_write(message, JSON_STYLE_PROTO, &out, &st), -1);
    assert_int_equal(st.code, RPC_INTERNAL);
    assert_string_equal(status_message(&st), want);
}

/* ---- names, defaults, presence ---- */

static void
test_defaults_are_omitted(void **state)
{
    CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;
    CodecTest__Lists lists = CODEC_TEST__LISTS__INIT;
    CodecTest__Maps maps = CODEC_TEST__MAPS__INIT;
    Process__ProcessConfig config = PROCESS__PROCESS_CONFIG__INIT;

    (void)state;
    check(&kinds, "{}");
    check(&lists, "{}");
    check(&maps, "{}");
    check(&config, "{}");
    kinds.a_string = NULL;
    check(&kinds, "{}");
}

static void
test_presence(void **state)
{
    Process__StartRequest start = PROCESS__START_REQUEST__INIT;
    Process__ProcessConfig config = PROCESS__PROCESS_CONFIG__INIT;
    Process__PTY pty = PROCESS__PTY__INIT;
    Process__ProcessEvent event = PROCESS__PROCESS_EVENT__INIT;
    Process__ProcessEvent__StartEvent started =
        PROCESS__PROCESS_EVENT__START_EVENT__INIT;
    Process__ProcessEvent__KeepAlive keepalive =
        PROCESS__PROCESS_EVENT__KEEP_ALIVE__INIT;
    Process__ProcessEvent__DataEvent data =
        PROCESS__PROCESS_EVENT__DATA_EVENT__INIT;
    Process__ProcessSelector selector = PROCESS__PROCESS_SELECTOR__INIT;

    (void)state;
    start.process = &config;
    config._cwd_case = PROCESS__PROCESS_CONFIG___CWD_CWD;
    config.cwd = (char *)(uintptr_t)protobuf_c_empty_string;
    start._pty_case = PROCESS__START_REQUEST___PTY_PTY;
    start.pty = &pty;
    start._tag_case = PROCESS__START_REQUEST___TAG_TAG;
    start.tag = NULL;
    start._stdin_case = PROCESS__START_REQUEST___STDIN_STDIN;
    start.stdin = false;
    check(&start, "{\"process\":{\"cwd\":\"\"},\"pty\":{},\"tag\":\"\","
                  "\"stdin\":false}");

    event.event_case = PROCESS__PROCESS_EVENT__EVENT_START;
    event.start = &started;
    check(&event, "{\"start\":{}}");
    event.event_case = PROCESS__PROCESS_EVENT__EVENT_KEEPALIVE;
    event.keepalive = &keepalive;
    check(&event, "{\"keepalive\":{}}");
    event.event_case = PROCESS__PROCESS_EVENT__EVENT_DATA;
    event.data = &data;
    check(&event, "{\"data\":{}}");
    data.output_case = PROCESS__PROCESS_EVENT__DATA_EVENT__OUTPUT_PTY;
    data.pty = (ProtobufCBinaryData){0, NULL};
    check(&event, "{\"data\":{\"pty\":\"\"}}");

    selector.selector_case = PROCESS__PROCESS_SELECTOR__SELECTOR_PID;
    check(&selector, "{\"pid\":0}");
}

static void
test_end_event(void **state)
{
    Process__ProcessEvent__EndEvent end =
        PROCESS__PROCESS_EVENT__END_EVENT__INIT;

    (void)state;
    end.exited = true;
    end.status = (char *)(uintptr_t) "exit status 0";
    check(&end, "{\"exited\":true,\"status\":\"exit status 0\"}");
    end.exit_code = -1;
    check(&end, "{\"exitCode\":-1,\"exited\":true,"
                "\"status\":\"exit status 0\"}");
}

static void
test_entry(void **state)
{
    Filesystem__EntryInfo entry = FILESYSTEM__ENTRY_INFO__INIT;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Filesystem__EntryInfo__MetadataEntry a =
        FILESYSTEM__ENTRY_INFO__METADATA_ENTRY__INIT;
    Filesystem__EntryInfo__MetadataEntry b =
        FILESYSTEM__ENTRY_INFO__METADATA_ENTRY__INIT;
    Filesystem__EntryInfo__MetadataEntry *metadata[] = {&b, &a};
    Filesystem__WatchDirResponse response =
        FILESYSTEM__WATCH_DIR_RESPONSE__INIT;
    Filesystem__FilesystemEvent event = FILESYSTEM__FILESYSTEM_EVENT__INIT;

    (void)state;
    entry.name = (char *)(uintptr_t) "null";
    entry.type = FILESYSTEM__FILE_TYPE__FILE_TYPE_FILE;
    entry.size = 4096;
    entry.mode = 438;
    entry.modified_time = &time;
    time.seconds = 1541327189;
    time.nanos = 488729984;
    entry._symlink_target_case =
        FILESYSTEM__ENTRY_INFO___SYMLINK_TARGET_SYMLINK_TARGET;
    entry.symlink_target = (char *)(uintptr_t) "/x";
    a.key = (char *)(uintptr_t) "a";
    a.value = (char *)(uintptr_t) "1";
    b.key = (char *)(uintptr_t) "b";
    entry.n_metadata = 2;
    entry.metadata = metadata;
    check(&entry,
          "{\"name\":\"null\",\"type\":\"FILE_TYPE_FILE\",\"size\":\"4096\","
          "\"mode\":438,\"modifiedTime\":\"2018-11-04T10:26:29.488729984Z\","
          "\"symlinkTarget\":\"/x\",\"metadata\":{\"a\":\"1\",\"b\":\"\"}}");

    response.event_case = FILESYSTEM__WATCH_DIR_RESPONSE__EVENT_FILESYSTEM;
    response.filesystem = &event;
    event.type = (Filesystem__EventType)99;
    check(&response, "{\"filesystem\":{\"type\":99}}");
}

/* ---- numbers ---- */

static void
test_integers(void **state)
{
    CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;

    (void)state;
    kinds.an_int32 = INT32_MIN;
    kinds.an_int64 = INT64_MIN;
    kinds.a_uint32 = UINT32_MAX;
    kinds.a_uint64 = UINT64_MAX;
    kinds.a_sint32 = -1;
    kinds.a_sint64 = -1;
    kinds.a_fixed32 = 1;
    kinds.a_fixed64 = 2;
    kinds.an_sfixed32 = -3;
    kinds.an_sfixed64 = -4;
    kinds.a_colour = CODEC_TEST__COLOUR__COLOUR_BELOW;
    check(&kinds,
          "{\"anInt32\":-2147483648,\"anInt64\":\"-9223372036854775808\","
          "\"aUint32\":4294967295,\"aUint64\":\"18446744073709551615\","
          "\"aSint32\":-1,\"aSint64\":\"-1\",\"aFixed32\":1,"
          "\"aFixed64\":\"2\",\"anSfixed32\":-3,\"anSfixed64\":\"-4\","
          "\"aColour\":\"COLOUR_BELOW\"}");
}

static const struct {
    double value;
    const char *want;
} doubles[] = {
    {1, "1"},
    {-1.5, "-1.5"},
    {100, "100"},
    {88.43, "88.43"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1.0 / 3, "0.3333333333333333"},
    {123456789012345680.0, "123456789012345680"},
    {1e20, "100000000000000000000"},
    {1e21, "1e+21"},
    {1.5e300, "1.5e+300"},
    {1e-6, "0.000001"},
    {1.25e-6, "0.00000125"},
    {1e-7, "1e-7"},
    {5e-324, "5e-324"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {-0.0, "-0"},
    {NAN, "\"NaN\""},
    {INFINITY, "\"Infinity\""},
    {-INFINITY, "\"-Infinity\""},
};

static void
test_doubles(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(doubles); i++) {
        CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;
        char want[64];

        kinds.a_double = doubles[i].value;
        (void)snprintf(want, sizeof(want), "{\"aDouble\":%s}", doubles[i].want);
        check(&kinds, want);
    }
}

static void
test_floats(void **state)
{
    CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;

    (void)state;
    kinds.a_float = 0.1F;
    check(&kinds, "{\"aFloat\":0.1}");
    kinds.a_float = 16777216;
    check(&kinds, "{\"aFloat\":16777216}");
    kinds.a_float = 3.4028235e38F;
    check(&kinds, "{\"aFloat\":3.4028235e+38}");
    kinds.a_float = -INFINITY;
    check(&kinds, "{\"aFloat\":\"-Infinity\"}");
}

/* ---- strings and bytes ---- */

static const struct {
    const char *text;
    const char *want;
} strings[] = {
    {"plain", "plain"},
    {"\"\\", "\\\"\\\\"},
    {"\b\f\n\r\t", "\\b\\f\\n\\r\\t"},
    {"\x01\x0b\x1f", "\\u0001\\u000b\\u001f"},
    {"\x7f</>&'", "\x7f</>&'"},
    {"\xe2\x80\xa8\xe2\x80\xa9", "\xe2\x80\xa8\xe2\x80\xa9"},
    {"\xc3\xa9 \xe2\x82\xac\n\xf0\x9f\x98\x80",
     "\xc3\xa9 \xe2\x82\xac\\n\xf0\x9f\x98\x80"},
    {"a long text without anything to note, but for its very end: \"",
     "a long text without anything to note, but for its very end: \\\""},
};

static void
test_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;
        char want[256];

        kinds.a_string = (char *)(uintptr_t)strings[i].text;
        (void)snprintf(want, sizeof(want), "{\"aString\":\"%s\"}",
                       strings[i].want);
        check(&kinds, want);
    }
}

static void
test_invalid_utf8(void **state)
{
    Filesystem__EntryInfo entry = FILESYSTEM__ENTRY_INFO__INIT;
    Filesystem__EntryInfo *entries[] = {&entry};
    Filesystem__ListDirResponse list = FILESYSTEM__LIST_DIR_RESPONSE__INIT;
    Process__ProcessConfig config = PROCESS__PROCESS_CONFIG__INIT;
    Process__ProcessConfig__EnvsEntry env =
        PROCESS__PROCESS_CONFIG__ENVS_ENTRY__INIT;
    Process__ProcessConfig__EnvsEntry *envs[] = {&env};

    (void)state;
    list.n_entries = 1;
    list.entries = entries;
    entry.name = (char *)(uintptr_t) "caf\xe9";
    check_fails(&list, "marshal message: proto: field "
                       "filesystem.EntryInfo.name contains invalid UTF-8");
    config.n_envs = 1;
    config.envs = envs;
    env.value = (char *)(uintptr_t) "\xed\xa0\x80";
    check_fails(&config,
                "marshal message: proto: field "
                "process.ProcessConfig.EnvsEntry.value contains invalid UTF-8");
}

static const struct {
    const char *text;
    size_t len;
    const char *want;
} sanitized[] = {
    {"", 0, "\"\""},
    {"a\"b", 3, "\"a\\\"b\""},
    {"a\0b", 3, "\"a\\u0000b\""},
    {"\xff", 1, "\"\xef\xbf\xbd\""},
    {"a\xe2\x82", 3, "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xc3\xa9\xffz", 4, "\"\xc3\xa9\xef\xbf\xbdz\""},
};

static void
test_write_string(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sanitized); i++) {
        SCOPE(buf_done) struct buf out = {0};

        json_write_string(&out, sanitized[i].text, sanitized[i].len);
        buf_append_byte(&out, '\0');
        assert_string_equal((const char *)buf_data(&out), sanitized[i].want);
    }
}

static void
test_bytes(void **state)
{
    CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;
    uint8_t data[] = {0xfb, 0xff, 0xbf, 0x00};

    (void)state;
    kinds.a_bytes = (ProtobufCBinaryData){3, data};
    check(&kinds, "{\"aBytes\":\"+/+/\"}");
    kinds.a_bytes.len = 4;
    check(&kinds, "{\"aBytes\":\"+/+/AA==\"}");
}

/* ---- lists, maps, times, Any ---- */

static void
test_lists(void **state)
{
    CodecTest__Lists lists = CODEC_TEST__LISTS__INIT;
    protobuf_c_boolean bools[] = {true, false};
    uint64_t uint64s[] = {0, 1};
    char *texts[] = {(char *)(uintptr_t) "a", NULL};
    CodecTest__Colour colours[] = {0, 5, 9};
    CodecTest__Kinds kind = CODEC_TEST__KINDS__INIT;
    CodecTest__Kinds *kinds[] = {&kind, NULL};

    (void)state;
    lists.n_bools = 2;
    lists.bools = bools;
    lists.n_uint64s = 2;
    lists.uint64s = uint64s;
    lists.n_strings = 2;
    lists.strings = texts;
    lists.n_colours = 3;
    lists.colours = colours;
    lists.n_kinds = 2;
    lists.kinds = kinds;
    check(&lists, "{\"bools\":[true,false],\"uint64s\":[\"0\",\"1\"],"
                  "\"strings\":[\"a\",\"\"],"
                  "\"colours\":[\"COLOUR_UNSPECIFIED\",\"COLOUR_BLUE\",9],"
                  "\"kinds\":[{},{}]}");
}

static void
test_maps_are_sorted(void **state)
{
    CodecTest__Maps maps = CODEC_TEST__MAPS__INIT;
    const char *keys[] = {"b", "B", "a\"", "", "\xc3\xa9", "aa"};
    CodecTest__Maps__StringsEntry texts[ARRAY_LEN(keys)];
    CodecTest__Maps__StringsEntry *text_list[ARRAY_LEN(keys)];
    const int32_t numbers[] = {10, -9, 9};
    CodecTest__Maps__ByInt32Entry by_number[ARRAY_LEN(numbers)];
    CodecTest__Maps__ByInt32Entry *number_list[ARRAY_LEN(numbers)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        codec_test__maps__strings_entry__init(&texts[i]);
        texts[i].key = (char *)(uintptr_t)keys[i];
        text_list[i] = &texts[i];
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        codec_test__maps__by_int32_entry__init(&by_number[i]);
        by_number[i].key = numbers[i];
        number_list[i] = &by_number[i];
    }
    maps.n_strings = ARRAY_LEN(keys);
    maps.strings = text_list;
    maps.n_by_int32 = ARRAY_LEN(numbers);
    maps.by_int32 = number_list;
    check(&maps,
          "{\"strings\":{\"\":\"\",\"B\":\"\",\"a\\\"\":\"\",\"aa\":\"\","
          "\"b\":\"\",\"\xc3\xa9\":\"\"},"
          "\"byInt32\":{\"-9\":false,\"9\":false,\"10\":false}}");
    assert_ptr_equal(text_list[0], &texts[0]); /* the message is untouched */
}

static const struct {
    int64_t seconds;
    int32_t nanos;
    const char *want; /* NULL: an error */
} times[] = {
    {0, 0, "1970-01-01T00:00:00Z"},
    {20, 123000000, "1970-01-01T00:00:20.123Z"},
    {20, 123456000, "1970-01-01T00:00:20.123456Z"},
    {20, 1, "1970-01-01T00:00:20.000000001Z"},
    {20, 100000000, "1970-01-01T00:00:20.100Z"},
    {-2, 500000000, "1969-12-31T23:59:58.500Z"},
    {-1, 0, "1969-12-31T23:59:59Z"},
    {-62135596800, 0, "0001-01-01T00:00:00Z"},
    {253402300799, 999999999, "9999-12-31T23:59:59.999999999Z"},
    {-62135596801, 0, NULL},
    {253402300800, 0, NULL},
    {0, -1, NULL},
    {0, 1000000000, NULL},
};

static void
test_timestamps(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;
        Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
        char want[64];

        at.seconds = times[i].seconds;
        at.nanos = times[i].nanos;
        kinds.at = &at;
        (void)snprintf(want, sizeof(want), "{\"at\":\"%s\"}",
                       times[i].want != NULL ? times[i].want : "");
        if (times[i].want != NULL)
            check(&kinds, want);
        else
            check_fails(&kinds, "marshal message: proto: "
                                "google.protobuf.Timestamp: out of range");
    }
}

static void
test_any(void **state)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &codec_test__kinds__descriptor};
    CodecTest__Kinds kinds = CODEC_TEST__KINDS__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    uint8_t packed[] = {0x08, 0x01, 0x10, 0x07}; /* a_bool, an_int32 */
    uint8_t broken[] = {0x08};

    (void)state;
    json_any_declare(types, 1);
    kinds.any = &any;
    check(&kinds, "{\"any\":{}}");
    any.type_url = (char *)(uintptr_t) "type.googleapis.com/codec_test.Kinds";
    any.value = (ProtobufCBinaryData){sizeof(packed), packed};
    check(&kinds, "{\"any\":{\"@type\":\"type.googleapis.com/"
                  "codec_test.Kinds\",\"aBool\":true,\"anInt32\":7}}");
    any.value = (ProtobufCBinaryData){0, NULL};
    check(&kinds, "{\"any\":{\"@type\":\"type.googleapis.com/"
                  "codec_test.Kinds\"}}");
    any.value = (ProtobufCBinaryData){sizeof(broken), broken};
    check_fails(&kinds, "marshal message: proto: google.protobuf.Any: unable "
                        "to resolve type.googleapis.com/codec_test.Kinds");
    any.type_url = (char *)(uintptr_t) "x/y";
    check_fails(&kinds, "marshal message: proto: google.protobuf.Any: unable "
                        "to resolve x/y");
}

/* ---- REST ---- */

static void
test_rest_style(void **state)
{
    CodecTest__Figures figures = CODEC_TEST__FIGURES__INIT;

    (void)state;
    check_style(&figures, JSON_STYLE_REST,
                "{\"ts\":0,\"cpu_count\":0,\"cpu_used_pct\":0,"
                "\"mem_total\":0,\"ready\":false,\"name\":\"\",\"parts\":[],"
                "\"tags\":{}}");
    figures.ts = 1755000000;
    figures.cpu_count = 2;
    figures.cpu_used_pct = 88.43;
    figures.mem_total = 18446744073709551615U;
    figures._note_case = CODEC_TEST__FIGURES___NOTE_NOTE;
    figures.note = (char *)(uintptr_t) "";
    check_style(&figures, JSON_STYLE_REST,
                "{\"ts\":1755000000,\"cpu_count\":2,\"cpu_used_pct\":88.43,"
                "\"mem_total\":18446744073709551615,\"ready\":false,"
                "\"name\":\"\",\"parts\":[],\"tags\":{},\"note\":\"\"}");
    figures = (CodecTest__Figures)CODEC_TEST__FIGURES__INIT;
    figures.cpu_used_pct = 100;
    check_style(&figures, JSON_STYLE_REST,
                "{\"ts\":0,\"cpu_count\":0,\"cpu_used_pct\":100,"
                "\"mem_total\":0,\"ready\":false,\"name\":\"\",\"parts\":[],"
                "\"tags\":{}}");
}

static void
test_exhausted_memory(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct buf out = {.failed = true};
    CodecTest__Empty empty = CODEC_TEST__EMPTY__INIT;

    (void)state;
    assert_int_equal(json_write(&empty.base, JSON_STYLE_REST, &out, &st), -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_omitted),
        cmocka_unit_test(test_presence),
        cmocka_unit_test(test_end_event),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_write_string),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_maps_are_sorted),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_rest_style),
        cmocka_unit_test(test_exhausted_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
