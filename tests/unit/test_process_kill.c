/*
 * Kill means kill: what a command has made goes with it, and nothing else.
 */
#include "process_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "process/table.h"

/* Long enough for a script to get where it waits. */
#define DEADLINE_MS 1500

/* The numbers that a script printed, one a line. */
static size_t
pids_of(struct client *c, enum process_source source, pid_t *ret, size_t max)
{
    char *at = client_text(c, source);
    size_t count = 0;

    while (*at != '\0' && count < max) {
        ret[count++] = (pid_t)strtol(at, &at, 10);
        while (*at == '\n' || *at == '\r' || *at == ' ')
            at++;
    }
    return count;
}

static bool
is_alive(pid_t pid)
{
    SCOPE(scope_free) char *stat = NULL;
    char path[64];
    const char *after;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (fd_read_file(path, 4096, &stat, NULL) < 0)
        return false;
    after = strrchr(stat, ')');
    return after != NULL && after[2] != 'Z' && after[2] != 'X';
}

static bool
is_dead(void *ctx)
{
    return !is_alive(*(pid_t *)ctx);
}

/* Not even a zombie is left. */
static bool
is_gone(void *ctx)
{
    return kill(*(pid_t *)ctx, 0) < 0 && errno == ESRCH;
}

/*
 * Scripts that leave processes behind in various ways and print `count` pids,
 * and then wait.
 */
static const struct {
    const char *name;
    const char *script;
    size_t count;
} trees[] = {
    {"children", "sleep 1000 & echo $!; sleep 1000 & echo $!; wait", 2},
    {"deep",
     "sh -c 'sh -c \"sleep 1000 & echo \\$!; wait\" & echo $!; wait' & "
     "echo $!; wait",
     3},
    {"own session", "setsid sleep 1000 & echo $!; wait", 1},
    {"own session of children",
     "setsid sh -c 'sleep 1000 & echo $!; echo $$; wait' & wait", 2},
    {"daemon that holds the output",
     "(setsid sh -c 'echo $$; exec sleep 1000' &) ; sleep 1000", 1},
    {"daemon in the group",
     "(sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &) ; sleep 1000", 1},
    {"ignores signals",
     "trap '' TERM INT HUP; (trap '' TERM; sleep 1000) & echo $!; wait", 1},
    {"stopped", "sleep 1000 & echo $!; kill -STOP $!; wait", 1},
};

static void
kill_and_check(struct fixture *f, size_t i, bool pty, bool by_deadline)
{
    const char *args[2];
    struct spawn_spec spec = shell(trees[i].script, args);
    enum process_source source = pty ? PROCESS_PTY : PROCESS_STDOUT;
    struct client c = {0};
    struct status st = {0};
    struct process *p;
    pid_t pids[8];

    spec.pty = pty;
    p = start_spec(f, &spec, NULL, by_deadline ? DEADLINE_MS : 0);
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    while (!by_deadline &&
           pids_of(&c, source, pids, ARRAY_LEN(pids)) < trees[i].count)
        run_for(f, 2);
    if (!by_deadline)
        assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st),
                         0);
    run_until(f, client_at_end, &c);
    assert_int_equal(pids_of(&c, source, pids, ARRAY_LEN(pids)),
                     trees[i].count);
    assert_string_equal(c.exit.status, "signal: killed");
    assert_int_equal(c.exit.deadline, by_deadline);
    for (size_t n = 0; n < trees[i].count; n++) {
        run_until(f, is_dead, &pids[n]);
        run_until(f, is_gone, &pids[n]);
    }
    client_done(&c);
}

