/* Envelopes: prefixes, limits, compression, and how a body may be cut. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/scope.h"
#include "connect/envelope.h"
#include "http/encoding.h"

#define MAX_BYTES 100

static const struct envelope_rules connect_rules = {
    .end_flag = ENVELOPE_END_STREAM,
    .max = MAX_BYTES,
};
static const struct envelope_rules gzip_rules = {
    .gzip = true,
    .end_flag = ENVELOPE_END_STREAM,
    .max = MAX_BYTES,
};
static const struct envelope_rules web_rules = {
    .end_flag = ENVELOPE_TRAILERS,
    .max = MAX_BYTES,
};
static const struct envelope_rules grpc_rules = {.max = MAX_BYTES};

static void
test_read(void **state)
{
    static const struct {
        const struct envelope_rules *rules;
        uint8_t bytes[8];
        size_t len;
        enum envelope_step step;
        size_t payload;
        enum rpc_code code;
        const char *text;
    } cases[] = {
        {&connect_rules, {0}, 0, ENVELOPE_MORE, 0, 0, NULL},
        {&connect_rules, {0, 0, 0, 0}, 4, ENVELOPE_MORE, 0, 0, NULL},
        {&connect_rules, {0, 0, 0, 0, 0}, 5, ENVELOPE_ONE, 0, 0, NULL},
        {&connect_rules, {0, 0, 0, 0, 2, 'a'}, 6, ENVELOPE_MORE, 0, 0, NULL},
        {&connect_rules, {0, 0, 0, 0, 2, 'a', 'b'}, 7, ENVELOPE_ONE, 2, 0, 0},
        {&connect_rules, {0, 0, 0, 0, 1, 'a', 'b'}, 7, ENVELOPE_ONE, 1, 0, 0},
        {&connect_rules, {2, 0, 0, 0, 0}, 5, ENVELOPE_ONE, 0, 0, NULL},
        {&connect_rules, {0, 0, 0, 0, 100}, 5, ENVELOPE_MORE, 0, 0, NULL},
        {&connect_rules,
         {0, 0, 0, 0, 101},
         5,
         ENVELOPE_BAD,
         0,
         RPC_RESOURCE_EXHAUSTED,
         "message size 101 exceeds limit 100 bytes"},
        {&connect_rules,
         {0, 255, 255, 255, 255},
         5,
         ENVELOPE_BAD,
         0,
         RPC_RESOURCE_EXHAUSTED,
         "message size 4294967295 exceeds limit 100 bytes"},
        {&connect_rules,
         {1, 0, 0, 0, 0},
         5,
         ENVELOPE_BAD,
         0,
         RPC_INTERNAL,
         "protocol error: sent compressed message without compression "
         "support"},
        {&gzip_rules, {1, 0, 0, 0, 0}, 5, ENVELOPE_ONE, 0, 0, NULL},
        {&gzip_rules, {3, 0, 0, 0, 0}, 5, ENVELOPE_ONE, 0, 0, NULL},
        {&connect_rules,
         {4, 0, 0, 0, 9},
         5,
         ENVELOPE_BAD,
         0,
         RPC_INTERNAL,
         "protocol error: invalid envelope flags 4"},
        {&connect_rules,
         {128, 0, 0, 0, 0},
         5,
         ENVELOPE_BAD,
         0,
         RPC_INTERNAL,
         "protocol error: invalid envelope flags 128"},
        {&web_rules, {128, 0, 0, 0, 0}, 5, ENVELOPE_ONE, 0, 0, NULL},
        {&web_rules,
         {2, 0, 0, 0, 0},
         5,
         ENVELOPE_BAD,
         0,
         RPC_INTERNAL,
         "protocol error: invalid envelope flags 2"},
        {&grpc_rules,
         {2, 0, 0, 0, 0},
         5,
         ENVELOPE_BAD,
         0,
         RPC_INTERNAL,
         "protocol error: invalid envelope flags 2"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t bytes[sizeof(cases[i].bytes)];
        struct envelope e = {0};
        struct status st = {0};

        memcpy(bytes, cases[i].bytes, sizeof(bytes));
        assert_int_equal(
            envelope_read(cases[i].rules, bytes, cases[i].len, &e, &st),
            cases[i].step);
        assert_int_equal(st.code, cases[i].code);
        if (cases[i].step == ENVELOPE_ONE) {
            assert_int_equal(e.flags, bytes[0]);
            assert_int_equal(e.len, cases[i].payload);
            assert_ptr_equal(e.data, bytes + ENVELOPE_PREFIX_LEN);
        }
        if (cases[i].text != NULL)
            assert_string_equal(status_message(&st), cases[i].text);
        status_done(&st);
    }
}

static void
test_cut(void **state)
{
    static const struct {
        size_t len;
        int err;
        enum rpc_code code;
        const char *text;
    } cases[] = {
        {0, -ECONNRESET, RPC_INVALID_ARGUMENT,
         "protocol error: incomplete envelope: unexpected EOF"},
        {1, 0, RPC_INVALID_ARGUMENT,
         "protocol error: incomplete envelope: unexpected EOF"},
        {4, 0, RPC_INVALID_ARGUMENT,
         "protocol error: incomplete envelope: unexpected EOF"},
        {5, 0, RPC_INVALID_ARGUMENT,
         "protocol error: promised 17 bytes in enveloped message, got 0 bytes"},
        {20, -ECONNRESET, RPC_INVALID_ARGUMENT,
         "protocol error: promised 17 bytes in enveloped message, got 15 "
         "bytes"},
        {20, -EBADMSG, RPC_INVALID_ARGUMENT,
         "protocol error: incomplete envelope: malformed chunked encoding"},
        {20, -ETIMEDOUT, RPC_DEADLINE_EXCEEDED,
         "protocol error: incomplete envelope: the body stalled"},
    };
    static const uint8_t bytes[20] = {0, 0, 0, 0, 17};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status st = {0};

        assert_int_equal(envelope_cut(bytes, cases[i].len, cases[i].err, &st),
                         -1);
        assert_int_equal(st.code, cases[i].code);
        assert_string_equal(status_message(&st), cases[i].text);
        status_done(&st);
    }
}

static void
test_write_and_read_back(void **state)
{
    struct buf out = {0};
    struct status st = {0};
    struct envelope e;
    size_t at;

    (void)state;
    buf_append_str(&out, "before");
    at = envelope_open(&out);
    buf_append_str(&out, "payload");
    assert_int_equal(envelope_close(&out, at, ENVELOPE_END_STREAM, &st), 0);
    assert_int_equal(out.len, 6 + 5 + 7);
    assert_memory_equal(buf_data(&out), "before\2\0\0\0\7payload", 18);
    assert_int_equal(
        envelope_read(&connect_rules, buf_data(&out) + at, 12, &e, &st),
        ENVELOPE_ONE);
    assert_int_equal(e.flags, ENVELOPE_END_STREAM);
    assert_memory_equal(e.data, "payload", 7);
    buf_done(&out);
}

static void
test_failed_buffer_is_told(void **state)
{
    struct buf out = {.failed = true};
    struct status st = {0};

    (void)state;
    assert_int_equal(envelope_close(&out, 0, 0, &st), -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    status_done(&st);
}

static void
test_inflate(void **state)
{
    static const uint8_t text[] = "the same the same the same the same";
    static const struct {
        size_t cut; /* bytes off the end */
        size_t skip;
        size_t max;
        enum rpc_code code;
        const char *text;
    } cases[] = {
        {0, 0, sizeof(text), RPC_OK, ""},
        {0, 0, sizeof(text) - 1, RPC_RESOURCE_EXHAUSTED,
         "message size exceeds limit 35 bytes"},
        {1, 0, 1000, RPC_INVALID_ARGUMENT, "decompress: unexpected EOF"},
        {0, 1, 1000, RPC_INVALID_ARGUMENT,
         "get decompressor: gzip: invalid header"},
    };
    struct buf packed = {0};

    (void)state;
    assert_int_equal(gzip_deflate_all(text, sizeof(text), &packed), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = {0};
        struct status st = {0};
        int err = envelope_inflate(buf_data(&packed) + cases[i].skip,
                                   packed.len - cases[i].cut - cases[i].skip,
                                   cases[i].max, &out, &st);

        assert_int_equal(err, cases[i].code == RPC_OK ? 0 : -1);
        assert_int_equal(st.code, cases[i].code);
        assert_string_equal(status_message(&st), cases[i].text);
        if (err == 0)
            assert_memory_equal(buf_data(&out), text, sizeof(text));
        status_done(&st);
        buf_done(&out);
    }
    buf_done(&packed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_write_and_read_back),
        cmocka_unit_test(test_failed_buffer_is_told),
        cmocka_unit_test(test_inflate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
