/*
 * One file written: kinds of files, faults of the disk, and what stays of the
 * old one.
 */
#include "filesystem/transfer.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "scratch.h"

#define MIB (1024 * 1024)

/* A path that outlives the eight of scratch(). */
static char *
keep(const char *name)
{
    char *path = strdup(scratch("%s", name));

    assert_non_null(path);
    return path;
}

static struct file_writer
writer(const char *path)
{
    return (struct file_writer){
        .path = path,
        .uid = getuid(),
        .gid = getgid(),
        .size_expected = -1,
    };
}

/* Write `count` times the byte `c` in slices. */
static int
write_bytes(struct file_writer *w, char c, size_t count, struct status *st)
{
    static char slice[64 * 1024];
    int r = 0;

    memset(slice, c, sizeof(slice));
    while (count > 0 && r == 0) {
        size_t n = MIN(count, sizeof(slice));

        r = file_writer_write(w, slice, n, st);
        count -= n;
    }
    return r;
}

/* Upload a text in one go. */
static int
put_whole(const char *path, const char *text, struct status *st)
{
    struct file_writer w = writer(path);
    int r;

    w.size_expected = (int64_t)strlen(text);
    w.size_told = w.size_expected;
    r = file_writer_open(&w, /* whole= */ true, st);
    if (r == 0)
        r = file_writer_write(&w, text, strlen(text), st);
    if (r == 0)
        return file_writer_commit(&w, st);
    file_writer_abort(&w);
    return r;
}

/* Upload `count` bytes as they come; cut off before the end if `cut`. */
static int
put_streamed(const char *path, char c, size_t count, bool cut,
             struct status *st)
{
    struct file_writer w = writer(path);
    int r = file_writer_open(&w, /* whole= */ false, st);

    if (r == 0)
        r = write_bytes(&w, c, count, st);
    if (r == 0 && !cut)
        return file_writer_commit(&w, st);
    file_writer_abort(&w);
    return r;
}

static void
expect_bytes(const char *path, char c, size_t count)
{
    SCOPE(scope_free) char *text = NULL;
    size_t len;

    assert_int_equal(fd_read_file(path, 16 * MIB, &text, &len), 0);
    assert_int_equal(len, count);
    for (size_t i = 0; i < len; i++)
        if (text[i] != c)
            fail_msg("%s: other byte at %zu", path, i);
}

static struct stat
stat_of(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info;
}

/* Entries of a directory, but for the two that are always there. */
static int
count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n - 2;
}

/* ---- new files ----------------------------------------------------------- */

static void
test_new_file(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("new/deep/file");
    struct stat info;

    (void)state;
    assert_int_equal(put_whole(path, "hello", &st), 0);
    scratch_expect_file("new/deep/file", "hello");
    info = stat_of(path);
    assert_int_equal(info.st_mode & 07777U, 0644);
    assert_int_equal(info.st_uid, getuid());
    assert_int_equal(stat_of(scratch("new")).st_mode & 07777U, 0755);
}

static void
test_new_file_vanishes_when_cut(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("cut/file");

    (void)state;
    assert_int_equal(put_streamed(path, 'x', MIB, true, &st), 0);
    assert_int_equal(count_entries(scratch("cut")), 0);
    /* A name that was taken by something else meanwhile is left alone. */
    {
        struct file_writer w = writer(path);

        assert_int_equal(file_writer_open(&w, false, &st), 0);
        assert_int_equal(unlink(path), 0);
        scratch_file("cut/file", "other", 0600);
        file_writer_abort(&w);
        scratch_expect_file("cut/file", "other");
    }
}

static void
test_empty_file(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("empty");

    (void)state;
    assert_int_equal(put_whole(path, "", &st), 0);
    assert_int_equal(stat_of(path).st_size, 0);
    scratch_file("empty", "old", 0600);
    assert_int_equal(put_whole(path, "", &st), 0);
    assert_int_equal(stat_of(path).st_size, 0);
}

