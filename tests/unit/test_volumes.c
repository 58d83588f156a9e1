/*
 * Volumes: what is mounted when, and what becomes of a server that does not
 * answer.  The kernel is made up; what it mounts are empty file systems, in a
 * mount namespace of our own.
 */
#include "guest_fixture.h"

#include <pthread.h>
#include <sys/queue.h>

#include "api/helper_spawn.h"
#include "base/fd.h"
#include "guest/nfs.h"
#include "guest/volumes.h"
#include "process/spawn.h"

#define TARGET "192.0.2.1:/data"
#define DATA                                                                 \
    "hard,rsize=1048576,wsize=1048576,mountproto=tcp,mountport=2049,"        \
    "proto=tcp,port=2049,vers=3,noacl,noac,lookupcache=none,addr=192.0.2.1," \
    "mountaddr=192.0.2.1"

static bool own_mounts;

/* ---- the kernel ---------------------------------------------------------- */

static struct kernel {
    pthread_mutex_t lock;
    pthread_cond_t change;
    char log[4096]; /* calls, in order */
    char data[1024];
    unsigned long flags;
    int mount_error[64]; /* by call; 0 mounts */
    int mounts;
    int force_error;
    int detach_error;
    bool hold_mount; /* calls wait until it is false */
    bool hold_force;
    int held;
    int most_held;
} kernel;

static void
kernel_say(const char *what, const char *path)
{
    size_t used = strlen(kernel.log);

    (void)snprintf(kernel.log + used, sizeof(kernel.log) - used, "%s %s\n",
                   what, path + strlen(scratch_root));
}

static void
kernel_hold_locked(const bool *hold)
{
    kernel.held++;
    kernel.most_held = MAX(kernel.most_held, kernel.held);
    while (*hold)
        (void)pthread_cond_wait(&kernel.change, &kernel.lock);
    kernel.held--;
}

static void
kernel_set(bool *hold, bool value)
{
    (void)pthread_mutex_lock(&kernel.lock);
    *hold = value;
    (void)pthread_cond_broadcast(&kernel.change);
    (void)pthread_mutex_unlock(&kernel.lock);
}

static int
kernel_held(void)
{
    int held;

    (void)pthread_mutex_lock(&kernel.lock);
    held = kernel.held;
    (void)pthread_mutex_unlock(&kernel.lock);
    return held;
}

static void
kernel_expect(const char *log)
{
    (void)pthread_mutex_lock(&kernel.lock);
    assert_string_equal(kernel.log, log);
    kernel.log[0] = '\0';
    (void)pthread_mutex_unlock(&kernel.lock);
}

static int
made_up_mount(void *ctx, const char *source, const char *target,
              const char *type, unsigned long flags, const char *data)
{
    char path[4096] = "";
    int r;

    (void)ctx;
    assert_string_equal(type, "nfs");
    assert_true(strchr(source, ':') != NULL);
    assert_true(readlink(target, path, sizeof(path) - 1) > 0);
    (void)pthread_mutex_lock(&kernel.lock);
    kernel_say("mount", path);
    (void)snprintf(kernel.data, sizeof(kernel.data), "%s", data);
    kernel.flags = flags;
    r = kernel.mount_error[kernel.mounts++ % 64];
    kernel_hold_locked(&kernel.hold_mount);
    (void)pthread_mutex_unlock(&kernel.lock);
    if (r == 0 && own_mounts)
        r = mount("none", target, "tmpfs", 0, "size=64k") < 0 ? -errno : 0;
    return r;
}

static int
made_up_umount(void *ctx, const char *target, int flags)
{
    bool force = (flags & MNT_FORCE) != 0;
    int r;

    (void)ctx;
    assert_true((flags & UMOUNT_NOFOLLOW) != 0);
    (void)pthread_mutex_lock(&kernel.lock);
    kernel_say(force ? "force" : "detach", target);
    r = force ? kernel.force_error : kernel.detach_error;
    if (force)
        kernel_hold_locked(&kernel.hold_force);
    (void)pthread_mutex_unlock(&kernel.lock);
    if (r == 0 && own_mounts)
        r = umount2(target, flags) < 0 ? -errno : 0;
    return r;
}

