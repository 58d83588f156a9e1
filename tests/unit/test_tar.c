/*
 * The tar format: what is written is read again, at every length at which its
 * form changes; what others write is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "filesystem/tar_reader.h"

/* Write a member, read it again, compare; returns the blocks it took. */
static size_t
round_trip(const struct tar_member *m)
{
    struct buf out = {0};
    struct tar_reader t = {0};
    const uint8_t *in;
    size_t len;
    size_t blocks;

    tar_header_append(&out, m);
    assert_false(out.failed);
    assert_int_equal(out.len % TAR_BLOCK_BYTES, 0);
    blocks = out.len / TAR_BLOCK_BYTES;
    in = buf_data(&out);
    len = out.len;
    assert_int_equal(tar_reader_next(&t, &in, &len), TAR_MEMBER);
    assert_int_equal(len, 0);
    assert_string_equal(t.member.name, m->name);
    assert_string_equal(t.member.link, m->link);
    assert_int_equal(t.member.type, m->type);
    assert_int_equal(t.member.size, m->size);
    assert_int_equal(t.member.mode, m->mode);
    assert_int_equal(t.member.uid, m->uid);
    assert_int_equal(t.member.gid, m->gid);
    assert_int_equal(t.member.mtime.tv_sec, m->mtime.tv_sec);
    assert_int_equal(t.member.mtime.tv_nsec, m->mtime.tv_nsec);
    tar_reader_done(&t);
    buf_done(&out);
    return blocks;
}

static void
test_names(void **state)
{
    char name[1200];

    (void)state;
    for (size_t len = 1; len < sizeof(name); len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        assert_int_equal(
            round_trip(&(struct tar_member){
                .type = TAR_FILE, .name = name, .link = "", .mode = 0644}),
            len <= 100    ? 1
            : len <= 502  ? 3
            : len <= 1013 ? 4
                          : 5);
        /* With a slash somewhere, longer ones fit one block. */
        for (size_t at = 1; at + 1 < len && len <= 260; at++) {
            bool fits = len <= 100 || (at <= 155 && len - at - 1 <= 100);

            name[at] = '/';
            assert_int_equal(round_trip(&(struct tar_member){
                                 .type = TAR_FILE, .name = name, .link = ""}),
                             fits ? 1 : 3);
            name[at] = 'n';
        }
    }
}

static void
test_links(void **state)
{
    char link[300];

    (void)state;
    for (size_t len = 1; len < sizeof(link); len++) {
        memset(link, 'l', len);
        link[len] = '\0';
        assert_int_equal(
            round_trip(&(struct tar_member){
                .type = TAR_SYMLINK, .name = "n", .link = link, .mode = 0777}),
            len <= 100 ? 1 : 3);
    }
}

