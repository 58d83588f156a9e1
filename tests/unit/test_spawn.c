/*
 * spawn(): real children, looked at from inside and outside.
 */
#include "process/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "process/spawn_clone.h"

#define NOBODY       65534
#define PATH_DEFAULT "PATH=/usr/local/bin:/usr/bin:/bin"
#define OUTPUT_MAX   (64 * 1024)

static const char *const env_default[] = {PATH_DEFAULT, NULL};
static char scratch[] = "/tmp/test_spawn_XXXXXX";

/* What a child said and how it ended. */
struct outcome {
    struct spawn_child child;
    struct spawn_failure failure;
    struct status st;
    bool failed;
    int code; /* exit status, or minus the signal */
    char out[OUTPUT_MAX];
    char err[OUTPUT_MAX];
};

static struct outcome outcome;
static int fds_before;

static struct spawn_spec
spec_of(const char *cmd)
{
    return (struct spawn_spec){
        .cmd = cmd,
        .env = env_default,
        .cwd = "",
        .uid = geteuid(),
        .gid = getegid(),
        .cgroup_fd = -1,
    };
}

static bool
is_root(void)
{
    return geteuid() == 0;
}

static void
wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, -1) < 0)
        assert_int_equal(errno, EINTR);
}

/* Read to the end (or a terminal's hang-up). */
static void
read_all(int fd, char *text)
{
    size_t len = 0;

    while (len < OUTPUT_MAX - 1) {
        ssize_t n;

        wait_readable(fd);
        n = read(fd, text + len, OUTPUT_MAX - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
}

static void
wait_end(struct outcome *o)
{
    siginfo_t info;

    wait_readable(o->child.pid_fd);
    assert_int_equal(
        waitid(P_PIDFD, (id_t)o->child.pid_fd, &info, WEXITED | WNOHANG), 0);
    assert_int_equal(info.si_pid, o->child.pid);
    o->code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    fd_close(&o->child.pid_fd);
}

static void
begin(const struct spawn_spec *spec, struct outcome *o)
{
    status_done(&o->st);
    memset(o, 0, sizeof(*o));
    if (spawn(spec, &o->child, &o->st) < 0)
        fail_msg("spawn: %s", status_message(&o->st));
    assert_true(o->child.pid > 0);
}

static void
finish(const struct spawn_spec *spec, struct outcome *o)
{
    int r;

    wait_readable(o->child.status_fd);
    r = spawn_read_status(spec, &o->child, &o->failure, &o->st);
    assert_int_not_equal(r, 0);
    assert_int_equal(o->child.status_fd, -1);
    o->failed = r < 0;
    fd_close(&o->child.stdin_fd);
    read_all(spec->pty ? o->child.tty_fd : o->child.stdout_fd, o->out);
    if (!spec->pty)
        read_all(o->child.stderr_fd, o->err);
    wait_end(o);
    fd_close(&o->child.stdout_fd);
    fd_close(&o->child.stderr_fd);
    fd_close(&o->child.tty_fd);
}

static struct outcome *
run(const struct spawn_spec *spec)
{
    begin(spec, &outcome);
    finish(spec, &outcome);
    return &outcome;
}

static struct outcome *
run_shell(struct spawn_spec *spec, const char *script)
{
    const char *const args[] = {"-c", script};

    spec->cmd = "/bin/sh";
    spec->args = args;
    spec->arg_count = 2;
    (void)run(spec);
    spec->args = NULL;
    spec->arg_count = 0;
    return &outcome;
}

static void
assert_line(const char *text, const char *line)
{
    char *padded = NULL;
    char *wanted = NULL;

    assert_true(asprintf(&padded, "\n%s", text) > 0);
    assert_true(asprintf(&wanted, "\n%s\n", line) > 0);
    if (strstr(padded, wanted) == NULL)
        fail_msg("no line '%s' in:\n%s", line, text);
    free(padded);
    free(wanted);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
    SCOPE(fd_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static int
count_fds(pid_t pid)
{
    char path[64];
    DIR *dir;
    int count = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count - 2 - (pid == getpid() ? 1 : 0);
}

/* The n-th number behind the state in the text of /proc/PID/stat, from 1. */
static int
stat_number(const char *text, int n)
{
    const char *p = strchr(text, ')') + 3;

    while (--n > 0)
        p = strchr(p + 1, ' ');
    return (int)strtol(p, NULL, 10);
}

enum {
    STAT_GROUP = 2,
    STAT_SESSION = 3,
    STAT_TTY = 4,
    STAT_FOREGROUND = 5,
};

/* ---- attributes ---------------------------------------------------------- */

static void
test_output_and_exit(void **state)
{
    struct spawn_spec spec = spec_of("");
    const struct outcome *o =
        run_shell(&spec, "echo out; echo err >&2; exit 3");

    (void)state;
    assert_false(o->failed);
    assert_int_equal(o->failure.err, 0);
    assert_string_equal(o->out, "out\n");
    assert_string_equal(o->err, "err\n");
    assert_int_equal(o->code, 3);
    assert_int_equal(o->child.tty_fd, -1);
}

static void
test_session(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    const char *const args[] = {"/proc/self/stat"};
    const struct outcome *o;

    (void)state;
    spec.args = args;
    spec.arg_count = 1;
    o = run(&spec);
    assert_int_equal(strtol(o->out, NULL, 10), o->child.pid);
    assert_int_equal(stat_number(o->out, STAT_GROUP), o->child.pid);
    assert_int_equal(stat_number(o->out, STAT_SESSION), o->child.pid);
    assert_int_equal(stat_number(o->out, STAT_TTY), 0);
}

static void
test_priorities(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    struct outcome *o = &outcome;
    int agent_nice = getpriority(PRIO_PROCESS, 0);
    char path[64];
    char *text;

    (void)state;
    if (!is_root())
        skip();
    spec.stdin_open = true;
    assert_int_equal(setpriority(PRIO_PROCESS, 0, -10), 0);
    begin(&spec, o);
    assert_int_equal(setpriority(PRIO_PROCESS, 0, agent_nice), 0);
    wait_readable(o->child.status_fd);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)o->child.pid), 0);
    assert_int_equal(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, o->child.pid),
                     IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4));
    (void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj",
                   (int)o->child.pid);
    assert_int_equal(fd_read_file(path, 100, &text, NULL), 0);
    assert_string_equal(text, "100\n");
    free(text);
    finish(&spec, o);
}

