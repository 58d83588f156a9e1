/*
 * Removing trees.
 */
#include "scratch.h"

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/scope.h"
#include "filesystem/tree.h"

static atomic_bool never;

static int
remove_tree(const char *path, struct status *st)
{
    int fds = scratch_open_fds();
    int r = tree_remove(path, &never, st);

    assert_int_equal(scratch_open_fds(), fds);
    return r;
}

static void
expect_removed(const char *path)
{
    struct stat info;
    struct status st = {0};
    int r = remove_tree(path, &st);

    if (r < 0)
        print_error("%s\n", status_message(&st));
    assert_int_equal(r, 0);
    assert_int_equal(lstat(path, &info), -1);
}

static void
expect_failure(const char *path, enum rpc_code code, const char *text)
{
    struct status st = {0};

    assert_int_equal(remove_tree(path, &st), -1);
    scratch_expect_status(&st, code, text);
}

static void
test_kinds(void **state)
{
    (void)state;
    scratch_dir("k");
    scratch_dir("k/keep");
    scratch_file("k/keep/f", "x", 0644);
    scratch_file("k/file", "", 0000);
    scratch_dir("k/empty");
    scratch_link("keep", "k/to-dir");
    scratch_link("keep/f", "k/to-file");
    scratch_link("gone", "k/broken");
    assert_int_equal(mkfifo(scratch("k/fifo"), 0600), 0);

    expect_removed(scratch("k/file"));
    expect_removed(scratch("k/file"));
    expect_removed(scratch("k/empty"));
    expect_removed(scratch("k/to-dir"));
    expect_removed(scratch("k/to-file"));
    expect_removed(scratch("k/broken"));
    expect_removed(scratch("k/fifo"));
    expect_removed(scratch("k/none"));
    expect_removed(scratch("k/none/deeper"));
    expect_removed(scratch("none/deeper/still/"));
    scratch_expect_file("k/keep/f", "x");

    /* A slash at the end changes nothing. */
    scratch_file("k/file", "", 0644);
    scratch_link("keep", "k/to-dir");
    assert_int_equal(remove_tree(scratch("k/to-dir//"), &(struct status){0}),
                     0);
    assert_false(scratch_has("k/to-dir"));
    assert_int_equal(remove_tree(scratch("k/file/"), &(struct status){0}), 0);
    assert_false(scratch_has("k/file"));
    assert_int_equal(remove_tree(scratch("k/keep/"), &(struct status){0}), 0);
    assert_false(scratch_has("k/keep"));
}

static void
test_tree(void **state)
{
    (void)state;
    scratch_dir("outside");
    scratch_file("outside/f", "kept", 0644);
    scratch_dir("t");
    scratch_dir("t/a");
    scratch_dir("t/a/b");
    scratch_dir("t/\xff");
    scratch_file("t/\xff/\xfe", "", 0644);
    scratch_link("../outside", "t/link");
    scratch_link("../../outside", "t/a/link");
    for (int i = 0; i < 3000; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "t/a/b/file-with-a-long-name-%d", i);
        scratch_file(name, "", 0644);
        if (i % 100 == 0) {
            (void)snprintf(name, sizeof(name), "t/a/b/dir%d", i);
            scratch_dir(name);
            (void)snprintf(name, sizeof(name), "t/a/b/dir%d/f", i);
            scratch_file(name, "", 0644);
        }
    }
    expect_removed(scratch("t"));
    scratch_expect_file("outside/f", "kept");
}

static void
test_deeper_than_a_path(void **state)
{
    (void)state;
    scratch_dir("deep");
    scratch_deep("deep", 200);
    expect_removed(scratch("deep"));
}