static void
test_numbers(void **state)
{
    static const struct {
        int64_t size;
        uint64_t uid;
        int64_t seconds;
        long nanos;
        size_t blocks;
    } cases[] = {
        {0, 0, 0, 0, 1},
        {1, 2097151, 1, 0, 1},
        {1, 2097152, 1, 0, 3},
        {1, UINT64_MAX, 1, 0, 3},
        {077777777777, 1, 1, 0, 1},
        {077777777777 + INT64_C(1), 1, 1, 0, 3},
        {INT64_MAX, 1, 1, 0, 3},
        {1, 1, 077777777777, 0, 1},
        {1, 1, 077777777777 + INT64_C(1), 0, 3},
        {1, 1, 5, 1, 3},
        {1, 1, 5, 999999999, 3},
        {1, 1, -1, 0, 3},
        {1, 1, -1, 500000000, 3},
        {1, 1, -5, 999999999, 3},
        {1, 1, -2, 1, 3},
        {1, 1, INT64_MIN + 1, 0, 3},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(round_trip(&(struct tar_member){
                             .type = TAR_FILE,
                             .name = "n",
                             .link = "",
                             .size = cases[i].size,
                             .mode = 07777,
                             .uid = cases[i].uid,
                             .gid = cases[i].uid,
                             .mtime = {cases[i].seconds, cases[i].nanos},
                         }),
                         cases[i].blocks);
}

/* A record around which the length gains a digit, and its neighbours. */
static void
test_records(void **state)
{
    char value[11000];

    (void)state;
    for (size_t len = 1; len < sizeof(value); len++) {
        SCOPE(buf_done) struct buf out = {0};
        struct tar_pax pax = {0};

        memset(value, 'v', len);
        value[len] = '\0';
        tar_pax_append(&out, "path", value);
        assert_null(tar_pax_read(
            (struct str){(const char *)buf_data(&out), out.len}, &pax));
        assert_int_equal(pax.path.len, len);
    }
}

static void
test_bad_records(void **state)
{
    static const char *const cases[] = {
        "x",
        "6 a=b",
        "5 a=b\n",
        "7 a=b\n",
        "6 a b\n",
        "6a=b\n",
        "-6 a=b\n",
        "0 a=b\n",
        "3 \n",
        "999999999999999999999 a=b\n",
        "6 a=b\nrest",
        "10 size=x\n",
        "11 size=-1\n",
        "27 size=9223372036854775808\n",
        "11 mtime=x\n",
        "13 mtime=1.x\n",
        "20 GNU.sparse.map=1\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tar_pax pax = {0};

        if (tar_pax_read(str_from(cases[i]), &pax) == NULL)
            fail_msg("taken: %s", cases[i]);
    }
}

static void
test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        long nanos; /* -1: refused */
    } cases[] = {
        {"5", 5, 0},
        {"5.", 5, 0},
        {".5", 0, -1},
        {"5.25", 5, 250000000},
        {"-5.25", -6, 750000000},
        {"-0.5", -1, 500000000},
        {"1.0000000019", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tar_pax pax = {0};
        SCOPE(buf_done) struct buf out = {0};
        struct str record;

        tar_pax_append(&out, "mtime", cases[i].text);
        record = (struct str){(const char *)buf_data(&out), out.len};
        if (cases[i].nanos < 0) {
            assert_non_null(tar_pax_read(record, &pax));
            continue;
        }
        assert_null(tar_pax_read(record, &pax));
        assert_int_equal(pax.mtime.tv_sec, cases[i].seconds);
        assert_int_equal(pax.mtime.tv_nsec, cases[i].nanos);
    }
}

/* Fix the checksum of a block that was changed. */
static void
seal(uint8_t block[TAR_BLOCK_BYTES])
{
    unsigned int sum = 0;

    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += block[i];
    (void)snprintf((char *)block + 148, 7, "%06o", sum);
}

static void
test_foreign_numbers(void **state)
{
    static const struct {
        const char *size; /* 12 bytes */
        int64_t value;    /* -1: refused */
    } cases[] = {
        {"00000000005\0", 5},
        {"          5 ", 5},
        {"5\0\0\0\0\0\0\0\0\0\0\0", 5},
        {"777777777777", 0777777777777},
        {"\x80\0\0\0\0\0\0\0\0\0\1\2", 258},
        {"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX},
        {"\x80\0\0\0\x80\0\0\0\0\0\0\0", -1},
        {"\x80\0\0\1\0\0\0\0\0\0\0\0", -1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", -1},
        {"0000000008\0\0", -1},
        {"12345 67\0\0\0\0", -1},
        {"-1\0\0\0\0\0\0\0\0\0\0", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPE(buf_done) struct buf out = {0};
        struct tar_header header;

        tar_header_append(&out, &(struct tar_member){
                                    .type = TAR_FILE, .name = "n", .link = ""});
        memcpy(buf_data(&out) + 124, cases[i].size, 12);
        seal(buf_data(&out));
        if (cases[i].value < 0) {
            assert_int_equal(tar_header_read(buf_data(&out), &header),
                             TAR_BLOCK_BAD);
        } else {
            assert_int_equal(tar_header_read(buf_data(&out), &header),
                             TAR_BLOCK_HEADER);
            assert_int_equal(header.size, cases[i].value);
        }
        buf_data(&out)[0]++; /* and no longer sealed */
        assert_int_equal(tar_header_read(buf_data(&out), &header),
                         TAR_BLOCK_BAD);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),           cmocka_unit_test(test_links),
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_records),
        cmocka_unit_test(test_bad_records),     cmocka_unit_test(test_times),
        cmocka_unit_test(test_foreign_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