static const struct volumes_ops made_up = {made_up_mount, made_up_umount, NULL};

/* ---- fixture ------------------------------------------------------------- */

static struct volumes *volumes;

static void
agent_starts(const struct volumes_options *more)
{
    struct volumes_options options = {.ops = &made_up,
                                      .statd_pid = scratch("statd.pid"),
                                      .helper = scratch("mount.nfs")};

    if (more != NULL) {
        options.spawner = more->spawner;
        options.umount_ms = more->umount_ms;
        options.mount_ms = more->mount_ms;
    }
    volumes = volumes_new(loop, pool, &options);
}

static int
make(void **state)
{
    int r = fixture_make(state);

    memset(&kernel, 0, sizeof(kernel));
    (void)pthread_mutex_init(&kernel.lock, NULL);
    (void)pthread_cond_init(&kernel.change, NULL);
    agent_starts(NULL);
    return r;
}

static int
remove_all(void **state)
{
    kernel_set(&kernel.hold_mount, false);
    kernel_set(&kernel.hold_force, false);
    fixture_end_pool();
    volumes_free(volumes);
    while (umount2(scratch("v"), MNT_DETACH) == 0 ||
           umount2(scratch("w"), MNT_DETACH) == 0)
        continue;
    return fixture_remove(state);
}

/* With other options than the fixture's. */
static void
agent_is(struct volumes_options more)
{
    volumes_free(volumes);
    agent_starts(&more);
}

struct answer {
    int count;
    char error[4096];
};

static void
on_answer(void *ctx, const char *error)
{
    struct answer *a = ctx;

    a->count++;
    (void)snprintf(a->error, sizeof(a->error), "%s",
                   error != NULL ? error : "");
}

static void
begin(const char *lifecycle, const char *name, struct answer *a)
{
    const struct volume_mount list[] = {{TARGET, scratch("%s", name)}};

    *a = (struct answer){0};
    volumes_mount(volumes, lifecycle, list, 1, on_answer, a);
    assert_int_equal(a->count, 0);
}

/* Returns the error, "" for none. */
static const char *
mount_one(const char *lifecycle, const char *name)
{
    static struct answer a;

    begin(lifecycle, name, &a);
    WAIT_UNTIL(a.count > 0);
    assert_int_equal(a.count, 1);
    return a.error;
}

static void
expect_failure(const char *error, const char *name, const char *command,
               const char *why)
{
    char expected[8192];

    (void)snprintf(expected, sizeof(expected),
                   "failed to mount NFS at \"%s\": `%s` failed: %s",
                   scratch("%s", name), command, why);
    assert_string_equal(error, expected);
}

static const char *
mount_command(const char *name)
{
    static char command[4096];

    (void)snprintf(command, sizeof(command),
                   "mount -v -t nfs -o " NFS_OPTIONS " " TARGET " %s",
                   scratch("%s", name));
    return command;
}

static void
count_entry(void *ctx, const char *path, const char *lifecycle)
{
    char *text = ctx;
    size_t used = strlen(text);

    (void)snprintf(text + used, 256 - used, "%s=%s;",
                   path + strlen(scratch_root), lifecycle);
}

static void
expect_ledger(const char *expected)
{
    char text[256] = "";

    volumes_ledger(volumes, count_entry, text);
    assert_string_equal(text, expected);
}

#define NEED_MOUNTS  \
    if (!own_mounts) \
    skip()

/* ---- what is accepted ---------------------------------------------------- */

