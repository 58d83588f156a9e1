/*
 * The code that runs in a new child until its command takes over.
 *
 * The memory is a copy of the agent's, taken while other threads may have held
 * any lock: nothing here allocates, logs or calls more of the C library than
 * its system call stubs and pure functions.
 */
#include "process/spawn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/limits.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"
#include "process/spawn.h"

/* Where the child keeps what is not standard input, output or error. */
#define CHILD_STATUS_FD 3
#define CHILD_PROCS_FD  4
#define CHILD_FREE_FD   5

#define OOM_SCORE_ADJ "100"
#define SHELL         "/bin/sh"

enum {
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
};

_Noreturn static void
leave(int code)
{
    for (;;)
        (void)syscall(SYS_exit_group, code);
}

_Noreturn static void
fail(enum spawn_stage stage, int err)
{
    struct spawn_word word = {.err = err, .stage = (int32_t)stage};

    (void)syscall(SYS_write, CHILD_STATUS_FD, &word, sizeof(word));
    leave(EXIT_NOT_FOUND);
}

/* Move *fd out of the way of the numbers that are about to be given away. */
static void
fd_raise(int *fd)
{
    if (*fd >= 0 && *fd < CHILD_FREE_FD)
        *fd = (int)syscall(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, CHILD_FREE_FD);
}

/*
 * Keep 0 to 4 and close the rest.  This comes first: a child that is stopped
 * later, by a frozen cgroup, must not keep the agent's connections and the
 * input pipes of other commands open.
 */
static void
child_take_fds(struct spawn_plan *plan)
{
    fd_raise(&plan->status_fd);
    fd_raise(&plan->procs_fd);
    for (int i = 0; i < 3; i++)
        fd_raise(&plan->stdio_fd[i]);
    if (syscall(SYS_dup3, plan->status_fd, CHILD_STATUS_FD, O_CLOEXEC) < 0)
        leave(EXIT_NOT_FOUND); /* and 3 is still the agent's: say nothing */
    for (int i = 0; i < 3; i++)
        if (syscall(SYS_dup3, plan->stdio_fd[i], i, 0) < 0)
            fail(SPAWN_STAGE_STDIO, errno);
    if (plan->procs_fd >= 0)
        (void)syscall(SYS_dup3, plan->procs_fd, CHILD_PROCS_FD, O_CLOEXEC);
    else
        (void)syscall(SYS_close, CHILD_PROCS_FD);
    /* Where the kernel has no such call, close-on-exec does it. */
    (void)syscall(SYS_close_range, CHILD_FREE_FD, ~0U, 0);
}

/*
 * What the agent has more or less of than a command should.  Written while
 * privileged, so that the command cannot lower its score to the agent's again.
 * None of it is worth a refusal.
 */
static void
child_reset_priorities(const struct spawn_plan *plan)
{
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj",
                      O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)syscall(SYS_write, fd, OOM_SCORE_ADJ, sizeof(OOM_SCORE_ADJ) - 1);
        (void)syscall(SYS_close, fd);
    }
    (void)syscall(SYS_setpriority, PRIO_PROCESS, 0, 0);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
                  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4));
    (void)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &plan->nofile, NULL);
    (void)syscall(SYS_prlimit64, 0, RLIMIT_CORE, &plan->core, NULL);
}

/* Exec resets handlers by itself, but not what is ignored. */
static void
child_reset_signals(const struct spawn_plan *plan)
{
    /* The kernel's struct sigaction: all zero is the default disposition. */
    static const unsigned long none[4];

    for (int sig = 1; sig <= 64; sig++)
        if ((plan->ignored >> (sig - 1) & 1) != 0)
            (void)syscall(SYS_rt_sigaction, sig, none, NULL, sizeof(uint64_t));
}

static void
child_new_session(const struct spawn_plan *plan)
{
    if (syscall(SYS_setsid) < 0)
        fail(SPAWN_STAGE_SESSION, errno);
    if (plan->pty && syscall(SYS_ioctl, 0, TIOCSCTTY, 0) < 0)
        fail(SPAWN_STAGE_SESSION, errno);
}

static void
child_become_user(const struct spawn_plan *plan)
{
    if (plan->same_user)
        return;
    if (syscall(SYS_setgroups, plan->group_count, plan->groups) < 0 ||
        syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0 ||
        syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid) < 0)
        fail(SPAWN_STAGE_CREDENTIALS, errno);
}

