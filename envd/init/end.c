/*
 * Taking the machine down.  Nothing here may wait for ever: a network mount
 * whose server is gone must not keep the machine up.
 */
#include "init/end.h"

#include <errno.h>
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
#include "base/scope.h"
#include "init/machine.h"
#include "init/program.h"
#include "init/say.h"

#define KILL_MS      5000  /* until what does not even die is left behind */
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

/* Reap until nobody, or `pid` alone if that is not -1, is left; false: late. */
static bool
reap_all(int signal_fd, pid_t pid, int64_t ms)
{
    int64_t until = program_now_ms() + ms;

    for (;;) {
        struct pollfd p = {.fd = signal_fd, .events = POLLIN};
        struct signalfd_siginfo info;
        int64_t left = until - program_now_ms();
        pid_t r;

        while ((r = waitpid(-1, NULL, WNOHANG)) > 0)
            if (r == pid)
                return true;
        if (r < 0 && errno == ECHILD)
            return true;
        if (left <= 0)
            return false;
        if (poll(&p, 1, (int)left) == 1 &&
            read(signal_fd, &info, sizeof(info)) < 0)
            continue; /* somebody else was quicker: look again */
    }
}

static void
end_processes(int64_t stop_ms, int signal_fd, const char *cgroup_root)
{
    static const char *const kinds[] = {"user", "ptys"};
    char path[512];

    for (size_t i = 0; cgroup_root != NULL && i < ARRAY_LEN(kinds); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s/cgroup.freeze", cgroup_root,
                       kinds[i]);
        (void)fd_write_file(path, "0");
    }
    (void)kill(-1, SIGTERM);
    (void)kill(-1, SIGCONT); /* what is stopped shall hear it, too */
    if (reap_all(signal_fd, -1, stop_ms))
        return;
    say("killing what did not end");
    (void)kill(-1, SIGKILL);
    (void)reap_all(signal_fd, -1, KILL_MS);
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
init_end(enum init_end how, int64_t stop_ms, int signal_fd,
         const char *cgroup_root)
{
    static const unsigned int commands[] = {
        [INIT_END_NONE] = RB_AUTOBOOT,
        [INIT_END_RESTART] = RB_AUTOBOOT,
        [INIT_END_POWER_OFF] = RB_POWER_OFF,
        [INIT_END_HALT] = RB_HALT_SYSTEM,
    };

    say("going down");
    end_processes(stop_ms, signal_fd, cgroup_root);
    /* A container's file systems are its host's to end. */
    if (machine_is_ours()) {
        pid_t pid = fork();

        if (pid == 0) {
            release_disks();
            _exit(0);
        }
        if (pid > 0 && !reap_all(signal_fd, pid, DISKS_MS))
            say("disks do not answer; going down all the same");
    }
    (void)reboot((int)commands[how]);
    /* Not allowed in a container: it ends with us. */
    _exit(0);
}
