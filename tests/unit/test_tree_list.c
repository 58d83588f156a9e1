/*
 * Listing directories.
 */
#include "scratch.h"

#include <errno.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/scope.h"
#include "filesystem/tree.h"

static atomic_bool never;

/* Writes `type path` lines, paths without the scratch directory. */
struct recorder {
    struct tree_visitor visitor;
    struct buf text;
    size_t count;
    size_t longest;
    size_t stop_after;
};

static int
record(struct tree_visitor *v, const struct entry *e, struct status *st)
{
    static const char types[] = {
        [ENTRY_OTHER] = '?', [ENTRY_FILE] = 'f', [ENTRY_DIRECTORY] = 'd'};
    struct recorder *r = container_of(v, struct recorder, visitor);
    size_t root_len = strlen(scratch_root);
    const char *path = e->path;

    assert_string_equal(strrchr(path, '/') + 1, e->name);
    if (strncmp(path, scratch_root, root_len) == 0)
        path += root_len;
    r->longest = MAX(r->longest, strlen(e->path));
    r->count++;
    buf_appendf(&r->text, "%c%s\n", types[e->type], path);
    if (r->count == r->stop_after)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "enough");
    return 0;
}

static int
list(const char *path, uint32_t depth, struct recorder *r, struct status *st)
{
    int fds = scratch_open_fds();
    int result;

    r->visitor.on_entry = record;
    result = tree_list(path, depth, &scratch_names, &r->visitor, &never, st);
    assert_int_equal(scratch_open_fds(), fds);
    return result;
}

static void
expect(const char *path, uint32_t depth, const char *want)
{
    struct recorder r = {0};
    struct status st = {0};
    int result = list(path, depth, &r, &st);

    if (result < 0)
        print_error("%s\n", status_message(&st));
    assert_int_equal(result, 0);
    buf_append_byte(&r.text, '\0');
    assert_string_equal(buf_data(&r.text), want);
    buf_done(&r.text);
}

static void
expect_failure(const char *path, enum rpc_code code, const char *text)
{
    struct recorder r = {0};
    struct status st = {0};

    assert_int_equal(list(path, 1, &r, &st), -1);
    scratch_expect_status(&st, code, text);
    buf_done(&r.text);
}

static void
test_depths(void **state)
{
    (void)state;
    scratch_dir("t");
    scratch_dir("t/test-dir");
    scratch_dir("t/test-dir/sub-dir-1");
    scratch_dir("t/test-dir/sub-dir-2");
    scratch_file("t/test-dir/sub-dir-1/file.txt", "", 0644);

    expect(scratch("t"), 0, "d/t/test-dir\n");
    expect(scratch("t"), 1, "d/t/test-dir\n");
    expect(scratch("t"), 2,
           "d/t/test-dir\n"
           "d/t/test-dir/sub-dir-1\n"
           "d/t/test-dir/sub-dir-2\n");
    expect(scratch("t"), 3,
           "d/t/test-dir\n"
           "d/t/test-dir/sub-dir-1\n"
           "f/t/test-dir/sub-dir-1/file.txt\n"
           "d/t/test-dir/sub-dir-2\n");
    expect(scratch("t"), UINT32_MAX,
           "d/t/test-dir\n"
           "d/t/test-dir/sub-dir-1\n"
           "f/t/test-dir/sub-dir-1/file.txt\n"
           "d/t/test-dir/sub-dir-2\n");
    expect(scratch("t/test-dir/sub-dir-2"), 1, "");
    expect(scratch("t/test-dir/sub-dir-2"), 9, "");
}

static void
test_order(void **state)
{
    (void)state;
    scratch_dir("o");
    scratch_dir("o/b");
    scratch_file("o/b/x", "", 0644);
    scratch_file("o/b.txt", "", 0644);
    scratch_file("o/B", "", 0644);
    scratch_file("o/.hidden", "", 0644);
    scratch_file("o/\xc3\xa4", "", 0644);
    scratch_file("o/a", "", 0644);
    scratch_file("o/10", "", 0644);
    scratch_file("o/9", "", 0644);
    /* Children by bytes, each directory's own right behind it. */
    expect(scratch("o"), 2,
           "f/o/.hidden\nf/o/10\nf/o/9\nf/o/B\nf/o/a\nd/o/b\nf/o/b/x\n"
           "f/o/b.txt\nf/o/\xc3\xa4\n");
}

