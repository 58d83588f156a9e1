/*
 * The sweep: everything a command has made is found, stopped and killed.
 */
#include "process/kill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "base/str.h"

/* Looks at /proc before giving up on a tree that grows while it is stopped. */
#define ROUNDS_MAX 16

/* Processes looked at; a machine of ours has no more. */
#define ENTRIES_MAX ((size_t)1 << 16)

/* One process of the machine. */
struct entry {
    pid_t pid;
    pid_t parent;
    pid_t group;
    pid_t session;
    uint64_t start; /* clock ticks since boot: tells users of a pid apart */
    bool dead;
    bool victim;
};

/* All of them, sorted by pid. */
struct snapshot {
    struct entry *entries;
    size_t count;
    size_t cap;
};

/* The names under /proc/PID/fd of what only this command writes to. */
struct output_names {
    char name[2][32];
    size_t count;
};

int
kill_leader(int leader_fd, int signum)
{
    return syscall(SYS_pidfd_send_signal, leader_fd, signum, NULL, 0) == 0
               ? 0
               : -errno;
}

int
kill_group(pid_t leader, int leader_fd, int signum)
{
    if (kill(-leader, signum) == 0)
        return 0;
    return kill_leader(leader_fd, signum);
}

/* The next blank-separated number of *text. */
static int64_t
next_number(char **text)
{
    return strtoll(*text, text, 10);
}

/* Read /proc/PID/stat.  Rule: proc(5). */
static bool
entry_read(int proc_fd, const char *pid, struct entry *ret)
{
    SCOPE(fd_close) int fd = -1;
    char path[32];
    char text[1024];
    char *at;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/stat", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    at = strrchr(text, ')'); /* the name before it may hold anything */
    if (at == NULL || at[1] != ' ' || at[2] == '\0')
        return false;
    *ret = (struct entry){.dead = at[2] == 'Z' || at[2] == 'X'};
    ret->pid = (pid_t)strtol(pid, NULL, 10);
    at += 3;
    ret->parent = (pid_t)next_number(&at);
    ret->group = (pid_t)next_number(&at);
    ret->session = (pid_t)next_number(&at);
    for (int field = 7; field < 22; field++)
        (void)next_number(&at);
    ret->start = (uint64_t)next_number(&at);
    return true;
}

static int
compare_pids(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct entry *
snapshot_find(const struct snapshot *s, pid_t pid)
{
    struct entry key = {.pid = pid};

    if (s->count == 0)
        return NULL;
    return bsearch(&key, s->entries, s->count, sizeof(key), compare_pids);
}

static bool
snapshot_add(struct snapshot *s, const struct entry *e)
{
    if (s->count == s->cap) {
        size_t cap = s->cap == 0 ? 256 : s->cap * 2;
        struct entry *grown = cap <= ENTRIES_MAX
                                  ? realloc(s->entries, cap * sizeof(*grown))
                                  : NULL;

        if (grown == NULL)
            return false;
        s->entries = grown;
        s->cap = cap;
    }
    s->entries[s->count++] = *e;
    return true;
}

static void
snapshot_done(struct snapshot *s)
{
    free(s->entries);
    *s = (struct snapshot){0};
}

/* Look at every process; false when /proc cannot be read. */
static bool
snapshot_take(struct snapshot *s)
{
    DIR *dir = opendir("/proc");
    const struct dirent *name;

    s->count = 0;
    if (dir == NULL)
        return false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    while ((name = readdir(dir)) != NULL) {
        struct entry e;

        if (name->d_name[0] < '1' || name->d_name[0] > '9' ||
            !entry_read(dirfd(dir), name->d_name, &e))
            continue;
        if (!snapshot_add(s, &e))
            break;
    }
    (void)closedir(dir);
    if (s->count > 0)
        qsort(s->entries, s->count, sizeof(*s->entries), compare_pids);
    return true;
}

static void
output_names_get(const struct kill_target *t, struct output_names *ret)
{
    ret->count = 0;
    for (size_t i = 0; i < ARRAY_LEN(t->output_fds); i++) {
        char *name = ret->name[ret->count];
        struct stat stat;
        unsigned int pts;

        if (t->output_fds[i] < 0 || fstat(t->output_fds[i], &stat) < 0)
            continue;
        if (S_ISFIFO(stat.st_mode))
            (void)snprintf(name, sizeof(ret->name[0]), "pipe:[%llu]",
                           (unsigned long long)stat.st_ino);
        else if (ioctl(t->output_fds[i], TIOCGPTN, &pts) == 0)
            (void)snprintf(name, sizeof(ret->name[0]), "/dev/pts/%u", pts);
        else
            continue;
        ret->count++;
    }
}

/* Whether one of its first three descriptors is the command's output. */
static bool
holds_output(pid_t pid, const struct output_names *names)
{
    for (int fd = 0; fd <= 2; fd++) {
        char path[64];
        char link[64];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        n = readlink(path, link, sizeof(link) - 1);
        if (n <= 0)
            continue;
        link[n] = '\0';
        for (size_t i = 0; i < names->count; i++)
            if (strcmp(link, names->name[i]) == 0)
                return true;
    }
    return false;
}

/* Without a parent of its own: adopted by us, or by the first process. */
static bool
is_orphan(const struct kill_target *t, const struct entry *e)
{
    return (e->parent == getpid() || e->parent == 1) &&
           !t->is_leader(t->ctx, e->pid);
}

static bool
is_victim(const struct kill_target *t, const struct snapshot *s,
          const struct output_names *names, const struct entry *e)
{
    const struct entry *parent;

    if (e->pid == getpid() || e->pid == 1)
        return false;
    if (e->pid == t->leader || e->group == t->leader || e->session == t->leader)
        return true;
    parent = snapshot_find(s, e->parent);
    if (parent != NULL && parent->victim)
        return true;
    return !e->dead && is_orphan(t, e) && holds_output(e->pid, names);
}

/* Mark all victims: as long as marking one marks another. */
static void
snapshot_mark(const struct kill_target *t, struct snapshot *s,
              const struct output_names *names)
{
    static const struct output_names no_names = {.count = 0};
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < s->count; i++) {
            struct entry *e = &s->entries[i];

            if (e->victim || !is_victim(t, s, names, e))
                continue;
            e->victim = true;
            changed = true;
        }
        names = &no_names; /* looking once is enough */
    }
}

