/* Content type, timeout, compression and version: tables of the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/scope.h"
#include "connect/protocol.h"

static void
test_content_types(void **state)
{
    static const struct {
        const char *sent;
        const char *normalised; /* NULL: 415 */
        enum rpc_protocol protocol;
        enum codec codec;
    } cases[] = {
        {"application/json", "application/json", PROTOCOL_CONNECT_UNARY,
         CODEC_JSON},
        {"Application/JSON", "application/json", PROTOCOL_CONNECT_UNARY,
         CODEC_JSON},
        {"application/json;charset=UTF-8", "application/json; charset=utf-8",
         PROTOCOL_CONNECT_UNARY, CODEC_JSON},
        {"application/json ;  Charset = \"utf-8\"",
         "application/json; charset=utf-8", PROTOCOL_CONNECT_UNARY, CODEC_JSON},
        {"application/json;", "application/json", PROTOCOL_CONNECT_UNARY,
         CODEC_JSON},
        {"application/proto", "application/proto", PROTOCOL_CONNECT_UNARY,
         CODEC_PROTO},
        {"application/connect+json", "application/connect+json",
         PROTOCOL_CONNECT_STREAM, CODEC_JSON},
        {"application/connect+json; charset=utf-8",
         "application/connect+json; charset=utf-8", PROTOCOL_CONNECT_STREAM,
         CODEC_JSON},
        {"application/connect+proto", "application/connect+proto",
         PROTOCOL_CONNECT_STREAM, CODEC_PROTO},
        {"application/grpc", "application/grpc", PROTOCOL_GRPC, CODEC_PROTO},
        {"application/grpc+proto", "application/grpc+proto", PROTOCOL_GRPC,
         CODEC_PROTO},
        {"application/grpc+json", "application/grpc+json", PROTOCOL_GRPC,
         CODEC_JSON},
        {"application/grpc-web", "application/grpc-web", PROTOCOL_GRPC_WEB,
         CODEC_PROTO},
        {"application/grpc-web+proto", "application/grpc-web+proto",
         PROTOCOL_GRPC_WEB, CODEC_PROTO},
        {"application/grpc-web+json; charset=UTF-8",
         "application/grpc-web+json; charset=utf-8", PROTOCOL_GRPC_WEB,
         CODEC_JSON},
        {"", NULL, 0, 0},
        {"text/plain", NULL, 0, 0},
        {"application/jso", NULL, 0, 0},
        {"application/json; charset=latin1", NULL, 0, 0},
        {"application/json; charset=utf-8; x=y", NULL, 0, 0},
        {"application/json; x=utf-8", NULL, 0, 0},
        {"application/proto; charset=utf-8", NULL, 0, 0},
        {"application/grpc; charset=utf-8", NULL, 0, 0},
        {"application/grpc-web-text", NULL, 0, 0},
        {"application/connect+xml", NULL, 0, 0},
        {"application/json, application/json", NULL, 0, 0},
    };

    (void)state;
    assert_null(content_type_find((struct str){0}));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct content_type *type =
            content_type_find(str_from(cases[i].sent));

        if (cases[i].normalised == NULL) {
            if (type != NULL)
                fail_msg("%s became %s", cases[i].sent, type->name);
            continue;
        }
        if (type == NULL)
            fail_msg("%s was not known", cases[i].sent);
        assert_string_equal(type->name, cases[i].normalised);
        assert_int_equal(type->protocol, cases[i].protocol);
        assert_int_equal(type->codec, cases[i].codec);
    }
}

static void
test_accept_post(void **state)
{
    (void)state;
    assert_string_equal(
        content_type_accepted(true),
        "application/grpc, application/grpc+json, application/grpc+json; "
        "charset=utf-8, application/grpc+proto, application/grpc-web, "
        "application/grpc-web+json, application/grpc-web+json; charset=utf-8, "
        "application/grpc-web+proto, application/json, application/json; "
        "charset=utf-8, application/proto");
    assert_string_equal(
        content_type_accepted(false),
        "application/connect+json, application/connect+json; charset=utf-8, "
        "application/connect+proto, application/grpc, application/grpc+json, "
        "application/grpc+json; charset=utf-8, application/grpc+proto, "
        "application/grpc-web, application/grpc-web+json, "
        "application/grpc-web+json; charset=utf-8, "
        "application/grpc-web+proto");
}

static void
test_get_encodings(void **state)
{
    (void)state;
    assert_string_equal(content_type_of_get(STR("json"))->name,
                        "application/json");
    assert_string_equal(content_type_of_get(STR("proto"))->name,
                        "application/proto");
    assert_null(content_type_of_get(STR("JSON")));
    assert_null(content_type_of_get((struct str){0}));
}

