/* Gzip in and out: every fault, at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/scope.h"
#include "http/encoding.h"

#define PLAIN_MAX (1UL << 20)

static struct buf
gzip_of(const void *plain, size_t len)
{
    struct buf out = {0};

    assert_int_equal(gzip_deflate_all(plain, len, &out), 0);
    return out;
}

/* Inflate `in` fed `step` bytes at a time into room for `room`. */
static enum gzip_fault
inflate_split(const struct buf *in, size_t step, size_t room, struct buf *out)
{
    struct gzip_inflate *g = gzip_inflate_new();
    const uint8_t *p = buf_data(in);
    size_t left = in->len;
    enum gzip_fault fault = GZIP_FINE;

    assert_non_null(g);
    while (left > 0 && fault == GZIP_FINE) {
        size_t len = MIN(step, left);
        const size_t given = len;
        size_t written;

        do {
            fault = gzip_inflate_run(g, &p, &len, buf_reserve(out, room), room,
                                     &written);
            buf_commit(out, written);
        } while (fault == GZIP_FINE && (len > 0 || written == room));
        left -= given - len;
    }
    if (fault == GZIP_FINE)
        fault = gzip_inflate_end(g);
    gzip_inflate_free(g);
    return fault;
}

static void
check_whole(const void *plain, size_t len)
{
    struct buf packed = gzip_of(plain, len);
    struct buf back = {0};

    assert_int_equal(
        gzip_inflate_all(buf_data(&packed), packed.len, len, &back), GZIP_FINE);
    assert_int_equal(back.len, len);
    if (len > 0)
        assert_memory_equal(buf_data(&back), plain, len);
    buf_done(&packed);
    buf_done(&back);
}

static void
test_round_trip(void **state)
{
    static const size_t sizes[] = {0,    1,    2,     100,    4095,
                                   4096, 4097, 65536, 200000, PLAIN_MAX};
    uint8_t *plain = test_malloc(PLAIN_MAX);
    uint32_t seed = 1;

    (void)state;
    for (size_t i = 0; i < PLAIN_MAX; i++) {
        seed = seed * 1664525 + 1013904223;
        plain[i] = (uint8_t)(i < PLAIN_MAX / 2 ? i / 1000 : seed >> 24);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        check_whole(plain, sizes[i]);
        check_whole(plain + PLAIN_MAX - sizes[i], sizes[i]);
    }
    test_free(plain);
}

static void
test_every_split(void **state)
{
    static const char text[] = "nobody expects the gzip inquisition, nobody";
    struct buf packed = gzip_of(text, sizeof(text));
    const size_t one = packed.len;

    (void)state;
    /* Two members are one stream. */
    buf_append(&packed, packed.mem, one);
    for (size_t step = 1; step <= packed.len; step++)
        for (size_t room = 1; room <= 64; room += 9) {
            struct buf back = {0};

            assert_int_equal(inflate_split(&packed, step, room, &back),
                             GZIP_FINE);
            assert_int_equal(back.len, 2 * sizeof(text));
            assert_memory_equal(buf_data(&back), text, sizeof(text));
            assert_memory_equal(buf_data(&back) + sizeof(text), text,
                                sizeof(text));
            buf_done(&back);
        }
    buf_done(&packed);
}

