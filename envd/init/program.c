/*
 * Starting the two programs, each with what it should have more or less of
 * than process 1.
 */
#include "init/program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "init/keeper.h"
#include "init/say.h"

#define SELF_PATH   "/proc/self/exe"
#define SHELL       "/bin/sh"
#define EXIT_NO_RUN 127

void
program_ended(struct program *p, int wait_status, bool again)
{
    int64_t now = clock_now_ms(CLOCK_MONOTONIC);

    if (now - p->started_ms >= p->pace.steady_ms) {
        p->quick_ends = 0;
        p->delay_ms = 0;
    }
    p->quick_ends++;
    p->pid = 0;
    p->due_ms = again ? now + p->delay_ms : -1;
    p->delay_ms = p->delay_ms == 0 ? p->pace.first_ms
                                   : MIN(p->delay_ms * 2, p->pace.most_ms);
    if (WIFSIGNALED(wait_status))
        say("%s ended by signal %d%s", p->name, WTERMSIG(wait_status),
            again ? "; it is started again" : "");
    else
        say("%s ended with status %d%s", p->name, WEXITSTATUS(wait_status),
            again ? "; it is started again" : "");
}

bool
program_fork(struct program *p)
{
    sigset_t none;
    pid_t pid = fork();

    p->started_ms = clock_now_ms(CLOCK_MONOTONIC);
    p->due_ms = -1;
    if (pid < 0) {
        say_errno("cannot start %s", p->name);
        p->due_ms = p->started_ms + p->pace.most_ms;
        return false;
    }
    if (pid > 0) {
        p->pid = pid;
        return false;
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    return true;
}

/* Go into a cgroup of this name, made if need be.  Best effort. */
static void
enter_cgroup(const char *root, const char *name)
{
    char path[512];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", root);
    if (stat(path, &st) < 0)
        return; /* no cgroup v2 there */
    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    (void)mkdir(path, 0755);
    (void)snprintf(path, sizeof(path), "%s/%s/cgroup.procs", root, name);
    (void)fd_write_file(path, "0");
}

/* What the agent is promised: it must answer while all else is at its limit. */
static void
enter_agent_cgroup(const char *root)
{
    static const char *const controllers[] = {"+cpu", "+io", "+memory",
                                              "+pids"};
    static const char *const values[][2] = {
        {"memory.min", "50M"},
        {"memory.low", "100M"},
        {"cpu.weight", "1000"},
        {"io.weight", "default 10000"},
    };
    char path[512];

    for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
        (void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
        (void)fd_write_file(path, controllers[i]);
    }
    enter_cgroup(root, "envd");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)snprintf(path, sizeof(path), "%s/envd/%s", root, values[i][0]);
        (void)fd_write_file(path, values[i][1]);
    }
}

_Noreturn void
program_run_agent(const struct init_agent *agent, const struct keeper *keeper,
                  bool own)
{
    const char **argv = xcalloc(agent->arg_count + 3, sizeof(*argv));
    const char *binary = getenv("ENVD_EXE"); /* see take_name() */
    char *const *args;
    size_t n = 0;

    argv[n++] = "envd";
    for (size_t i = 0; i < agent->arg_count; i++)
        argv[n++] = agent->args[i];
    argv[n] = "-init=false";
    if (agent->cgroup_root != NULL)
        enter_agent_cgroup(agent->cgroup_root);
    (void)setpriority(PRIO_PROCESS, 0, -20);
    (void)syscall(SYS_ioprio_set, 1 /* this process */, 0,
                  IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 4));
    (void)fd_write_file("/proc/self/oom_score_adj", "-1000");
    keeper_pass(keeper);
    memcpy(&args, &argv, sizeof(args)); /* execv() does not write to them */
    if (!own && binary != NULL)
        (void)execv(binary, args);
    (void)execv(SELF_PATH, args);
    say_errno("cannot start the agent");
    _exit(EXIT_NO_RUN);
}

/* Without a shell the words of the command are what blanks separate. */
static char **
split_words(char *text)
{
    char **words = xcalloc(strlen(text) / 2 + 2, sizeof(*words));
    size_t count = 0;
    char *save = NULL;

    for (char *word = strtok_r(text, " \t\n", &save); word != NULL;
         word = strtok_r(NULL, " \t\n", &save))
        words[count++] = word;
    return words;
}

_Noreturn void
program_run_command(const char *command, const char *cgroup_root)
{
    int null = open("/dev/null", O_RDONLY);
    char **words;

    if (null > 0)
        (void)dup2(null, 0);
    (void)close(null);
    /* With the commands of clients: it is frozen and thawed with them. */
    if (cgroup_root != NULL) {
        enter_cgroup(cgroup_root, "user");
        enter_cgroup(cgroup_root, "user/start");
    }
    (void)fd_write_file("/proc/self/oom_score_adj", "100");
    if (access(SHELL, X_OK) == 0) {
        (void)execl(SHELL, "sh", "-c", command, NULL);
    } else {
        words = split_words(xstrdup(command));
        if (words[0] != NULL)
            (void)execvp(words[0], words);
    }
    say_errno("cannot start the command");
    _exit(EXIT_NO_RUN);
}
