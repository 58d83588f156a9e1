/*
 * Moving: renames, and copies across file systems.
 */
#include "scratch.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/scope.h"
#include "filesystem/tree.h"

static atomic_bool never;

/* Whether `other` in the scratch directory is another file system. */
static bool have_other;

static int
move(const char *from, const char *to, struct status *st)
{
    char source[16384];
    char target[16384];
    int fds = scratch_open_fds();
    int r;

    (void)snprintf(source, sizeof(source), "%s", scratch("%s", from));
    (void)snprintf(target, sizeof(target), "%s", scratch("%s", to));
    r = tree_move(source, target, geteuid() == 0 ? 1234 : geteuid(), getegid(),
                  &never, st);
    assert_int_equal(scratch_open_fds(), fds);
    return r;
}

static void
expect_moved(const char *from, const char *to)
{
    struct status st = {0};
    int r = move(from, to, &st);

    if (r < 0)
        print_error("%s\n", status_message(&st));
    assert_int_equal(r, 0);
}

/* `format` has two places, for source and destination. */
__attribute__((format(printf, 4, 0))) static void
expect_failure(const char *from, const char *to, enum rpc_code code,
               const char *format)
{
    struct status st = {0};
    char text[16384];

    assert_int_equal(move(from, to, &st), -1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), format, scratch("%s", from),
                   scratch("%s", to));
#pragma GCC diagnostic pop
    scratch_expect_status(&st, code, text);
}

