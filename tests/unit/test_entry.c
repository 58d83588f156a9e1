/*
 * One file as clients see it.
 */
#include "scratch.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/entry.h"
#include "filesystem/link.h"

static struct arena arena;

static int
free_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct entry
get(const char *path)
{
    struct entry e;
    struct status st = {0};
    int r = entry_get(path, &scratch_names, &arena, &e, &st);

    if (r < 0)
        print_error("%s\n", status_message(&st));
    assert_int_equal(r, 0);
    assert_string_equal(e.path, path);
    return e;
}

static void
expect_failure(const char *path, enum rpc_code code, const char *text)
{
    struct entry e;
    struct status st = {0};

    assert_int_equal(entry_get(path, &scratch_names, &arena, &e, &st), -1);
    scratch_expect_status(&st, code, text);
}

static void
test_file(void **state)
{
    struct timespec times[2] = {{1, 2}, {1234567890, 123456789}};
    struct entry e;

    (void)state;
    scratch_file("file", "hello", 0644);
    assert_int_equal(utimensat(AT_FDCWD, scratch("file"), times, 0), 0);
    e = get(scratch("file"));
    assert_string_equal(e.name, "file");
    assert_int_equal(e.type, ENTRY_FILE);
    assert_int_equal(e.size, 5);
    assert_int_equal(e.mode, 0644);
    assert_string_equal(e.permissions, "-rw-r--r--");
    assert_string_equal(e.owner, geteuid() == 0 ? "root" : e.owner);
    assert_int_equal(e.mtime.tv_sec, 1234567890);
    assert_int_equal(e.mtime.tv_nsec, 123456789);
    assert_null(e.symlink_target);
    assert_int_equal(e.metadata_count, 0);
}

static void
test_modes(void **state)
{
    static const struct {
        mode_t mode;
        const char *text;
    } cases[] = {
        {0444, "-r--r--r--"},   {0755, "-rwxr-xr-x"},   {0200, "--w-------"},
        {0000, "----------"},   {0777, "-rwxrwxrwx"},   {04755, "urwxr-xr-x"},
        {02755, "grwxr-xr-x"},  {01644, "trw-r--r--"},  {07777, "ugtrwxrwxrwx"},
        {06000, "ug---------"}, {05001, "ut--------x"},
    };
    static const struct {
        mode_t mode;
        const char *text;
    } dirs[] = {
        {0755, "drwxr-xr-x"},
        {01777, "dtrwxrwxrwx"},
        {02775, "dgrwxrwxr-x"},
        {06775, "dugrwxrwxr-x"},
    };

    (void)state;
    scratch_file("moded", "", 0600);
    scratch_dir("moded-dir");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct entry e;

        assert_int_equal(chmod(scratch("moded"), cases[i].mode), 0);
        e = get(scratch("moded"));
        assert_string_equal(e.permissions, cases[i].text);
        assert_int_equal(e.mode, cases[i].mode & 0777);
        assert_int_equal(e.type, ENTRY_FILE);
        assert_int_equal(e.size, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        struct entry e;

        assert_int_equal(chmod(scratch("moded-dir"), dirs[i].mode), 0);
        e = get(scratch("moded-dir"));
        assert_string_equal(e.permissions, dirs[i].text);
        assert_int_equal(e.mode, dirs[i].mode & 0777);
        assert_int_equal(e.type, ENTRY_DIRECTORY);
    }
}