/* Signal a process if it is still the one that was seen. */
static void
entry_signal(const struct entry *e, int signum)
{
    SCOPE(fd_close) int fd = (int)syscall(SYS_pidfd_open, e->pid, 0);
    SCOPE(fd_close) int proc_fd = -1;
    char pid[16];
    struct entry now;

    if (fd < 0)
        return;
    proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(pid, sizeof(pid), "%d", (int)e->pid);
    if (proc_fd >= 0 && entry_read(proc_fd, pid, &now) &&
        now.start == e->start && !now.dead)
        (void)kill_leader(fd, signum);
}

static bool
was_victim(const struct snapshot *before, const struct entry *e)
{
    const struct entry *b = snapshot_find(before, e->pid);

    return b != NULL && b->victim && b->start == e->start;
}

/*
 * Stop what was found for the first time and is not in the leader's group,
 * which stopped as a whole.  Returns how many there were.
 */
static size_t
stop_new(const struct kill_target *t, const struct snapshot *now,
         const struct snapshot *before)
{
    size_t count = 0;

    for (size_t i = 0; i < now->count; i++) {
        const struct entry *e = &now->entries[i];

        if (!e->victim || e->dead || e->group == t->leader ||
            e->pid == t->leader || was_victim(before, e))
            continue;
        entry_signal(e, SIGSTOP);
        count++;
    }
    return count;
}

static void
sweep(const struct kill_target *t)
{
    struct snapshot now = {0};
    struct snapshot before = {0};
    struct output_names names;

    output_names_get(t, &names);
    (void)kill_group(t->leader, t->leader_fd, SIGSTOP);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct snapshot swap = before;

        before = now;
        now = swap;
        if (!snapshot_take(&now))
            break;
        snapshot_mark(t, &now, &names);
        if (stop_new(t, &now, &before) == 0)
            break;
    }
    for (size_t i = 0; i < now.count; i++)
        if (now.entries[i].victim && !now.entries[i].dead)
            entry_signal(&now.entries[i], SIGKILL);
    snapshot_done(&now);
    snapshot_done(&before);
}

/*
 * Let the kernel kill all that is in the cgroup.  False when the command is
 * not in it: it could not be placed there.
 */
static bool
kill_cgroup(int cgroup_fd)
{
    SCOPE(fd_close) int events_fd = -1;
    SCOPE(fd_close) int kill_fd = -1;
    char text[256];
    ssize_t n;

    events_fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
    if (events_fd < 0)
        return false;
    n = read(events_fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    if (strstr(text, "populated 1") == NULL)
        return false;
    kill_fd = openat(cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    return kill_fd >= 0 && write(kill_fd, "1", 1) == 1;
}

void
kill_tree(const struct kill_target *t)
{
    if (t->cgroup_fd < 0 || !kill_cgroup(t->cgroup_fd))
        sweep(t);
    /* Whatever came of that, these die. */
    (void)kill(-t->leader, SIGKILL);
    (void)kill_leader(t->leader_fd, SIGKILL);
}