static void
test_oom_score_is_kept_down(void **state)
{
    struct spawn_spec spec = spec_of("");
    const struct outcome *o;

    (void)state;
    /* The floor is moved by those only who could go below it. */
    if (!is_root() || prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) != 1)
        skip();
    spec.uid = NOBODY;
    spec.gid = NOBODY;
    o = run_shell(&spec, "echo 200 >/proc/self/oom_score_adj || exit 1;"
                         "echo 50 >/proc/self/oom_score_adj");
    assert_int_not_equal(o->code, 0);
    assert_int_not_equal(o->code, 1);
}

static void
test_credentials(void **state)
{
    static const gid_t groups[] = {NOBODY, 7, 1234};
    struct spawn_spec spec = spec_of("cat");
    const char *const args[] = {"/proc/self/status"};
    const struct outcome *o;

    (void)state;
    if (!is_root())
        skip();
    spec.args = args;
    spec.arg_count = 1;
    spec.uid = NOBODY;
    spec.gid = NOBODY - 1;
    spec.groups = groups;
    spec.group_count = ARRAY_LEN(groups);
    o = run(&spec);
    assert_int_equal(o->code, 0);
    assert_line(o->out, "Uid:\t65534\t65534\t65534\t65534");
    assert_line(o->out, "Gid:\t65533\t65533\t65533\t65533");
    assert_line(o->out, "Groups:\t7 1234 65534 ");
    assert_line(o->out, "CapEff:\t0000000000000000");
    assert_line(o->out, "NoNewPrivs:\t0");
}