static void
test_other_kinds(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd;
    struct entry e;

    (void)state;
    assert_int_equal(mkfifo(scratch("fifo"), 0600), 0);
    assert_int_equal(chmod(scratch("fifo"), 0644), 0);
    e = get(scratch("fifo"));
    assert_string_equal(e.permissions, "prw-r--r--");
    assert_int_equal(e.type, ENTRY_OTHER);
    assert_int_equal(e.mode, 0644);

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s",
                   scratch("socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(chmod(scratch("socket"), 0755), 0);
    e = get(scratch("socket"));
    assert_string_equal(e.permissions, "Srwxr-xr-x");
    assert_int_equal(e.type, ENTRY_OTHER);
    assert_int_equal(close(fd), 0);

    e = get("/dev/null");
    assert_string_equal(e.permissions, "Dcrw-rw-rw-");
    assert_string_equal(e.name, "null");
    assert_int_equal(e.type, ENTRY_OTHER);
    assert_int_equal(e.mode, 0666);
}

static void
test_block_device(void **state)
{
    struct entry e;

    (void)state;
    if (mknod(scratch("block"), S_IFBLK | 0600, makedev(7, 200)) < 0) {
        print_message("no right to make devices here\n");
        skip();
    }
    assert_int_equal(chmod(scratch("block"), 0640), 0);
    e = get(scratch("block"));
    assert_string_equal(e.permissions, "Drw-r-----");
    assert_int_equal(e.type, ENTRY_OTHER);
}

static void
test_names(void **state)
{
    (void)state;
    assert_string_equal(get("/").name, "/");
    assert_string_equal(get("//").name, "/");
    assert_int_equal(get("/").type, ENTRY_DIRECTORY);
    scratch_dir("named");
    assert_string_equal(get(scratch("named/")).name, "named");
    assert_string_equal(get(scratch("named//")).name, "named");
    assert_string_equal(get(scratch("named/.")).name, ".");
    assert_string_equal(get(scratch("named//..")).name, "..");
}

static void
test_failures(void **state)
{
    char text[PATH_MAX];
    char name[300];

    (void)state;
    scratch_file("plain", "", 0644);
    (void)snprintf(text, sizeof(text),
                   "file not found: lstat %s: no such file or directory",
                   scratch("none"));
    expect_failure(scratch("none"), RPC_NOT_FOUND, text);
    (void)snprintf(text, sizeof(text),
                   "error getting file info: lstat %s: not a directory",
                   scratch("plain/"));
    expect_failure(scratch("plain/"), RPC_INTERNAL, text);
    memset(name, 'x', sizeof(name));
    name[299] = '\0';
    (void)snprintf(text, sizeof(text),
                   "error getting file info: lstat %s: file name too long",
                   scratch("%s", name));
    expect_failure(scratch("%s", name), RPC_INTERNAL, text);
}

static void
expect_link(const char *name, enum entry_type type, unsigned int mode,
            const char *target)
{
    struct entry e = get(scratch("%s", name));

    assert_int_equal(e.type, type);
    assert_int_equal(e.mode, mode);
    assert_string_equal(e.permissions, "Lrwxrwxrwx");
    assert_string_equal(e.symlink_target, target);
}

static void
test_links(void **state)
{
    struct entry e;

    (void)state;
    scratch_dir("l");
    scratch_dir("l/dir");
    scratch_dir("l/dir/sub");
    scratch_file("l/file", "12345678", 0640);
    scratch_link("file", "l/to-file");
    scratch_link("dir", "l/to-dir");
    scratch_link("to-to-to-file", "l/chain");
    scratch_link("to-to-file", "l/to-to-to-file");
    scratch_link(scratch("l/to-file"), "l/to-to-file");
    scratch_link("to-dir/sub/../../dir/./sub/", "l/winding");
    scratch_link("../../../../../../../../../../../../dev/null", "l/null");
    scratch_link("missing", "l/broken");
    scratch_link("self", "l/self");
    scratch_link("two", "l/one");
    scratch_link("one", "l/two");
    scratch_link("file/", "l/file-slash");
    scratch_link("/", "l/root");

    expect_link("l/to-file", ENTRY_FILE, 0640, scratch("l/file"));
    expect_link("l/to-dir", ENTRY_DIRECTORY, 0755, scratch("l/dir"));
    expect_link("l/chain", ENTRY_FILE, 0640, scratch("l/file"));
    expect_link("l/winding", ENTRY_DIRECTORY, 0755, scratch("l/dir/sub"));
    expect_link("l/to-dir/../null", ENTRY_OTHER, 0666, "/dev/null");
    expect_link("l/broken", ENTRY_OTHER, 0, scratch("l/broken"));
    expect_link("l/../l//broken", ENTRY_OTHER, 0, scratch("l/../l//broken"));
    expect_link("l/self", ENTRY_OTHER, 0, scratch("l/self"));
    expect_link("l/one", ENTRY_OTHER, 0, scratch("l/one"));
    expect_link("l/file-slash", ENTRY_OTHER, 0, scratch("l/file-slash"));
    assert_string_equal(get(scratch("l/root")).symlink_target, "/");

    e = get(scratch("l/to-file"));
    assert_int_equal(e.size, 4);
    assert_string_equal(e.name, "to-file");

    /* A slash at the end follows the link. */
    e = get(scratch("l/to-dir/"));
    assert_string_equal(e.name, "to-dir");
    assert_string_equal(e.permissions, "drwxr-xr-x");
    assert_null(e.symlink_target);
}

/* 255 links are followed, although the kernel stops at 40. */
static void
test_long_chain(void **state)
{
    char name[32];
    char target[32];

    (void)state;
    scratch_dir("chain");
    scratch_file("chain/0", "", 0600);
    for (int i = 1; i <= LINK_FOLLOWED_MAX + 1; i++) {
        (void)snprintf(name, sizeof(name), "chain/%d", i);
        (void)snprintf(target, sizeof(target), "%d", i - 1);
        scratch_link(target, name);
    }
    expect_link("chain/40", ENTRY_FILE, 0600, scratch("chain/0"));
    expect_link("chain/255", ENTRY_FILE, 0600, scratch("chain/0"));
    expect_link("chain/256", ENTRY_OTHER, 0, scratch("chain/256"));
}

static void
test_link_resolve(void **state)
{
    char real[PATH_MAX];
    char longer[PATH_MAX];

    (void)state;
    scratch_dir("r");
    scratch_dir("r/d");
    scratch_file("r/f", "", 0600);
    scratch_link("d", "r/ld");
    scratch_link("gone/x", "r/broken");

    assert_int_equal(link_resolve("/", "/", real), 0);
    assert_string_equal(real, "/");
    assert_int_equal(link_resolve("/", "/../..", real), 0);
    assert_string_equal(real, "/");
    assert_int_equal(link_resolve(scratch("r"), "ld/../ld/.", real), 0);
    assert_string_equal(real, scratch("r/d"));
    assert_int_equal(link_resolve("/", scratch("r//ld///"), real), 0);
    assert_string_equal(real, scratch("r/d"));
    assert_int_equal(link_resolve("/", scratch("r/broken"), real), -ENOENT);
    assert_string_equal(real, scratch("r/gone"));
    assert_int_equal(link_resolve("/", scratch("r/f/"), real), -ENOTDIR);
    assert_int_equal(link_resolve("/", scratch("r/f/.."), real), -ENOTDIR);
    assert_int_equal(link_resolve("/", scratch("r/f/x"), real), -ENOTDIR);
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(link_resolve("/", longer, real), -ENAMETOOLONG);
    longer[250] = '\0';
    assert_int_equal(link_resolve("/", longer, real), -ENOENT);
}

static void
test_times(void **state)
{
    struct timespec times[2] = {{0, 0}, {0, 0}};
    struct entry e;

    (void)state;
    scratch_file("times", "", 0600);
    assert_int_equal(utimensat(AT_FDCWD, scratch("times"), times, 0), 0);
    e = get(scratch("times"));
    assert_int_equal(e.mtime.tv_sec, 0);
    assert_int_equal(e.mtime.tv_nsec, 0);
    times[1] = (struct timespec){-2, 500000000};
    assert_int_equal(utimensat(AT_FDCWD, scratch("times"), times, 0), 0);
    e = get(scratch("times"));
    assert_int_equal(e.mtime.tv_sec, -2);
    assert_int_equal(e.mtime.tv_nsec, 500000000);
}

static void
test_owners(void **state)
{
    struct entry e;

    (void)state;
    scratch_file("owned", "", 0600);
    if (chown(scratch("owned"), 54321, 4000000000U) < 0) {
        print_message("no right to give files away\n");
        skip();
    }
    e = get(scratch("owned"));
    assert_string_equal(e.owner, "54321");
    assert_string_equal(e.group, "4000000000");
    /* A name that is not UTF-8 is repaired. */
    assert_int_equal(chown(scratch("owned"), 1, 0), 0);
    e = get(scratch("owned"));
    assert_string_equal(e.owner, "d\xef\xbf\xbdmon");
    assert_string_equal(e.group, "root");
    /* A link's own owner, not its target's. */
    scratch_link("owned", "owned-link");
    assert_string_equal(get(scratch("owned-link")).owner, "root");
}

static void
set_attr(const char *name, const char *attr, const char *value, size_t len)
{
    assert_int_equal(setxattr(scratch("%s", name), attr, value, len, 0), 0);
}

static void
test_metadata(void **state)
{
    char large[1000];
    struct entry e;

    (void)state;
    scratch_dir("m");
    scratch_file("m/file", "", 0600);
    scratch_link("file", "m/link");
    if (setxattr(scratch("m/file"), "user.e2b.b", "two", 3, 0) < 0) {
        print_message("no extended attributes here\n");
        skip();
    }
    memset(large, 'v', sizeof(large));
    set_attr("m/file", "user.e2b.a", "\xc3\xa4", 2);
    set_attr("m/file", "user.e2b.", "nameless", 8);
    set_attr("m/file", "user.e2b.empty", "", 0);
    set_attr("m/file", "user.e2b.Case.d", "x", 1);
    set_attr("m/file", "user.e2b.large", large, sizeof(large));
    set_attr("m/file", "user.e2b.value", "\xff", 1);
    set_attr("m/file", "user.e2b.nul", "a\0b", 3);
    set_attr("m/file", "user.e2b.\xff", "key", 3);
    set_attr("m/file", "user.other", "x", 1);
    set_attr("m/file", "user.e2bx", "x", 1);

    for (int i = 0; i < 2; i++) {
        e = get(scratch(i == 0 ? "m/file" : "m/link"));
        assert_int_equal(e.metadata_count, 6);
        assert_string_equal(e.metadata[0].key, "");
        assert_string_equal(e.metadata[0].value, "nameless");
        assert_string_equal(e.metadata[1].key, "Case.d");
        assert_string_equal(e.metadata[2].key, "a");
        assert_string_equal(e.metadata[2].value, "\xc3\xa4");
        assert_string_equal(e.metadata[3].key, "b");
        assert_string_equal(e.metadata[4].key, "empty");
        assert_string_equal(e.metadata[4].value, "");
        assert_string_equal(e.metadata[5].key, "large");
        assert_int_equal(strlen(e.metadata[5].value), sizeof(large));
    }
    assert_int_equal(rename(scratch("m/file"), scratch("m/file2")), 0);
    assert_int_equal(get(scratch("m/file2")).metadata_count, 6);
    assert_int_equal(get(scratch("m/link")).metadata_count, 0);

    set_attr("m", "user.e2b.on", "dir", 3);
    e = get(scratch("m"));
    assert_int_equal(e.metadata_count, 1);
    assert_string_equal(e.metadata[0].value, "dir");
}

/* More names than the first, small buffer takes. */
static void
test_many_attributes(void **state)
{
    char name[64];
    struct entry e;

    (void)state;
    scratch_file("many", "", 0600);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof(name), "user.e2b.%03d-%020d", 59 - i, 0);
        if (setxattr(scratch("many"), name, "v", 1, 0) < 0) {
            print_message("no room for many extended attributes here\n");
            skip();
        }
    }
    e = get(scratch("many"));
    assert_int_equal(e.metadata_count, 60);
    assert_memory_equal(e.metadata[0].key, "000-", 4);
    assert_memory_equal(e.metadata[59].key, "059-", 4);
}