static void
test_rename(void **state)
{
    struct stat st;

    (void)state;
    scratch_dir("r");
    scratch_file("r/f", "content", 0640);
    expect_moved("r/f", "r/g");
    assert_false(scratch_has("r/f"));
    scratch_expect_file("r/g", "content");

    /* Missing parents are made, for the user. */
    expect_moved("r/g", "r/new/er/g");
    scratch_expect_file("r/new/er/g", "content");
    assert_int_equal(lstat(scratch("r/new"), &st), 0);
    assert_int_equal(st.st_uid, geteuid() == 0 ? 1234 : geteuid());
    assert_int_equal(lstat(scratch("r/new/er/g"), &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(st.st_mode & 07777, 0640);

    /* File over file, and onto itself. */
    scratch_file("r/old", "old", 0600);
    expect_moved("r/new/er/g", "r/old");
    scratch_expect_file("r/old", "content");
    expect_moved("r/old", "r/old");
    expect_moved("r/old", "r/./old");
    scratch_expect_file("r/old", "content");

    /* A directory with what is in it; also by another spelling of itself. */
    scratch_dir("r/d");
    scratch_dir("r/d/sub");
    scratch_file("r/d/sub/f", "in", 0600);
    expect_moved("r/d", "r/e");
    scratch_expect_file("r/e/sub/f", "in");
    assert_false(scratch_has("r/d"));
    expect_moved("r/e", "r/e/");
    scratch_expect_file("r/e/sub/f", "in");
}

static void
test_links(void **state)
{
    char text[64] = "";

    (void)state;
    scratch_dir("l");
    scratch_dir("l/d");
    scratch_file("l/f", "x", 0600);
    scratch_link("d", "l/to-dir");
    scratch_link("f", "l/to-file");
    expect_moved("l/to-dir", "l/moved-dir");
    expect_moved("l/to-file", "l/moved-file");
    assert_true(readlink(scratch("l/moved-dir"), text, sizeof(text)) == 1);
    assert_int_equal(text[0], 'd');
    assert_true(readlink(scratch("l/moved-file"), text, sizeof(text)) == 1);
    assert_int_equal(text[0], 'f');
    scratch_expect_file("l/f", "x");
    assert_true(scratch_has("l/d"));
    /* Moving what a link points to leaves it dangling. */
    expect_moved("l/f", "l/g");
    assert_int_equal(access(scratch("l/moved-file"), F_OK), -1);
}

static void
test_failures(void **state)
{
    static const char missing[] =
        "source file not found: rename %s %s: no such file or directory";
    static const char exists[] = "error renaming: rename %s %s: file exists";
    static const char not_dir[] =
        "error renaming: rename %s %s: not a directory";

    (void)state;
    scratch_dir("e");
    scratch_dir("e/d");
    scratch_dir("e/full");
    scratch_file("e/full/x", "", 0600);
    scratch_file("e/f", "", 0600);
    scratch_link("d", "e/to-dir");

    expect_failure("e/none", "e/x", RPC_NOT_FOUND, missing);
    /* The source comes first, and nothing is made for it. */
    expect_failure("e/none", "e/p/q/x", RPC_NOT_FOUND, missing);
    assert_false(scratch_has("e/p"));
    expect_failure("e/none", "e/d", RPC_NOT_FOUND, missing);
    expect_failure("e/none", "e/f/x", RPC_NOT_FOUND, missing);

    expect_failure("e/f", "e/d", RPC_INTERNAL, exists);
    expect_failure("e/full", "e/d", RPC_INTERNAL, exists);
    expect_failure("e/d", "e/d", RPC_INTERNAL, exists);
    expect_failure("e/f", "e/new/", RPC_INTERNAL, exists);
    assert_false(scratch_has("e/new"));

    expect_failure("e/d", "e/f", RPC_INTERNAL, not_dir);
    expect_failure("e/f/", "e/x", RPC_INTERNAL, not_dir);
    expect_failure("e/f/y", "e/x", RPC_INTERNAL, not_dir);
    expect_failure("e/to-dir/", "e/x", RPC_INTERNAL, not_dir);

    /* Into itself; the parents made for it are gone again. */
    expect_failure("e/d", "e/d/sub/x", RPC_INTERNAL,
                   "error renaming: rename %s %s: invalid argument");
    assert_false(scratch_has("e/d/sub"));
    expect_failure("e/d/.", "e/x", RPC_INTERNAL,
                   "error renaming: rename %s %s: device or resource busy");
    expect_failure("e/f", "e/none/../x", RPC_NOT_FOUND, missing);
}

static void
test_parent_is_a_file(void **state)
{
    char text[8192];
    struct status st = {0};

    (void)state;
    scratch_dir("p");
    scratch_file("p/f", "", 0600);
    scratch_file("p/g", "", 0600);
    assert_int_equal(move("p/f", "p/g/x", &st), -1);
    (void)snprintf(text, sizeof(text), "path is a file: %s", scratch("p/g"));
    scratch_expect_status(&st, RPC_INTERNAL, text);
    assert_int_equal(move("p/f", "p/g/x/y", &st), -1);
    scratch_expect_status(&st, RPC_INTERNAL, text);
}

static void
test_root(void **state)
{
    struct status st = {0};

    (void)state;
    assert_int_equal(tree_move("/", scratch("root"), 0, 0, &never, &st), -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT,
                          "source must not be the root directory: /");
    assert_int_equal(tree_move("/../.", scratch("root"), 0, 0, &never, &st),
                     -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT,
                          "source must not be the root directory: /../.");
    scratch_file("unmoved", "", 0600);
    assert_int_equal(tree_move(scratch("unmoved"), "//", 0, 0, &never, &st),
                     -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT,
                          "destination must not be the root directory: //");
}

#define NEEDS_OTHER()                                        \
    do {                                                     \
        if (!have_other) {                                   \
            print_message("no second file system to use\n"); \
            skip();                                          \
        }                                                    \
    } while (0)

static int
count_entries(const char *name)
{
    int fd = open(scratch("%s", name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char buf[4096];
    int count = 0;
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = getdents64(fd, buf, sizeof(buf))) > 0)
        for (ssize_t at = 0; at < n; count++) {
            unsigned short len;

            memcpy(&len, buf + at + 16, sizeof(len));
            at += len;
        }
    assert_int_equal(close(fd), 0);
    return count - 2;
}

static void
expect_same(const char *name, const struct stat *was, mode_t mode)
{
    struct stat st;

    assert_int_equal(lstat(scratch("%s", name), &st), 0);
    assert_int_equal(st.st_mode, mode);
    assert_int_equal(st.st_uid, was->st_uid);
    assert_int_equal(st.st_gid, was->st_gid);
    assert_int_equal(st.st_mtim.tv_sec, was->st_mtim.tv_sec);
    assert_int_equal(st.st_mtim.tv_nsec, was->st_mtim.tv_nsec);
    if (!S_ISLNK(mode))
        assert_int_equal(st.st_atim.tv_sec, was->st_atim.tv_sec);
}

/* Give a thing an owner and times that no copy has by chance. */
static struct stat
mark(const char *name)
{
    static time_t next = 1000000000;
    struct timespec times[2] = {{next, 5}, {next + 1, 123456789}};
    struct stat st;

    next += 10;
    assert_int_equal(
        utimensat(AT_FDCWD, scratch("%s", name), times, AT_SYMLINK_NOFOLLOW),
        0);
    assert_int_equal(lstat(scratch("%s", name), &st), 0);
    return st;
}

static void
give(const char *name, uid_t uid, gid_t gid)
{
    assert_int_equal(lchown(scratch("%s", name), uid, gid), 0);
}

static void
test_across_file(void **state)
{
    struct stat was;
    char value[16];
    bool attrs;

    (void)state;
    NEEDS_OTHER();
    scratch_dir("a");
    scratch_file("a/f", "moved bytes", 0600);
    give("a/f", 77, 88);
    attrs = setxattr(scratch("a/f"), "user.e2b.k", "value", 5, 0) == 0;
    assert_int_equal(chmod(scratch("a/f"), 06750), 0);
    was = mark("a/f");

    expect_moved("a/f", "other/sub/f");
    assert_false(scratch_has("a/f"));
    expect_same("other/sub/f", &was, S_IFREG | 06750);
    scratch_expect_file("other/sub/f", "moved bytes");
    assert_int_equal(count_entries("other/sub"), 1);
    if (!attrs || setxattr(scratch("other/sub/f"), "user.probe", "", 0, 0) < 0)
        print_message("no extended attributes on one side: not compared\n");
    else
        assert_int_equal(getxattr(scratch("other/sub/f"), "user.e2b.k", value,
                                  sizeof(value)),
                         5);

    /* Over a file that is there. */
    scratch_file("a/new", "new", 0600);
    scratch_file("other/old", "old", 0600);
    expect_moved("a/new", "other/old");
    scratch_expect_file("other/old", "new");
    assert_false(scratch_has("a/new"));
}

static void
test_across_tree(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } things[] = {
        /* Inner ones first: marking them changes the times of outer ones. */
        {"sub/f", S_IFREG | 04711}, {"plain", S_IFREG | 0000},
        {"link", S_IFLNK | 0777},   {"broken", S_IFLNK | 0777},
        {"fifo", S_IFIFO | 0640},   {"sock", S_IFSOCK | 0755},
        {"dev", S_IFCHR | 0666},    {"sub", S_IFDIR | 01777},
        {".", S_IFDIR | 02750},
    };
    struct stat was[ARRAY_LEN(things)];
    struct stat one;
    struct stat two;
    char name[64];
    char text[64] = "";

    (void)state;
    NEEDS_OTHER();
    scratch_dir("m");
    scratch_dir("m/d");
    scratch_dir("m/d/sub");
    scratch_dir("m/d/empty");
    scratch_file("m/d/sub/f", "x", 0600);
    scratch_file("m/d/plain", "", 0600);
    scratch_file("m/d/\xff", "latin", 0600);
    scratch_link("sub/f", "m/d/link");
    scratch_link("/gone/away", "m/d/broken");
    assert_int_equal(mkfifo(scratch("m/d/fifo"), 0600), 0);
    assert_int_equal(mknod(scratch("m/d/sock"), S_IFSOCK | 0600, 0), 0);
    assert_int_equal(mknod(scratch("m/d/dev"), S_IFCHR | 0600, makedev(1, 3)),
                     0);
    assert_int_equal(link(scratch("m/d/sub/f"), scratch("m/d/hard")), 0);
    assert_int_equal(link(scratch("m/d/fifo"), scratch("m/d/sub/fifo2")), 0);
    for (size_t i = 0; i < ARRAY_LEN(things); i++) {
        (void)snprintf(name, sizeof(name), "m/d/%s", things[i].name);
        give(name, 100 + (uid_t)i, 200 + (gid_t)i);
        if (!S_ISLNK(things[i].mode))
            assert_int_equal(chmod(scratch("%s", name), things[i].mode & 07777),
                             0);
        was[i] = mark(name);
    }

    expect_moved("m/d", "other/m");
    assert_false(scratch_has("m/d"));
    for (size_t i = 0; i < ARRAY_LEN(things); i++) {
        (void)snprintf(name, sizeof(name), "other/m/%s", things[i].name);
        expect_same(name, &was[i], things[i].mode);
    }
    scratch_expect_file("other/m/\xff", "latin");
    assert_int_equal(count_entries("other/m"), 10);
    assert_int_equal(readlink(scratch("other/m/broken"), text, sizeof(text)),
                     10);
    assert_string_equal(text, "/gone/away");
    assert_int_equal(lstat(scratch("other/m/dev"), &one), 0);
    assert_int_equal(one.st_rdev, makedev(1, 3));

    /* Names of one file stay names of one file. */
    assert_int_equal(lstat(scratch("other/m/hard"), &one), 0);
    assert_int_equal(lstat(scratch("other/m/sub/f"), &two), 0);
    assert_int_equal(one.st_ino, two.st_ino);
    assert_int_equal(one.st_nlink, 2);
    assert_int_equal(lstat(scratch("other/m/fifo"), &one), 0);
    assert_int_equal(lstat(scratch("other/m/sub/fifo2"), &two), 0);
    assert_int_equal(one.st_ino, two.st_ino);
}

/* More than one slice, with a hole in the middle and one at the end. */
static void
test_across_sparse(void **state)
{
    static char block[300000];
    struct stat st;
    int fd;

    (void)state;
    NEEDS_OTHER();
    memset(block, 'b', sizeof(block));
    fd = open(scratch("sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, block, sizeof(block), 0), sizeof(block));
    assert_int_equal(pwrite(fd, block, sizeof(block), 64 << 20), sizeof(block));
    assert_int_equal(ftruncate(fd, 100 << 20), 0);
    assert_int_equal(close(fd), 0);

    expect_moved("sparse", "other/sparse");
    fd = open(scratch("other/sparse"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 100 << 20);
    assert_true(st.st_blocks * 512 < 4 << 20);
    memset(block, 0, sizeof(block));
    assert_int_equal(pread(fd, block, sizeof(block), (64 << 20) - 1000),
                     sizeof(block));
    assert_int_equal(block[999], 0);
    assert_int_equal(block[1000], 'b');
    assert_int_equal(block[sizeof(block) - 1], 'b');
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(scratch("other/sparse")), 0);
}

static void
test_across_deep(void **state)
{
    (void)state;
    NEEDS_OTHER();
    scratch_dir("deep");
    scratch_deep("deep", 60);
    expect_moved("deep", "other/deep");
    assert_false(scratch_has("deep"));
    assert_int_equal(count_entries("other/deep"), 1);
    expect_moved("other/deep", "deep");
    assert_false(scratch_has("other/deep"));
}

static void
test_across_failures(void **state)
{
    static const char not_dir[] =
        "error renaming: rename %s %s: not a directory";
    static const char busy[] =
        "error renaming: rename %s %s: device or resource busy";
    int entries;

    (void)state;
    NEEDS_OTHER();
    scratch_dir("x");
    scratch_dir("x/d");
    scratch_file("x/d/f", "kept", 0600);
    scratch_link("d", "x/to-dir");
    scratch_dir("other/dir");
    scratch_file("other/file", "there", 0600);
    entries = count_entries("other");

    expect_failure("x/d", "other/file", RPC_INTERNAL, not_dir);
    expect_failure("x/to-dir/", "other/y", RPC_INTERNAL, not_dir);
    expect_failure("x/d", "other/dir", RPC_INTERNAL,
                   "error renaming: rename %s %s: file exists");
    expect_failure("x/d/.", "other/y", RPC_INTERNAL, busy);
    expect_failure("x/none", "other/n/y", RPC_NOT_FOUND,
                   "source file not found: rename %s %s: "
                   "no such file or directory");
    /* A mount point, and what holds one, cannot be moved. */
    expect_failure("other", "x/y", RPC_INTERNAL, busy);
    scratch_expect_file("x/d/f", "kept");
    scratch_expect_file("other/file", "there");
    assert_int_equal(count_entries("other"), entries);
    assert_int_equal(count_entries("x"), 2);
}

/* Too little room: the source stays, of the copy nothing, nor its parents. */
static void
test_across_full(void **state)
{
    static char block[1 << 20];
    struct status st = {0};
    int fd;

    (void)state;
    NEEDS_OTHER();
    scratch_dir("big");
    scratch_file("big/first", "kept", 0600);
    fd = open(scratch("big/second"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    memset(block, 1, sizeof(block));
    for (int i = 0; i < 12; i++)
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
    assert_int_equal(close(fd), 0);
    assert_int_equal(move("big", "other/p/q/big", &st), -1);
    assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(status_message(&st), "no space left on device"));
    status_done(&st);
    assert_false(scratch_has("other/p"));
    scratch_expect_file("big/first", "kept");
    assert_int_equal(count_entries("big"), 2);
}

static void
test_across_cancelled(void **state)
{
    atomic_bool cancelled = true;
    struct status st = {0};
    int entries;

    (void)state;
    NEEDS_OTHER();
    scratch_dir("c");
    scratch_file("c/f", "kept", 0600);
    entries = count_entries("other");
    assert_int_equal(tree_move(scratch("c"), scratch("other/c"), geteuid(),
                               getegid(), &cancelled, &st),
                     -1);
    scratch_expect_status(&st, RPC_CANCELED, "context canceled");
    assert_int_equal(count_entries("other"), entries);
    scratch_expect_file("c/f", "kept");
}

/*
 * A bind mount gives one file two paths between which rename(2) refuses to
 * work: nothing may be lost, nor copied into itself.
 */
static void
test_across_bind_mount(void **state)
{
    (void)state;
    scratch_dir("b");
    scratch_dir("b/real");
    scratch_dir("b/real/empty");
    scratch_dir("b/bind");
    scratch_file("b/real/f", "kept", 0600);
    if (!have_other ||
        mount(scratch("b/real"), scratch("b/bind"), NULL, MS_BIND, NULL) < 0) {
        print_message("no right to mount here\n");
        skip();
    }
    expect_moved("b/real/f", "b/bind/f");
    scratch_expect_file("b/real/f", "kept");
    expect_moved("b/real/empty", "b/bind/empty/");
    assert_true(scratch_has("b/real/empty"));
    expect_moved("b/real/f", "b/bind/g");
    scratch_expect_file("b/real/g", "kept");
    assert_false(scratch_has("b/real/f"));
    expect_failure("b/real", "b/bind/empty/x", RPC_INTERNAL,
                   "error renaming: rename %s %s: invalid argument");
    scratch_expect_file("b/real/g", "kept");
    assert_int_equal(count_entries("b/real/empty"), 0);
    /* The directory above a mount point. */
    scratch_file("b/f", "kept", 0600);
    expect_failure("b", "other/b", RPC_INTERNAL,
                   "error renaming: rename %s %s: device or resource busy");
    scratch_expect_file("b/f", "kept");
    assert_false(scratch_has("other/b"));
    assert_int_equal(umount(scratch("b/bind")), 0);
}

/* Mounts are made in a mount namespace of our own, which dies with us. */
static int
set_up(void **state)
{
    int r = scratch_make(state);

    scratch_dir("other");
    have_other =
        unshare(CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", scratch("other"), "tmpfs", 0, "size=8m,mode=755") == 0;
    return r;
}

static int
tear_down(void **state)
{
    if (have_other)
        assert_int_equal(umount(scratch("other")), 0);
    return scratch_remove(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_parent_is_a_file),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_across_file),
        cmocka_unit_test(test_across_tree),
        cmocka_unit_test(test_across_sparse),
        cmocka_unit_test(test_across_deep),
        cmocka_unit_test(test_across_failures),
        cmocka_unit_test(test_across_full),
        cmocka_unit_test(test_across_cancelled),
        cmocka_unit_test(test_across_bind_mount),
    };

    (void)umask(022);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
