/*
 * Whose rights count: the caller's, root's where they are lent, and nobody's
 * along a link that somebody else has planted.  Needs root.
 */
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/reader.h"
#include "filesystem/transfer.h"
#include "filesystem/tree.h"

#define ALICE   60001
#define MALLORY 60002
#define TEAM    60010

static atomic_bool never;
static const char *mode; /* for messages: with or without openat2 */

static struct caller alice;

static void
become_alice(bool lends)
{
    struct status st = {0};
    gid_t *groups = xcalloc(2, sizeof(*groups));

    groups[0] = ALICE;
    groups[1] = TEAM;
    caller_init(&alice, ALICE, ALICE, groups, 2, lends);
    assert_int_equal(caller_enter(&alice, &st), 0);
}

static void
become_root(void)
{
    caller_leave();
    caller_done(&alice);
}

static void
give(const char *path, uid_t uid)
{
    assert_int_equal(lchown(path, uid, uid), 0);
}

static uid_t
owner_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_uid;
}

static const char *
in(const char *dir, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned int turn;
    char *out = paths[turn++ % 4];

    (void)snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return out;
}

/* ---- operations ---------------------------------------------------------- */

static int
do_stat(const char *dir, struct status *st)
{
    struct arena arena = {0};
    struct entry e;
    int r = entry_get(in(dir, "file"), &scratch_names, &arena, &e, st);

    if (r == 0) {
        assert_int_equal(e.size, 6);
        assert_int_equal(e.metadata_count, 1);
        assert_string_equal(e.metadata[0].value, "v");
    }
    arena_done(&arena);
    return r;
}

static int
count_entry(struct tree_visitor *v, const struct entry *e, struct status *st)
{
    (void)v;
    (void)st;
    assert_string_equal(e->name, "file");
    assert_int_equal(e->metadata_count, 1);
    return 0;
}

static int
do_list(const char *dir, struct status *st)
{
    struct tree_visitor v = {.on_entry = count_entry};

    return tree_list(dir, 1, &scratch_names, &v, &never, st);
}

static int
do_make(const char *dir, struct status *st)
{
    return tree_make_dir(in(dir, "new/deep"), ALICE, ALICE, st);
}

static int
do_move(const char *dir, struct status *st)
{
    return tree_move(in(dir, "file"), in(dir, "new"), ALICE, ALICE, &never, st);
}

static int
do_remove(const char *dir, struct status *st)
{
    return tree_remove(in(dir, "file"), &never, st);
}

static int
do_download(const char *dir, struct status *st)
{
    struct buf out = {0};
    struct file_reader r;
    int err = file_reader_open(&r, in(dir, "file"), st);

    if (err == 0) {
        assert_int_equal(file_reader_read(&r, &out, 100), 6);
        assert_memory_equal(buf_data(&out), "secret", 6);
    }
    buf_done(&out);
    file_reader_done(&r);
    return err;
}

static int
write_file(const char *path, bool whole, struct status *st)
{
    struct file_writer w = {
        .path = path,
        .uid = ALICE,
        .gid = ALICE,
        .size_expected = whole ? 5 : -1,
    };

    if (file_writer_open(&w, whole, st) < 0)
        return -1;
    if (file_writer_write(&w, "alice", 5, st) == 0)
        return file_writer_commit(&w, st);
    file_writer_abort(&w);
    return -1;
}

static int
do_create(const char *dir, struct status *st)
{
    return write_file(in(dir, "new"), true, st);
}

static int
do_overwrite(const char *dir, struct status *st)
{
    return write_file(in(dir, "file"), true, st);
}

static int
do_stage(const char *dir, struct status *st)
{
    return write_file(in(dir, "file"), false, st);
}

static const struct operation {
    const char *name;
    int (*run)(const char *dir, struct status *st);
    const char *makes;   /* what alice owns afterwards */
    const char *removes; /* what is gone */
} operations[] = {
    {"stat", do_stat, NULL, NULL},
    {"list", do_list, NULL, NULL},
    {"download", do_download, NULL, NULL},
    {"make", do_make, "new/deep", NULL},
    {"move", do_move, NULL, "file"},
    {"remove", do_remove, NULL, "file"},
    {"create", do_create, "new", NULL},
    {"overwrite", do_overwrite, "file", NULL},
    {"stage", do_stage, "file", NULL},
};

