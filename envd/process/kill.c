/*
 * The sweep: everything a command has made is found, stopped and killed.
 */
#include "process/kill.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "process/proc.h"

/* Looks at /proc before giving up on a tree that grows while it is stopped. */
#define ROUNDS_MAX 16

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
is_orphan(const struct kill_target *t, const struct proc_entry *e)
{
    return (e->parent == getpid() || e->parent == 1) &&
           !t->is_leader(t->ctx, e->pid);
}

/*
 * Whether it was found by the look before: what it was found by may be gone,
 * as a parent that was hung up on when its group lost the last link to a shell.
 */
static bool
was_victim(const struct proc_table *before, const struct proc_entry *e)
{
    const struct proc_entry *b = proc_table_find(before, e->pid);

    return b != NULL && b->victim && b->start == e->start;
}

static bool
is_victim(const struct kill_target *t, const struct proc_table *s,
          const struct output_names *names, const struct proc_entry *e)
{
    const struct proc_entry *parent;
    const struct proc_entry *leader; /* of the session */

    if (e->pid == getpid() || e->pid == 1)
        return false;
    if (e->pid == t->leader || e->group == t->leader || e->session == t->leader)
        return true;
    parent = proc_table_find(s, e->parent);
    leader = proc_table_find(s, e->session);
    if ((parent != NULL && parent->victim) ||
        (leader != NULL && leader->victim))
        return true;
    return !e->dead && is_orphan(t, e) && holds_output(e->pid, names);
}