static void
test_dangling_links_create_their_target(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("link1");
    SCOPE(scope_free) char *lost = keep("lost");
    SCOPE(scope_free) char *loop = keep("loop");

    (void)state;
    scratch_dir("links");
    scratch_link("links/link2", "link1");
    scratch_link("../links/target", "links/link2");
    assert_int_equal(put_whole(path, "via links", &st), 0);
    scratch_expect_file("links/target", "via links");
    assert_int_equal(unlink(scratch("links/target")), 0);
    assert_int_equal(put_streamed(path, 'x', 10, true, &st), 0);
    assert_false(scratch_has("links/target"));
    assert_true(scratch_has("links/link2"));

    scratch_link("nowhere/file", "lost");
    assert_int_equal(put_whole(lost, "x", &st), -1);
    assert_int_equal(st.code, RPC_INTERNAL);
    scratch_link("loop", "loop");
    assert_int_equal(put_whole(loop, "x", &st), -1);
    assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
}

/* ---- over old files ------------------------------------------------------ */

/* What must stay when a file is overwritten. */
static void
expect_same_file(const struct stat *before, const char *path)
{
    struct stat after = stat_of(path);

    assert_true(before->st_ino == after.st_ino);
    assert_int_equal(before->st_mode, after.st_mode);
    assert_int_equal(before->st_nlink, after.st_nlink);
}

static void
test_overwrite_keeps_inode_mode_links(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 100, MIB, 3 * MIB + 5};
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("over");
    SCOPE(scope_free) char *second = keep("over-link");
    struct stat before;

    (void)state;
    scratch_file("over", "old", 0640);
    assert_int_equal(link(path, second), 0);
    before = stat_of(path);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(put_streamed(path, 'n', sizes[i], false, &st), 0);
        expect_bytes(second, 'n', sizes[i]);
        expect_same_file(&before, path);
    }
    assert_int_equal(put_whole(path, "short", &st), 0);
    scratch_expect_file("over-link", "short");
    expect_same_file(&before, path);
}

static void
test_cut_overwrite_keeps_old_content(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("kept/file");
    struct stat before;
    struct stat after;

    (void)state;
    scratch_dir("kept");
    scratch_file("kept/file", "old content", 0600);
    before = stat_of(path);
    assert_int_equal(put_streamed(path, 'n', 2 * MIB, true, &st), 0);
    after = stat_of(path);
    scratch_expect_file("kept/file", "old content");
    assert_true(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    assert_int_equal(count_entries(scratch("kept")), 1);
}

static void
test_targets_that_are_refused(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *dir = keep("dir");
    SCOPE(scope_free) char *slash = keep("dir/new/");
    SCOPE(scope_free) char *below = keep("plain/below");
    SCOPE(scope_free) char *pipe = keep("pipe");
    char text[4096];
    char name[300];

    (void)state;
    scratch_dir("dir");
    (void)snprintf(text, sizeof(text), "path is a directory: %s", dir);
    assert_int_equal(put_whole(dir, "x", &st), -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT, text);

    (void)snprintf(text, sizeof(text), "path is a directory: %s", slash);
    assert_int_equal(put_whole(slash, "x", &st), -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT, text);
    assert_true(scratch_has("dir/new"));

    scratch_file("plain", "x", 0600);
    (void)snprintf(text, sizeof(text),
                   "error ensuring directories: path is a file: %s",
                   scratch("plain"));
    assert_int_equal(put_whole(below, "x", &st), -1);
    scratch_expect_status(&st, RPC_INTERNAL, text);

    assert_int_equal(mkfifo(pipe, 0600), 0);
    (void)snprintf(text, sizeof(text),
                   "error opening file: open %s: no such device or address",
                   pipe);
    assert_int_equal(put_whole(pipe, "x", &st), -1);
    scratch_expect_status(&st, RPC_INTERNAL, text);

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    {
        SCOPE(scope_free) char *long_name = keep(name);

        (void)snprintf(text, sizeof(text),
                       "error getting file info: stat %s: file name too long",
                       long_name);
        assert_int_equal(put_whole(long_name, "x", &st), -1);
        scratch_expect_status(&st, RPC_INVALID_ARGUMENT, text);
    }
    assert_int_equal(put_whole("/proc/invalid-filename", "x", &st), -1);
    scratch_expect_status(&st, RPC_INTERNAL,
                          "error opening file: open /proc/invalid-filename: "
                          "no such file or directory");
    assert_int_equal(put_whole("/proc/no/such", "x", &st), -1);
    assert_non_null(
        strstr(status_message(&st), "error ensuring directories: "));
}

static void
test_devices_are_written(void **state)
{
    SCOPE(status_done) struct status st = {0};

    (void)state;
    assert_int_equal(put_streamed("/dev/null", 'x', MIB, false, &st), 0);
    assert_int_equal(put_whole("/dev/full", "12345", &st), -1);
    scratch_expect_status(&st, RPC_RESOURCE_EXHAUSTED,
                          "attempted to write 5 bytes: not enough disk space "
                          "available");
}

/* Wait until the child has started its program (the pipe closes on exec). */
static pid_t
run_program(const char *path)
{
    int ends[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl(path, path, "1000", (char *)NULL);
        _exit(1);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &c, 1), 0);
    (void)close(ends[0]);
    return pid;
}