static void
test_timeouts(void **state)
{
    static const struct {
        enum rpc_protocol protocol;
        const char *sent;
        bool given;
        int64_t ms;
        const char *error;
    } cases[] = {
        {PROTOCOL_CONNECT_UNARY, "", false, 0, NULL},
        {PROTOCOL_CONNECT_UNARY, "1500", true, 1500, NULL},
        {PROTOCOL_CONNECT_STREAM, "+1500", true, 1500, NULL},
        {PROTOCOL_CONNECT_STREAM, "0", true, 0, NULL},
        {PROTOCOL_CONNECT_STREAM, "-5", true, -5, NULL},
        {PROTOCOL_CONNECT_STREAM, "9999999999", true, 9999999999, NULL},
        {PROTOCOL_CONNECT_UNARY, "12345678901", false, 0,
         "parse timeout: \"12345678901\" has >10 digits"},
        {PROTOCOL_CONNECT_UNARY, "abc", false, 0,
         "parse timeout: strconv.ParseInt: parsing \"abc\": invalid syntax"},
        {PROTOCOL_CONNECT_STREAM, "1500.5", false, 0,
         "parse timeout: strconv.ParseInt: parsing \"1500.5\": invalid syntax"},
        {PROTOCOL_CONNECT_STREAM, "\"\\\t\x01\xff", false, 0,
         "parse timeout: strconv.ParseInt: parsing "
         "\"\\\"\\\\\\t\\x01\\xff\": invalid syntax"},
        {PROTOCOL_GRPC, "", false, 0, NULL},
        {PROTOCOL_GRPC, "4999996u", true, 5000, NULL},
        {PROTOCOL_GRPC, "1n", true, 1, NULL},
        {PROTOCOL_GRPC, "0n", true, 0, NULL},
        {PROTOCOL_GRPC, "250m", true, 250, NULL},
        {PROTOCOL_GRPC_WEB, "3S", true, 3000, NULL},
        {PROTOCOL_GRPC_WEB, "2M", true, 120000, NULL},
        {PROTOCOL_GRPC, "1H", true, 3600000, NULL},
        {PROTOCOL_GRPC, "99999999M", true, 5999999940000, NULL},
        {PROTOCOL_GRPC, "2562048H", false, 0, NULL},
        {PROTOCOL_GRPC, "5x", false, 0,
         "protocol error: timeout has invalid unit 'x'"},
        {PROTOCOL_GRPC, "100", false, 0,
         "protocol error: timeout has invalid unit '0'"},
        {PROTOCOL_GRPC, "S", false, 0, "protocol error: invalid timeout \"S\""},
        {PROTOCOL_GRPC, "-1S", false, 0,
         "protocol error: invalid timeout \"-1S\""},
        {PROTOCOL_GRPC, "100000000n", false, 0,
         "protocol error: timeout \"100000000n\" is too long"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status st = {0};
        struct rpc_timeout t;
        int err = rpc_timeout_parse(cases[i].protocol, str_from(cases[i].sent),
                                    &t, &st);

        assert_int_equal(err, cases[i].error != NULL ? -1 : 0);
        assert_int_equal(t.given, cases[i].given);
        assert_int_equal(t.ms, cases[i].ms);
        if (cases[i].error != NULL) {
            assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
            assert_string_equal(status_message(&st), cases[i].error);
        }
        status_done(&st);
    }
}

static void
test_compression(void **state)
{
    static const struct {
        const char *sent, *accept;
        bool request, reply;
    } cases[] = {
        {NULL, NULL, false, false},
        {"", "", false, false},
        {"identity", "identity", false, false},
        {"gzip", NULL, true, true},
        {"gzip", "identity", true, true},
        {NULL, "gzip", false, true},
        {NULL, "br,gzip", false, true},
        {NULL, "gzip, deflate, br", false, true},
        {NULL, "br gzip", false, true},
        {NULL, "gzip;q=1.0", false, false},
        {NULL, "*", false, false},
        {NULL, "GZIP", false, false},
        {NULL, "gzipx, xgzip", false, false},
        {NULL, "identity;q=0, gzip", false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rpc_compression c;
        struct status st = {0};

        assert_int_equal(rpc_compression_choose(str_from(cases[i].sent),
                                                str_from(cases[i].accept), &c,
                                                &st),
                         0);
        assert_int_equal(c.request_gzip, cases[i].request);
        assert_int_equal(c.reply_gzip, cases[i].reply);
    }
}

static void
test_unknown_compression(void **state)
{
    static const char *const sent[] = {"br", "GZIP", "gzip, gzip"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
        struct rpc_compression c;
        struct status st = {0};
        char want[100];

        (void)snprintf(want, sizeof(want),
                       "unknown compression \"%s\": supported encodings are "
                       "gzip",
                       sent[i]);
        assert_int_equal(
            rpc_compression_choose(str_from(sent[i]), STR("gzip"), &c, &st),
            -1);
        assert_int_equal(st.code, RPC_UNIMPLEMENTED);
        assert_string_equal(status_message(&st), want);
        status_done(&st);
    }
}

static void
test_version(void **state)
{
    struct status st = {0};

    (void)state;
    assert_int_equal(rpc_version_check("V", "1", (struct str){0}, &st), 0);
    assert_int_equal(rpc_version_check("V", "1", STR(""), &st), 0);
    assert_int_equal(rpc_version_check("V", "1", STR("1"), &st), 0);
    assert_int_equal(
        rpc_version_check("Connect-Protocol-Version", "1", STR("2"), &st), -1);
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(status_message(&st),
                        "Connect-Protocol-Version must be \"1\": got \"2\"");
    status_done(&st);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_accept_post),
        cmocka_unit_test(test_get_encodings),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_unknown_compression),
        cmocka_unit_test(test_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