static void
test_signals(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    const char *const args[] = {"/proc/self/status"};
    const struct outcome *o;
    sigset_t blocked;
    sigset_t before;

    (void)state;
    spec.args = args;
    spec.arg_count = 1;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &blocked, &before);
    o = run(&spec);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    assert_line(o->out, "SigBlk:\t0000000000000000");
    assert_line(o->out, "SigIgn:\t0000000000000000");
    assert_line(o->out, "SigCgt:\t0000000000000000");
}

static void
test_limits_and_umask(void **state)
{
    struct spawn_spec spec = spec_of("");
    const struct outcome *o;
    struct rlimit files;
    struct rlimit core;
    struct rlimit changed;
    mode_t mask = umask(077);
    char text[128];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    changed = (struct rlimit){files.rlim_cur - 10, files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &changed), 0);
    changed = (struct rlimit){core.rlim_cur == 0 ? 512 : 0, core.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_CORE, &changed), 0);
    o = run_shell(&spec, "ulimit -n; ulimit -c; umask");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(setrlimit(RLIMIT_CORE, &core), 0);
    (void)umask(mask);
    if (core.rlim_cur == RLIM_INFINITY)
        (void)snprintf(text, sizeof(text), "%llu\nunlimited\n0022\n",
                       (unsigned long long)files.rlim_cur);
    else
        (void)snprintf(text, sizeof(text), "%llu\n%llu\n0022\n",
                       (unsigned long long)files.rlim_cur,
                       (unsigned long long)core.rlim_cur / 512);
    assert_string_equal(o->out, text);
}

static void
test_no_fd_leaks_into_the_child(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    struct outcome *o = &outcome;
    /* Three that nobody marked close-on-exec, one of them far up. */
    int low = open("/", O_RDONLY | O_DIRECTORY); // NOLINT(android-cloexec-open)
    int other = dup(low);
    int high = fcntl(low, F_DUPFD, 900);
    char path[64];

    (void)state;
    assert_true(low > 2 && other > 2 && high >= 900);
    spec.stdin_open = true;
    begin(&spec, o);
    /* The status pipe closes in exec, after which only three are left. */
    wait_readable(o->child.status_fd);
    assert_int_equal(count_fds(o->child.pid), 3);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)o->child.pid,
                       i);
        assert_int_equal(access(path, F_OK), 0);
    }
    fd_close(&low);
    fd_close(&other);
    fd_close(&high);
    finish(&spec, o);
}

static void
test_parent_ends(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    struct outcome *o = &outcome;

    (void)state;
    spec.stdin_open = true;
    begin(&spec, o);
    const int fds[] = {o->child.pid_fd, o->child.status_fd, o->child.stdin_fd,
                       o->child.stdout_fd, o->child.stderr_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    }
    assert_int_equal(write(o->child.stdin_fd, "echo", 4), 4);
    finish(&spec, o);
    assert_string_equal(o->out, "echo");
    assert_int_equal(o->code, 0);
}

static void
test_stdin_is_null(void **state)
{
    struct spawn_spec spec = spec_of("");
    const struct outcome *o =
        run_shell(&spec, "readlink /proc/self/fd/0; cat; echo end");

    (void)state;
    assert_string_equal(o->out, "/dev/null\nend\n");
    assert_int_equal(o->child.stdin_fd, -1);
}

static void
test_kill_0_stays_in_the_session(void **state)
{
    struct spawn_spec spec = spec_of("");

    (void)state;
    assert_int_equal(run_shell(&spec, "kill -9 0; sleep 100")->code, -SIGKILL);
}

/* ---- environment and directory ------------------------------------------- */

