/*
 * Process 1: getting ready, and turning.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/now.h"
#include "base/scope.h"
#include "init/end.h"
#include "init/keeper.h"
#include "init/machine.h"
#include "init/program.h"
#include "init/say.h"

/* The binary under another name; see take_name(). */
#define NAME_FOLDER "/run/envd"
#define NAME_PATH   NAME_FOLDER "/init"

#define PATH_DEFAULT \
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The command is started after that even if the agent never said `ready`. */
#define READY_MS 10000

/* After so many quick ends of the agent its binary is taken for damaged. */
#define QUICK_ENDS_MAX 5

#define FILES_SOFT 1024
#define FILES_HARD ((rlim_t)512 * 1024)

struct init {
    const struct init_options *options;
    const struct init_agent *agent_options;
    int signal_fd;
    struct keeper keeper;
    struct program agent;
    struct program command;
    enum init_end end;
};

static const struct program_pace agent_pace = {100, 1000, 10000};
static const struct program_pace command_pace = {1000, 30000, 60000};

/* ---- before anything else ------------------------------------------------ */

/*
 * Whoever looks for the agent by name, to send it a signal, must find one
 * process.  Names are taken from the file, and so process 1 is run from the
 * same one, mounted elsewhere.  ENVD_EXE then says where it was.
 */
static void
take_name(char **argv)
{
    static char name[] = "init";
    char binary[4096];
    ssize_t n = readlink("/proc/self/exe", binary, sizeof(binary) - 1);
    int fd;

    if (n <= 0) {
        (void)setenv("ENVD_EXE", argv[0], 1);
        return;
    }
    binary[n] = '\0';
    (void)mkdir(NAME_FOLDER, 0755);
    fd = open(NAME_PATH, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    fd_close(&fd);
    (void)setenv("ENVD_EXE", binary, 1);
    argv[0] = name;
    if (mount("/proc/self/exe", NAME_PATH, NULL, MS_BIND, NULL) == 0)
        (void)execv(NAME_PATH, argv);
    say_errno("cannot take the name of init");
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

void
init_prepare(char **argv, bool cgroups)
{
    unsigned int missing;

    if (getenv("ENVD_EXE") != NULL)
        return; /* done already, under the other name */
    missing = machine_hold_stdio();
    (void)umask(0);
    machine_mount(cgroups);
    machine_open_stdio(missing);
    (void)umask(022);
    if (chdir("/") < 0)
        say_errno("/");
    machine_network();
    machine_hostname();
    machine_files();
    (void)setenv("PATH", PATH_DEFAULT, 0);
    take_name(argv);
}

/* ---- turning ------------------------------------------------------------- */

static void
start_agent(struct init *in)
{
    bool own = in->agent.quick_ends >= QUICK_ENDS_MAX;

    if (program_fork(&in->agent))
        program_run_agent(in->agent_options, &in->keeper, own);
}

static void
start_command(struct init *in)
{
    if (program_fork(&in->command))
        program_run_command(in->options->start, in->agent_options->cgroup_root);
}

/* The agent serves: the command may rely on it. */
static void
on_ready(struct init *in)
{
    if (in->options->start != NULL && in->command.started_ms == 0 &&
        in->command.pid == 0)
        start_command(in);
}

static bool
command_again(const struct init *in, int status)
{
    switch (in->options->start_restart) {
    case INIT_RESTART_NO:
        return false;
    case INIT_RESTART_ON_FAILURE:
        return status != 0;
    case INIT_RESTART_ALWAYS:
        return true;
    }
    return false;
}

static void
reap(struct init *in)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == in->agent.pid) {
            /* What it said last, as which descriptors to keep. */
            (void)keeper_receive(&in->keeper, pid);
            program_ended(&in->agent, status, true);
        } else if (pid == in->command.pid) {
            program_ended(&in->command, status, command_again(in, status));
        }
    }
}

static void
on_signal(struct init *in)
{
    struct signalfd_siginfo info;

    while (read(in->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGCHLD)
            in->end = init_end_of_signal((int)info.ssi_signo);
    }
    reap(in);
}

/* Milliseconds until a program is to be started; -1: none is. */
static int
until_due(const struct init *in)
{
    int64_t due = in->agent.due_ms;
    int64_t now = clock_now_ms(CLOCK_MONOTONIC);

    if (due < 0 || (in->command.due_ms >= 0 && in->command.due_ms < due))
        due = in->command.due_ms;
    if (due < 0)
        return -1;
    return (int)MAX(due - now, (int64_t)0);
}

static bool
is_due(const struct program *p)
{
    return p->due_ms >= 0 && p->due_ms <= clock_now_ms(CLOCK_MONOTONIC);
}

static int
open_signals(void)
{
    static const int signals[] = {SIGCHLD, SIGINT,  SIGTERM,
                                  SIGPWR,  SIGUSR1, SIGUSR2};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        (void)sigaddset(&set, signals[i]);
    for (int i = 3; i <= 5; i++)
        (void)sigaddset(&set, SIGRTMIN + i);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What a service manager gives: commands see these as their own limits. */
static void
set_limits(void)
{
    const struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit files = {FILES_SOFT, FILES_HARD};

    if (setrlimit(RLIMIT_NOFILE, &files) < 0 &&
        getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = MIN(files.rlim_max, (rlim_t)FILES_SOFT);
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)setrlimit(RLIMIT_CORE, &core);
}

_Noreturn void
init_run(const struct init_options *options, const struct init_agent *agent)
{
    struct init in = {
        .options = options,
        .agent_options = agent,
        .agent = {.name = "the agent", .pace = agent_pace, .due_ms = -1},
        .command = {.name = "the command", .pace = command_pace, .due_ms = -1},
    };
    struct init_going going;

    in.signal_fd = open_signals();
    keeper_init(&in.keeper);
    set_limits();
    if (machine_is_ours())
        (void)reboot(RB_DISABLE_CAD); /* ctrl-alt-del is a SIGINT, then */
    start_agent(&in);
    if (options->start != NULL)
        in.command.due_ms = clock_now_ms(CLOCK_MONOTONIC) + READY_MS;
    while (in.end == INIT_END_NONE) {
        struct pollfd p[2] = {{.fd = in.signal_fd, .events = POLLIN},
                              {.fd = in.keeper.fd, .events = POLLIN}};

        (void)poll(p, 2, until_due(&in));
        if (p[0].revents != 0)
            on_signal(&in);
        if (p[1].revents != 0 && keeper_receive(&in.keeper, in.agent.pid))
            on_ready(&in);
        if (in.end == INIT_END_NONE && is_due(&in.agent))
            start_agent(&in);
        if (in.end == INIT_END_NONE && is_due(&in.command))
            start_command(&in);
    }
    if (in.end == INIT_END_POWER_OFF && agent->firecracker && machine_is_ours())
        in.end = INIT_END_RESTART; /* there the machine ends by that alone */
    going = (struct init_going){
        .stop_ms = options->stop_ms,
        .signal_fd = in.signal_fd,
        .agent = in.agent.pid,
        .cgroup_root = agent->cgroup_root,
    };
    init_end(in.end, &going);
}