static void
test_running_program_is_replaced(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *program = NULL;
    SCOPE(scope_free) char *path = keep("bin/sleep");
    struct stat before;
    struct stat after;
    size_t len;
    pid_t pid;
    FILE *f;

    (void)state;
    scratch_dir("bin");
    assert_int_equal(fd_read_file("/bin/sleep", 4 * MIB, &program, &len), 0);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(program, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0751), 0);
    before = stat_of(path);
    pid = run_program(path);

    assert_int_equal(put_streamed(path, 'x', 100, true, &st), 0);
    assert_true(stat_of(path).st_ino == before.st_ino);
    assert_int_equal(count_entries(scratch("bin")), 1);
    assert_int_equal(put_whole(path, "#!/bin/true\n", &st), 0);
    after = stat_of(path);
    assert_true(after.st_ino != before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    scratch_expect_file("bin/sleep", "#!/bin/true\n");
    assert_int_equal(count_entries(scratch("bin")), 1);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* ---- two writers --------------------------------------------------------- */

static void
test_writers_of_one_file_take_turns(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("turns");
    struct file_writer first = writer(path);
    struct file_writer second = writer(path);

    (void)state;
    assert_int_equal(file_writer_open(&first, false, &st), 0);
    assert_int_equal(first.mode, FILE_WRITER_CREATED);
    assert_int_equal(write_bytes(&first, '1', 1000, &st), 0);
    second.size_expected = 10;
    assert_int_equal(file_writer_open(&second, /* whole= */ true, &st), 0);
    assert_int_equal(second.mode, FILE_WRITER_STAGED);
    assert_int_equal(write_bytes(&second, '2', 10, &st), 0);
    assert_int_equal(file_writer_commit(&second, &st), FILE_WRITER_BUSY);
    assert_int_equal(write_bytes(&first, '1', 1000, &st), 0);
    assert_int_equal(file_writer_commit(&first, &st), 0);
    expect_bytes(path, '1', 2000);
    assert_int_equal(file_writer_commit(&second, &st), 0);
    expect_bytes(path, '2', 10);
}

static void
test_content_survives_the_failure_of_another(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("survive");
    struct file_writer first = writer(path);
    struct file_writer second = writer(path);

    (void)state;
    assert_int_equal(file_writer_open(&first, false, &st), 0);
    assert_int_equal(file_writer_open(&second, false, &st), 0);
    assert_int_equal(write_bytes(&second, '2', 10, &st), 0);
    assert_int_equal(file_writer_commit(&second, &st), FILE_WRITER_BUSY);
    file_writer_abort(&first);
    assert_false(scratch_has("survive"));
    assert_int_equal(file_writer_commit(&second, &st), 0);
    expect_bytes(path, '2', 10);
    assert_int_equal(stat_of(path).st_mode & 07777U, 0644);
}

/* ---- as root ------------------------------------------------------------- */

static void
test_owner_and_sticky_directory(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("sticky/file");
    struct file_writer w = writer(path);

    (void)state;
    if (getuid() != 0)
        skip();
    scratch_dir("sticky");
    assert_int_equal(chmod(scratch("sticky"), 01777), 0);
    scratch_file("sticky/file", "theirs", 0644);
    assert_int_equal(chown(path, 1234, 1234), 0);
    assert_int_equal(put_whole(path, "ours", &st), 0);
    assert_int_equal(stat_of(path).st_uid, 0);
    w.uid = 1000;
    w.gid = 1001;
    assert_int_equal(file_writer_open(&w, false, &st), 0);
    assert_int_equal(stat_of(path).st_uid, 0);
    assert_int_equal(write_bytes(&w, 'x', 10, &st), 0);
    assert_int_equal(file_writer_commit(&w, &st), 0);
    assert_int_equal(stat_of(path).st_uid, 1000);
    assert_int_equal(stat_of(path).st_gid, 1001);
}

/* Run a test in a child with a mount namespace of its own, which has a file
 * system of `options` at "small"; skipped where that is not permitted. */
static void
with_small_disk(const char *options, void (*test)(const char *disk))
{
    SCOPE(scope_free) char *disk = keep("small");
    int status;
    pid_t pid;

    (void)mkdir(disk, 0755);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", disk, "tmpfs", 0, options) < 0)
            _exit(77);
        test(disk);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* In the child: cmocka's asserts would return to the parent's tests. */
#define CHECK(condition)                                             \
    do {                                                             \
        if (!(condition)) {                                          \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
                          #condition);                               \
            _exit(1);                                                \
        }                                                            \
    } while (0)

static int64_t
size_of(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? info.st_size : -1;
}

static bool
holds(const char *path, char c, size_t count)
{
    SCOPE(scope_free) char *text = NULL;
    size_t len = 0;

    if (fd_read_file(path, 16 * MIB, &text, &len) < 0 || len != count)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] != c)
            return false;
    return true;
}