static void
test_environment(void **state)
{
    const char *const env[] = {PATH_DEFAULT, "PWD=/wrong", "A=b=c", "=nameless",
                               "EMPTY=",     "PWD=/again", NULL};
    struct spawn_spec spec = spec_of("env");
    SCOPE(scope_free) char *link = NULL;
    SCOPE(scope_free) char *wanted = NULL;
    const struct outcome *o;

    (void)state;
    spec.env = env;
    assert_true(asprintf(&link, "%s/link", scratch) > 0);
    assert_int_equal(symlink(scratch, link), 0);
    spec.cwd = link;
    o = run(&spec);
    assert_int_equal(unlink(link), 0);
    assert_true(asprintf(&wanted, "%s\nA=b=c\nEMPTY=\nPWD=%s\n", PATH_DEFAULT,
                         scratch) > 0);
    assert_string_equal(o->out, wanted);
}

static void
test_pwd_without_cwd(void **state)
{
    struct spawn_spec spec = spec_of("env");
    SCOPE(scope_free) char *cwd = getcwd(NULL, 0);
    SCOPE(scope_free) char *line = NULL;

    (void)state;
    assert_true(asprintf(&line, "PWD=%s", cwd) > 0);
    assert_line(run(&spec)->out, line);
}

static void
test_cwd_failures(void **state)
{
    SCOPE(scope_free) char *file = NULL;
    SCOPE(scope_free) char *closed = NULL;
    const char *const args[] = {"a b", "c"};
    struct spawn_spec spec = spec_of("true");
    const struct outcome *o;

    (void)state;
    assert_true(asprintf(&file, "%s/file", scratch) > 0);
    assert_true(asprintf(&closed, "%s/closed", scratch) > 0);
    write_file(file, "", 0644);
    assert_int_equal(mkdir(closed, 0700), 0);
    spec.args = args;
    spec.arg_count = 2;
    spec.cwd = file;
    o = run(&spec);
    assert_true(o->failed);
    assert_int_equal(o->failure.err, ENOTDIR);
    assert_int_equal(o->failure.stage, SPAWN_STAGE_CWD);
    assert_string_equal(spawn_stage_name(o->failure.stage), "cwd");
    assert_int_equal(o->st.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(status_message(&o->st),
                        "error starting process 'true a b c': "
                        "fork/exec /bin/sh: not a directory");
    assert_string_equal(o->err, "");
    if (is_root()) {
        spec.cwd = closed;
        spec.uid = NOBODY;
        spec.gid = NOBODY;
        o = run(&spec);
        assert_int_equal(o->failure.err, EACCES);
        assert_string_equal(status_message(&o->st),
                            "error starting process 'true a b c': "
                            "fork/exec /bin/sh: permission denied");
    }
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(closed), 0);
}

/* ---- exec ---------------------------------------------------------------- */