static void
test_trees(void **state)
{
    struct fixture f;
    struct client other = {0};
    struct client c = {0};
    struct status st = {0};
    struct process *bystander;
    pid_t pids[2];

    (void)state;
    fixture_init(&f, &fixture_settings);
    /* Another command, with a daemon of its own, is left alone. */
    bystander = start(
        &f, "(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000");
    client_attach(&other, bystander, PROCESS_REPLAY_NOW, 0);
    while (pids_of(&other, PROCESS_STDOUT, pids, 1) < 1)
        run_for(&f, 2);
    for (size_t i = 0; i < ARRAY_LEN(trees); i++)
        for (int pty = 0; pty < 2; pty++)
            kill_and_check(&f, i, pty == 1, false);
    kill_and_check(&f, 1, false, true);
    kill_and_check(&f, 3, true, true);
    kill_and_check(&f, 4, false, true);
    assert_true(is_alive((pid_t)process_pid(bystander)));
    assert_true(is_alive(pids[0]));
    assert_int_equal(
        process_signal(bystander, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &other);
    run_until(&f, is_gone, &pids[0]);
    client_done(&other);
    client_done(&c);
    fixture_done(&f);
}

/* Other signals go to the group: the shell's children get them, too. */
static void
test_group(void **state)
{
    struct fixture f;
    struct client c = {0};
    struct status st = {0};
    struct process *p;
    pid_t pids[2];

    (void)state;
    fixture_init(&f, &fixture_settings);
    p = start(&f, "sleep 1000 & echo $!; "
                  "setsid sh -c 'echo $$; exec sleep 1000' & wait");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    while (pids_of(&c, PROCESS_STDOUT, pids, 2) < 2)
        run_for(&f, 2);
    assert_int_equal(process_signal(p, SIGTERM, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    assert_string_equal(c.exit.status, "signal: terminated");
    run_until(&f, is_gone, &pids[0]);
    assert_true(is_alive(pids[1]));
    assert_int_equal(kill(pids[1], SIGKILL), 0);
    run_until(&f, is_gone, &pids[1]);
    client_done(&c);
    fixture_done(&f);
}

/* A command cannot reach the agent through its process group. */
static void
test_kill_zero(void **state)
{
    struct fixture f;
    struct client c = {0};

    (void)state;
    fixture_init(&f, &fixture_settings);
    run_script(&f, "kill 0; sleep 1000", &c);
    assert_string_equal(c.exit.status, "signal: terminated");
    client_done(&c);
    fixture_done(&f);
}

/* Signals before the command runs, as early as can be. */
static void
test_kill_at_once(void **state)
{
    static const int signals[] = {SIGKILL, SIGTERM};
    struct fixture f;

    (void)state;
    fixture_init(&f, &fixture_settings);
    for (size_t i = 0; i < 50; i++) {
        struct client c = {0};
        struct status st = {0};
        struct process *p = start(&f, "sleep 1000");
        bool kill_again = i % 2 == 1;

        client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
        assert_int_equal(
            process_signal(p, signals[i % 2], PROCESS_SCOPE_TREE, &st), 0);
        if (kill_again) {
            run_for(&f, 5);
            if (process_by_pid(f.table, process_pid(p)) == p)
                assert_int_equal(
                    process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
        }
        run_until(&f, client_at_end, &c);
        assert_int_equal(c.exit.exit_code, -1);
        client_done(&c);
    }
    fixture_done(&f);
}

/*
 * A tree that grows while it is being killed.  It ends by itself, too, lest a
 * failing test takes the machine down.
 */
static void
test_growing_tree(void **state)
{
    struct fixture f;
    struct client c = {.forget = true};
    struct status st = {0};
    struct process *p;
    pid_t session;
    char command[128];

    (void)state;
    fixture_init(&f, &fixture_settings);
    p = start(&f, "i=0; while [ $i -lt 2000 ]; do "
                  "setsid sh -c 'sleep 5 & sleep 5' & "
                  "i=$((i+1)); echo; sleep 0.001; done");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    while (c.bytes < 30)
        run_for(&f, 1);
    session = (pid_t)process_pid(p);
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    run_until(&f, is_gone, &session);
    /* Nothing adopted is left alive. */
    (void)snprintf(command, sizeof(command), "/proc/self/task/%d/children",
                   (int)getpid());
    for (int turn = 0;; turn++) {
        SCOPE(scope_free) char *children = NULL;

        assert_int_equal(fd_read_file(command, 1 << 20, &children, NULL), 0);
        if (children[0] == '\0')
            break;
        assert_true(turn < 400);
        run_for(&f, 5);
    }
    client_done(&c);
    fixture_done(&f);
}

/* Orphans are reaped also while zombies of ours are kept. */
static void
test_orphans_behind_zombies(void **state)
{
    struct process_settings set = fixture_settings;
    struct fixture f;
    struct client c = {0};
    struct client d = {0};
    struct status st = {0};
    struct process *p;
    pid_t orphan;

    (void)state;
    set.linger_ms = -1;
    fixture_init(&f, &set);
    /* The leader is dead, and kept: its child holds the output. */
    p = start(&f, "sleep 1000 & exit 4");
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    while (p->state != PROCESS_EXITED)
        run_for(&f, 2);
    client_attach(&d, start(&f, "(sh -c 'echo $$' & ) ; sleep 0.1"),
                  PROCESS_REPLAY_NOW, 0);
    run_until(&f, client_at_end, &d);
    assert_int_equal(pids_of(&d, PROCESS_STDOUT, &orphan, 1), 1);
    run_until(&f, is_gone, &orphan);
    assert_int_equal(p->state, PROCESS_EXITED);
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    assert_int_equal(c.exit.exit_code, 4);
    client_done(&c);
    client_done(&d);
    fixture_done(&f);
}

/* With a cgroup of its own the kernel ends all that is in it. */
static void
test_cgroup(void **state)
{
    static const char *const roots[] = {"/sys/fs/cgroup",
                                        "/sys/fs/cgroup/unified"};
    char path[128] = "";
    const char *args[2];
    struct spawn_spec spec =
        shell("(setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &); "
              "sleep 1000",
              args);
    struct fixture f;
    struct client c = {0};
    struct status st = {0};
    struct process *p;
    pid_t daemon;
    int fd = -1;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(roots) && fd < 0; i++) {
        (void)snprintf(path, sizeof(path), "%s/test_process_%d", roots[i],
                       (int)getpid());
        if (mkdir(path, 0755) < 0)
            continue;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && faccessat(fd, "cgroup.kill", W_OK, 0) < 0) {
            fd_close(&fd);
            (void)rmdir(path);
        }
    }
    if (fd < 0)
        skip();
    spec.cgroup_fd = fd;
    fixture_init(&f, &fixture_settings);
    p = start_spec(&f, &spec, NULL, 0);
    client_attach(&c, p, PROCESS_REPLAY_NOW, 0);
    while (pids_of(&c, PROCESS_STDOUT, &daemon, 1) < 1)
        run_for(&f, 2);
    assert_int_equal(process_signal(p, SIGKILL, PROCESS_SCOPE_TREE, &st), 0);
    run_until(&f, client_at_end, &c);
    run_until(&f, is_gone, &daemon);
    client_done(&c);
    fixture_done(&f);
    fd_close(&fd);
    assert_int_equal(rmdir(path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_kill_zero),
        cmocka_unit_test(test_kill_at_once),
        cmocka_unit_test(test_growing_tree),
        cmocka_unit_test(test_orphans_behind_zombies),
        cmocka_unit_test(test_cgroup),
    };

    /* As the agent is. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
