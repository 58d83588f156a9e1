/*
 * Cgroups of commands: on plain directories for what the kernel has no part
 * in, and on a cgroup v2 mount of our own where the machine lets us have one.
 */
#include "process_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "process/cgroup.h"
#include "process/table.h"

static char tmp[] = "/tmp/test_cgroup_XXXXXX";
static char fake_root[64]; /* plain directories */
static char real_root[96]; /* a cgroup below a mount of ours; "": none */
static char mount_point[64];

/* A table whose commands are placed below `root`. */
struct world {
    struct fixture f;
    struct process_settings set;
    struct cgroups *g;
    const char *root;
};

static void
world_open(struct world *w)
{
    w->g = cgroups_open(w->f.loop, w->root);
    if (w->g == NULL)
        w->g = cgroups_open_at(w->f.loop,
                               open(w->root, O_PATH | O_DIRECTORY | O_CLOEXEC));
    assert_non_null(w->g);
    w->set.cgroups = w->g;
    w->f.table = process_table_new(w->f.loop, &w->set);
}

static void
world_close(struct world *w)
{
    process_table_free(w->f.table);
    w->f.table = NULL;
    cgroups_close(w->g);
}

static void
world_init(struct world *w, const char *root)
{
    *w = (struct world){.set = fixture_settings, .root = root};
    fixture_init(&w->f, &w->set);
    process_table_free(w->f.table);
    world_open(w);
}

static void
world_done(struct world *w)
{
    world_close(w);
    fixture_done(&w->f);
}

__attribute__((format(printf, 2, 3))) static const char *
below(const char *root, const char *format, ...)
{
    static char paths[4][256];
    static unsigned int turn;
    char *path = paths[turn++ % ARRAY_LEN(paths)];
    int len = snprintf(path, sizeof(paths[0]), "%s/", root);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path + len, sizeof(paths[0]) - (size_t)len, format, args);
    va_end(args);
    return path;
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void
file_make(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

/* Directories p<n> in one of the two. */
static int
leaf_count(const char *root, const char *kind)
{
    DIR *dir = opendir(below(root, "%s", kind));
    const struct dirent *e;
    int count = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL)
        count += e->d_name[0] == 'p' && e->d_type == DT_DIR ? 1 : 0;
    (void)closedir(dir);
    return count;
}

static bool
no_leaves(void *ctx)
{
    const char *root = ctx;

    return leaf_count(root, "user") == 0 && leaf_count(root, "ptys") == 0;
}

/* ---- files --------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *key;
    bool found;
    uint64_t value;
} values[] = {
    {"populated 1\nfrozen 0\n", "frozen", true, 0},
    {"populated 1\nfrozen 1\n", "frozen", true, 1},
    {"populated 1\nfrozen 1", "frozen", true, 1},
    {"frozen 1", "frozen", true, 1},
    {"  frozen \t 1  \n", "frozen", true, 1},
    {"populated 1\n", "frozen", false, 0},
    {"frozen_time_usec 1\n", "frozen", false, 0},
    {"frozen_time_usec 7\nfrozen 1\n", "frozen", true, 1},
    {"unfrozen 1\n", "frozen", false, 0},
    {"frozen1\n", "frozen", false, 0},
    {"frozen\n", "frozen", false, 0},
    {"frozen \n", "frozen", false, 0},
    {"frozen x\nfrozen 1\n", "frozen", true, 1},
    {"frozen -1\n", "frozen", false, 0},
    {"frozen 1 1\n", "frozen", false, 0},
    {"\n\n\nfrozen 1\n\n", "frozen", true, 1},
    {"", "frozen", false, 0},
    {"\n", "frozen", false, 0},
    {"usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\n"
     "nice_usec 0\n",
     "usage_usec", true, 1234567},
    {"usage_usec 18446744073709551615\n", "usage_usec", true, UINT64_MAX},
    {"usage_usec 18446744073709551616\n", "usage_usec", false, 0},
    {"low 0\nhigh 3\nmax 9\noom 2\noom_kill 5\noom_group_kill 1\n", "oom_kill",
     true, 5},
    {"low 0\noom 2\noom_group_kill 1\n", "oom_kill", false, 0},
};

static void
test_find_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        /* Exactly as long as it is, so that reading on is seen. */
        size_t len = strlen(values[i].text);
        SCOPE(scope_free) char *copy = malloc(len > 0 ? len : 1);
        uint64_t value = 0;

        assert_non_null(copy);
        memcpy(copy, values[i].text, len);
        print_message("%zu\n", i);
        assert_int_equal(
            cgroup_find_value((struct str){copy, len}, values[i].key, &value),
            values[i].found);
        if (values[i].found)
            assert_true(value == values[i].value);
    }
}