/* A directory of root's, which only root may use, with one file. */
static void
make_secret(void)
{
    struct status st = {0};

    assert_int_equal(tree_remove(scratch("secret"), &never, &st), 0);
    scratch_dir("secret");
    scratch_file("secret/file", "secret", 0600);
    assert_int_equal(setxattr(scratch("secret/file"), "user.e2b.k", "v", 1, 0),
                     0);
    assert_int_equal(chmod(scratch("secret"), 0700), 0);
}

static void
expect_untouched(const char *what)
{
    struct dirent **names;
    int n = scandir(scratch("secret"), &names, NULL, alphasort);

    if (n != 3)
        print_error("%s: %s: names in secret: %d\n", mode, what, n);
    assert_int_equal(n, 3);
    assert_string_equal(names[2]->d_name, "file");
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    scratch_expect_file("secret/file", "secret");
    assert_int_equal(owner_of(scratch("secret/file")), 0);
}

static void
expect_done(const struct operation *op)
{
    if (op->makes != NULL)
        assert_int_equal(owner_of(in(scratch("secret"), op->makes)), ALICE);
    if (op->removes != NULL)
        assert_int_equal(access(in(scratch("secret"), op->removes), F_OK), -1);
}

/* Do each operation in `dir`, which leads to the secret directory. */
static void
expect_all(const char *path, bool lends, bool allowed)
{
    SCOPE(scope_free) char *dir = strdup(path);

    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        const struct operation *op = &operations[i];
        struct status st = {0};
        int fds;
        int r;

        make_secret();
        fds = scratch_open_fds();
        become_alice(lends);
        r = op->run(dir, &st);
        become_root();
        assert_int_equal(scratch_open_fds(), fds);
        if ((r == 0) != allowed)
            print_error("%s: %s in %s: %s\n", mode, op->name, dir,
                        status_message(&st));
        assert_int_equal(r == 0, allowed);
        if (allowed) {
            expect_done(op);
        } else {
            if (strstr(status_message(&st), "permission denied") == NULL)
                print_error("%s: %s in %s: %s\n", mode, op->name, dir,
                            status_message(&st));
            assert_non_null(strstr(status_message(&st), "permission denied"));
            expect_untouched(op->name);
        }
        status_done(&st);
    }
}

/* ---- the caller ---------------------------------------------------------- */

static void *
id_of_thread(void *arg)
{
    *(int *)arg = setfsuid((uid_t)-1);
    return NULL;
}