/* Mark all victims: as long as marking one marks another. */
static void
mark_victims(const struct kill_target *t, struct proc_table *s,
             const struct proc_table *before, const struct output_names *names)
{
    static const struct output_names no_names = {.count = 0};
    bool changed = true;

    for (size_t i = 0; i < s->count; i++)
        s->entries[i].victim = was_victim(before, &s->entries[i]);
    while (changed) {
        changed = false;
        for (size_t i = 0; i < s->count; i++) {
            struct proc_entry *e = &s->entries[i];

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
entry_signal(const struct proc_entry *e, int signum)
{
    SCOPE(fd_close) int fd = (int)syscall(SYS_pidfd_open, e->pid, 0);
    SCOPE(fd_close) int proc_fd = -1;
    char pid[16];
    struct proc_entry now;

    if (fd < 0)
        return;
    proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(pid, sizeof(pid), "%d", (int)e->pid);
    if (proc_fd >= 0 && proc_entry_read(proc_fd, pid, &now) &&
        now.start == e->start && !now.dead)
        (void)kill_leader(fd, signum);
}

/*
 * Stop what was found for the first time, or goes on again, and is not in the
 * leader's group, which stopped as a whole.  Returns how many there were, dead
 * ones too: such a one may have forked after the names in /proc were read, and
 * ended before it was looked at itself.
 */
static size_t
stop_new(const struct kill_target *t, const struct proc_table *now,
         const struct proc_table *before)
{
    size_t count = 0;

    for (size_t i = 0; i < now->count; i++) {
        const struct proc_entry *e = &now->entries[i];

        if (!e->victim || e->group == t->leader || e->pid == t->leader ||
            (was_victim(before, e) && !e->running))
            continue;
        if (!e->dead)
            entry_signal(e, SIGSTOP);
        count++;
    }
    return count;
}

/* What is needed to see whether a process belongs to a command. */
struct loner {
    const struct kill_target *target;
    const struct output_names *names;
    int proc_fd;
};

static bool
is_no_child(void *ctx, pid_t pid)
{
    (void)ctx;
    (void)pid;
    return false;
}

/* Whether a child of ours has nothing to do with the command. */
static bool
is_stranger(void *ctx, pid_t pid)
{
    const struct loner *l = ctx;
    struct proc_entry e;
    char name[16];

    if (pid == l->target->leader || l->target->is_leader(l->target->ctx, pid))
        return true;
    (void)snprintf(name, sizeof(name), "%d", (int)pid);
    if (!proc_entry_read(l->proc_fd, name, &e))
        return false;
    /* One that has left may have made, before it did, what has not. */
    return e.group != l->target->leader && e.session != l->target->leader &&
           (e.dead || (!holds_output(pid, l->names) &&
                       proc_children_visit(pid, is_no_child, NULL) == 1));
}

/*
 * Whether the leader is all there is of the command, for certain: it has been
 * told to stop, so it makes no child any more (fork fails while a signal is
 * pending), and what it had made is its child, or ours as its subreaper.
 */
static bool
is_alone(const struct kill_target *t, const struct output_names *names)
{
    SCOPE(fd_close)
    int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct loner l = {.target = t, .names = names, .proc_fd = proc_fd};
    int subreaper = 0;

    return proc_fd >= 0 &&
           (getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 &&
                              subreaper != 0)) &&
           proc_children_visit(t->leader, is_no_child, NULL) == 1 &&
           proc_children_visit(getpid(), is_stranger, &l) == 1;
}

/* Youngest groups first. */
static int
compare_groups(const void *a, const void *b)
{
    const struct proc_entry *x = *(const struct proc_entry *const *)a;
    const struct proc_entry *y = *(const struct proc_entry *const *)b;

    return (x->group < y->group) - (x->group > y->group);
}

/* Kill the group of a process if it is still the one that was seen. */
static void
entry_kill_group(const struct proc_entry *e)
{
    SCOPE(fd_close)
    int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char pid[16];
    struct proc_entry now;

    (void)snprintf(pid, sizeof(pid), "%d", (int)e->pid);
    if (e->group > 1 && e->group != getpgrp() && proc_fd >= 0 &&
        proc_entry_read(proc_fd, pid, &now) && now.start == e->start &&
        now.group == e->group)
        (void)kill(-e->group, SIGKILL);
}

/*
 * Kill what is stopped; returns how many there were.
 *
 * When a process dies the kernel sends SIGHUP and SIGCONT to stopped groups of
 * its children: they would go on, and fork.  So a group dies as a whole, and
 * before those that are older than it, where the parents are.
 */
static size_t
kill_victims(struct proc_table *s)
{
    SCOPE(scope_free) const struct proc_entry **victims = NULL;
    size_t count = 0;

    for (size_t i = 0; i < s->count; i++)
        count += s->entries[i].victim && !s->entries[i].dead;
    if (count == 0)
        return 0;
    victims = xcalloc(count, sizeof(*victims));
    count = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].victim && !s->entries[i].dead)
            victims[count++] = &s->entries[i];
    qsort(victims, count, sizeof(*victims), compare_groups);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || victims[i]->group != victims[i - 1]->group)
            entry_kill_group(victims[i]);
    for (size_t i = 0; i < count; i++)
        entry_signal(victims[i], SIGKILL);
    return count;
}

static void
sweep(const struct kill_target *t)
{
    struct proc_table now = {0};
    struct proc_table before = {0};
    struct output_names names;

    output_names_get(t, &names);
    (void)kill_group(t->leader, t->leader_fd, SIGSTOP);
    if (is_alone(t, &names))
        return;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        struct proc_table swap = before;

        before = now;
        now = swap;
        if (!proc_table_take(&now))
            break;
        mark_victims(t, &now, &before, &names);
        /* Again after a kill, too: some may have got going meanwhile. */
        if (stop_new(t, &now, &before) == 0 && kill_victims(&now) == 0)
            break;
    }
    (void)kill_victims(&now);
    proc_table_done(&now);
    proc_table_done(&before);
}

void
kill_tree(const struct kill_target *t)
{
    /* Held still, so that looking at /proc comes to an end. */
    if (t->cgroup_fd >= 0)
        (void)cgroup_write(t->cgroup_fd, "cgroup.freeze", "1");
    sweep(t);
    if (t->cgroup_fd >= 0) {
        (void)cgroup_write(t->cgroup_fd, "cgroup.kill", "1");
        (void)cgroup_write(t->cgroup_fd, "cgroup.freeze", "0");
    }
    /* Whatever came of that, these die. */
    (void)kill(-t->leader, SIGKILL);
    (void)kill_leader(t->leader_fd, SIGKILL);
}