static void
test_refusals(void **state)
{
    char text[8192];

    (void)state;
    scratch_dir("dots");
    scratch_dir("dots/d");
    scratch_file("dots/f", "", 0644);
#define EXPECT(name, format)                                        \
    do {                                                            \
        (void)snprintf(text, sizeof(text),                          \
                       "error removing file or directory: " format, \
                       scratch("%s", name));                        \
        expect_failure(scratch("%s", name), RPC_INTERNAL, text);    \
    } while (0)
    EXPECT("dots/.", "RemoveAll %s: invalid argument");
    EXPECT("dots/./", "RemoveAll %s: invalid argument");
    EXPECT("dots/d/..", "RemoveAll %s: invalid argument");
    EXPECT("dots/f/x", "unlinkat %s: not a directory");
    EXPECT("dots/f/x/y", "unlinkat %s: not a directory");
#undef EXPECT
    (void)snprintf(text, sizeof(text),
                   "error removing file or directory: unlinkat %s: "
                   "file name too long",
                   scratch("dots/%0300d", 0));
    expect_failure(scratch("dots/%0300d", 0), RPC_INTERNAL, text);
    scratch_link("self", "dots/self");
    (void)snprintf(text, sizeof(text),
                   "error removing file or directory: open %s: "
                   "too many levels of symbolic links",
                   scratch("dots/self"));
    expect_failure(scratch("dots/self/x"), RPC_INTERNAL, text);
    assert_true(scratch_has("dots/d"));
    expect_failure("/proc/self/status", RPC_INTERNAL,
                   "error removing file or directory: unlinkat "
                   "/proc/self/status: operation not permitted");
}

/* In the cage: whether each way to its root is refused. */
static int
try_roots(void)
{
    static const char *const roots[] = {"/",        "//",    "/.",    "/..",
                                        "/tmp/../", "/bind", "/bind/"};

    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        struct status st = {0};
        char text[256];

        if (tree_remove(roots[i], &never, &st) == 0)
            return (int)i + 1;
        (void)snprintf(text, sizeof(text),
                       "path must not be the root directory: %s", roots[i]);
        if (st.code != RPC_INVALID_ARGUMENT ||
            strcmp(status_message(&st), text) != 0)
            return (int)i + 100;
        status_done(&st);
    }
    return access("/file", F_OK) == 0 ? 0 : 200;
}

/*
 * The root is refused, by whatever path.  Tried where the root is a scratch
 * directory, in case it is not.
 */