static void
test_not_utf8(void **state)
{
    struct entry e;

    (void)state;
    scratch_dir("x\xff");
    scratch_file("x\xff/y\xfe\xc3\xa4", "", 0600);
    scratch_link("y\xfe\xc3\xa4", "x\xff/link");
    assert_int_equal(entry_get(scratch("x\xff/y\xfe\xc3\xa4"), &scratch_names,
                               &arena, &e, &(struct status){0}),
                     0);
    assert_string_equal(e.name, "y\xef\xbf\xbd\xc3\xa4");
    assert_string_equal(e.path, scratch("x\xef\xbf\xbd/y\xef\xbf\xbd\xc3\xa4"));
    assert_int_equal(entry_get(scratch("x\xff/link"), &scratch_names, &arena,
                               &e, &(struct status){0}),
                     0);
    assert_int_equal(e.type, ENTRY_FILE);
    assert_string_equal(e.symlink_target,
                        scratch("x\xef\xbf\xbd/y\xef\xbf\xbd\xc3\xa4"));
}

static void
test_in_directory(void **state)
{
    struct entry_dir dir;
    struct entry e;
    int fd;

    (void)state;
    scratch_dir("at");
    scratch_file("at/f", "abc", 0600);
    scratch_link("f", "at/l");
    fd = open(scratch("at"), O_PATH | O_CLOEXEC);
    dir = (struct entry_dir){fd, scratch("at")};
    assert_int_equal(
        entry_get_at(&dir, "f", "/elsewhere/f", &scratch_names, &arena, &e), 0);
    assert_string_equal(e.path, "/elsewhere/f");
    assert_string_equal(e.name, "f");
    assert_int_equal(e.size, 3);
    assert_int_equal(
        entry_get_at(&dir, "l", "/elsewhere/l", &scratch_names, &arena, &e), 0);
    assert_string_equal(e.symlink_target, scratch("at/f"));
    assert_int_equal(
        entry_get_at(&dir, "none", "/none", &scratch_names, &arena, &e),
        -ENOENT);
    assert_int_equal(close(fd), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_file, free_arena),
        cmocka_unit_test_teardown(test_modes, free_arena),
        cmocka_unit_test_teardown(test_other_kinds, free_arena),
        cmocka_unit_test_teardown(test_block_device, free_arena),
        cmocka_unit_test_teardown(test_names, free_arena),
        cmocka_unit_test_teardown(test_failures, free_arena),
        cmocka_unit_test_teardown(test_links, free_arena),
        cmocka_unit_test_teardown(test_long_chain, free_arena),
        cmocka_unit_test_teardown(test_link_resolve, free_arena),
        cmocka_unit_test_teardown(test_times, free_arena),
        cmocka_unit_test_teardown(test_owners, free_arena),
        cmocka_unit_test_teardown(test_metadata, free_arena),
        cmocka_unit_test_teardown(test_many_attributes, free_arena),
        cmocka_unit_test_teardown(test_not_utf8, free_arena),
        cmocka_unit_test_teardown(test_in_directory, free_arena),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