static void
test_check(void **state)
{
    static const struct {
        struct volume_mount list[2];
        size_t count;
        const char *fault; /* behind the path */
        const char *path;
    } rows[] = {
        {{{0}}, 0, NULL, NULL},
        {{{TARGET, "/v"}}, 1, NULL, NULL},
        {{{"[fd00::1]:/data", "/v"}}, 1, NULL, NULL},
        {{{"storage:/data", "/v"}}, 1, NULL, NULL},
        {{{TARGET, "/v"}, {TARGET, "/w"}}, 2, NULL, NULL},
        {{{TARGET, "/v"}, {TARGET, "//v/./"}}, 2, "named twice", "//v/./"},
        {{{TARGET, "v"}}, 1, "not an absolute path", "v"},
        {{{TARGET, ""}}, 1, "not an absolute path", ""},
        {{{TARGET, NULL}}, 1, "not an absolute path", ""},
        {{{TARGET, "/"}}, 1, "is the root", "/"},
        {{{TARGET, "/./"}}, 1, "is the root", "/./"},
        {{{TARGET, "/a/../b"}}, 1, "holds `..`", "/a/../b"},
        {{{"/data", "/v"}}, 1, "the NFS target is no HOST:/PATH", "/v"},
        {{{"192.0.2.1", "/v"}}, 1, "the NFS target is no HOST:/PATH", "/v"},
        {{{":/data", "/v"}}, 1, "the NFS target is no HOST:/PATH", "/v"},
        {{{NULL, "/v"}}, 1, "the NFS target is no HOST:/PATH", "/v"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct status st = {0};
        char expected[256];
        int r = volumes_check(rows[i].list, rows[i].count, &st);

        assert_int_equal(r, rows[i].fault != NULL ? -1 : 0);
        if (r == 0)
            continue;
        (void)snprintf(expected, sizeof(expected),
                       "failed to mount NFS at \"%s\": %s", rows[i].path,
                       rows[i].fault);
        scratch_expect_status(&st, RPC_INVALID_ARGUMENT, expected);
    }
}

static void
test_check_limits(void **state)
{
    struct volume_mount list[65] = {{0}};
    static char paths[65][16];
    static char long_path[5000];
    struct status st = {0};

    (void)state;
    for (int i = 0; i < 65; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/v%d", i);
        list[i] = (struct volume_mount){TARGET, paths[i]};
    }
    assert_int_equal(volumes_check(list, 64, &st), 0);
    assert_int_equal(volumes_check(list, 65, &st), -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT, "more than 64 volumes");
    memset(long_path, '/', sizeof(long_path) - 1);
    list[0].path = long_path;
    assert_int_equal(volumes_check(list, 1, &st), -1);
    status_done(&st);
}

static void
test_data(void **state)
{
    static const char *const bad[] = {"storage:/data", "data", "[::1:/data",
                                      "1.2.3:/x", ""};
    char data[NFS_DATA_BYTES];

    (void)state;
    assert_int_equal(nfs_mount_data(TARGET, true, data), 0);
    assert_string_equal(data, DATA);
    assert_int_equal(nfs_mount_data(TARGET, false, data), 0);
    assert_string_equal(data, DATA ",nolock");
    assert_int_equal(nfs_mount_data("[fd00::1]:/data", true, data), 0);
    assert_string_equal(
        data, "hard,rsize=1048576,wsize=1048576,mountproto=tcp6,mountport=2049,"
              "proto=tcp6,port=2049,vers=3,noacl,noac,lookupcache=none,"
              "addr=fd00::1,mountaddr=fd00::1");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(nfs_mount_data(bad[i], true, data), -EINVAL);
}

/* ---- the ledger ---------------------------------------------------------- */

static void
test_ledger_table(void **state)
{
    static const struct {
        const char *mounted; /* NULL: not at all */
        const char *request;
        bool mount;
    } rows[] = {
        {NULL, "", true},     {NULL, "abc", true}, {"", "", false},
        {"abc", "", true},    {"", "abc", true},   {"abc", "abc", false},
        {"abc", "xyz", true}, {"", NULL, false},   {"abc", NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        kernel.mounts = 0;
        agent_is((struct volumes_options){0});
        if (rows[i].mounted != NULL)
            assert_int_equal(
                volumes_ledger_add(volumes, scratch("v"), rows[i].mounted), 0);
        assert_string_equal(mount_one(rows[i].request, "v"), "");
        assert_int_equal(kernel.mounts, rows[i].mount);
        /* It is known from then on. */
        assert_string_equal(mount_one(rows[i].request, "v"), "");
        assert_int_equal(kernel.mounts, rows[i].mount);
    }
}

static void
test_ledger_is_carried_over(void **state)
{
    (void)state;
    assert_string_equal(mount_one("abc", "v"), "");
    assert_string_equal(mount_one("abc", "w"), "");
    expect_ledger("/v=abc;/w=abc;");
    agent_is((struct volumes_options){0});
    expect_ledger("");
    assert_int_equal(volumes_ledger_add(volumes, scratch("v"), "abc"), 0);
    assert_int_equal(volumes_ledger_add(volumes, scratch("w"), NULL), 0);
    assert_int_equal(volumes_ledger_add(volumes, scratch("w"), "abc"), 0);
    expect_ledger("/v=abc;/w=abc;");
    kernel.mounts = 0;
    assert_string_equal(mount_one("abc", "v"), "");
    assert_string_equal(mount_one("abc", "/./w/"), "");
    assert_int_equal(kernel.mounts, 0);
    for (int i = 0; i < 2000; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "/many/%d", i);
        assert_int_equal(volumes_ledger_add(volumes, path, "x"), 0);
    }
}

/* ---- mounting ------------------------------------------------------------ */

static void
test_mount(void **state)
{
    (void)state;
    assert_string_equal(mount_one("abc", "new/deep/v"), "");
    kernel_expect("mount /new/deep/v\n");
    assert_string_equal(kernel.data, DATA ",nolock");
    assert_int_equal(kernel.flags, MS_SYNCHRONOUS);
    expect_ledger("/new/deep/v=abc;");
    (void)umount(scratch("new/deep/v"));
}

static void
test_nothing(void **state)
{
    struct answer a = {0};

    (void)state;
    volumes_mount(volumes, "abc", NULL, 0, on_answer, &a);
    WAIT_UNTIL(a.count == 1);
    assert_string_equal(a.error, "");
    kernel_expect("");
}

static void
test_remount(void **state)
{
    (void)state;
    NEED_MOUNTS;
    assert_string_equal(mount_one("abc", "v"), "");
    assert_string_equal(mount_one("xyz", "v"), "");
    kernel_expect("mount /v\nforce /v\nmount /v\n");
    expect_ledger("/v=xyz;");
    /* Something that nobody has told us of. */
    scratch_dir("w");
    assert_int_equal(mount("none", scratch("w"), "tmpfs", 0, NULL), 0);
    assert_string_equal(mount_one("xyz", "w"), "");
    kernel_expect("force /w\nmount /w\n");
}

static void
test_busy(void **state)
{
    int fd;

    (void)state;
    NEED_MOUNTS;
    assert_string_equal(mount_one("abc", "v"), "");
    fd = open(scratch("v"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_string_equal(mount_one("xyz", "v"), "");
    kernel_expect("mount /v\nforce /v\ndetach /v\nmount /v\n");
    assert_int_equal(close(fd), 0);
}

static void
test_umount_fails(void **state)
{
    char command[4200];

    (void)state;
    NEED_MOUNTS;
    assert_string_equal(mount_one("abc", "v"), "");
    kernel.force_error = -EBUSY;
    kernel.detach_error = -EPERM;
    (void)snprintf(command, sizeof(command), "umount --lazy %s", scratch("v"));
    expect_failure(mount_one("xyz", "v"), "v", command,
                   "operation not permitted");
    kernel_expect("mount /v\nforce /v\ndetach /v\n");
    expect_ledger("");
}

/* The force that does not end is left to itself. */
static void
test_umount_hangs(void **state)
{
    (void)state;
    NEED_MOUNTS;
    agent_is((struct volumes_options){.umount_ms = 50});
    assert_string_equal(mount_one("abc", "v"), "");
    kernel.force_error = -EBUSY;
    kernel_set(&kernel.hold_force, true);
    assert_string_equal(mount_one("xyz", "v"), "");
    kernel_expect("mount /v\nforce /v\ndetach /v\nmount /v\n");
    expect_ledger("/v=xyz;");
    kernel_set(&kernel.hold_force, false);
}

static void
test_mkdir_fails(void **state)
{
    char command[4200];

    (void)state;
    scratch_file("file", "", 0644);
    (void)snprintf(command, sizeof(command),
                   "findmnt --noheadings --output SOURCE %s",
                   scratch("file/v"));
    expect_failure(mount_one("abc", "file/v"), "file/v", command,
                   "not a directory");
    expect_failure(mount_one("abc", "file"), "file", mount_command("file"),
                   "not a directory");
    kernel_expect("");
}

static void
test_mount_fails(void **state)
{
    (void)state;
    kernel.mount_error[0] = -EACCES;
    expect_failure(mount_one("abc", "v"), "v", mount_command("v"),
                   "permission denied");
    expect_ledger("");
    /* The next one tries again. */
    assert_string_equal(mount_one("abc", "v"), "");
    expect_ledger("/v=abc;");
}

/* What will be there in a moment is waited for. */
static void
test_mount_is_repeated(void **state)
{
    (void)state;
    kernel.mount_error[0] = -ECONNREFUSED;
    kernel.mount_error[1] = -ETIMEDOUT;
    assert_string_equal(mount_one("abc", "v"), "");
    kernel_expect("mount /v\nmount /v\nmount /v\n");
}

static void
test_mount_is_not_repeated_for_ever(void **state)
{
    (void)state;
    agent_is((struct volumes_options){.mount_ms = 350});
    for (int i = 0; i < 64; i++)
        kernel.mount_error[i] = -ECONNREFUSED;
    expect_failure(mount_one("abc", "v"), "v", mount_command("v"),
                   "connection refused");
    assert_true(kernel.mounts >= 2);
}

/* A mount that comes too late is taken back. */
static void
test_mount_hangs(void **state)
{
    char command[4200];

    (void)state;
    NEED_MOUNTS;
    (void)snprintf(command, sizeof(command),
                   "findmnt --noheadings --output SOURCE %s", scratch("v"));
    agent_is((struct volumes_options){.mount_ms = 100});
    kernel_set(&kernel.hold_mount, true);
    expect_failure(mount_one("abc", "v"), "v", mount_command("v"),
                   "deadline exceeded");
    assert_int_equal(kernel_held(), 1);
    /* Nothing else happens at that path meanwhile. */
    expect_failure(mount_one("abc", "v"), "v", command,
                   "an earlier attempt still hangs");
}

static void
test_stray_is_waited_for(void **state)
{
    struct answer a;

    (void)state;
    NEED_MOUNTS;
    agent_is((struct volumes_options){.mount_ms = 2000});
    kernel_set(&kernel.hold_mount, true);
    expect_failure(mount_one("abc", "v"), "v", mount_command("v"),
                   "deadline exceeded");
    begin("abc", "v", &a);
    fixture_turn();
    fixture_turn();
    assert_int_equal(a.count, 0);
    kernel_expect("mount /v\n");
    kernel_set(&kernel.hold_mount, false);
    WAIT_UNTIL(a.count == 1);
    assert_string_equal(a.error, "");
    kernel_expect("detach /v\nmount /v\n");
    expect_ledger("/v=abc;");
}

/* ---- several ------------------------------------------------------------- */

static void
test_parallel(void **state)
{
    struct answer a = {0};
    const struct volume_mount list[] = {{TARGET, scratch("v")},
                                        {TARGET, scratch("w")}};

    (void)state;
    kernel_set(&kernel.hold_mount, true);
    volumes_mount(volumes, "abc", list, 2, on_answer, &a);
    WAIT_UNTIL(kernel_held() == 2);
    assert_int_equal(a.count, 0);
    kernel_set(&kernel.hold_mount, false);
    WAIT_UNTIL(a.count == 1);
    assert_string_equal(a.error, "");
}

/* The first failure is the answer, without waiting for the others. */
static void
test_first_failure(void **state)
{
    struct answer a = {0};
    const struct volume_mount list[] = {{TARGET, scratch("v")},
                                        {"storage:/data", scratch("w")}};

    (void)state;
    kernel_set(&kernel.hold_mount, true);
    volumes_mount(volumes, "abc", list, 2, on_answer, &a);
    WAIT_UNTIL(a.count == 1);
    assert_non_null(strstr(a.error, "/w\": `mount -v -t nfs"));
    assert_non_null(strstr(a.error, "failed: invalid argument"));
    expect_ledger("");
    kernel_set(&kernel.hold_mount, false);
    /* The other one did not stay: it is mounted anew. */
    assert_string_equal(mount_one("abc", "v"), "");
    expect_ledger("/v=abc;");
}

static void
test_joined(void **state)
{
    struct answer answers[5];

    (void)state;
    kernel_set(&kernel.hold_mount, true);
    begin("abc", "v", &answers[0]);
    begin("abc", "v", &answers[1]);
    WAIT_UNTIL(kernel_held() == 1);
    begin("abc", "/v", &answers[2]);
    begin("xyz", "v", &answers[3]);
    begin("xyz", "v", &answers[4]);
    kernel_set(&kernel.hold_mount, false);
    for (int i = 0; i < 5; i++) {
        WAIT_UNTIL(answers[i].count == 1);
        assert_string_equal(answers[i].error, "");
    }
    assert_int_equal(kernel.mounts, 2);
    assert_int_equal(kernel.most_held, 1);
    expect_ledger("/v=xyz;");
}

static void
test_joined_failure(void **state)
{
    struct answer a;
    struct answer b;

    (void)state;
    kernel.mount_error[0] = -EACCES;
    begin("abc", "v", &a);
    begin("abc", "v", &b);
    WAIT_UNTIL(a.count == 1 && b.count == 1);
    assert_string_equal(a.error, b.error);
    assert_int_equal(kernel.mounts, 1);
}

/* ---- others on the machine ----------------------------------------------- */

static void
test_links(void **state)
{
    char command[4200];

    (void)state;
    scratch_dir("real");
    scratch_link("real", "mine");
    assert_string_equal(mount_one("abc", "mine/v"), "");
    kernel_expect("mount /real/v\n");
    (void)umount(scratch("real/v"));
    if (geteuid() != 0)
        skip();
    scratch_dir("open");
    scratch_link("../real", "open/v");
    assert_int_equal(lchown(scratch("open/v"), 1000, 1000), 0);
    assert_int_equal(chmod(scratch("open"), 0777), 0);
    (void)snprintf(command, sizeof(command),
                   "findmnt --noheadings --output SOURCE %s",
                   scratch("open/v"));
    expect_failure(mount_one("abc", "open/v"), "open/v", command,
                   "operation not permitted");
    kernel_expect("");
}

/* ---- the helper ---------------------------------------------------------- */

static void
helper_is(const char *what)
{
    char text[8192];

    (void)snprintf(text, sizeof(text), "#!/bin/sh\necho \"$@\" >>%s\n%s\n",
                   scratch("helped"), what);
    scratch_file("mount.nfs", text, 0755);
}

static void
expect_helped(void)
{
    char expected[8192];

    (void)snprintf(expected, sizeof(expected),
                   TARGET " %s -v -o rw," NFS_OPTIONS "\n", scratch("v"));
    scratch_expect_file("helped", expected);
    kernel_expect("");
}

static const struct volumes_options helped = {
    .spawner = &api_helper_spawner,
};

static void
test_helper(void **state)
{
    (void)state;
    agent_is(helped);
    helper_is("exit 0");
    assert_string_equal(mount_one("abc", "v"), "");
    expect_helped();
    expect_ledger("/v=abc;");
    assert_string_equal(mount_one("abc", "v"), "");
    expect_helped();
}

/* With rpc.statd the kernel is all that is needed. */
static void
test_helper_is_not_needed(void **state)
{
    char pid[32];

    (void)state;
    agent_is(helped);
    helper_is("exit 0");
    (void)snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    scratch_file("statd.pid", pid, 0644);
    assert_string_equal(mount_one("abc", "v"), "");
    kernel_expect("mount /v\n");
    assert_false(scratch_has("helped"));
    /* That of one that is gone does not count. */
    scratch_file("statd.pid", "2147483000\n", 0644);
    assert_string_equal(mount_one("abc", "w"), "");
    assert_true(scratch_has("helped"));
}

static void
test_helper_is_not_roots(void **state)
{
    (void)state;
    agent_is(helped);
    helper_is("exit 0");
    assert_int_equal(chmod(scratch("mount.nfs"), 0775), 0);
    assert_string_equal(mount_one("1", "v"), "");
    assert_int_equal(chmod(scratch("mount.nfs"), 0644), 0);
    assert_string_equal(mount_one("2", "v"), "");
    assert_int_equal(chmod(scratch("mount.nfs"), 0755), 0);
    assert_int_equal(chmod(scratch_root, 0777), 0);
    assert_string_equal(mount_one("3", "v"), "");
    assert_int_equal(chmod(scratch_root, 0755), 0);
    assert_int_equal(kernel.mounts, 3);
    assert_false(scratch_has("helped"));
    assert_int_equal(unlink(scratch("mount.nfs")), 0);
    assert_string_equal(mount_one("4", "v"), "");
    assert_int_equal(kernel.mounts, 4);
}

static void
test_helper_fails(void **state)
{
    (void)state;
    agent_is(helped);
    helper_is("echo 'mount.nfs: no such server' >&2; exit 32");
    expect_failure(mount_one("abc", "v"), "v", mount_command("v"),
                   "exit status 32\nmount.nfs: no such server\n");
    expect_ledger("");
}

static void
test_helper_hangs(void **state)
{
    struct volumes_options options = helped;

    (void)state;
    options.mount_ms = 200;
    agent_is(options);
    helper_is("sleep 600 & echo trying; wait");
    expect_failure(mount_one("abc", "v"), "v", mount_command("v"),
                   "signal: killed\ntrying\n");
}

static void
test_helper_resolves(void **state)
{
    char pid[32];
    const struct volume_mount list[] = {{"storage:/data", scratch("v")}};
    struct answer a = {0};

    (void)state;
    agent_is(helped);
    helper_is("exit 0");
    (void)snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    scratch_file("statd.pid", pid, 0644);
    volumes_mount(volumes, "abc", list, 1, on_answer, &a);
    WAIT_UNTIL(a.count == 1);
    assert_string_equal(a.error, "");
    assert_true(scratch_has("helped"));
}

/* ---- the end ------------------------------------------------------------- */

static void
test_freed_early(void **state)
{
    struct answer a;
    struct answer b;

    (void)state;
    agent_is(helped);
    helper_is("sleep 600");
    begin("abc", "v", &a);
    begin("xyz", "v", &b);
    WAIT_UNTIL(scratch_has("helped"));
    assert_int_equal(a.count + b.count, 0);
}

static void
test_freed_in_a_call(void **state)
{
    struct answer a;

    (void)state;
    kernel_set(&kernel.hold_mount, true);
    begin("abc", "v", &a);
    WAIT_UNTIL(kernel_held() == 1);
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, make, remove_all)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_limits),
        cmocka_unit_test(test_data),
        FIXTURE(test_ledger_table),
        FIXTURE(test_ledger_is_carried_over),
        FIXTURE(test_mount),
        FIXTURE(test_nothing),
        FIXTURE(test_remount),
        FIXTURE(test_busy),
        FIXTURE(test_umount_fails),
        FIXTURE(test_umount_hangs),
        FIXTURE(test_mkdir_fails),
        FIXTURE(test_mount_fails),
        FIXTURE(test_mount_is_repeated),
        FIXTURE(test_mount_is_not_repeated_for_ever),
        FIXTURE(test_mount_hangs),
        FIXTURE(test_stray_is_waited_for),
        FIXTURE(test_parallel),
        FIXTURE(test_first_failure),
        FIXTURE(test_joined),
        FIXTURE(test_joined_failure),
        FIXTURE(test_links),
        FIXTURE(test_helper),
        FIXTURE(test_helper_is_not_needed),
        FIXTURE(test_helper_is_not_roots),
        FIXTURE(test_helper_fails),
        FIXTURE(test_helper_hangs),
        FIXTURE(test_helper_resolves),
        FIXTURE(test_freed_early),
        FIXTURE(test_freed_in_a_call),
    };

    spawn_init();
    own_mounts = fixture_own_mounts();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
