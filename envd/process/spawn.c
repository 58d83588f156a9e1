/*
 * The parent's half of making a child: pipes or a terminal, everything the
 * child must not allocate, and the words for what went wrong.
 */
#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "process/pty.h"
#include "process/spawn_child.h"
#include "process/spawn_make.h"

/* Where a shell looks when there is no PATH at all. */
#define PATH_FALLBACK \
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The name that clients know for what runs the command, although none does. */
#define EXEC_TEXT "fork/exec /bin/sh"

/* What the agent was started with and gives back to its children. */
static struct {
    bool known;
    struct rlimit nofile;
    struct rlimit core;
    uint64_t ignored; /* signals: bit N-1 */
} inherited;

/* Descriptors of one child while it is being made. */
struct spawn_ends {
    int stdio_fd[3]; /* the child's; all the same with a terminal */
    int status_fd;   /* the child's */
    int procs_fd;
    int tty_fd; /* the slave behind stdio_fd, or -1 */
};

void
spawn_init(void)
{
    inherited.known = true;
    (void)getrlimit(RLIMIT_NOFILE, &inherited.nofile);
    (void)getrlimit(RLIMIT_CORE, &inherited.core);
    /* The agent ignores this one itself, before or after this call. */
    inherited.ignored = 1ULL << (SIGPIPE - 1);
    for (int sig = 1; sig < NSIG; sig++) {
        /* The kernel's struct sigaction: the C library hides two signals. */
        unsigned long action[8];

        if (syscall(SYS_rt_sigaction, sig, NULL, action, sizeof(uint64_t)) ==
                0 &&
            action[0] == (unsigned long)SIG_IGN)
            inherited.ignored |= 1ULL << (sig - 1);
    }
}

const char *
spawn_stage_name(enum spawn_stage stage)
{
    switch (stage) {
    case SPAWN_STAGE_CLONE:
        return "clone";
    case SPAWN_STAGE_TERMINAL:
        return "pty";
    case SPAWN_STAGE_SESSION:
        return "session";
    case SPAWN_STAGE_CREDENTIALS:
        return "credentials";
    case SPAWN_STAGE_CWD:
        return "cwd";
    case SPAWN_STAGE_STDIO:
        return "stdio";
    case SPAWN_STAGE_FILTER:
        return "filter";
    case SPAWN_STAGE_EXEC:
        return "exec";
    }
    return "unknown";
}

/* Append to a text of limited length; false when it was cut. */
static bool
text_append(char *text, size_t size, const char *more)
{
    size_t used = strlen(text);
    size_t len = strlen(more);
    size_t fits = MIN(len, size - 1 - used);

    memcpy(text + used, more, fits);
    text[used + fits] = '\0';
    return fits == len;
}

/* Command and arguments in one line, cut where it gets long. */
static void
command_text(const struct spawn_spec *spec, char *text, size_t size)
{
    static const char more[] = "...";
    bool whole;

    text[0] = '\0';
    whole = text_append(text, size, spec->cmd);
    for (size_t i = 0; i < spec->arg_count && whole; i++)
        whole = text_append(text, size, " ") &&
                text_append(text, size, spec->args[i]);
    if (!whole)
        memcpy(text + utf8_floor(text, size - sizeof(more)), more,
               sizeof(more));
}

static bool
is_exhaustion(int err)
{
    return err == EAGAIN || err == ENOMEM || err == EMFILE || err == ENFILE ||
           err == ENOSPC;
}

/* Note errno and stage beside the text.  Returns -1. */
static int
with_cause(struct status *st, int err, enum spawn_stage stage)
{
    st->err = err;
    st->stage = spawn_stage_name(stage);
    return -1;
}

/* The text for a command that could not be started; `what` before errno's. */
static int
start_failure(const struct spawn_spec *spec, const char *what, int err,
              enum spawn_stage stage, struct status *st)
{
    const char *cause = err != 0 ? errno_text(err) : "";
    enum rpc_code code =
        is_exhaustion(err) ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT;
    char command[SPAWN_TEXT_BYTES + 1];

    command_text(spec, command, sizeof(command));
    if (spec->pty)
        (void)status_set(st, code,
                         "error starting pty with command '%s' in dir '%.*s' "
                         "with '%u' cols and '%u' rows: %s%s",
                         command, SPAWN_TEXT_BYTES, spec->cwd, spec->cols,
                         spec->rows, what, cause);
    else
        (void)status_set(st, code, "error starting process '%s': %s%s", command,
                         what, cause);
    return with_cause(st, err, stage);
}