static void
test_one_thread_only(void **state)
{
    int other = -1;
    pthread_t thread;

    (void)state;
    become_alice(true);
    assert_int_equal(setfsuid((uid_t)-1), ALICE);
    assert_int_equal(setfsgid((gid_t)-1), ALICE);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(pthread_create(&thread, NULL, id_of_thread, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* A new thread begins as the one that made it: ours are made by the loop */
    assert_int_equal(other, ALICE);
    become_root();
    assert_int_equal(setfsuid((uid_t)-1), 0);
    assert_int_equal(pthread_create(&thread, NULL, id_of_thread, &other), 0);
    become_alice(true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(other, 0);
    become_root();
}

static void
test_root_is_plain(void **state)
{
    struct status st = {0};
    struct caller root;

    (void)state;
    become_alice(true);
    become_root();
    caller_init(&root, 0, 0, NULL, 0, true);
    assert_int_equal(caller_enter(&root, &st), 0);
    assert_false(caller_acts());
    assert_int_equal(setfsgid((gid_t)-1), 0);
    caller_leave();
    caller_done(&root);
}

/* What the caller may do is done as him, and belongs to him. */
static void
test_own(void **state)
{
    struct status st = {0};

    (void)state;
    scratch_dir("own");
    give(scratch("own"), ALICE);
    become_alice(false);
    assert_int_equal(do_create(scratch("own"), &st), 0);
    assert_int_equal(do_make(scratch("own/tree"), &st), 0);
    become_root();
    assert_int_equal(owner_of(scratch("own/new")), ALICE);
    assert_int_equal(owner_of(scratch("own/tree/new")), ALICE);
}

static void
test_groups(void **state)
{
    struct caller bob;
    struct status st = {0};
    struct file_reader r;

    (void)state;
    scratch_file("team", "secret", 0640);
    assert_int_equal(chown(scratch("team"), 0, TEAM), 0);
    become_alice(false);
    assert_int_equal(file_reader_open(&r, scratch("team"), &st), 0);
    become_root();
    file_reader_done(&r);
    /* The thread remembers groups: those of the next caller count. */
    caller_init(&bob, ALICE, ALICE, NULL, 0, false);
    assert_int_equal(caller_enter(&bob, &st), 0);
    assert_int_equal(file_reader_open(&r, scratch("team"), &st), -1);
    caller_leave();
    caller_done(&bob);
    status_done(&st);
}

/* ---- what is lent -------------------------------------------------------- */

static void
test_plain_path(void **state)
{
    (void)state;
    expect_all(scratch("secret"), true, true);
    expect_all(scratch("secret"), false, false);
    scratch_dir("x");
    expect_all(scratch("./x/../secret/.//"), true, true);
    expect_all(
        scratch("secret/../../%s/secret", strrchr(scratch_root, '/') + 1), true,
        true);
}

static void
link_by(uid_t uid, const char *dir, uid_t dir_owner, mode_t dir_mode)
{
    struct status st = {0};

    assert_int_equal(tree_remove(scratch("%s", dir), &never, &st), 0);
    scratch_dir(dir);
    scratch_link(scratch("secret"), in(dir, "abs"));
    scratch_link("../secret", in(dir, "rel"));
    give(scratch("%s/abs", dir), uid);
    give(scratch("%s/rel", dir), uid);
    give(scratch("%s", dir), dir_owner);
    assert_int_equal(chmod(scratch("%s", dir), dir_mode), 0);
}

static void
expect_links(const char *dir, bool allowed)
{
    expect_all(scratch("%s/abs", dir), true, allowed);
    expect_all(scratch("%s/rel/", dir), true, allowed);
    expect_all(scratch("%s/abs", dir), false, false);
}

static void
test_links(void **state)
{
    static const struct {
        uid_t link, dir;
        mode_t dir_mode;
        bool allowed;
    } cases[] = {
        {0, 0, 0755, true},         /* root's own */
        {ALICE, ALICE, 0755, true}, /* the caller's own */
        {ALICE, 0, 0755, true},
        {0, ALICE, 0700, true},
        {MALLORY, MALLORY, 0755, false},
        {MALLORY, 0, 0755, false}, /* brought by a copy */
        {0, MALLORY, 0755, false}, /* renamed or hard-linked there */
        {ALICE, MALLORY, 0755, false},
        {MALLORY, 0, 01777, false}, /* like /tmp */
        {ALICE, 0, 01777, false},
        {0, 0, 01777, false},
        {0, 0, 0777, false},
        {ALICE, ALICE, 0775, false}, /* a group has other members */
    };

    (void)state;
    make_secret();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        link_by(cases[i].link, "links", cases[i].dir, cases[i].dir_mode);
        expect_links("links", cases[i].allowed);
    }
}

/* A link at the end of the path: followed by some operations. */
static void
test_last_link(void **state)
{
    struct status st = {0};
    struct file_reader r;

    (void)state;
    make_secret();
    link_by(MALLORY, "last", MALLORY, 0755);
    scratch_link("../secret/file", "last/file");
    scratch_link("../secret/dangling", "last/dangling");
    give(scratch("last/file"), MALLORY);
    give(scratch("last/dangling"), MALLORY);
    become_alice(true);
    assert_int_equal(file_reader_open(&r, scratch("last/file"), &st), -1);
    assert_int_equal(write_file(scratch("last/file"), true, &st), -1);
    assert_int_equal(write_file(scratch("last/dangling"), true, &st), -1);
    assert_int_equal(write_file(scratch("last/dangling"), false, &st), -1);
    assert_int_equal(tree_make_dir(scratch("last/dangling"), ALICE, ALICE, &st),
                     -1);
    become_root();
    status_done(&st);
    expect_untouched("last link");
    /* The link itself is removed, not what it leads to. */
    become_alice(true);
    assert_int_equal(tree_remove(scratch("last/file"), &never, &st), 0);
    become_root();
    expect_untouched("remove link");
    assert_false(scratch_has("last/file"));
    /* One of root's leads on, also to what is not there yet. */
    link_by(0, "last", 0, 0755);
    scratch_link("../secret/dangling", "last/dangling");
    become_alice(true);
    assert_int_equal(write_file(scratch("last/dangling"), true, &st), 0);
    become_root();
    assert_int_equal(owner_of(scratch("secret/dangling")), ALICE);
}

/* With rights of one's own any link is followed, but nothing is lent there. */
static void
test_strayed(void **state)
{
    struct status st = {0};

    (void)state;
    link_by(MALLORY, "stray", MALLORY, 0755);
    assert_int_equal(tree_remove(scratch("secret"), &never, &st), 0);
    scratch_dir("secret");
    scratch_file("secret/file", "secret", 0666);
    become_alice(true);
    assert_int_equal(tree_remove(scratch("stray/abs/file"), &never, &st), -1);
    status_done(&st);
    alice.strayed = false;
    assert_int_equal(tree_make_dir(scratch("stray/abs/d"), 0, 0, &st), -1);
    status_done(&st);
    alice.strayed = false;
    /* Written as anybody could, and not given to her. */
    assert_int_equal(write_file(scratch("stray/abs/file"), true, &st), 0);
    become_root();
    scratch_expect_file("secret/file", "alice");
    assert_int_equal(owner_of(scratch("secret/file")), 0);
    /* Without the link it is: that is the contract. */
    become_alice(true);
    assert_int_equal(write_file(scratch("secret/file"), true, &st), 0);
    become_root();
    assert_int_equal(owner_of(scratch("secret/file")), ALICE);
}

static void
test_hard_links(void **state)
{
    struct status st = {0};

    (void)state;
    make_secret();
    scratch_dir("hard");
    assert_int_equal(link(scratch("secret/file"), scratch("hard/file")), 0);
    give(scratch("hard"), MALLORY);
    become_alice(true);
    assert_int_equal(do_download(scratch("hard"), &st), -1);
    assert_int_equal(do_overwrite(scratch("hard"), &st), -1);
    assert_int_equal(do_stage(scratch("hard"), &st), -1);
    status_done(&st);
    become_root();
    assert_int_equal(unlink(scratch("secret/file")), 0);
    scratch_expect_file("hard/file", "secret");
    assert_int_equal(owner_of(scratch("hard/file")), 0);
    /* Its only name now: it lies where it lies. */
    become_alice(true);
    assert_int_equal(do_download(scratch("hard"), &st), 0);
    become_root();
    status_done(&st);
}

static void
test_magic_links(void **state)
{
    char path[PATH_MAX];
    struct status st = {0};
    struct file_reader r;

    (void)state;
    (void)snprintf(path, sizeof(path), "/proc/self/root%s", scratch("secret"));
    expect_all(path, true, false);
    /* What they are to the caller they stay. */
    become_alice(true);
    assert_int_equal(file_reader_open(&r, "/proc/self/environ", &st), -1);
    assert_int_equal(file_reader_open(&r, "/proc/mounts", &st), 0);
    file_reader_done(&r);
    become_root();
    status_done(&st);
}

/* In a sticky directory others' files are lent, by name. */
static void
test_sticky(void **state)
{
    struct status st = {0};

    (void)state;
    scratch_dir("sticky");
    assert_int_equal(chmod(scratch("sticky"), 01777), 0);
    scratch_file("sticky/file", "m", 0644);
    give(scratch("sticky/file"), MALLORY);
    become_alice(false);
    assert_int_equal(do_remove(scratch("sticky"), &st), -1);
    assert_int_equal(do_move(scratch("sticky"), &st), -1);
    assert_int_equal(do_overwrite(scratch("sticky"), &st), -1);
    become_root();
    status_done(&st);
    scratch_expect_file("sticky/file", "m");
    become_alice(true);
    assert_int_equal(do_overwrite(scratch("sticky"), &st), 0);
    become_root();
    scratch_expect_file("sticky/file", "alice");
    give(scratch("sticky/file"), MALLORY);
    become_alice(true);
    assert_int_equal(do_move(scratch("sticky"), &st), 0);
    assert_int_equal(tree_remove(scratch("sticky/new"), &never, &st), 0);
    become_root();
    assert_false(scratch_has("sticky/new"));
}

/* Whole trees: of somebody else's, with somebody else's below. */
static void
test_trees(void **state)
{
    struct status st = {0};

    (void)state;
    scratch_dir("tree");
    scratch_deep("tree", 40);
    scratch_dir("tree/locked");
    scratch_file("tree/locked/f", "x", 0600);
    assert_int_equal(chmod(scratch("tree/locked"), 0), 0);
    assert_int_equal(chmod(scratch("tree"), 0700), 0);
    become_alice(false);
    assert_int_equal(tree_remove(scratch("tree"), &never, &st), -1);
    become_root();
    status_done(&st);
    assert_true(scratch_has("tree/locked/f"));
    become_alice(true);
    assert_int_equal(tree_remove(scratch("tree"), &never, &st), 0);
    become_root();
    assert_false(scratch_has("tree"));
}

/* Over file systems a move is a copy, and a removal. */
static void
test_across(void **state)
{
    struct status st = {0};
    struct stat info;

    (void)state;
    scratch_dir("other");
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", scratch("other"), "tmpfs", 0, "mode=0755") < 0)
        skip();
    make_secret();
    assert_int_equal(chmod(scratch("secret/file"), 04755), 0);
    scratch_dir("own");
    give(scratch("own"), ALICE);
    scratch_dir("other/own");
    give(scratch("other/own"), ALICE);
    become_alice(false);
    assert_int_equal(do_create(scratch("own"), &st), 0);
    assert_int_equal(tree_move(scratch("own/new"), scratch("other/own/new"),
                               ALICE, ALICE, &never, &st),
                     0);
    assert_int_equal(tree_move(scratch("secret/file"), scratch("other/own/f"),
                               ALICE, ALICE, &never, &st),
                     -1);
    become_root();
    status_done(&st);
    assert_int_equal(owner_of(scratch("other/own/new")), ALICE);
    assert_int_equal(rmdir(scratch("other/own")), -1);
    assert_int_equal(unlink(scratch("other/own/new")), 0);
    assert_int_equal(rmdir(scratch("other/own")), 0);
    /* With root's rights lent it keeps its owner, and so its set-id bit. */
    become_alice(true);
    assert_int_equal(tree_move(scratch("secret/file"), scratch("other/f"),
                               ALICE, ALICE, &never, &st),
                     0);
    become_root();
    assert_int_equal(lstat(scratch("other/f"), &info), 0);
    assert_int_equal(info.st_uid, 0);
    assert_int_equal(info.st_mode, S_IFREG | 04755);
    assert_false(scratch_has("secret/file"));
    assert_int_equal(umount(scratch("other")), 0);
}

/* Read the file there, which must not be the secret one. */
static int
do_peek(const char *dir, struct status *st)
{
    struct buf out = {0};
    struct file_reader r;
    int err = file_reader_open(&r, in(dir, "file"), st);

    if (err == 0 && file_reader_read(&r, &out, 100) == 6)
        assert_memory_not_equal(buf_data(&out), "secret", 6);
    buf_done(&out);
    file_reader_done(&r);
    return err;
}

/* ---- races --------------------------------------------------------------- */

/* mallory exchanges a directory of his for a link, again and again. */
static void *
exchange(void *arg)
{
    const atomic_bool *stop = arg;
    SCOPE(scope_free) char *a = strdup(scratch("race/dir"));
    SCOPE(scope_free) char *b = strdup(scratch("race/link"));

    while (!atomic_load(stop))
        (void)renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
    return NULL;
}

static void
test_races(void **state)
{
    atomic_bool stop = false;
    SCOPE(scope_free) char *dir = NULL;
    struct status st = {0};
    pthread_t thread;

    (void)state;
    make_secret();
    scratch_dir("race");
    dir = strdup(scratch("race/dir"));
    scratch_dir("race/dir");
    scratch_file("race/dir/file", "public", 0644);
    scratch_link("../secret", "race/link");
    give(scratch("race/link"), MALLORY);
    give(scratch("race/dir"), MALLORY);
    give(scratch("race"), MALLORY);
    assert_int_equal(pthread_create(&thread, NULL, exchange, &stop), 0);
    for (int i = 0; i < 3000; i++) {
        const struct operation *op = &operations[3 + i % 6];

        become_alice(true);
        (void)op->run(dir, &st);
        (void)do_peek(dir, &st);
        become_root();
    }
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    status_done(&st);
    expect_untouched("race");
}

/* A kernel without openat2(2). */
static int
forbid_openat2(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {ARRAY_LEN(code), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) +
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_thread_only, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_root_is_plain, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_own, scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_groups, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_plain_path, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_links, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_last_link, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_strayed, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_hard_links, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_magic_links, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_sticky, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_trees, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_across, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_races, scratch_make,
                                        scratch_remove),
    };
    int failed;

    (void)umask(022);
    if (geteuid() != 0) {
        print_message("[  SKIPPED ] callers: needs root\n");
        return 0;
    }
    mode = "openat2";
    failed = cmocka_run_group_tests_name("caller", tests, NULL, NULL);
    if (forbid_openat2() < 0) {
        print_message("[  SKIPPED ] callers without openat2: no seccomp\n");
        return failed;
    }
    mode = "no openat2";
    return failed +
           cmocka_run_group_tests_name("caller, no openat2", tests, NULL, NULL);
}
