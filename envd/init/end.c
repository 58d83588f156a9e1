/*
 * Taking the machine down.  Nothing here may wait for ever: a network mount
 * whose server is gone must not keep the machine up.
 */
#include "init/end.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/now.h"
#include "base/scope.h"
#include "base/str.h"
#include "init/machine.h"
#include "init/program.h"
#include "init/say.h"

#define LOOK_MS      20    /* between two looks at who is left */
#define KILL_MS      5000  /* until what does not even die is left behind */
#define TELL_MS      200   /* for the agent to tell its clients of all that */
#define AGENT_MS     5000  /* for its jobs */
#define DISKS_MS     20000 /* for writing and unmounting */
#define MOUNTS_BYTES ((size_t)1 << 20)
#define MOUNTS_MAX   1024

enum init_end
init_end_of_signal(int signum)
{
    if (signum == SIGINT || signum == SIGTERM || signum == SIGRTMIN + 5)
        return INIT_END_RESTART;
    if (signum == SIGUSR2 || signum == SIGPWR || signum == SIGRTMIN + 4)
        return INIT_END_POWER_OFF;
    if (signum == SIGUSR1 || signum == SIGRTMIN + 3)
        return INIT_END_HALT;
    return INIT_END_NONE;
}

/* Reap what has ended; false when `ms` have passed without that. */
static bool
reap_one(int signal_fd, int ms)
{
    struct pollfd p = {.fd = signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;

    if (waitpid(-1, NULL, WNOHANG) > 0)
        return true;
    return poll(&p, 1, ms) == 1 && read(signal_fd, &info, sizeof(info)) > 0;
}

/* Reap until `pid` has ended, all have if that is -1; false: it took longer. */
static bool
reap_until(pid_t pid, int signal_fd, int64_t ms)
{
    int64_t until = clock_now_ms(CLOCK_MONOTONIC) + ms;
    siginfo_t info;

    while (waitid(pid > 0 ? P_PID : P_ALL, (id_t)pid, &info,
                  WEXITED | WNOHANG | WNOWAIT) == 0) {
        int64_t left = until - clock_now_ms(CLOCK_MONOTONIC);

        if (left <= 0)
            return false;
        (void)reap_one(signal_fd, (int)left);
    }
    return true; /* there is no such child any more */
}

/* Without it: a thread of the kernel, or what has ended. */
static bool
has_command_line(const char *pid)
{
    char path[64];
    char byte;
    SCOPE(fd_close) int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

/*
 * Send a signal, 0 for none, to every process but this one and the agent.
 * Returns how many there are.
 */
static size_t
signal_others(pid_t agent, int signum)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    size_t count = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        uint64_t pid;

        if (str_to_u64(str_from(entry->d_name), INT32_MAX, &pid) < 0 ||
            pid <= 1 || (pid_t)pid == agent || !has_command_line(entry->d_name))
            continue;
        count++;
        if (signum == 0)
            continue;
        (void)kill((pid_t)pid, signum);
        (void)kill((pid_t)pid, SIGCONT); /* the stopped shall hear it, too */
    }
    if (dir != NULL)
        (void)closedir(dir);
    return count;
}

static bool
wait_for_others(pid_t agent, int signal_fd, int64_t ms)
{
    int64_t until = clock_now_ms(CLOCK_MONOTONIC) + ms;

    /* Children of the agent end without a signal to us. */
    while (signal_others(agent, 0) > 0) {
        if (clock_now_ms(CLOCK_MONOTONIC) >= until)
            return false;
        (void)reap_one(signal_fd, LOOK_MS);
    }
    return true;
}

static void
thaw(const char *cgroup_root)
{
    static const char *const kinds[] = {"user", "ptys"};
    char path[512];

    for (size_t i = 0; cgroup_root != NULL && i < ARRAY_LEN(kinds); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s/cgroup.freeze", cgroup_root,
                       kinds[i]);
        (void)fd_write_file(path, "0");
    }
}

/*
 * The agent last: it reads what its commands have to say at their end, which
 * a closed pipe would kill them for, and tells its clients.
 */
static void
end_processes(const struct init_going *g)
{
    thaw(g->cgroup_root);
    (void)signal_others(g->agent, SIGTERM);
    if (!wait_for_others(g->agent, g->signal_fd, g->stop_ms)) {
        say("killing what did not end");
        (void)signal_others(g->agent, SIGKILL);
        (void)wait_for_others(g->agent, g->signal_fd, KILL_MS);
    }
    (void)reap_until(g->agent, g->signal_fd, TELL_MS);
    if (g->agent > 0 && kill(g->agent, SIGTERM) == 0)
        (void)reap_until(g->agent, g->signal_fd, AGENT_MS);
    (void)kill(-1, SIGKILL);
    (void)reap_until(-1, g->signal_fd, KILL_MS);
}

/* Undo the kernel's \ooo in place. */
static void
unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in != '\0'; out++) {
        if (in[0] == '\\' && in[1] != '\0' && in[2] != '\0' && in[3] != '\0') {
            *out =
                (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

/* The fifth field of a line of mountinfo; *text moves on to the next line. */
static char *
next_mount(char **text)
{
    size_t len = strcspn(*text, "\n");
    char *line = *text;
    char *save = NULL;
    char *path = NULL;

    *text = line + len + (line[len] == '\n' ? 1 : 0);
    line[len] = '\0';
    for (int field = 1; field <= 5; field++)
        path = strtok_r(field == 1 ? line : NULL, " ", &save);
    if (path != NULL)
        unescape(path);
    return path;
}

static bool
holds_no_files(const char *path)
{
    static const char *const kernels[] = {"/proc", "/sys", "/dev", "/run"};

    for (size_t i = 0; i < ARRAY_LEN(kernels); i++) {
        size_t len = strlen(kernels[i]);

        if (strncmp(path, kernels[i], len) == 0 &&
            (path[len] == '\0' || path[len] == '/'))
            return true;
    }
    return strcmp(path, "/") == 0;
}

/* The latest first; what is still in use is at least made read-only. */
static void
release_disks(void)
{
    SCOPE(scope_free) char *text = NULL;
    char *paths[MOUNTS_MAX];
    size_t count = 0;

    sync();
    if (fd_read_file("/proc/self/mountinfo", MOUNTS_BYTES, &text, NULL) == 0) {
        for (char *at = text; *at != '\0' && count < MOUNTS_MAX;) {
            char *path = next_mount(&at);

            if (path != NULL && !holds_no_files(path))
                paths[count++] = path;
        }
    }
    while (count-- > 0)
        if (umount2(paths[count], UMOUNT_NOFOLLOW) < 0)
            (void)mount(NULL, paths[count], NULL, MS_REMOUNT | MS_RDONLY, NULL);
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
        say_errno("/ stays writable");
    sync();
}

_Noreturn void
init_end(enum init_end how, const struct init_going *going)
{
    static const unsigned int commands[] = {
        [INIT_END_NONE] = RB_AUTOBOOT,
        [INIT_END_RESTART] = RB_AUTOBOOT,
        [INIT_END_POWER_OFF] = RB_POWER_OFF,
        [INIT_END_HALT] = RB_HALT_SYSTEM,
    };

    say("going down");
    end_processes(going);
    /* A container's file systems are its host's to end. */
    if (machine_is_ours()) {
        pid_t pid = fork();

        if (pid == 0) {
            release_disks();
            _exit(0);
        }
        if (pid > 0 && !reap_until(pid, going->signal_fd, DISKS_MS))
            say("disks do not answer; going down all the same");
    }
    (void)reboot((int)commands[how]);
    /* Not allowed in a container: it ends with us. */
    _exit(0);
}
