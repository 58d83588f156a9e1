/*
 * Making directories.
 */
#include "scratch.h"

#include <errno.h>

#include "filesystem/tree.h"

static int
make(const char *path, struct status *st)
{
    int fds = scratch_open_fds();
    int r = tree_make_dir(path, geteuid() == 0 ? 1234 : geteuid(),
                          geteuid() == 0 ? 2345 : getegid(), st);

    assert_int_equal(scratch_open_fds(), fds);
    return r;
}

static void
expect_made(const char *path)
{
    struct status st = {0};
    int r = make(path, &st);

    if (r < 0)
        print_error("%s\n", status_message(&st));
    assert_int_equal(r, 0);
}

static void
expect_failure(const char *path, enum rpc_code code, const char *text)
{
    struct status st = {0};

    assert_int_equal(make(path, &st), -1);
    scratch_expect_status(&st, code, text);
}

static void
expect_owner(const char *name, uid_t uid, gid_t gid)
{
    struct stat st;

    assert_int_equal(lstat(scratch("%s", name), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0755);
    if (geteuid() != 0)
        return;
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
}

static void
test_make(void **state)
{
    (void)state;
    scratch_dir("m");
    expect_made(scratch("m/one"));
    expect_owner("m/one", 1234, 2345);
    expect_made(scratch("m/a/b/c"));
    expect_owner("m/a", 1234, 2345);
    expect_owner("m/a/b", 1234, 2345);
    expect_owner("m/a/b/c", 1234, 2345);
    /* What was there stays as it was. */
    expect_owner("m", geteuid(), getegid());
    expect_made(scratch("m/s/sub/"));
    expect_owner("m/s/sub", 1234, 2345);
    expect_made(scratch("m//x//y"));
    expect_owner("m/x/y", 1234, 2345);
    expect_made(scratch("m/one/../two"));
    expect_owner("m/two", 1234, 2345);
}

static void
test_through_links(void **state)
{
    (void)state;
    scratch_dir("l");
    scratch_dir("l/real");
    scratch_link("real", "l/link");
    expect_made(scratch("l/link/a/b"));
    expect_owner("l/real/a/b", 1234, 2345);
}

static void
test_failures(void **state)
{
    char text[8192];

    (void)state;
    scratch_dir("e");
    scratch_dir("e/d");
    scratch_file("e/f", "", 0644);
    scratch_link("d", "e/to-dir");
    scratch_link("f", "e/to-file");
    scratch_link("gone", "e/broken");
    scratch_link("self", "e/self");

#define EXPECT(name, code, format)                                       \
    do {                                                                 \
        (void)snprintf(text, sizeof(text), format, scratch("%s", name)); \
        expect_failure(scratch("%s", name), code, text);                 \
    } while (0)
    EXPECT("e/d", RPC_ALREADY_EXISTS, "directory already exists: %s");
    EXPECT("e/d/", RPC_ALREADY_EXISTS, "directory already exists: %s");
    EXPECT("e/to-dir", RPC_ALREADY_EXISTS, "directory already exists: %s");
    EXPECT("e/f", RPC_INVALID_ARGUMENT,
           "path already exists but it is not a directory: %s");
    EXPECT("e/to-file", RPC_INVALID_ARGUMENT,
           "path already exists but it is not a directory: %s");
    EXPECT("e/f/x", RPC_INTERNAL,
           "error getting file info: stat %s: not a directory");
    EXPECT("e/f/x/y", RPC_INTERNAL,
           "error getting file info: stat %s: not a directory");
    EXPECT("e/f/", RPC_INTERNAL,
           "error getting file info: stat %s: not a directory");
    EXPECT("e/self", RPC_INTERNAL,
           "error getting file info: stat %s: "
           "too many levels of symbolic links");
    EXPECT("e/broken", RPC_INTERNAL,
           "failed to chown directory: chown %s: no such file or directory");
    EXPECT("e/none/../b", RPC_INTERNAL,
           "failed to create directory: mkdir %s: no such file or directory");
#undef EXPECT
    (void)snprintf(
        text, sizeof(text),
        "failed to chown directory: chown %s: no such file or directory",
        scratch("e/broken"));
    expect_failure(scratch("e/broken/x"), RPC_INTERNAL, text);
    assert_false(scratch_has("e/gone"));
    assert_false(scratch_has("e/b"));
    expect_failure("/", RPC_ALREADY_EXISTS, "directory already exists: /");
    expect_failure("/proc/none/x", RPC_INTERNAL,
                   "failed to create directory: mkdir /proc/none: "
                   "no such file or directory");
    (void)snprintf(text, sizeof(text),
                   "error getting file info: stat %s: file name too long",
                   scratch("e/%0300d", 0));
    expect_failure(scratch("e/%0300d", 0), RPC_INTERNAL, text);
}

/* The same without the look before it: for parents of a file. */
static void
test_ensure(void **state)
{
    char text[8192];
    struct status st = {0};

    (void)state;
    scratch_dir("p");
    scratch_file("p/f", "", 0644);
    scratch_link("f", "p/to-file");
    assert_int_equal(tree_ensure_dirs(scratch("p"), 0, 0, &st), 0);
    assert_int_equal(tree_ensure_dirs("/", 0, 0, &st), 0);

    assert_int_equal(tree_ensure_dirs(scratch("p/f"), 0, 0, &st), -1);
    (void)snprintf(text, sizeof(text), "path is a file: %s", scratch("p/f"));
    scratch_expect_status(&st, RPC_INTERNAL, text);
    assert_int_equal(tree_ensure_dirs(scratch("p/f/x/y"), 0, 0, &st), -1);
    scratch_expect_status(&st, RPC_INTERNAL, text);
    assert_int_equal(tree_ensure_dirs(scratch("p/to-file/x"), 0, 0, &st), -1);
    (void)snprintf(text, sizeof(text), "path is a file: %s",
                   scratch("p/to-file"));
    scratch_expect_status(&st, RPC_INTERNAL, text);
}

/* Two makers of the same tree both succeed. */
static void
test_deep_and_again(void **state)
{
    struct status st = {0};

    (void)state;
    scratch_dir("again");
    assert_int_equal(tree_ensure_dirs(scratch("again/%0200d/%0200d/x", 1, 2),
                                      geteuid(), getegid(), &st),
                     0);
    assert_int_equal(tree_ensure_dirs(scratch("again/%0200d/%0200d/x", 1, 2),
                                      geteuid(), getegid(), &st),
                     0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_through_links),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_ensure),
        cmocka_unit_test(test_deep_and_again),
    };

    (void)umask(022);
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