static void
on_full_disk(const char *disk)
{
    struct status st = {0};
    char old[4096];
    char new[4096];
    struct file_writer w;

    (void)snprintf(old, sizeof(old), "%s/old", disk);
    (void)snprintf(new, sizeof(new), "%s/new", disk);
    CHECK(put_streamed(old, 'o', 3 * MIB, false, &st) == 0);

    /* New: what does not fit leaves nothing. */
    CHECK(put_streamed(new, 'n', 2 * MIB, false, &st) == -1);
    CHECK(st.code == RPC_RESOURCE_EXHAUSTED);
    CHECK(strcmp(status_message(&st), "not enough disk space available") == 0);
    CHECK(size_of(new) == -1);

    /* Announced: refused before anything is written. */
    w = writer(old);
    w.size_expected = w.size_told = 5 * MIB;
    CHECK(file_writer_open(&w, false, &st) == -1);
    CHECK(strcmp(status_message(&st), "attempted to write 5242880 bytes: not "
                                      "enough disk space available") == 0);
    CHECK(holds(old, 'o', 3 * MIB));

    /* No room for both, but for the new alone: announced, and not. */
    w = writer(old);
    w.size_expected = w.size_told = 3 * MIB + MIB / 2;
    CHECK(file_writer_open(&w, false, &st) == 0);
    CHECK(w.mode == FILE_WRITER_DIRECT);
    CHECK(write_bytes(&w, 'p', 3 * MIB + MIB / 2, &st) == 0);
    CHECK(file_writer_commit(&w, &st) == 0);
    CHECK(holds(old, 'p', 3 * MIB + MIB / 2));
    CHECK(!w.lost);
    CHECK(put_streamed(old, 'q', 3 * MIB + 4096, false, &st) == 0);
    CHECK(holds(old, 'q', 3 * MIB + 4096));
    CHECK(put_streamed(old, 'r', 2 * MIB, false, &st) == 0);
    CHECK(holds(old, 'r', 2 * MIB));
    status_done(&st);
}

/* What a direct write costs that does not come to its end. */
static void
on_full_disk_cut(const char *disk)
{
    struct status st = {0};
    char old[4096];
    struct file_writer w;

    (void)snprintf(old, sizeof(old), "%s/old", disk);
    /* Cut in the middle, when there was no room beside it: lost, and said. */
    CHECK(put_streamed(old, 'o', 3 * MIB, false, &st) == 0);
    w = writer(old);
    w.size_expected = w.size_told = 3 * MIB;
    CHECK(file_writer_open(&w, false, &st) == 0);
    CHECK(w.mode == FILE_WRITER_DIRECT);
    file_writer_abort(&w);
    CHECK(!w.lost && holds(old, 'o', 3 * MIB));
    w = writer(old);
    CHECK(file_writer_open(&w, false, &st) == 0);
    CHECK(w.mode == FILE_WRITER_STAGED);
    CHECK(write_bytes(&w, 'p', 2 * MIB, &st) == 0);
    CHECK(w.mode == FILE_WRITER_DIRECT);
    file_writer_abort(&w);
    CHECK(w.lost && size_of(old) == 2 * MIB);

    /* Who must keep it has no room instead. */
    CHECK(put_streamed(old, 'o', 3 * MIB, false, &st) == 0);
    w = writer(old);
    w.keep_old = true;
    CHECK(file_writer_open(&w, false, &st) == 0);
    CHECK(write_bytes(&w, 'p', 2 * MIB, &st) == -1);
    CHECK(st.code == RPC_RESOURCE_EXHAUSTED);
    file_writer_abort(&w);
    CHECK(!w.lost && holds(old, 'o', 3 * MIB));
    status_done(&st);
}