static void
test_links(void **state)
{
    (void)state;
    scratch_dir("l");
    scratch_dir("l/dir");
    scratch_dir("l/dir/sub");
    scratch_file("l/dir/sub/f", "", 0644);
    scratch_link("dir", "l/to-dir");
    scratch_link("l/to-dir/sub", "to-sub");
    scratch_link("missing", "l/broken");
    scratch_link("self", "l/self");
    scratch_link("dir/sub/f", "l/to-file");

    /* Links are listed with their target's type and not entered. */
    expect(scratch("l"), 3,
           "?/l/broken\nd/l/dir\nd/l/dir/sub\nf/l/dir/sub/f\n?/l/self\n"
           "d/l/to-dir\nf/l/to-file\n");
    /* The path that was asked for is what entries are below. */
    expect(scratch("l/to-dir"), 2, "d/l/to-dir/sub\nf/l/to-dir/sub/f\n");
    expect(scratch("l/to-dir/"), 1, "d/l/to-dir/sub\n");
    expect(scratch("to-sub"), 1, "f/to-sub/f\n");
    expect(scratch("l/.//dir/../to-dir/."), 1, "d/l/to-dir/sub\n");
}

static void
test_clean_prefix(void **state)
{
    (void)state;
    scratch_dir("c");
    scratch_dir("c/x");
    scratch_file("c/f", "", 0644);
    expect(scratch("c/x/..//"), 1, "f/c/f\nd/c/x\n");
}

static void
test_root(void **state)
{
    struct recorder r = {0};
    struct status st = {0};

    (void)state;
    assert_int_equal(list("/", 1, &r, &st), 0);
    buf_append_byte(&r.text, '\0');
    assert_non_null(strstr((char *)buf_data(&r.text), "d/proc\n"));
    buf_done(&r.text);
}

static void
test_failures(void **state)
{
    char text[8192];

    (void)state;
    scratch_dir("e");
    scratch_file("e/f", "", 0644);
    scratch_link("gone", "e/broken");
    scratch_link("f", "e/to-file");
    scratch_link("self", "e/self");
    scratch_link("two", "e/one");
    scratch_link("one", "e/two");
    assert_int_equal(mkfifo(scratch("e/fifo"), 0600), 0);

    (void)snprintf(text, sizeof(text),
                   "path not found: lstat %s: no such file or directory",
                   scratch("e/none"));
    expect_failure(scratch("e/none"), RPC_NOT_FOUND, text);
    expect_failure(scratch("e/none/deeper"), RPC_NOT_FOUND, text);
    (void)snprintf(text, sizeof(text),
                   "path not found: lstat %s: no such file or directory",
                   scratch("e/gone"));
    expect_failure(scratch("e/broken"), RPC_NOT_FOUND, text);
    (void)snprintf(text, sizeof(text),
                   "cyclic symlink or chain >255 links at \"%s\"",
                   scratch("e/self"));
    expect_failure(scratch("e/self"), RPC_FAILED_PRECONDITION, text);
    (void)snprintf(text, sizeof(text),
                   "cyclic symlink or chain >255 links at \"%s\"",
                   scratch("e/one/x"));
    expect_failure(scratch("e/one/x"), RPC_FAILED_PRECONDITION, text);
    expect_failure(scratch("e/f/x"), RPC_INTERNAL,
                   "error resolving symlink: not a directory");
    expect_failure(scratch("e/f/"), RPC_INTERNAL,
                   "error resolving symlink: not a directory");
    expect_failure(scratch("e/f/.."), RPC_INTERNAL,
                   "error resolving symlink: not a directory");
    (void)snprintf(text, sizeof(text), "path is not a directory: %s",
                   scratch("e/f"));
    expect_failure(scratch("e/f"), RPC_INVALID_ARGUMENT, text);
    expect_failure(scratch("e/to-file"), RPC_INVALID_ARGUMENT, text);
    (void)snprintf(text, sizeof(text), "path is not a directory: %s",
                   scratch("e/fifo"));
    expect_failure(scratch("e/fifo"), RPC_INVALID_ARGUMENT, text);
    (void)snprintf(text, sizeof(text),
                   "error resolving symlink: lstat %s: file name too long",
                   scratch("e/%0300d", 0));
    expect_failure(scratch("e/%0300d", 0), RPC_INTERNAL, text);
}