/* What no system call could be given as it was meant: words with a NUL. */
static int
check_words(const struct spawn_spec *spec, struct status *st)
{
    bool bad = strstr(spec->cmd, UTF8_NUL) != NULL;

    for (size_t i = 0; i < spec->arg_count; i++)
        bad = bad || strstr(spec->args[i], UTF8_NUL) != NULL;
    if (bad)
        return start_failure(spec, EXEC_TEXT ": ", EINVAL, SPAWN_STAGE_EXEC,
                             st);
    for (const char *const *var = spec->env; *var != NULL; var++)
        if (strstr(*var, UTF8_NUL) != NULL)
            return start_failure(spec,
                                 "exec: environment variable contains NUL", 0,
                                 SPAWN_STAGE_EXEC, st);
    return 0;
}

static int
pipe_failure(const struct spawn_spec *spec, const char *name, int err,
             struct status *st)
{
    char command[SPAWN_TEXT_BYTES + 1];

    command_text(spec, command, sizeof(command));
    (void)status_errno(
        st, is_exhaustion(err) ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL, err,
        "error creating %s pipe for command '%s': pipe2", name, command);
    return with_cause(st, err, SPAWN_STAGE_STDIO);
}

/*
 * A pipe of which the parent's end does not block.  Its size is the kernel's
 * default, 64 KiB: with 256 KiB a reader that also works on each byte was
 * measured to be faster by less than 5 %.
 */
