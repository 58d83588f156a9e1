/*
 * Metadata of files: what may be set, that it is replaced as a whole, and what
 * a write does with it.
 */
#include "filesystem/metadata.h"

#include <errno.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/transfer.h"
#include "scratch.h"

static struct metadata
entry(const char *key, const char *value)
{
    return (struct metadata){
        .key = (char *)(uintptr_t)key,
        .value = (char *)(uintptr_t)value,
        .len = strlen(value),
    };
}

/* Whether the scratch directory takes attributes; skips where it does not. */
static void
need_attributes(void)
{
    scratch_file("probe", "", 0600);
    if (setxattr(scratch("probe"), "user.probe", "x", 1, 0) < 0)
        skip();
}

static char *
text_of(char c, size_t len)
{
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, c, len);
    text[len] = '\0';
    return text;
}

/* ---- what may be set ----------------------------------------------------- */

static void
expect_verdict(const struct metadata *m, size_t count, const char *text)
{
    SCOPE(status_done) struct status st = {0};

    assert_int_equal(metadata_check(m, count, &st), text == NULL ? 0 : -1);
    if (text != NULL)
        scratch_expect_status(&st, RPC_INVALID_ARGUMENT, text);
}

static void
test_check(void **state)
{
    SCOPE(scope_free) char *longest = text_of('k', 246);
    SCOPE(scope_free) char *too_long = text_of('k', 247);
    SCOPE(scope_free) char *half = text_of('v', 2048);
    SCOPE(scope_free) char *whole = text_of('v', 4096);
    SCOPE(scope_free) char *exact = text_of('v', 4096 - 9 - 1);
    struct metadata m[2];
    char text[512];

    (void)state;
    expect_verdict(NULL, 0, NULL);
    m[0] = entry("key", "two words ~");
    m[1] = entry("k", "");
    expect_verdict(m, 2, NULL);
    m[0] = entry(longest, "v");
    expect_verdict(m, 1, NULL);
    m[0] = entry("k", half);
    expect_verdict(m, 1, NULL);
    m[0] = entry("k", exact);
    expect_verdict(m, 1, NULL);

    m[0] = entry("", "v");
    expect_verdict(m, 1, "metadata key must not be empty");
    m[0] = entry(too_long, "v");
    (void)snprintf(text, sizeof(text), "metadata key \"%s\" exceeds 246 bytes",
                   too_long);
    expect_verdict(m, 1, text);
    m[0] = entry("k\x01", "v");
    expect_verdict(m, 1,
                   "metadata key contains non-printable-ASCII byte 0x01 at "
                   "offset 1");
    m[0] = entry("caf\xc3\xa9", "v");
    expect_verdict(m, 1,
                   "metadata key contains non-printable-ASCII byte 0xc3 at "
                   "offset 3");
    m[0] = entry("k", "caf\xc3\xa9");
    expect_verdict(m, 1,
                   "metadata value for key \"k\" contains non-printable-ASCII "
                   "byte 0xc3 at offset 3");
    m[0] = entry("k", "a\tb");
    expect_verdict(m, 1,
                   "metadata value for key \"k\" contains non-printable-ASCII "
                   "byte 0x09 at offset 1");
    m[0] = entry("k", "xyz");
    m[0].value = (char *)(uintptr_t) "a\0b";
    expect_verdict(m, 1,
                   "metadata value for key \"k\" contains non-printable-ASCII "
                   "byte 0x00 at offset 1");
    m[0] = entry("k", whole);
    expect_verdict(m, 1, "total metadata size 4106 exceeds 4096 bytes");
    m[0] = entry("a", half);
    m[1] = entry("b", half);
    expect_verdict(m, 1, NULL);
    expect_verdict(m, 2, "total metadata size 4116 exceeds 4096 bytes");
}

/* ---- a set is replaced --------------------------------------------------- */

static void
expect_metadata(const char *path, const struct metadata *want, size_t count)
{
    struct arena arena = {0};
    struct metadata *got;

    assert_int_equal(metadata_read(path, &arena, &got), count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(got[i].key, want[i].key);
        assert_string_equal(got[i].value, want[i].value);
        assert_int_equal(got[i].len, want[i].len);
    }
    arena_done(&arena);
}