static void
test_faults_at_every_split(void **state)
{
    static const char text[] = "some text that is packed";
    struct buf good = gzip_of(text, sizeof(text));
    const struct {
        const char *what;
        size_t keep;      /* bytes of the good stream */
        const char *tail; /* and what follows them */
        enum gzip_fault fault;
    } cases[] = {
        {"nothing", 0, "", GZIP_EMPTY},
        {"short header", 9, "", GZIP_TRUNCATED_HEAD},
        {"short rubbish", 0, "xx", GZIP_TRUNCATED_HEAD},
        {"rubbish", 0, "this is no gzip", GZIP_BAD_HEAD},
        {"cut data", good.len - 12, "", GZIP_TRUNCATED},
        {"cut checksum", good.len - 5, "", GZIP_TRUNCATED},
        {"cut length", good.len - 1, "", GZIP_TRUNCATED},
        {"wrong length", good.len - 4, "abcd", GZIP_BAD_CHECKSUM},
        {"wrong checksum", good.len - 8, "abcdabcd", GZIP_BAD_CHECKSUM},
        {"short garbage behind", good.len, "abcd", GZIP_TRUNCATED},
        {"garbage behind", good.len, "abcdabcdabcd", GZIP_BAD_MEMBER},
        {"bad data", 10, "\xff\xff\xff\xff\xff\xff", GZIP_BAD_DATA},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf in = {0};
        struct buf all = {0};

        buf_append(&in, buf_data(&good), cases[i].keep);
        buf_append_str(&in, cases[i].tail);
        assert_int_equal(gzip_inflate_all(in.mem, in.len, 1000, &all),
                         cases[i].fault);
        for (size_t step = 1; step <= in.len; step++) {
            struct buf out = {0};
            enum gzip_fault fault = inflate_split(&in, step, 7, &out);

            if (fault != cases[i].fault)
                fail_msg("%s at %zu: %d", cases[i].what, step, (int)fault);
            buf_done(&out);
        }
        buf_done(&in);
        buf_done(&all);
    }
    buf_done(&good);
}

static void
test_output_is_bounded(void **state)
{
    static const uint8_t zeros[100000];
    struct buf packed = gzip_of(zeros, sizeof(zeros));
    static const size_t maxima[] = {0, 1, 99, 16384, sizeof(zeros) - 1};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct buf out = {0};

        assert_int_equal(
            gzip_inflate_all(buf_data(&packed), packed.len, maxima[i], &out),
            GZIP_TOO_LARGE);
        assert_true(out.len <= maxima[i] + 1);
        buf_done(&out);
    }
    buf_done(&packed);
}

/* What a stream claims of its size is a hint, never an allocation. */
static void
test_claimed_size_is_not_believed(void **state)
{
    static const uint8_t zeros[64];
    struct buf packed = gzip_of(zeros, sizeof(zeros));
    struct buf out = {0};

    (void)state;
    memset(buf_data(&packed) + packed.len - 4, 0xff, 4);
    assert_int_equal(
        gzip_inflate_all(buf_data(&packed), packed.len, SIZE_MAX / 2, &out),
        GZIP_BAD_CHECKSUM);
    assert_true(out.cap < 1UL << 20);
    buf_done(&out);
    buf_done(&packed);
}

static void
test_deflate_in_pieces(void **state)
{
    struct gzip_deflate *g = gzip_deflate_new(SIZE_MAX);
    struct buf packed = {0};
    struct buf back = {0};

    (void)state;
    assert_non_null(g);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(gzip_deflate_run(g, (const uint8_t *)"0123456789", 10,
                                          /* last= */ false, &packed),
                         0);
    assert_int_equal(gzip_deflate_run(g, NULL, 0, /* last= */ true, &packed),
                     0);
    gzip_deflate_free(g);
    assert_int_equal(
        gzip_inflate_all(buf_data(&packed), packed.len, 10000, &back),
        GZIP_FINE);
    assert_int_equal(back.len, 10000);
    buf_done(&packed);
    buf_done(&back);
}

static void
test_texts(void **state)
{
    (void)state;
    assert_string_equal(gzip_fault_text(GZIP_EMPTY), "EOF");
    assert_string_equal(gzip_fault_text(GZIP_TRUNCATED_HEAD), "unexpected EOF");
    assert_string_equal(gzip_fault_text(GZIP_TRUNCATED), "unexpected EOF");
    assert_string_equal(gzip_fault_text(GZIP_BAD_HEAD), "gzip: invalid header");
    assert_string_equal(gzip_fault_text(GZIP_BAD_MEMBER),
                        "gzip: invalid header");
    assert_string_equal(gzip_fault_text(GZIP_BAD_CHECKSUM),
                        "gzip: invalid checksum");
    assert_true(gzip_fault_in_head(GZIP_BAD_HEAD));
    assert_false(gzip_fault_in_head(GZIP_BAD_MEMBER));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_faults_at_every_split),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_claimed_size_is_not_believed),
        cmocka_unit_test(test_deflate_in_pieces),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