static int
open_pipe(int *ret_read_fd, int *ret_write_fd, bool parent_reads)
{
    int fd[2];

    if (pipe2(fd, O_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(fd[parent_reads ? 0 : 1], F_SETFL, O_NONBLOCK);
    *ret_read_fd = fd[0];
    *ret_write_fd = fd[1];
    return 0;
}

static int
open_pipes(const struct spawn_spec *spec, struct spawn_child *child,
           struct spawn_ends *ends, struct status *st)
{
    int r = open_pipe(&child->stdout_fd, &ends->stdio_fd[1], true);

    if (r < 0)
        return pipe_failure(spec, "stdout", -r, st);
    r = open_pipe(&child->stderr_fd, &ends->stdio_fd[2], true);
    if (r < 0)
        return pipe_failure(spec, "stderr", -r, st);
    if (spec->stdin_open) {
        r = open_pipe(&ends->stdio_fd[0], &child->stdin_fd, false);
        if (r < 0)
            return pipe_failure(spec, "stdin", -r, st);
        return 0;
    }
    ends->stdio_fd[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends->stdio_fd[0] < 0)
        return start_failure(spec, "open /dev/null: ", errno, SPAWN_STAGE_STDIO,
                             st);
    return 0;
}

static int
open_terminal(const struct spawn_spec *spec, struct spawn_child *child,
              struct spawn_ends *ends, struct status *st)
{
    const struct pty_spec pty = {spec->uid, spec->tty_gid, spec->cols,
                                 spec->rows};
    const char *what;
    int r = pty_open(&pty, &child->tty_fd, &ends->tty_fd, &what);

    if (r < 0)
        return start_failure(spec, what, -r, SPAWN_STAGE_TERMINAL, st);
    for (int i = 0; i < 3; i++)
        ends->stdio_fd[i] = ends->tty_fd;
    return 0;
}

static void
ends_close(struct spawn_ends *ends)
{
    if (ends->tty_fd < 0)
        for (int i = 0; i < 3; i++)
            fd_close(&ends->stdio_fd[i]);
    fd_close(&ends->tty_fd);
    fd_close(&ends->status_fd);
    fd_close(&ends->procs_fd);
}

static void
child_close(struct spawn_child *child)
{
    fd_close(&child->pid_fd);
    fd_close(&child->status_fd);
    fd_close(&child->stdin_fd);
    fd_close(&child->stdout_fd);
    fd_close(&child->stderr_fd);
    fd_close(&child->tty_fd);
}

/*
 * The vectors for exec, in one allocation that argv owns: a spare slot, command
 * and arguments; the variables without PWD and without those that have no
 * name, and a slot for PWD.
 */
static int
plan_vectors(const struct spawn_spec *spec, struct spawn_plan *plan)
{
    size_t env_count = 0;
    size_t slots;
    size_t bytes;
    const char **mem;

    while (spec->env[env_count] != NULL)
        env_count++;
    if (ckd_add(&slots, spec->arg_count, env_count) ||
        ckd_add(&slots, slots, 5U) || ckd_mul(&bytes, slots, sizeof(*mem)))
        return -ENOMEM;
    mem = malloc(bytes);
    if (mem == NULL)
        return -ENOMEM;
    plan->argv = mem;
    plan->argv[1] = spec->cmd;
    if (spec->arg_count > 0)
        memcpy(plan->argv + 2, spec->args, spec->arg_count * sizeof(*mem));
    plan->argv[spec->arg_count + 2] = NULL;
    plan->envp = plan->argv + spec->arg_count + 3;
    plan->path = PATH_FALLBACK;
    for (size_t i = 0; i < env_count; i++) {
        const char *var = spec->env[i];

        if (var[0] == '=' || strncmp(var, "PWD=", 4) == 0)
            continue;
        if (strncmp(var, "PATH=", 5) == 0)
            plan->path = var + 5;
        plan->envp[plan->pwd_index++] = var;
    }
    plan->envp[plan->pwd_index] = NULL;
    plan->envp[plan->pwd_index + 1] = NULL;
    return 0;
}

static int
plan_fill(const struct spawn_spec *spec, const struct spawn_ends *ends,
          struct spawn_plan *plan)
{
    *plan = (struct spawn_plan){
        .cmd = spec->cmd,
        .cmd_text_len =
            utf8_floor(spec->cmd, strnlen(spec->cmd, SPAWN_TEXT_BYTES)),
        .cwd = *spec->cwd != '\0' ? spec->cwd : NULL,
        .uid = spec->uid,
        .gid = spec->gid,
        .groups = spec->groups,
        .group_count = spec->group_count,
        .same_user =
            geteuid() != 0 && geteuid() == spec->uid && getegid() == spec->gid,
        .status_fd = ends->status_fd,
        .procs_fd = ends->procs_fd,
        .pty = spec->pty,
        .ignored = inherited.ignored,
        .nofile = inherited.nofile,
        .core = inherited.core,
        .filter = spec->filter,
    };
    memcpy(plan->stdio_fd, ends->stdio_fd, sizeof(plan->stdio_fd));
    return plan_vectors(spec, plan);
}

/* Everything behind the standard descriptors.  Returns 0 or -errno. */
static int
make_child(const struct spawn_spec *spec, struct spawn_ends *ends,
           struct spawn_child *child)
{
    struct spawn_plan plan;
    int cgroup_fd = spec->cgroup_fd;
    int r = open_pipe(&child->status_fd, &ends->status_fd, true);

    if (r < 0)
        return r;
    if (cgroup_fd >= 0 && cgroup_is_frozen(cgroup_fd)) {
        /*
         * Stopped at its first step a child would keep copies of all our
         * descriptors.  So it enters by itself, after it has closed them.
         */
        ends->procs_fd =
            openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (ends->procs_fd < 0) {
            child->unplaced = true;
            spawn_log_unplaced(errno);
        }
        cgroup_fd = -1;
    }
    r = plan_fill(spec, ends, &plan);
    if (r == 0)
        r = spawn_make(&plan, cgroup_fd, child);
    free(plan.argv);
    return r;
}

int
spawn(const struct spawn_spec *spec, struct spawn_child *ret, struct status *st)
{
    struct spawn_child child = {-1, -1, -1, -1, -1, -1, -1, false};
    struct spawn_ends ends = {{-1, -1, -1}, -1, -1, -1};
    int r;

    if (!inherited.known)
        spawn_init();
    if (check_words(spec, st) < 0)
        return -1;
    r = spec->pty ? open_terminal(spec, &child, &ends, st)
                  : open_pipes(spec, &child, &ends, st);
    if (r == 0) {
        r = make_child(spec, &ends, &child);
        if (r < 0)
            (void)start_failure(spec, EXEC_TEXT ": ", -r, SPAWN_STAGE_CLONE,
                                st);
    }
    ends_close(&ends);
    if (r < 0) {
        child_close(&child);
        return -1;
    }
    *ret = child;
    return 0;
}

int
spawn_read_status(const struct spawn_spec *spec, struct spawn_child *child,
                  struct spawn_failure *ret, struct status *st)
{
    struct spawn_word word;
    ssize_t n = read(child->status_fd, &word, sizeof(word));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    fd_close(&child->status_fd);
    if (n != (ssize_t)sizeof(word)) {
        *ret = (struct spawn_failure){.err = 0, .stage = SPAWN_STAGE_EXEC};
        return 1;
    }
    *ret = (struct spawn_failure){
        .err = word.err,
        .stage = (enum spawn_stage)word.stage,
    };
    if (ret->stage == SPAWN_STAGE_CWD && ret->err == ENOENT) {
        (void)status_set(st, RPC_INVALID_ARGUMENT, "cwd '%.*s' does not exist",
                         SPAWN_TEXT_BYTES, spec->cwd);
        return with_cause(st, ret->err, ret->stage);
    }
    return start_failure(spec, EXEC_TEXT ": ", ret->err, ret->stage, st);
}
