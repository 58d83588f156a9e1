/*
 * Composing: what it waits for, what it leaves after a failure, and which names
 * it removes.
 */
#include "filesystem/compose.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "scratch.h"

#define KIB ((size_t)1024)

static char *
keep(const char *name)
{
    char *path = strdup(scratch("%s", name));

    assert_non_null(path);
    return path;
}

static struct compose
compose_of(char *const *sources, size_t count, const char *destination)
{
    return (struct compose){
        .given = sources,
        .count = count,
        .destination = destination,
        .user = "root",
        .home = "/root",
        .uid = getuid(),
        .gid = getgid(),
    };
}

/* Run to the end what nothing holds up. */
static int
run(char *const *sources, size_t count, const char *destination,
    struct status *st)
{
    const atomic_bool cancel = false;
    struct compose c = compose_of(sources, count, destination);
    int r = compose_run(&c, &cancel, st);

    compose_done(&c);
    return r;
}

static struct file_claim
claim_of(const char *path)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return (struct file_claim){.dev = info.st_dev, .ino = info.st_ino};
}

/* ---- waiting and leaving ------------------------------------------------- */

static void
test_a_source_being_written_is_waited_for(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *a = keep("wait-a");
    SCOPE(scope_free) char *out = keep("wait-out");
    const atomic_bool cancel = false;
    struct compose c = compose_of(&a, 1, out);
    struct file_claim id;
    struct file_claim claim = {0};

    (void)state;
    scratch_file("wait-a", "aaa", 0644);
    id = claim_of(a);
    assert_true(file_claim_take(&claim, id.dev, id.ino));
    assert_int_equal(compose_run(&c, &cancel, &st), COMPOSE_BUSY);
    assert_false(scratch_has("wait-out"));
    file_claim_drop(&claim);
    assert_int_equal(compose_run(&c, &cancel, &st), 0);
    assert_int_equal(c.size, 3);
    compose_done(&c);
    scratch_expect_file("wait-out", "aaa");
    assert_false(scratch_has("wait-a"));
}

/* The destination is being written: done so far is the copy beside it. */
static void
hold_destination(struct compose *c, struct file_claim *claim)
{
    SCOPE(status_done) struct status st = {0};
    const atomic_bool cancel = false;
    struct file_claim id = claim_of(c->destination);

    assert_true(file_claim_take(claim, id.dev, id.ino));
    assert_int_equal(compose_run(c, &cancel, &st), COMPOSE_BUSY);
}

static void
test_names_that_lead_elsewhere_by_then_stay(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *a = keep("by-then-a");
    SCOPE(scope_free) char *b = keep("by-then-b");
    SCOPE(scope_free) char *out = keep("by-then-out");
    const atomic_bool cancel = false;
    char *sources[] = {a, b};
    struct compose c = compose_of(sources, 2, out);
    struct file_claim claim = {0};

    (void)state;
    scratch_file("by-then-a", "aaa", 0644);
    scratch_file("by-then-b", "bbb", 0644);
    scratch_file("by-then-out", "old", 0644);
    hold_destination(&c, &claim);
    scratch_file("by-then-new", "newer", 0644);
    assert_int_equal(rename(scratch("by-then-new"), a), 0);
    file_claim_drop(&claim);
    assert_int_equal(compose_run(&c, &cancel, &st), 0);
    compose_done(&c);
    scratch_expect_file("by-then-out", "aaabbb");
    scratch_expect_file("by-then-a", "newer");
    assert_false(scratch_has("by-then-b"));
}

static void
test_aborted_while_it_waits(void **state)
{
    SCOPE(scope_free) char *a = keep("aborted-a");
    SCOPE(scope_free) char *out = keep("aborted-out");
    struct compose c = compose_of(&a, 1, out);
    struct file_claim claim = {0};
    int fds = scratch_open_fds();

    (void)state;
    scratch_file("aborted-a", "aaa", 0644);
    scratch_file("aborted-out", "old", 0644);
    hold_destination(&c, &claim);
    compose_abort(&c);
    compose_done(&c);
    file_claim_drop(&claim);
    scratch_expect_file("aborted-a", "aaa");
    scratch_expect_file("aborted-out", "old");
    assert_int_equal(scratch_open_fds(), fds);
}