static void
test_replace(void **state)
{
    struct metadata m[] = {entry("a", "1"), entry("b", ""), entry("c", "3")};
    struct arena arena = {0};
    struct metadata *got;
    char path[8192];
    int fd;

    (void)state;
    need_attributes();
    (void)snprintf(path, sizeof(path), "%s", scratch("replaced"));
    scratch_file("replaced", "x", 0644);
    assert_int_equal(setxattr(path, "user.theirs", "t", 1, 0), 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_false(metadata_is_all(fd));

    assert_int_equal(metadata_replace(fd, m, 3), 0);
    expect_metadata(path, m, 3);
    /* It stays with the inode. */
    assert_int_equal(rename(path, scratch("renamed")), 0);
    (void)snprintf(path, sizeof(path), "%s", scratch("renamed"));
    m[1] = entry("b", "new");
    assert_int_equal(metadata_replace(fd, m + 1, 1), 0);
    expect_metadata(path, m + 1, 1);

    /* What is not text is left out, but known. */
    assert_int_equal(setxattr(path, "user.e2b.bad", "\xff", 1, 0), 0);
    expect_metadata(path, m + 1, 1);
    assert_int_equal(metadata_read_all(fd, &arena, &got), 2);
    assert_string_equal(got[1].key, "bad");
    arena_done(&arena);
    assert_int_equal(metadata_replace(fd, NULL, 0), 0);
    expect_metadata(path, NULL, 0);
    assert_int_equal(getxattr(path, "user.theirs", NULL, 0), 1);
    assert_int_equal(fremovexattr(fd, "user.theirs"), 0);
    assert_true(metadata_is_all(fd));
    assert_int_equal(close(fd), 0);
}

/* ---- in a write ---------------------------------------------------------- */

static int
put(const char *path, const char *text, const struct metadata *m, size_t count,
    bool whole, struct status *st)
{
    struct file_writer w = {
        .path = path,
        .uid = getuid(),
        .gid = getgid(),
        .size_expected = (int64_t)strlen(text),
        .metadata = m,
        .metadata_count = count,
    };

    if (file_writer_open(&w, whole, st) < 0)
        return -1;
    if (file_writer_write(&w, text, strlen(text), st) < 0) {
        file_writer_abort(&w);
        return -1;
    }
    return file_writer_commit(&w, st);
}

static void
test_written_files(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct metadata m[] = {entry("a", "1"), entry("b", "2")};
    char path[8192];

    (void)state;
    need_attributes();
    (void)snprintf(path, sizeof(path), "%s", scratch("written"));
    for (int whole = 0; whole < 2; whole++) {
        assert_int_equal(put(path, "new", m, 2, whole == 1, &st), 0);
        expect_metadata(path, m, 2);
        assert_int_equal(put(path, "other", m + 1, 1, whole == 1, &st), 0);
        expect_metadata(path, m + 1, 1);
        assert_int_equal(put(path, "none", NULL, 0, whole == 1, &st), 0);
        expect_metadata(path, NULL, 0);
        assert_int_equal(unlink(path), 0);
    }
}

/* A set that no file system takes, as the check was not asked. */
static void
test_refused_metadata_leaves_the_old_file(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *key = text_of('k', 250);
    struct metadata old = entry("old", "value");
    struct metadata bad[] = {entry("a", "1"), entry(key, "v")};
    char path[8192];

    (void)state;
    need_attributes();
    (void)snprintf(path, sizeof(path), "%s", scratch("refused"));
    assert_int_equal(put(path, "old content", &old, 1, true, &st), 0);
    for (int whole = 0; whole < 2; whole++) {
        assert_int_equal(put(path, "new", bad, 2, whole == 1, &st), -1);
        assert_int_equal(st.code, RPC_INTERNAL);
        assert_non_null(
            strstr(status_message(&st), "error writing file metadata: "));
        scratch_expect_file("refused", "old content");
        expect_metadata(path, &old, 1);
    }
    (void)snprintf(path, sizeof(path), "%s", scratch("refused-new"));
    assert_int_equal(put(path, "new", bad, 2, true, &st), -1);
    assert_false(scratch_has("refused-new"));
}

static void
test_cut_write_leaves_the_old_metadata(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct metadata m[] = {entry("a", "1"), entry("b", "2")};
    struct file_writer w;
    char path[8192];

    (void)state;
    need_attributes();
    (void)snprintf(path, sizeof(path), "%s", scratch("cut"));
    assert_int_equal(put(path, "old content", m, 1, true, &st), 0);
    w = (struct file_writer){
        .path = path,
        .uid = getuid(),
        .gid = getgid(),
        .size_expected = -1,
        .metadata = m + 1,
        .metadata_count = 1,
    };
    assert_int_equal(file_writer_open(&w, false, &st), 0);
    assert_int_equal(file_writer_write(&w, "new", 3, &st), 0);
    file_writer_abort(&w);
    assert_false(w.lost);
    expect_metadata(path, m, 1);
}

/* /dev/null has an inode that takes none. */
static void
test_where_there_is_none(void **state)
{
    SCOPE(status_done) struct status st = {0};
    struct metadata m = entry("a", "1");
    struct metadata *got;
    struct arena arena = {0};

    (void)state;
    assert_int_equal(put("/dev/null", "x", NULL, 0, true, &st), 0);
    assert_int_equal(put("/proc/self/comm", "test_metadata", &m, 1, true, &st),
                     0);
    assert_int_equal(metadata_read("/proc/self/comm", &arena, &got), 0);
    arena_done(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_written_files),
        cmocka_unit_test(test_refused_metadata_leaves_the_old_file),
        cmocka_unit_test(test_cut_write_leaves_the_old_metadata),
        cmocka_unit_test(test_where_there_is_none),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