static void
test_not_utf8(void **state)
{
    (void)state;
    scratch_dir("u");
    scratch_dir("u/d\xff");
    scratch_file("u/d\xff/\xe4", "", 0644);
    scratch_link("d\xff", "u/link");
    expect(scratch("u"), 2,
           "d/u/d\xef\xbf\xbd\nf/u/d\xef\xbf\xbd/\xef\xbf\xbd\nd/u/link\n");
}

static void
test_deeper_than_a_path(void **state)
{
    struct recorder r = {0};
    struct status st = {0};

    (void)state;
    scratch_dir("deep");
    scratch_deep("deep", 50);
    scratch_file("deep/z", "", 0644);
    assert_int_equal(list(scratch("deep"), 100, &r, &st), 0);
    assert_int_equal(r.count, 52);
    assert_true(r.longest > 10000);
    buf_done(&r.text);
}

/* What lies at the limit is not looked into: it may be huge, or broken. */
static void
test_limit_is_not_entered(void **state)
{
    (void)state;
    scratch_dir("h");
    scratch_dir("h/big");
    for (int i = 0; i < 30000; i++) {
        const char *path = scratch("h/big/%d", i);

        assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
    }
    expect(scratch("h"), 1, "d/h/big\n");

    struct recorder r = {0};
    struct status st = {0};

    assert_int_equal(list(scratch("h"), 2, &r, &st), 0);
    assert_int_equal(r.count, 30001);
    buf_done(&r.text);
}

static void
test_visitor_ends_the_walk(void **state)
{
    struct recorder r = {.stop_after = 2};
    struct status st = {0};

    (void)state;
    scratch_dir("v");
    scratch_dir("v/a");
    scratch_dir("v/a/b");
    scratch_dir("v/a/b/c");
    assert_int_equal(list(scratch("v"), 5, &r, &st), -1);
    assert_int_equal(r.count, 2);
    scratch_expect_status(&st, RPC_RESOURCE_EXHAUSTED, "enough");
    buf_done(&r.text);
}

static void
test_cancelled(void **state)
{
    atomic_bool cancelled = true;
    struct recorder r = {.visitor = {.on_entry = record}};
    struct status st = {0};

    (void)state;
    assert_int_equal(
        tree_list(scratch_root, 1, &scratch_names, &r.visitor, &cancelled, &st),
        -1);
    scratch_expect_status(&st, RPC_CANCELED, "context canceled");
}

static atomic_bool churn_stop;
static atomic_int churn_rounds;

/* Make and remove a tree over and over. */
static void *
churn(void *ctx)
{
    const char *root = ctx;
    char path[4096 + 64];

    while (!atomic_load(&churn_stop)) {
        for (int i = 0; i < 20; i++) {
            (void)snprintf(path, sizeof(path), "%s/d%d", root, i);
            (void)mkdir(path, 0755);
            (void)snprintf(path, sizeof(path), "%s/d%d/f", root, i);
            (void)mknod(path, S_IFREG | 0600, 0);
        }
        for (int i = 0; i < 20; i++) {
            (void)snprintf(path, sizeof(path), "%s/d%d/f", root, i);
            (void)unlink(path);
            (void)snprintf(path, sizeof(path), "%s/d%d", root, i);
            (void)rmdir(path);
        }
        (void)atomic_fetch_add(&churn_rounds, 1);
    }
    return NULL;
}

static void
test_entries_that_vanish(void **state)
{
    pthread_t thread;
    char root[4096];
    int lists = 0;

    (void)state;
    scratch_dir("churn");
    scratch_file("churn/stays", "", 0644);
    (void)snprintf(root, sizeof(root), "%s", scratch("churn"));
    assert_int_equal(pthread_create(&thread, NULL, churn, root), 0);
    while (lists < 300 || atomic_load(&churn_rounds) < 20) {
        struct recorder r = {0};
        struct status st = {0};

        assert_int_equal(list(root, 3, &r, &st), 0);
        buf_append_byte(&r.text, '\0');
        assert_non_null(strstr((char *)buf_data(&r.text), "f/churn/stays\n"));
        buf_done(&r.text);
        lists++;
    }
    atomic_store(&churn_stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depths),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_clean_prefix),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_deeper_than_a_path),
        cmocka_unit_test(test_limit_is_not_entered),
        cmocka_unit_test(test_visitor_ends_the_walk),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_entries_that_vanish),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