static void
test_cancelled(void **state)
{
    SCOPE(scope_free) char *a = keep("cancel-a");
    SCOPE(scope_free) char *b = keep("cancel-b");
    SCOPE(scope_free) char *fresh = keep("cancel-new");
    SCOPE(scope_free) char *old = keep("cancel-old");
    const char *destinations[] = {fresh, old};
    const atomic_bool cancel = true;
    char *sources[] = {a, b};
    struct stat before;
    struct stat after;

    (void)state;
    scratch_file("cancel-a", "aaa", 0640);
    scratch_file("cancel-b", "bbb", 0644);
    scratch_file("cancel-old", "old", 0644);
    assert_int_equal(stat(a, &before), 0);
    for (size_t i = 0; i < ARRAY_LEN(destinations); i++) {
        SCOPE(status_done) struct status st = {0};
        struct compose c = compose_of(sources, 2, destinations[i]);

        assert_int_equal(compose_run(&c, &cancel, &st), -1);
        compose_done(&c);
        scratch_expect_status(&st, RPC_CANCELED, "canceled");
    }
    assert_false(scratch_has("cancel-new"));
    scratch_expect_file("cancel-old", "old");
    scratch_expect_file("cancel-a", "aaa");
    scratch_expect_file("cancel-b", "bbb");
    assert_int_equal(stat(a, &after), 0);
    assert_int_equal(before.st_mode, after.st_mode);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

/* A second source without a size: what it is shows by reading it. */
static void
test_made_up_files(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *a = keep("made-a");
    SCOPE(scope_free) char *out = keep("made-out");
    char version[] = "/proc/sys/kernel/ostype";
    char *sources[] = {a, version};

    (void)state;
    scratch_file("made-a", "aaa", 0644);
    assert_int_equal(run(sources, 2, out, &st), 0);
    scratch_expect_file("made-out", "aaaLinux\n");
}

/* ---- faults of the disk -------------------------------------------------- */

#define CHECK(condition)                                             \
    do {                                                             \
        if (!(condition)) {                                          \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, \
                          #condition);                               \
            _exit(1);                                                \
        }                                                            \
    } while (0)

static void
with_disk(const char *options, void (*test)(const char *disk))
{
    SCOPE(scope_free) char *disk = keep("disk");
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

static char *
fill(const char *disk, const char *name, size_t size)
{
    static const char block[4096];
    char *path;
    int fd;

    CHECK(asprintf(&path, "%s/%s", disk, name) > 0);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    for (size_t at = 0; at < size; at += sizeof(block))
        CHECK(pwrite(fd, block, sizeof(block), (off_t)at) ==
              (ssize_t)sizeof(block));
    CHECK(pwrite(fd, name, strlen(name), 0) == (ssize_t)strlen(name));
    CHECK(close(fd) == 0);
    return path;
}

static bool
holds(const char *path, const char *beginning, size_t size)
{
    char text[16] = "";
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0 && fstat(fd, &info) == 0);
    CHECK(read(fd, text, strlen(beginning)) == (ssize_t)strlen(beginning));
    CHECK(close(fd) == 0);
    return strcmp(text, beginning) == 0 && info.st_size == (off_t)size;
}

static void
expect_full(char *const *sources, size_t count, const char *out)
{
    struct status st = {0};

    CHECK(run(sources, count, out, &st) == -1);
    CHECK(st.code == RPC_RESOURCE_EXHAUSTED);
    CHECK(strcmp(status_message(&st), "not enough disk space available") == 0);
    status_done(&st);
}

static void
on_full_disk(const char *disk)
{
    char *a = fill(disk, "a", 1536 * KIB);
    char *b = fill(disk, "b", 1536 * KIB);
    char *sources[] = {a, b};
    char out[4096];

    /* Appending takes less room than a copy, and this is too little. */
    (void)snprintf(out, sizeof(out), "%s/out", disk);
    expect_full(sources, 2, out);
    CHECK(access(out, F_OK) < 0);
    CHECK(holds(a, "a", 1536 * KIB) && holds(b, "b", 1536 * KIB));
}

static void
on_disk_without_room(const char *disk)
{
    char *a = fill(disk, "a", 1024 * KIB);
    char *b = fill(disk, "b", 1024 * KIB);
    char *old = fill(disk, "old", 1024 * KIB);
    char *sources[] = {a, b};
    struct status st = {0};
    char out[4096];

    (void)snprintf(out, sizeof(out), "%s/out", disk);
    /* Over what exists there must be room for a copy. */
    expect_full(sources, 2, old);
    CHECK(holds(old, "old", 1024 * KIB));
    CHECK(holds(a, "a", 1024 * KIB) && holds(b, "b", 1024 * KIB));

    CHECK(run(sources, 2, out, &st) == 0);
    CHECK(holds(out, "a", 2048 * KIB));
    CHECK(access(a, F_OK) < 0 && access(b, F_OK) < 0);
}

static void
on_disk_without_inodes(const char *disk)
{
    char *a = fill(disk, "a", 0);
    char *b = fill(disk, "b", 0);
    char *sources[] = {b, a};
    struct status st = {0};
    char path[4096];

    /* A link is an inode there, too. */
    (void)snprintf(path, sizeof(path), "%s/link", disk);
    CHECK(link(a, path) == 0);
    (void)snprintf(path, sizeof(path), "%s/out", disk);
    sources[0] = a;
    expect_full(sources, 1, path);
    CHECK(holds(a, "a", 1));
    /* A new name for an old file needs none. */
    sources[0] = b;
    CHECK(run(sources, 2, path, &st) == 0);
    CHECK(holds(path, "ba", 2));
}

static void
on_read_only_disk(const char *disk)
{
    char *a = fill(disk, "a", 0);
    char *old = fill(disk, "old", 0);
    struct status st = {0};
    char out[4096];
    char text[8192];

    CHECK(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    (void)snprintf(out, sizeof(out), "%s/out", disk);
    (void)snprintf(text, sizeof(text),
                   "error creating destination file: open %s: read-only file "
                   "system",
                   out);
    CHECK(run(&a, 1, out, &st) == -1);
    CHECK(st.code == RPC_INTERNAL && strcmp(status_message(&st), text) == 0);
    CHECK(run(&a, 1, old, &st) == -1);
    CHECK(st.code == RPC_INTERNAL);
    CHECK(holds(a, "a", 1) && holds(old, "old", 3));
    status_done(&st);
}

/* Two mounts of one directory: the same entry, and no rename between them. */
static void
on_bind_mount(const char *disk)
{
    char *a = fill(disk, "a", 0);
    struct status st = {0};
    char mirror[4096];
    char path[8192];

    (void)snprintf(mirror, sizeof(mirror), "%s/mirror", disk);
    CHECK(mkdir(mirror, 0755) == 0);
    CHECK(mount(disk, mirror, NULL, MS_BIND, NULL) == 0);
    (void)snprintf(path, sizeof(path), "%s/a", mirror);
    CHECK(run(&a, 1, path, &st) == -1 && st.code == RPC_INVALID_ARGUMENT);
    CHECK(strstr(status_message(&st), "cannot be the same as destination"));
    CHECK(holds(a, "a", 1));
    (void)snprintf(path, sizeof(path), "%s/out", mirror);
    CHECK(run(&a, 1, path, &st) == 0);
    CHECK(holds(path, "a", 1) && access(a, F_OK) < 0);
    status_done(&st);
}

static void
test_full_disk(void **state)
{
    (void)state;
    with_disk("size=4m", on_full_disk);
}

static void
test_no_room_for_a_copy(void **state)
{
    (void)state;
    with_disk("size=4m", on_disk_without_room);
}

static void
test_no_inodes(void **state)
{
    (void)state;
    with_disk("nr_inodes=4", on_disk_without_inodes);
}

static void
test_read_only_disk(void **state)
{
    (void)state;
    with_disk("", on_read_only_disk);
}

static void
test_bind_mount(void **state)
{
    (void)state;
    with_disk("", on_bind_mount);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_source_being_written_is_waited_for),
        cmocka_unit_test(test_names_that_lead_elsewhere_by_then_stay),
        cmocka_unit_test(test_aborted_while_it_waits),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_made_up_files),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_no_room_for_a_copy),
        cmocka_unit_test(test_no_inodes),
        cmocka_unit_test(test_read_only_disk),
        cmocka_unit_test(test_bind_mount),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