static void
test_read_value(void **state)
{
    SCOPE(fd_close)
    int fd = open(fake_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *events = below(fake_root, "cgroup.events");
    uint64_t value = 7;

    (void)state;
    assert_int_equal(cgroup_read_value(fd, "cgroup.events", "frozen", &value),
                     -ENOENT);
    assert_false(cgroup_is_frozen(fd));
    file_make(events, "");
    assert_int_equal(cgroup_read_value(fd, "cgroup.events", "frozen", &value),
                     0);
    assert_int_equal(value, 0);
    assert_false(cgroup_is_frozen(fd));
    file_make(events, "populated 0\nfrozen 1\n");
    assert_true(cgroup_is_frozen(fd));
    assert_int_equal(cgroup_write(fd, "cgroup.events", "frozen 0"), 0);
    assert_int_equal(cgroup_write(fd, "cgroup.kill", "1"), -ENOENT);
    assert_false(exists(below(fake_root, "cgroup.kill")));
    assert_int_equal(unlink(events), 0);
}

/* ---- directories --------------------------------------------------------- */

static void
test_refused_roots(void **state)
{
    struct loop *loop = loop_new();

    (void)state;
    assert_non_null(loop);
    assert_null(cgroups_open(loop, fake_root));
    assert_false(exists(below(fake_root, "user")));
    assert_null(cgroups_open(loop, below(fake_root, "none")));
    assert_null(cgroups_open(loop, "/proc/self/comm"));
    assert_null(cgroups_open(loop, ""));
    /* Nothing can be made there. */
    assert_null(cgroups_open_at(loop, open("/proc", O_PATH | O_CLOEXEC)));
    loop_free(loop);
}

/* Without a manager all of it does nothing. */
static void
test_no_manager(void **state)
{
    struct cgroup_leaf leaf;

    (void)state;
    cgroup_leaf_make(NULL, CGROUP_USER, &leaf);
    assert_int_equal(leaf.fd, -1);
    assert_int_equal(cgroup_leaf_cpu_us(&leaf), 0);
    assert_false(cgroup_leaf_saw_oom(NULL, &leaf));
    cgroup_leaf_refused(NULL, &leaf);
    cgroup_leaf_leave(NULL, &leaf);
    cgroups_close(NULL);
}

static void
fake_clean(void)
{
    (void)unlink(below(fake_root, "cgroup.subtree_control"));
    assert_int_equal(rmdir(below(fake_root, "user")), 0);
    assert_int_equal(rmdir(below(fake_root, "ptys")), 0);
    assert_int_equal(rmdir(below(fake_root, "socats")), 0);
}

static void
test_leaves(void **state)
{
    struct cgroup_leaf a;
    struct cgroup_leaf b;
    struct world w;
    struct stat st;

    (void)state;
    file_make(below(fake_root, "cgroup.subtree_control"), "");
    world_init(&w, fake_root);
    assert_int_equal(stat(below(fake_root, "user"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_true(exists(below(fake_root, "ptys")));
    assert_int_equal(stat(below(fake_root, "cgroup.subtree_control"), &st), 0);
    assert_true(st.st_size > 0);
    cgroup_leaf_make(w.g, CGROUP_USER, &a);
    assert_true(a.fd >= 0);
    assert_true((fcntl(a.fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true(exists(below(fake_root, "user/p1")));
    /* The next names are taken. */
    assert_int_equal(mkdir(below(fake_root, "ptys/p2"), 0755), 0);
    assert_int_equal(mkdir(below(fake_root, "ptys/p3"), 0755), 0);
    cgroup_leaf_make(w.g, CGROUP_PTYS, &b);
    assert_true(exists(below(fake_root, "ptys/p4")));
    cgroup_leaf_leave(w.g, &a);
    assert_int_equal(a.fd, -1);
    assert_false(exists(below(fake_root, "user/p1")));
    cgroup_leaf_leave(w.g, &a); /* once is enough */
    cgroup_leaf_leave(w.g, &b);
    assert_int_equal(leaf_count(fake_root, "ptys"), 2);
    world_done(&w);
    assert_int_equal(rmdir(below(fake_root, "ptys/p2")), 0);
    assert_int_equal(rmdir(below(fake_root, "ptys/p3")), 0);
    fake_clean();
}

/* What an earlier agent left is removed, what others made is not. */
static void
test_leftovers(void **state)
{
    static const char *const others[] = {"p", "p0", "p01", "px", "q1", "p1x"};
    struct cgroup_leaf leaf;
    struct world w;

    (void)state;
    assert_int_equal(mkdir(below(fake_root, "user"), 0755), 0);
    assert_int_equal(mkdir(below(fake_root, "user/p1"), 0755), 0);
    assert_int_equal(mkdir(below(fake_root, "user/p41"), 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(mkdir(below(fake_root, "user/%s", others[i]), 0755),
                         0);
    world_init(&w, fake_root);
    assert_false(exists(below(fake_root, "user/p1")));
    assert_false(exists(below(fake_root, "user/p41")));
    cgroup_leaf_make(w.g, CGROUP_USER, &leaf);
    assert_true(exists(below(fake_root, "user/p42")));
    cgroup_leaf_leave(w.g, &leaf);
    world_done(&w);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(rmdir(below(fake_root, "user/%s", others[i])), 0);
    fake_clean();
}

/* Directories that someone removed or replaced. */
static void
test_removed_directory(void **state)
{
    struct cgroup_leaf leaf;
    struct world w;
    struct stat before;
    struct stat after;

    (void)state;
    world_init(&w, fake_root);
    assert_int_equal(rmdir(below(fake_root, "user")), 0);
    cgroup_leaf_make(w.g, CGROUP_USER, &leaf);
    assert_true(leaf.fd >= 0);
    assert_int_equal(leaf_count(fake_root, "user"), 1);
    cgroup_leaf_leave(w.g, &leaf);
    /* In its place something that cannot be used: no leaf, no harm. */
    assert_int_equal(rmdir(below(fake_root, "user")), 0);
    file_make(below(fake_root, "user"), "");
    cgroup_leaf_make(w.g, CGROUP_USER, &leaf);
    assert_int_equal(leaf.fd, -1);
    cgroup_leaf_leave(w.g, &leaf);
    assert_int_equal(unlink(below(fake_root, "user")), 0);
    cgroup_leaf_make(w.g, CGROUP_USER, &leaf);
    assert_true(leaf.fd >= 0);
    assert_int_equal(leaf_count(fake_root, "user"), 1);
    /* Once a child was refused it is made anew, before the next leaf. */
    assert_int_equal(stat(below(fake_root, "user"), &before), 0);
    cgroup_leaf_refused(w.g, &leaf);
    assert_int_equal(leaf_count(fake_root, "user"), 0);
    cgroup_leaf_make(w.g, CGROUP_USER, &leaf);
    assert_true(leaf.fd >= 0);
    assert_int_equal(stat(below(fake_root, "user"), &after), 0);
    assert_true(before.st_ctim.tv_sec != after.st_ctim.tv_sec ||
                before.st_ctim.tv_nsec != after.st_ctim.tv_nsec);
    cgroup_leaf_leave(w.g, &leaf);
    world_done(&w);
    fake_clean();
}

static void
test_oom_count(void **state)
{
    const char *events;
    struct cgroup_leaf user;
    struct cgroup_leaf pty;
    struct world w;

    (void)state;
    world_init(&w, fake_root);
    events = below(fake_root, "user/memory.events");
    cgroup_leaf_make(w.g, CGROUP_USER, &user);
    assert_false(cgroup_leaf_saw_oom(w.g, &user)); /* no such file */
    file_make(events, "oom 4\noom_kill 0\noom_group_kill 3\n");
    assert_false(cgroup_leaf_saw_oom(w.g, &user));
    cgroup_leaf_leave(w.g, &user);
    file_make(events, "oom 4\noom_kill 4\n");
    cgroup_leaf_make(w.g, CGROUP_USER, &user);
    cgroup_leaf_make(w.g, CGROUP_PTYS, &pty);
    assert_false(cgroup_leaf_saw_oom(w.g, &user));
    file_make(events, "oom 5\noom_kill 5\n");
    assert_true(cgroup_leaf_saw_oom(w.g, &user));
    assert_false(cgroup_leaf_saw_oom(w.g, &pty));
    file_make(below(fake_root, "user/p2/cpu.stat"), "usage_usec 77\n");
    assert_int_equal(cgroup_leaf_cpu_us(&user), 77);
    assert_int_equal(unlink(below(fake_root, "user/p2/cpu.stat")), 0);
    cgroup_leaf_leave(w.g, &user);
    cgroup_leaf_leave(w.g, &pty);
    world_done(&w);
    assert_int_equal(unlink(events), 0);
    fake_clean();
}

/* The kernel does not place a child in a plain directory: it runs. */
static void
test_unplaced(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, fake_root);
    for (int i = 0; i < 2; i++) {
        struct client c = {0};

        run_script(&w.f, "echo hi; exit 3", &c);
        assert_string_equal(client_text(&c, PROCESS_STDOUT), "hi\n");
        assert_int_equal(c.exit.exit_code, 3);
        assert_true(c.exit.peak_bytes > 0);
        assert_false(c.exit.oom_killed);
        client_done(&c);
        assert_true(no_leaves(fake_root));
    }
    world_done(&w);
    fake_clean();
}

/* ---- the kernel's -------------------------------------------------------- */

#define NEEDS_CGROUPS()         \
    do {                        \
        (void)state;            \
        if (*real_root == '\0') \
            skip();             \
    } while (0)

static void
real_write(const char *file, const char *text)
{
    assert_int_equal(fd_write_file(below(real_root, "%s", file), text), 0);
}

/* Wait until `line` is in one of its cgroup.events. */
static void
real_wait(const char *dir, const char *line)
{
    SCOPE(fd_close)
    int fd =
        open(below(real_root, "%s/cgroup.events", dir), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        char text[256];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        assert_true(n > 0);
        text[n] = '\0';
        if (strstr(text, line) != NULL)
            return;
        n = poll(&p, 1, PATIENCE_MS);
        assert_true(n > 0 || (n < 0 && errno == EINTR));
    }
}

static pid_t
first_pid(struct world *w, struct client *c)
{
    const char *text = client_text(c, PROCESS_STDOUT);

    while (strchr(text, '\n') == NULL) {
        assert_false(c->failures > 0);
        run_for(&w->f, 2);
        text = client_text(c, PROCESS_STDOUT);
    }
    return (pid_t)strtol(text, NULL, 10);
}

static bool
is_alive(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static void
test_placed(void **state)
{
    static const struct {
        const char *tag;
        bool pty;
        const char *where; /* NULL: not in a leaf */
    } cases[] = {
        {NULL, false, "/user/p1\n"},      {NULL, true, "/ptys/p2\r\n"},
        {"tag", false, "/user/p3\n"},     {"_system", false, NULL},
        {"_system", true, NULL},          {"", false, "/user/p4\n"},
        {"system", true, "/ptys/p5\r\n"},
    };
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client c = {0};
        const char *args[2];
        struct spawn_spec spec = shell("grep ^0:: /proc/self/cgroup", args);
        const char *out;

        spec.pty = cases[i].pty;
        client_attach(&c, start_spec(&w.f, &spec, cases[i].tag, 0),
                      PROCESS_REPLAY_NOW, 0);
        run_until(&w.f, client_at_end, &c);
        out = client_text(&c, spec.pty ? PROCESS_PTY : PROCESS_STDOUT);
        assert_non_null(strstr(out, "0::/"));
        if (cases[i].where != NULL)
            assert_non_null(strstr(out, cases[i].where));
        else
            assert_null(strstr(out, strrchr(real_root, '/')));
        client_done(&c);
        run_until(&w.f, no_leaves, real_root);
    }
    world_done(&w);
}

/* Someone removed the directories: the next command has them again. */
static void
test_removed(void **state)
{
    struct client c = {0};
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    assert_int_equal(rmdir(below(real_root, "user")), 0);
    run_script(&w.f, "cat /proc/self/cgroup", &c);
    assert_non_null(strstr(client_text(&c, PROCESS_STDOUT), "/user/p"));
    client_done(&c);
    world_done(&w);
}

/* Its leaves may hold no processes: the command runs beside the agent. */
static void
test_threaded(void **state)
{
    struct client c = {0};
    struct client d = {0};
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    if (fd_write_file(below(real_root, "user/cgroup.type"), "threaded") < 0) {
        world_done(&w);
        skip();
    }
    run_script(&w.f, "cat /proc/self/cgroup", &c);
    assert_null(strstr(client_text(&c, PROCESS_STDOUT), "/user/p"));
    assert_int_equal(c.exit.exit_code, 0);
    run_script(&w.f, "cat /proc/self/cgroup", &d);
    assert_non_null(strstr(client_text(&d, PROCESS_STDOUT), "/user/p"));
    client_done(&c);
    client_done(&d);
    run_until(&w.f, no_leaves, real_root);
    world_done(&w);
}

static void
test_start_while_frozen(void **state)
{
    struct client c = {0};
    struct client d = {0};
    struct client s = {0};
    const char *args[2];
    struct spawn_spec spec = shell("cat; cat /proc/self/cgroup", args);
    struct process *p;
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    real_write("user/cgroup.freeze", "1");
    real_wait("user", "frozen 1");
    p = start(&w.f, "echo through; cat /proc/self/cgroup");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    /* The loop turns, and what is not frozen runs. */
    spec.pty = true;
    spec.args = args;
    args[1] = "echo pty";
    client_attach(&d, start_spec(&w.f, &spec, NULL, 0), PROCESS_REPLAY_NOW, 0);
    run_until(&w.f, client_at_end, &d);
    spec.pty = false;
    args[1] = "echo system";
    client_attach(&s, start_spec(&w.f, &spec, "_system", 0), PROCESS_REPLAY_NOW,
                  0);
    run_until(&w.f, client_at_end, &s);
    assert_string_equal(client_text(&s, PROCESS_STDOUT), "system\n");
    real_wait("user", "populated 1");
    assert_int_equal(c.starts, 0);
    assert_int_equal(p->state, PROCESS_STARTING);
    real_write("user/cgroup.freeze", "0");
    run_until(&w.f, client_at_end, &c);
    assert_non_null(strstr(client_text(&c, PROCESS_STDOUT), "through\n"));
    assert_non_null(strstr(client_text(&c, PROCESS_STDOUT), "/user/p1\n"));
    client_done(&c);
    client_done(&d);
    client_done(&s);
    run_until(&w.f, no_leaves, real_root);
    world_done(&w);
}

/* What tries to get away: orphans with sessions of their own that hold none
 * of the output, several deep; and one that is not in the leaf any more. */
static const char *const runaways[] = {
    "(setsid sh -c 'echo $$; exec sleep 1000 </dev/null >/dev/null 2>&1' &); "
    "sleep 1000",
    "(setsid sh -c '(setsid sh -c \"sleep 1000 & sleep 1000 & echo \\$\\$; "
    "exec sleep 1000 </dev/null >/dev/null 2>&1\" &) &' &); sleep 1000",
    "echo $$; for i in 1 2 3 4 5 6 7 8; do (setsid sleep 1000 <&- >&- 2>&- &); "
    "done; wait; sleep 1000",
    "setsid sh -c 'echo $$ >'$ROOT'/cgroup.procs; echo $$; "
    "exec sleep 1000 </dev/null >/dev/null 2>&1' & sleep 1000",
};

enum killer { KILL_BY_SIGNAL, KILL_BY_DEADLINE, KILL_FROZEN, KILLERS };

static bool
is_gone(void *ctx)
{
    return !is_alive(*(pid_t *)ctx);
}

static void
kill_runaway(struct world *w, size_t i, enum killer killer)
{
    char root[128];
    const char *env[] = {fixture_env[0], root, NULL};
    const char *args[2];
    struct spawn_spec spec = shell(runaways[i], args);
    struct client c = {0};
    struct status st = {0};
    struct process *p;
    pid_t pid;

    (void)snprintf(root, sizeof(root), "ROOT=%s", real_root);
    spec.env = env;
    p = start_spec(&w->f, &spec, NULL, killer == KILL_BY_DEADLINE ? 1500 : 0);
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    pid = first_pid(w, &c);
    if (killer == KILL_FROZEN) {
        real_write("user/cgroup.freeze", "1");
        real_wait("user", "frozen 1");
    }
    if (killer != KILL_BY_DEADLINE)
        assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st),
                         0);
    run_until(&w->f, client_at_end, &c);
    assert_string_equal(c.exit.status, "signal: killed");
    assert_int_equal(c.exit.deadline, killer == KILL_BY_DEADLINE);
    assert_false(c.exit.oom_killed);
    /* An empty leaf is removed: there are no survivors. */
    run_until(&w->f, no_leaves, real_root);
    run_until(&w->f, is_gone, &pid);
    if (killer == KILL_FROZEN)
        real_write("user/cgroup.freeze", "0");
    client_done(&c);
}

static void
test_kill(void **state)
{
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    for (size_t i = 0; i < ARRAY_LEN(runaways); i++)
        for (enum killer killer = 0; killer < KILLERS; killer++) {
            print_message("%zu, %d\n", i, (int)killer);
            kill_runaway(&w, i, killer);
        }
    world_done(&w);
}

/* Killed before it was ever let run. */
static void
test_kill_frozen_start(void **state)
{
    struct client c = {0};
    struct status st = {0};
    struct process *p;
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    real_write("user/cgroup.freeze", "1");
    real_wait("user", "frozen 1");
    p = start(&w.f, "echo never");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    real_wait("user", "populated 1");
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&w.f, client_at_end, &c);
    assert_int_equal(c.bytes, 0);
    client_done(&c);
    run_until(&w.f, no_leaves, real_root);
    real_write("user/cgroup.freeze", "0");
    world_done(&w);
}

/* Its leaf stays while something lives on in it, and goes with the last. */
static void
test_background(void **state)
{
    struct client c[3] = {{.bytes = 0}};
    pid_t pid[3];
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        run_script(&w.f, "sleep 1000 >/dev/null 2>&1 & echo $!", &c[i]);
        pid[i] = first_pid(&w, &c[i]);
        assert_int_equal(c[i].exit.exit_code, 0);
        client_done(&c[i]);
    }
    assert_int_equal(leaf_count(real_root, "user"), 3);
    assert_int_equal(kill(pid[1], SIGKILL), 0);
    while (exists(below(real_root, "user/p2")))
        run_for(&w.f, 2);
    assert_true(exists(below(real_root, "user/p1")));
    assert_true(exists(below(real_root, "user/p3")));
    /* A leaf that changes without becoming empty. */
    real_write("user/cgroup.freeze", "1");
    real_wait("user/p1", "frozen 1");
    real_write("user/cgroup.freeze", "0");
    real_wait("user/p1", "frozen 0");
    run_for(&w.f, 20);
    assert_int_equal(leaf_count(real_root, "user"), 2);
    assert_int_equal(kill(pid[0], SIGKILL), 0);
    assert_int_equal(kill(pid[2], SIGKILL), 0);
    run_until(&w.f, no_leaves, real_root);
    world_done(&w);
}

/* A leaf in which others have made cgroups is theirs. */
static void
test_divided(void **state)
{
    struct client c = {0};
    struct world w;
    pid_t pid;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    run_script(&w.f, "sleep 1000 >/dev/null 2>&1 & echo $!", &c);
    pid = first_pid(&w, &c);
    client_done(&c);
    assert_int_equal(mkdir(below(real_root, "user/p1/theirs"), 0755), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    real_wait("user/p1", "populated 0");
    run_for(&w.f, 50);
    assert_true(exists(below(real_root, "user/p1/theirs")));
    world_done(&w);
    assert_int_equal(rmdir(below(real_root, "user/p1/theirs")), 0);
    assert_int_equal(rmdir(below(real_root, "user/p1")), 0);
}

/* The exit of the command ends its deadline. */
static void
test_deadline_after_exit(void **state)
{
    const char *args[2];
    struct spawn_spec spec = shell("sleep 1000 & echo $!", args);
    struct client c = {0};
    struct world w;
    pid_t pid;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    world_close(&w);
    w.set.linger_ms = 2000; /* the deadline falls into it */
    world_open(&w);
    client_attach(&c, start_spec(&w.f, &spec, NULL, 1500), PROCESS_REPLAY_NOW,
                  0);
    run_until(&w.f, client_at_end, &c);
    assert_false(c.exit.deadline);
    assert_string_equal(c.exit.status, "exit status 0");
    pid = first_pid(&w, &c);
    assert_true(is_alive(pid));
    assert_int_equal(leaf_count(real_root, "user"), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    run_until(&w.f, no_leaves, real_root);
    client_done(&c);
    world_done(&w);
}

/* CPU time of what nobody waited for. */
static void
test_cpu_time(void **state)
{
    struct client c = {0};
    const struct rusage *usage = &c.exit.usage;
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    run_script(&w.f,
               "(setsid sh -c 'i=0; while [ $i -lt 200000 ]; "
               "do i=$((i + 1)); done' &) | cat",
               &c);
    assert_int_equal(c.exit.exit_code, 0);
    assert_true(c.exit.cpu_us >
                (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) +
                    10000);
    assert_true(c.exit.peak_bytes > 0);
    client_done(&c);
    world_done(&w);
}

/* Killed by the kernel for want of memory, and by somebody else. */
static void
test_oom(void **state)
{
    struct client c = {0};
    struct client d = {0};
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    run_script(&w.f, "kill -9 $$", &c);
    assert_string_equal(c.exit.status, "signal: killed");
    assert_false(c.exit.oom_killed);
    client_done(&c);
    if (fd_write_file(below(real_root, "user/memory.max"), "32M") < 0) {
        world_done(&w);
        skip();
    }
    (void)fd_write_file(below(real_root, "user/memory.swap.max"), "0");
    run_script(&w.f, "exec tail /dev/zero", &d);
    assert_string_equal(d.exit.status, "signal: killed");
    assert_true(d.exit.oom_killed);
    client_done(&d);
    world_done(&w);
}

/* The agent ends, its commands do not; the next one tidies up after them. */
static void
test_next_agent(void **state)
{
    struct client c = {0};
    struct client d = {0};
    struct client e = {0};
    struct world w;
    pid_t ended;
    pid_t running;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    run_script(&w.f, "sleep 1000 >/dev/null 2>&1 & echo $!", &c);
    ended = first_pid(&w, &c);
    client_done(&c);
    client_attach(&d, start(&w.f, "trap '' PIPE; echo $$; exec sleep 1000"),
                  PROCESS_REPLAY_NOW, 0);
    running = first_pid(&w, &d);
    client_done(&d);
    world_close(&w);
    assert_true(is_alive(ended) && is_alive(running));
    assert_int_equal(leaf_count(real_root, "user"), 2);
    world_open(&w);
    assert_int_equal(leaf_count(real_root, "user"), 2);
    assert_int_equal(kill(ended, SIGKILL), 0);
    assert_int_equal(kill(running, SIGKILL), 0);
    run_until(&w.f, no_leaves, real_root);
    /* Numbers go on behind theirs. */
    run_script(&w.f, "cat /proc/self/cgroup", &e);
    assert_non_null(strstr(client_text(&e, PROCESS_STDOUT), "/user/p3\n"));
    client_done(&e);
    world_done(&w);
}

/* Many commands at once: each has its leaf, none is left. */
static void
test_many(void **state)
{
    enum { COUNT = 100 };

    static struct client c[COUNT];
    struct world w;

    NEEDS_CGROUPS();
    world_init(&w, real_root);
    for (size_t i = 0; i < COUNT; i++) {
        c[i] = (struct client){.bytes = 0};
        client_attach(&c[i], start(&w.f, "read x; exit 5"), PROCESS_REPLAY_NOW,
                      0);
    }
    assert_int_equal(leaf_count(real_root, "user"), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        struct process_input eof = {.kind = PROCESS_INPUT_EOF};
        struct status st = {0};

        assert_int_equal(process_input(c[i].reader.process, &eof, &st), 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        run_until(&w.f, client_at_end, &c[i]);
        assert_int_equal(c[i].exit.exit_code, 5);
        client_done(&c[i]);
    }
    run_until(&w.f, no_leaves, real_root);
    world_done(&w);
}

/* -------------------------------------------------------------------------- */

/* A cgroup of our own below a mount that nobody else sees. */
static void
real_make(void)
{
    (void)snprintf(mount_point, sizeof(mount_point), "%s/mount", tmp);
    if (mkdir(mount_point, 0755) < 0 ||
        unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", mount_point, "cgroup2", 0, NULL) < 0)
        return;
    (void)snprintf(real_root, sizeof(real_root), "%s/test_cgroup_%d",
                   mount_point, (int)getpid());
    if (mkdir(real_root, 0755) < 0 ||
        access(below(real_root, "cgroup.kill"), W_OK) < 0 ||
        access(below(real_root, "cgroup.freeze"), W_OK) < 0) {
        (void)rmdir(real_root);
        *real_root = '\0';
    }
}

static int
setup(void **state)
{
    (void)state;
    if (mkdtemp(tmp) == NULL)
        return -1;
    (void)snprintf(fake_root, sizeof(fake_root), "%s/fake", tmp);
    real_make();
    if (*real_root == '\0')
        print_message("no cgroup v2 of our own: %s\n", strerror(errno));
    return mkdir(fake_root, 0755);
}

/* Remove the cgroups below one, and it. */
static void
remove_tree(const char *path, int levels)
{
    DIR *dir = opendir(path);
    const struct dirent *e;

    while (dir != NULL && levels > 0 && (e = readdir(dir)) != NULL) {
        char child[512];

        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        (void)snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
        remove_tree(child, levels - 1);
    }
    if (dir != NULL)
        (void)closedir(dir);
    (void)rmdir(path);
}

/* Leave nothing to the next test, even after a failure. */
static int
real_clean(void **state)
{
    (void)state;
    if (*real_root == '\0')
        return 0;
    real_write("cgroup.kill", "1");
    real_wait("", "populated 0");
    remove_tree(below(real_root, "user"), 2);
    remove_tree(below(real_root, "ptys"), 2);
    remove_tree(below(real_root, "socats"), 1);
    return 0;
}

static int
teardown(void **state)
{
    int r = 0;

    (void)state;
    if (*real_root != '\0' && rmdir(real_root) < 0)
        r = -1;
    (void)umount2(mount_point, MNT_DETACH);
    if (rmdir(mount_point) < 0 || rmdir(fake_root) < 0 || rmdir(tmp) < 0)
        r = -1;
    return r;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_value),
        cmocka_unit_test(test_read_value),
        cmocka_unit_test(test_refused_roots),
        cmocka_unit_test(test_no_manager),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_removed_directory),
        cmocka_unit_test(test_oom_count),
        cmocka_unit_test(test_unplaced),
        cmocka_unit_test_teardown(test_placed, real_clean),
        cmocka_unit_test_teardown(test_removed, real_clean),
        cmocka_unit_test_teardown(test_threaded, real_clean),
        cmocka_unit_test_teardown(test_start_while_frozen, real_clean),
        cmocka_unit_test_teardown(test_kill, real_clean),
        cmocka_unit_test_teardown(test_kill_frozen_start, real_clean),
        cmocka_unit_test_teardown(test_background, real_clean),
        cmocka_unit_test_teardown(test_divided, real_clean),
        cmocka_unit_test_teardown(test_deadline_after_exit, real_clean),
        cmocka_unit_test_teardown(test_cpu_time, real_clean),
        cmocka_unit_test_teardown(test_oom, real_clean),
        cmocka_unit_test_teardown(test_next_agent, real_clean),
        cmocka_unit_test_teardown(test_many, real_clean),
    };

    /* As the agent is. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, setup, teardown);
}