static void
test_root(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    scratch_dir("cage");
    scratch_dir("cage/bind");
    scratch_dir("cage/tmp");
    scratch_file("cage/file", "", 0644);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(scratch("cage"), scratch("cage/bind"), NULL, MS_BIND, NULL) <
                0 ||
            chroot(scratch("cage")) < 0 || chdir("/") < 0)
            _exit(255);
        _exit(try_roots());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 255) {
        print_message("no right to change the root here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool
set_immutable(const char *path, bool on)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int flags = on ? FS_IMMUTABLE_FL : 0;
    bool ok = fd >= 0 && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;

    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    return ok;
}

/* One entry cannot be removed: all others are, and that one is named. */
static void
test_goes_on(void **state)
{
    char text[8192];

    (void)state;
    scratch_dir("i");
    scratch_dir("i/a");
    scratch_dir("i/b");
    scratch_dir("i/c");
    scratch_file("i/a/f", "", 0644);
    scratch_file("i/b/stays", "", 0644);
    scratch_file("i/b/f", "", 0644);
    scratch_file("i/c/f", "", 0644);
    if (!set_immutable(scratch("i/b/stays"), true)) {
        print_message("files cannot be made immutable here\n");
        skip();
    }
    (void)snprintf(text, sizeof(text),
                   "error removing file or directory: unlinkat %s: "
                   "operation not permitted",
                   scratch("i/b/stays"));
    expect_failure(scratch("i"), RPC_INTERNAL, text);
    assert_true(scratch_has("i/b/stays"));
    assert_false(scratch_has("i/b/f"));
    assert_false(scratch_has("i/a"));
    assert_false(scratch_has("i/c"));
    assert_true(set_immutable(scratch("i/b/stays"), false));
    expect_removed(scratch("i"));
}

static void
test_cancelled(void **state)
{
    atomic_bool cancelled = true;
    struct status st = {0};

    (void)state;
    scratch_dir("cancel");
    scratch_file("cancel/f", "", 0644);
    assert_int_equal(tree_remove(scratch("cancel"), &cancelled, &st), -1);
    scratch_expect_status(&st, RPC_CANCELED, "context canceled");
    assert_true(scratch_has("cancel/f"));
}

static atomic_bool fill_stop;

/* Make files in a directory, and the directory, as fast as they go. */
static void *
fill(void *ctx)
{
    const char *root = ctx;
    char path[4096 + 64];

    for (unsigned int i = 0; !atomic_load(&fill_stop); i++) {
        (void)snprintf(path, sizeof(path), "%s/d%u", root, i % 7);
        (void)mkdir(path, 0755);
        (void)snprintf(path, sizeof(path), "%s/d%u/f%u", root, i % 7, i);
        (void)mknod(path, S_IFREG | 0600, 0);
    }
    return NULL;
}

/* Entries come and go meanwhile: no crash, no leak, and a truthful answer. */
static void
test_against_a_writer(void **state)
{
    pthread_t thread;
    char root[4096];

    (void)state;
    scratch_dir("race");
    (void)snprintf(root, sizeof(root), "%s", scratch("race"));
    assert_int_equal(pthread_create(&thread, NULL, fill, root), 0);
    for (int i = 0; i < 30; i++) {
        struct status st = {0};
        struct stat info;

        if (remove_tree(root, &st) < 0)
            assert_non_null(strstr(status_message(&st), "directory not empty"));
        status_done(&st);
        if (lstat(root, &info) < 0)
            scratch_dir("race");
    }
    atomic_store(&fill_stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    expect_removed(root);
}

/* Two removals of one tree share the work and both succeed. */
static void *
remove_too(void *ctx)
{
    struct status st = {0};
    static int result;

    result = tree_remove(ctx, &never, &st);
    status_done(&st);
    return &result;
}

static void
test_two_at_once(void **state)
{
    pthread_t thread;
    struct status st = {0};
    char root[4096];
    char name[64];
    void *other;
    int r;

    (void)state;
    scratch_dir("two");
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof(name), "two/%d", i);
        scratch_dir(name);
        for (int j = 0; j < 20; j++) {
            (void)snprintf(name, sizeof(name), "two/%d/%d", i, j);
            scratch_file(name, "", 0644);
        }
    }
    (void)snprintf(root, sizeof(root), "%s", scratch("two"));
    assert_int_equal(pthread_create(&thread, NULL, remove_too, root), 0);
    r = tree_remove(root, &never, &st);
    assert_string_equal(status_message(&st), "");
    assert_int_equal(r, 0);
    assert_int_equal(pthread_join(thread, &other), 0);
    assert_int_equal(*(int *)other, 0);
    assert_false(scratch_has("two"));
}

/* Mounts are made in a mount namespace of our own, which dies with us. */
static void
test_mount_points(void **state)
{
    char text[8192];

    (void)state;
    scratch_dir("mnt");
    scratch_dir("mnt/point");
    scratch_file("mnt/f", "", 0644);
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", scratch("mnt/point"), "tmpfs", 0, "size=1m") < 0) {
        print_message("no right to mount here\n");
        skip();
    }
    scratch_file("mnt/point/inside", "", 0644);
    (void)snprintf(text, sizeof(text),
                   "error removing file or directory: unlinkat %s: "
                   "device or resource busy",
                   scratch("mnt/point"));
    expect_failure(scratch("mnt"), RPC_INTERNAL, text);
    assert_false(scratch_has("mnt/f"));
    assert_false(scratch_has("mnt/point/inside"));
    assert_int_equal(umount(scratch("mnt/point")), 0);
    expect_removed(scratch("mnt"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_deeper_than_a_path),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_against_a_writer),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_mount_points),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