static void
test_refused_commands(void **state)
{
    static const struct {
        const char *cmd;
        int code;
        const char *err;
    } cases[] = {
        {"", 127, "envd: '': no such file or directory\n"},
        {"no-such-cmd", 127,
         "envd: 'no-such-cmd': no such file or directory\n"},
        {"-x", 127, "envd: '-x': no such file or directory\n"},
        {"/no/such", 127, "envd: '/no/such': no such file or directory\n"},
        {"/etc/passwd/x", 127, "envd: '/etc/passwd/x': not a directory\n"},
        {"/etc/passwd", 126, "envd: '/etc/passwd': permission denied\n"},
        {"/etc", 126, "envd: '/etc': permission denied\n"},
        {".", 126, "envd: '.': permission denied\n"},
        {"./", 126, "envd: './': permission denied\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spawn_spec spec = spec_of(cases[i].cmd);
        const struct outcome *o = run(&spec);

        assert_false(o->failed);
        assert_int_equal(o->code, cases[i].code);
        assert_string_equal(o->err, cases[i].err);
        assert_string_equal(o->out, "");
    }
}

static void
test_long_names(void **state)
{
    static char name[6000];
    struct spawn_spec spec = spec_of(name);
    const struct outcome *o;

    (void)state;
    for (size_t i = 0; i + 2 < sizeof(name); i += 2)
        name[i] = '\xc3', name[i + 1] = '\xa4';
    o = run(&spec);
    assert_int_equal(o->code, 127);
    assert_true(strlen(o->err) < 1100);
    name[0] = '/';
    name[1] = 'x';
    o = run(&spec);
    assert_int_equal(o->code, 127);
    assert_non_null(strstr(o->err, "file name too long\n"));
}

static void
test_path_search(void **state)
{
    SCOPE(scope_free) char *closed = NULL;
    SCOPE(scope_free) char *script = NULL;
    SCOPE(scope_free) char *path = NULL;
    SCOPE(scope_free) char *wanted = NULL;
    const char *env[] = {NULL, NULL};
    const char *const args[] = {"one", "two words"};
    struct spawn_spec spec = spec_of("tool");
    const struct outcome *o;

    (void)state;
    assert_true(asprintf(&closed, "%s/a/tool", scratch) > 0);
    assert_true(asprintf(&script, "%s/b/tool", scratch) > 0);
    assert_true(asprintf(&wanted, "%s one,two words\n", script) > 0);
    closed[strlen(closed) - 5] = '\0';
    script[strlen(script) - 5] = '\0';
    assert_int_equal(mkdir(closed, 0755), 0);
    assert_int_equal(mkdir(script, 0755), 0);
    assert_true(
        asprintf(&path, "PATH=/nowhere:/etc/passwd:%s:%s", closed, script) > 0);
    closed[strlen(closed)] = '/';
    script[strlen(script)] = '/';
    write_file(closed, "not for execution", 0644);
    /* No `#!`: a job for the shell. */
    write_file(script, "echo \"$0 $1,$2\"\n", 0755);
    env[0] = path;
    spec.env = env;
    spec.args = args;
    spec.arg_count = 2;
    o = run(&spec);
    assert_int_equal(o->code, 0);
    assert_string_equal(o->out, wanted);

    assert_int_equal(unlink(script), 0);
    o = run(&spec); /* the file that may not be executed is remembered */
    assert_int_equal(o->code, 126);
    assert_string_equal(o->err, "envd: 'tool': permission denied\n");

    write_file(script, "echo here\n", 0755);
    env[0] = "PATH=/nowhere:"; /* an empty element: the working directory */
    script[strlen(script) - 5] = '\0';
    spec.cwd = script;
    assert_string_equal(run(&spec)->out, "here\n");
    env[0] = "PATH=";
    assert_string_equal(run(&spec)->out, "here\n");
    spec.cmd = "./tool";
    env[0] = "PATH=/nowhere";
    assert_string_equal(run(&spec)->out, "here\n");
    env[0] = NULL; /* as a shell without PATH */
    spec.cmd = "true";
    assert_int_equal(run(&spec)->code, 0);

    script[strlen(script)] = '/';
    assert_int_equal(unlink(script), 0);
    assert_int_equal(unlink(closed), 0);
    script[strlen(script) - 5] = '\0';
    closed[strlen(closed) - 5] = '\0';
    assert_int_equal(rmdir(script), 0);
    assert_int_equal(rmdir(closed), 0);
}

static void
test_too_long_arguments(void **state)
{
    static char big[200000];
    const char *const args[] = {big};
    struct spawn_spec spec = spec_of("true");
    const struct outcome *o;
    const char *text;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    spec.args = args;
    spec.arg_count = 1;
    o = run(&spec);
    assert_true(o->failed);
    assert_int_equal(o->failure.err, E2BIG);
    assert_int_equal(o->failure.stage, SPAWN_STAGE_EXEC);
    assert_int_equal(o->st.code, RPC_INVALID_ARGUMENT);
    text = status_message(&o->st);
    assert_true(strlen(text) < 1200);
    assert_non_null(strstr(text, "error starting process 'true xxx"));
    assert_non_null(
        strstr(text, "xxx...': fork/exec /bin/sh: argument list too long"));
}

/* ---- terminal ------------------------------------------------------------ */

static void
test_pty(void **state)
{
    struct spawn_spec spec = spec_of("");
    const char *const args[] = {"-c", "tty; stty size; stat -c %u:%a $(tty);"
                                      "read x; stty size; echo \"<$x>\";"
                                      "cat /proc/self/stat"};
    struct outcome *o = &outcome;
    char text[256] = "";
    size_t len = 0;
    const char *stat;

    (void)state;
    spec.cmd = "sh";
    spec.args = args;
    spec.arg_count = 2;
    spec.pty = true;
    spec.cols = 65536 + 81;
    spec.rows = 70000;
    if (is_root()) {
        spec.uid = NOBODY;
        spec.gid = NOBODY;
    }
    begin(&spec, o);
    assert_true((fcntl(o->child.tty_fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(o->child.stdin_fd, -1);
    assert_int_equal(o->child.stdout_fd, -1);
    assert_int_equal(o->child.stderr_fd, -1);
    while (strstr(text, ":620") == NULL) {
        ssize_t n;

        wait_readable(o->child.tty_fd);
        n = read(o->child.tty_fd, text + len, sizeof(text) - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        text[len] = '\0';
    }
    assert_memory_equal(text, "/dev/pts/", 9);
    assert_non_null(strstr(text, "\r\n4464 81\r\n"));
    assert_non_null(strstr(text, is_root() ? "65534:620" : ":620"));
    assert_int_equal(pty_resize(o->child.tty_fd, 100, 30), 0);
    assert_int_equal(write(o->child.tty_fd, "typed\n", 6), 6);
    finish(&spec, o);
    assert_int_equal(o->code, 0);
    assert_non_null(strstr(o->out, "30 100\r\n<typed>\r\n"));
    stat = strstr(o->out, ">\r\n") + 3;
    assert_int_equal(stat_number(stat, STAT_SESSION), o->child.pid);
    assert_int_equal(stat_number(stat, STAT_FOREGROUND), o->child.pid);
    assert_int_not_equal(stat_number(stat, STAT_TTY), 0);
    assert_int_equal(pty_resize(-1, 1, 1), -EBADF);
}

static void
test_pty_refusals(void **state)
{
    struct spawn_spec spec = spec_of("no-such-cmd");
    const struct outcome *o;

    (void)state;
    spec.pty = true;
    spec.cols = 80;
    spec.rows = 70000;
    o = run(&spec);
    assert_int_equal(o->code, 127);
    assert_string_equal(o->out,
                        "envd: 'no-such-cmd': no such file or directory\r\n");
    spec.cwd = "/etc/passwd";
    o = run(&spec);
    assert_true(o->failed);
    assert_int_equal(o->st.code, RPC_INVALID_ARGUMENT);
    assert_string_equal(status_message(&o->st),
                        "error starting pty with command 'no-such-cmd' in dir "
                        "'/etc/passwd' with '80' cols and '70000' rows: "
                        "fork/exec /bin/sh: not a directory");
}

/* ---- exhaustion, odd agents ---------------------------------------------- */

/* Take all descriptors but `left` of those that the limit allows. */
static int
fds_exhaust(int *taken, int max, int left)
{
    int count = 0;

    while (count < max) {
        taken[count] = fcntl(0, F_DUPFD_CLOEXEC, 0);
        if (taken[count] < 0)
            break;
        count++;
    }
    assert_int_equal(errno, EMFILE);
    assert_true(count >= left);
    while (left-- > 0)
        fd_close(&taken[--count]);
    return count;
}

static void
test_too_many_files(void **state)
{
    static const struct {
        bool pty;
        int left;
        const char *text;
    } cases[] = {
        {false, 0,
         "error creating stdout pipe for command 'true': pipe2: too many open "
         "files"},
        {false, 3,
         "error creating stderr pipe for command 'true': pipe2: too many open "
         "files"},
        {true, 0,
         "error starting pty with command 'true' in dir '' with '0' cols and "
         "'0' rows: open /dev/ptmx: too many open files"},
        {true, 1,
         "error starting pty with command 'true' in dir '' with '0' cols and "
         "'0' rows: too many open files"},
        {false, 4,
         "error starting process 'true': open /dev/null: too many open files"},
        {false, 5,
         "error starting process 'true': fork/exec /bin/sh: too many open "
         "files"},
        {false, 7, /* all but the pidfd */
         "error starting process 'true': fork/exec /bin/sh: too many open "
         "files"},
    };
    struct rlimit files;
    struct rlimit few;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    few = (struct rlimit){64, files.rlim_max};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct spawn_spec spec = spec_of("true");
        struct spawn_child child;
        struct status st = {0};
        int taken[64];
        int count;
        int r;

        spec.pty = cases[i].pty;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        count = fds_exhaust(taken, 64, cases[i].left);
        r = spawn(&spec, &child, &st);
        while (count > 0)
            fd_close(&taken[--count]);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
        assert_int_equal(r, -1);
        assert_int_equal(st.code, RPC_RESOURCE_EXHAUSTED);
        assert_string_equal(status_message(&st), cases[i].text);
        status_done(&st);
        assert_int_equal(count_fds(getpid()), fds_before);
    }
}

/* Run `check` in a process of its own; it must return true. */
static void
in_other_process(bool (*check)(void))
{
    pid_t pid = fork();
    int how;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(check() ? 0 : 1);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_int_equal(how, 0);
}

static bool
spawn_with_low_fds(void)
{
    struct spawn_spec spec = spec_of("");
    const struct outcome *o;

    for (int i = 0; i < 5; i++)
        (void)close(i);
    o = run_shell(&spec, "echo out; echo err >&2; cat");
    return o->code == 0 && strcmp(o->out, "out\n") == 0 &&
           strcmp(o->err, "err\n") == 0;
}

static void
test_agent_without_standard_fds(void **state)
{
    (void)state;
    in_other_process(spawn_with_low_fds);
}

static bool
spawn_unprivileged(void)
{
    struct spawn_spec spec = spec_of("true");
    const struct outcome *o;

    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return false;
    o = run(&spec);
    if (!o->failed || o->failure.err != EPERM ||
        o->failure.stage != SPAWN_STAGE_CREDENTIALS)
        return false;
    spec.uid = NOBODY;
    spec.gid = NOBODY;
    o = run(&spec);
    return !o->failed && o->code == 0;
}

static void
test_unprivileged_agent(void **state)
{
    (void)state;
    if (!is_root())
        skip();
    in_other_process(spawn_unprivileged);
}

static void
test_clone_without_clone3(void **state)
{
    static const enum clone_call calls[] = {CLONE_CALL_OLD, CLONE_CALL_FORK};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        int pid_fd = -1;
        siginfo_t info;
        pid_t pid = clone_raw(calls[i], -1, &pid_fd);

        if (pid == 0)
            (void)syscall(SYS_exit_group, 7);
        assert_true(pid > 0);
        wait_readable(pid_fd);
        assert_int_equal(waitid(P_PIDFD, (id_t)pid_fd, &info, WEXITED), 0);
        assert_int_equal(info.si_pid, pid);
        assert_int_equal(info.si_status, 7);
        assert_true((fcntl(pid_fd, F_GETFD) & FD_CLOEXEC) != 0);
        fd_close(&pid_fd);
    }
}

/* As old container engines have it, whose filters did not know the call. */
static bool
spawn_with_clone3_refused(void)
{
    static struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_fprog program = {ARRAY_LEN(steps), steps};
    struct spawn_spec spec = spec_of("");
    const struct outcome *o;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return false;
    o = run_shell(&spec, "echo out");
    return o->code == 0 && strcmp(o->out, "out\n") == 0;
}

static void
test_clone3_refused(void **state)
{
    (void)state;
    in_other_process(spawn_with_clone3_refused);
}

/* ---- cgroups ------------------------------------------------------------- */

/* A cgroup of our own, or -1 when the machine has none to give. */
static int
cgroup_make(char *path, size_t size)
{
    static const char *const roots[] = {"/sys/fs/cgroup",
                                        "/sys/fs/cgroup/unified"};

    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        struct statfs fs;

        if (statfs(roots[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
            continue;
        (void)snprintf(path, size, "%s/test_spawn_%d", roots[i], getpid());
        if (mkdir(path, 0755) == 0)
            return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return -1;
}

static void
cgroup_write(const char *path, const char *name, const char *text)
{
    char file[256];

    (void)snprintf(file, sizeof(file), "%s/%s", path, name);
    assert_int_equal(fd_write_file(file, text), 0);
}

/* Wait until cgroup.events holds `line`. */
static void
cgroup_wait(int cgroup_fd, const char *line)
{
    SCOPE(fd_close)
    int fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        char text[256];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        assert_true(n > 0);
        text[n] = '\0';
        if (strstr(text, line) != NULL)
            return;
        (void)poll(&p, 1, -1);
    }
}

static void
test_cgroup(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    const char *const args[] = {"/proc/self/cgroup"};
    char path[128];
    SCOPE(fd_close) int cgroup_fd = cgroup_make(path, sizeof(path));

    (void)state;
    if (cgroup_fd < 0)
        skip();
    spec.args = args;
    spec.arg_count = 1;
    spec.cgroup_fd = cgroup_fd;
    assert_non_null(strstr(run(&spec)->out, strrchr(path, '/')));
    cgroup_wait(cgroup_fd, "populated 0");
    assert_int_equal(rmdir(path), 0);
    /* Gone: the command runs all the same. */
    assert_null(strstr(run(&spec)->out, strrchr(path, '/')));
    assert_int_equal(outcome.code, 0);
}

static void
test_frozen_cgroup(void **state)
{
    struct spawn_spec spec = spec_of("cat");
    struct outcome *o = &outcome;
    struct spawn_failure failure;
    char path[128];
    int ends[2];
    char byte;
    SCOPE(fd_close) int cgroup_fd = cgroup_make(path, sizeof(path));

    (void)state;
    if (cgroup_fd < 0)
        skip();
    cgroup_write(path, "cgroup.freeze", "1");
    cgroup_wait(cgroup_fd, "frozen 1");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spec.stdin_open = true;
    spec.cgroup_fd = cgroup_fd;
    begin(&spec, o);
    cgroup_wait(cgroup_fd, "populated 1");
    assert_int_equal(spawn_read_status(&spec, &o->child, &failure, &o->st), 0);
    /* The stopped child holds no copy of what was open here. */
    fd_close(&ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    fd_close(&ends[0]);
    assert_int_equal(write(o->child.stdin_fd, "x", 1), 1);
    cgroup_write(path, "cgroup.freeze", "0");
    finish(&spec, o);
    assert_string_equal(o->out, "x");
    cgroup_wait(cgroup_fd, "populated 0");
    assert_int_equal(rmdir(path), 0);
}

/* -------------------------------------------------------------------------- */

static int
setup(void **state)
{
    (void)state;
    if (mkdtemp(scratch) == NULL || chmod(scratch, 0755) < 0)
        return -1;
    /* As an agent that was started by nohup(1). */
    (void)signal(SIGHUP, SIG_IGN);
    spawn_init();
    fds_before = count_fds(getpid());
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    status_done(&outcome.st);
    return rmdir(scratch) == 0 && count_fds(getpid()) == fds_before ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_exit),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_oom_score_is_kept_down),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_limits_and_umask),
        cmocka_unit_test(test_no_fd_leaks_into_the_child),
        cmocka_unit_test(test_parent_ends),
        cmocka_unit_test(test_stdin_is_null),
        cmocka_unit_test(test_kill_0_stays_in_the_session),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_pwd_without_cwd),
        cmocka_unit_test(test_cwd_failures),
        cmocka_unit_test(test_refused_commands),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_path_search),
        cmocka_unit_test(test_too_long_arguments),
        cmocka_unit_test(test_pty),
        cmocka_unit_test(test_pty_refusals),
        cmocka_unit_test(test_too_many_files),
        cmocka_unit_test(test_agent_without_standard_fds),
        cmocka_unit_test(test_unprivileged_agent),
        cmocka_unit_test(test_clone_without_clone3),
        cmocka_unit_test(test_clone3_refused),
        cmocka_unit_test(test_cgroup),
        cmocka_unit_test(test_frozen_cgroup),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
