/* The forms of a failure in the three protocols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/scope.h"
#include "connect/error.h"

static void
assert_text(struct buf *b, const char *want)
{
    buf_append_byte(b, '\0');
    assert_false(b->failed);
    assert_string_equal((const char *)buf_data(b), want);
    buf_done(b);
}

static void
test_http_status(void **state)
{
    static const int want[] = {
        [RPC_CANCELED] = 499,
        [RPC_UNKNOWN] = 500,
        [RPC_INVALID_ARGUMENT] = 400,
        [RPC_DEADLINE_EXCEEDED] = 504,
        [RPC_NOT_FOUND] = 404,
        [RPC_ALREADY_EXISTS] = 409,
        [RPC_PERMISSION_DENIED] = 403,
        [RPC_RESOURCE_EXHAUSTED] = 429,
        [RPC_FAILED_PRECONDITION] = 400,
        [RPC_ABORTED] = 409,
        [RPC_OUT_OF_RANGE] = 400,
        [RPC_UNIMPLEMENTED] = 501,
        [RPC_INTERNAL] = 500,
        [RPC_UNAVAILABLE] = 503,
        [RPC_DATA_LOSS] = 500,
        [RPC_UNAUTHENTICATED] = 401,
    };

    (void)state;
    for (int code = RPC_CANCELED; code <= RPC_UNAUTHENTICATED; code++)
        assert_int_equal(error_http_status((enum rpc_code)code), want[code]);
}

static void
test_error_json(void **state)
{
    struct status st = {0};
    struct error_end end;
    struct buf out = {0};

    (void)state;
    error_end_init(&end);
    (void)status_set(&st, RPC_NOT_FOUND, "process with pid %d not found", 1);
    error_json(&out, &st, &end);
    assert_text(&out, "{\"code\":\"not_found\","
                      "\"message\":\"process with pid 1 not found\"}");
    (void)status_set(&st, RPC_INTERNAL, "a \"quoted\" \xff");
    error_json(&out, &st, NULL);
    assert_text(&out, "{\"code\":\"internal\","
                      "\"message\":\"a \\\"quoted\\\" \xef\xbf\xbd\"}");
    error_end_add_detail(&end, "a.B", "\1", 1);
    error_end_add_detail(&end, "a.C", "", 0);
    error_json(&out, &(struct status){.code = RPC_UNKNOWN}, &end);
    assert_text(&out, "{\"code\":\"unknown\",\"details\":["
                      "{\"type\":\"a.B\",\"value\":\"AQ\"},"
                      "{\"type\":\"a.C\",\"value\":\"\"}]}");
    error_end_done(&end);
    status_done(&st);
}

static void
test_end_stream_json(void **state)
{
    struct status st = {0};
    struct error_end end;
    struct buf out = {0};

    (void)state;
    error_end_init(&end);
    error_end_stream_json(&out, NULL, NULL);
    assert_text(&out, "{}");
    error_end_stream_json(&out, NULL, &end);
    assert_text(&out, "{}");
    error_end_add_trailer(&end, "X-One", "1");
    error_end_add_trailer(&end, "X-Two", "2");
    error_end_add_trailer(&end, "x-one", "3");
    error_end_stream_json(&out, NULL, &end);
    assert_text(&out,
                "{\"metadata\":{\"X-One\":[\"1\",\"3\"],\"X-Two\":[\"2\"]}}");
    (void)status_set(&st, RPC_CANCELED, "context canceled");
    error_end_stream_json(&out, &st, &end);
    assert_text(&out, "{\"error\":{\"code\":\"canceled\","
                      "\"message\":\"context canceled\"},\"metadata\":"
                      "{\"X-One\":[\"1\",\"3\"],\"X-Two\":[\"2\"]}}");
    error_end_done(&end);
    status_done(&st);
}

static void
append_line(void *ctx, const char *name, const char *value)
{
    buf_appendf(ctx, "%s: %s\n", name, value);
}

static void
test_grpc_trailers(void **state)
{
    struct status st = {0};
    struct error_end end;
    struct buf out = {0};

    (void)state;
    error_end_init(&end);
    error_grpc_trailers(NULL, NULL, append_line, &out);
    assert_text(&out, "Grpc-Status: 0\n");
    (void)status_set(&st, RPC_NOT_FOUND, "100%% of '\xc3\xa4'\n~\x7f");
    error_end_add_trailer(&end, "X-Split", "one\r\nForged: two");
    error_grpc_trailers(&st, &end, append_line, &out);
    assert_text(&out, "Grpc-Status: 5\n"
                      "Grpc-Message: 100%25 of '%C3%A4'%0A~%7F\n"
                      "X-Split: one\n");
    /* 08 05, 12 01 'm', 1a 1e { 0a 19 "type.googleapis.com/a.B" 12 01 01 } */
    (void)status_set(&st, RPC_NOT_FOUND, "m");
    error_end_done(&end);
    error_end_add_detail(&end, "a.B", "\1", 1);
    error_grpc_trailers(&st, &end, append_line, &out);
    assert_text(&out,
                "Grpc-Status: 5\nGrpc-Message: m\nGrpc-Status-Details-Bin: "
                "CAUSAW0aHAoXdHlwZS5nb29nbGVhcGlzLmNvbS9hLkISAQE\n");
    error_end_done(&end);
    status_done(&st);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_status),
        cmocka_unit_test(test_error_json),
        cmocka_unit_test(test_end_stream_json),
        cmocka_unit_test(test_grpc_trailers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