/* Room for what is announced is made when the file is opened. */
static void
on_disk_to_reserve(const char *disk)
{
    struct status st = {0};
    struct stat info;
    char path[4096];
    struct file_writer w;

    (void)snprintf(path, sizeof(path), "%s/new", disk);
    w = writer(path);
    w.size_expected = 2 * MIB;
    CHECK(file_writer_open(&w, false, &st) == 0);
    CHECK(w.mode == FILE_WRITER_CREATED);
    CHECK(stat(path, &info) == 0);
    CHECK(info.st_blocks * 512 >= 2 * MIB && info.st_size == 0);
    CHECK(write_bytes(&w, 'n', 2 * MIB, &st) == 0);
    CHECK(file_writer_commit(&w, &st) == 0);
    CHECK(holds(path, 'n', 2 * MIB));
    status_done(&st);
}

static void
on_tiny_disk(const char *disk)
{
    struct status st = {0};
    char old[4096];
    char new[4096];
    char text[2049];

    memset(text, 'x', 2048);
    text[2048] = '\0';
    (void)snprintf(old, sizeof(old), "%s/old", disk);
    (void)snprintf(new, sizeof(new), "%s/new", disk);
    CHECK(put_whole(old, "fills the disk", &st) == 0);
    CHECK(put_whole(new, text, &st) == -1);
    CHECK(strcmp(status_message(&st), "attempted to write 2048 bytes: not "
                                      "enough disk space available") == 0);
    CHECK(size_of(new) == -1);
    CHECK(put_whole(old, text, &st) == 0);
    CHECK(size_of(old) == 2048);
    status_done(&st);
}

static void
on_disk_without_inodes(const char *disk)
{
    struct status st = {0};
    char path[4096];
    char want[8192];
    int r = 0;

    for (int i = 0; i < 10 && r == 0; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d", disk, i);
        r = put_whole(path, "", &st);
    }
    (void)snprintf(want, sizeof(want),
                   "not enough inodes available: open %s: no space left on "
                   "device",
                   path);
    CHECK(r == -1 && st.code == RPC_RESOURCE_EXHAUSTED);
    CHECK(strcmp(status_message(&st), want) == 0);
    status_done(&st);
}

static void
on_read_only_disk(const char *disk)
{
    struct status st = {0};
    char path[4096];
    char want[8192];

    (void)snprintf(path, sizeof(path), "%s/file", disk);
    (void)snprintf(want, sizeof(want),
                   "error opening file: open %s: read-only file system", path);
    CHECK(put_whole(path, "x", &st) == -1);
    CHECK(st.code == RPC_INTERNAL);
    CHECK(strcmp(status_message(&st), want) == 0);
    status_done(&st);
}

static void
test_full_disk(void **state)
{
    (void)state;
    with_small_disk("size=4m", on_full_disk);
}

static void
test_full_disk_cut(void **state)
{
    (void)state;
    with_small_disk("size=4m", on_full_disk_cut);
}

static void
test_reserve(void **state)
{
    (void)state;
    with_small_disk("size=8m", on_disk_to_reserve);
}

static void
test_tiny_disk(void **state)
{
    (void)state;
    with_small_disk("size=1k", on_tiny_disk);
}

static void
test_no_inodes(void **state)
{
    (void)state;
    with_small_disk("nr_inodes=5", on_disk_without_inodes);
}

static void
test_read_only_disk(void **state)
{
    (void)state;
    with_small_disk("ro", on_read_only_disk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_file),
        cmocka_unit_test(test_new_file_vanishes_when_cut),
        cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_dangling_links_create_their_target),
        cmocka_unit_test(test_overwrite_keeps_inode_mode_links),
        cmocka_unit_test(test_cut_overwrite_keeps_old_content),
        cmocka_unit_test(test_targets_that_are_refused),
        cmocka_unit_test(test_devices_are_written),
        cmocka_unit_test(test_running_program_is_replaced),
        cmocka_unit_test(test_writers_of_one_file_take_turns),
        cmocka_unit_test(test_content_survives_the_failure_of_another),
        cmocka_unit_test(test_owner_and_sticky_directory),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_disk_cut),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_tiny_disk),
        cmocka_unit_test(test_no_inodes),
        cmocka_unit_test(test_read_only_disk),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