/*
 * Enter the directory as the user, and name it as a shell would: physically.
 * pwd  room for PWD, used until exec
 */
static void
child_enter_cwd(struct spawn_plan *plan, char *pwd, size_t size)
{
    static const char name[] = "PWD=";
    const size_t name_len = sizeof(name) - 1;

    if (plan->cwd != NULL && syscall(SYS_chdir, plan->cwd) < 0)
        fail(SPAWN_STAGE_CWD, errno);
    memcpy(pwd, name, name_len);
    /* Outside of our root the kernel's text does not begin with a slash. */
    if (syscall(SYS_getcwd, pwd + name_len, size - name_len) > 0 &&
        pwd[name_len] == '/')
        plan->envp[plan->pwd_index] = pwd;
}

/* The last step before exec, which such a filter has to allow. */
static void
child_take_filter(const struct spawn_plan *plan)
{
    if (plan->filter == NULL)
        return;
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, plan->filter) < 0)
        fail(SPAWN_STAGE_FILTER, errno);
}

/* A failed exec that says something of the machine, not of the command. */
static bool
is_exhaustion(int err)
{
    return err == E2BIG || err == ENOMEM || err == EAGAIN || err == EMFILE ||
           err == ENFILE;
}

/* A failed exec after which a search goes on. */
static bool
is_absence(int err)
{
    return err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG ||
           err == ELOOP || err == ESTALE || err == ENODEV || err == ETIMEDOUT;
}

/* Execute one file, by the shell if it is a script without `#!`: errno. */
static int
child_exec_file(struct spawn_plan *plan, const char *file)
{
    int err;

    (void)syscall(SYS_execve, file, plan->argv + 1, plan->envp);
    err = errno;
    if (err != ENOEXEC)
        return err;
    plan->argv[0] = SHELL;
    plan->argv[1] = file;
    (void)syscall(SYS_execve, SHELL, plan->argv, plan->envp);
    return is_exhaustion(errno) ? errno : err;
}

/*
 * Search PATH as execvp(3) does: an empty element is the working directory,
 * and a file that may not be executed is remembered while the search goes on.
 */
static int
child_exec_search(struct spawn_plan *plan, char *file, size_t size)
{
    size_t cmd_len = strlen(plan->cmd);
    const char *dir = plan->path;
    int err = ENOENT;

    for (;;) {
        size_t len = strcspn(dir, ":");

        if (len + 1 + cmd_len + 1 <= size) {
            size_t slash = len > 0 ? 1 : 0;
            int r;

            memcpy(file, dir, len);
            memcpy(file + len, "/", slash);
            memcpy(file + len + slash, plan->cmd, cmd_len + 1);
            r = child_exec_file(plan, file);
            if (r == EACCES)
                err = r;
            else if (!is_absence(r))
                return r;
        }
        if (dir[len] == '\0')
            return err;
        dir += len + 1;
    }
}

/* Say on standard error why the command did not run, and end as a shell. */
_Noreturn static void
child_refuse(const struct spawn_plan *plan, int err)
{
    char text[SPAWN_TEXT_BYTES + 128];
    char *end = stpcpy(text, "envd: '");

    end = stpncpy(end, plan->cmd, plan->cmd_text_len);
    end = stpcpy(stpcpy(stpcpy(end, "': "), errno_text(err)), "\n");
    (void)syscall(SYS_write, STDERR_FILENO, text, end - text);
    leave(is_absence(err) ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

_Noreturn void
spawn_child_run(struct spawn_plan *plan)
{
    static const uint64_t no_signals;
    char pwd[PATH_MAX + sizeof("PWD=")];
    char file[PATH_MAX];
    int err;

    child_take_fds(plan);
    if (plan->procs_fd >= 0)
        (void)syscall(SYS_write, CHILD_PROCS_FD, "0", 1);
    child_reset_priorities(plan);
    child_reset_signals(plan);
    (void)syscall(SYS_umask, 022);
    child_new_session(plan);
    child_become_user(plan);
    child_enter_cwd(plan, pwd, sizeof(pwd));
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL,
                  sizeof(no_signals));
    child_take_filter(plan);
    if (*plan->cmd == '\0')
        err = ENOENT;
    else if (strchr(plan->cmd, '/') != NULL)
        err = child_exec_file(plan, plan->cmd);
    else
        err = child_exec_search(plan, file, sizeof(file));
    if (is_exhaustion(err))
        fail(SPAWN_STAGE_EXEC, err);
    child_refuse(plan, err);
}
