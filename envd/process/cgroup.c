/*
 * The directories of cgroups, what they get of the machine, and the leaves
 * below them.
 *
 * Guests have root and may remove, divide or freeze what is here at any time:
 * whatever fails costs the placement of a command, never the command.
 */
#include "process/cgroup.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "process/cgroup_linger.h"
#include "process/cgroup_oom.h"
#include "process/cgroup_values.h"

/* Names taken by others that are tried before giving up for this time. */
#define NAMES_MAX 256

/* Leaves numbered higher are not ours. */
#define NUMBER_MAX ((uint64_t)1 << 53)

#define NAME_BYTES 24

static const char *const kind_names[] = {
    [CGROUP_USER] = "user",
    [CGROUP_PTYS] = "ptys",
};

#define KINDS ARRAY_LEN(kind_names)

static_assert(KINDS == CGROUP_OOM_WATCHED, "each is watched");

/* A third one, for whoever forwards ports; nothing of ours is in it. */
#define FORWARDERS "socats"

struct cgroups {
    int root_fd;
    int kind_fd[KINDS];
    bool refused[KINDS]; /* the kernel would not place a process below it */
    uint64_t last;       /* number of the newest leaf */
    struct cgroup_budget budget;
    struct cgroup_lingerers lingerers;
    struct cgroup_oom oom;
};

static void
log_failure(const char *message, const char *what, const char *error)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "cgroup"))
        return;
    log_str(&line, "cgroup", what);
    log_str(&line, "error", error);
    log_end(&line, "%s", message);
}

static void
leaf_name(uint64_t number, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, "p%" PRIu64, number);
}

/* The number of a leaf by its name, 0 when it is no name of ours. */
static uint64_t
leaf_number(const char *name)
{
    char again[NAME_BYTES];
    uint64_t number;

    if (name[0] != 'p' ||
        str_to_u64(str_from(name + 1), NUMBER_MAX, &number) < 0)
        return 0;
    leaf_name(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

/* Make one of the directories if need be, and open it.  0 or -errno. */
static int
kind_open(struct cgroups *g, enum cgroup_kind kind)
{
    const char *name = kind_names[kind];

    fd_close(&g->kind_fd[kind]);
    if (mkdirat(g->root_fd, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    g->kind_fd[kind] =
        openat(g->root_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return g->kind_fd[kind] < 0 ? -errno : 0;
}

/* Give it its share, and watch it. */
static int
kind_furnish(struct cgroups *g, enum cgroup_kind kind)
{
    cgroup_oom_watch(&g->oom, kind, &g->kind_fd[kind], kind_names[kind]);
    return cgroup_values_write(g->kind_fd[kind], kind_names[kind], &g->budget);
}

/* A directory that is of no use is replaced, if nobody is in it. */
static int
kind_renew(struct cgroups *g, enum cgroup_kind kind)
{
    int r;

    g->refused[kind] = false;
    (void)unlinkat(g->root_fd, kind_names[kind], AT_REMOVEDIR);
    r = kind_open(g, kind);
    if (r == 0)
        (void)kind_furnish(g, kind);
    return r;
}

/* Remove a leaf now, or when it is empty. */
static void
leaf_remove(struct cgroups *g, enum cgroup_kind kind, uint64_t number)
{
    char name[NAME_BYTES];

    leaf_name(number, name);
    cgroup_linger(&g->lingerers, &g->kind_fd[kind], name);
}

/* See what an earlier agent has left. */
static void
kind_tidy(struct cgroups *g, enum cgroup_kind kind)
{
    int fd = openat(g->kind_fd[kind], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        fd_close(&fd);
        return;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    while ((entry = readdir(dir)) != NULL) {
        uint64_t number = leaf_number(entry->d_name);

        if (number == 0)
            continue;
        g->last = MAX(g->last, number);
        leaf_remove(g, kind, number);
    }
    (void)closedir(dir);
}

/* What the machine has of these; one that is refused spoils no other. */
static void
enable_controllers(int root_fd)
{
    static const char *const controllers[] = {"+cpu", "+io", "+memory",
                                              "+pids"};

    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        (void)cgroup_write(root_fd, "cgroup.subtree_control", controllers[i]);
}

static int
forwarders_make(struct cgroups *g)
{
    SCOPE(fd_close) int fd = -1;

    if (mkdirat(g->root_fd, FORWARDERS, 0755) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(g->root_fd, FORWARDERS,
                O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : cgroup_values_write(fd, FORWARDERS, &g->budget);
}

/* Returns 0, or -errno with what it is about in *ret_what. */
static int
layout_make(struct cgroups *g, const char **ret_what)
{
    uint64_t mine = 0;
    int r = 0;

    for (enum cgroup_kind kind = 0; kind < KINDS && r == 0; kind++) {
        *ret_what = kind_names[kind];
        r = kind_open(g, kind);
        mine += r == 0 ? cgroup_pids(g->kind_fd[kind]) : 0;
    }
    if (r == 0) {
        *ret_what = "/proc/meminfo";
        r = cgroup_budget_read("/proc", mine, &g->budget);
    }
    for (enum cgroup_kind kind = 0; kind < KINDS && r == 0; kind++) {
        *ret_what = kind_names[kind];
        r = kind_furnish(g, kind);
    }
    if (r == 0) {
        *ret_what = FORWARDERS;
        r = forwarders_make(g);
    }
    return r;
}

struct cgroups *
cgroups_open_at(struct loop *loop, int root_fd)
{
    struct cgroups *g = xcalloc(1, sizeof(*g));
    const char *what;
    int r;

    g->root_fd = root_fd;
    for (enum cgroup_kind kind = 0; kind < KINDS; kind++)
        g->kind_fd[kind] = -1;
    cgroup_lingerers_init(&g->lingerers, loop);
    cgroup_oom_init(&g->oom, loop);
    enable_controllers(root_fd);
    r = layout_make(g, &what);
    if (r < 0) {
        log_failure("Commands are not placed in cgroups", what, errno_text(-r));
        cgroups_close(g);
        return NULL;
    }
    for (enum cgroup_kind kind = 0; kind < KINDS; kind++)
        kind_tidy(g, kind);
    return g;
}

struct cgroups *
cgroups_open(struct loop *loop, const char *root)
{
    SCOPE(fd_close) int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *error = NULL;
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0)
        error = errno_text(errno);
    else if (fs.f_type != CGROUP2_SUPER_MAGIC)
        error = "not a cgroup2 filesystem";
    if (error != NULL) {
        log_failure("Commands are not placed in cgroups", root, error);
        return NULL;
    }
    return cgroups_open_at(loop, TAKE_FD(fd));
}

void
cgroups_close(struct cgroups *g)
{
    if (g == NULL)
        return;
    cgroup_lingerers_done(&g->lingerers);
    cgroup_oom_done(&g->oom);
    for (enum cgroup_kind kind = 0; kind < KINDS; kind++)
        fd_close(&g->kind_fd[kind]);
    fd_close(&g->root_fd);
    free(g);
}

int
cgroups_dup(const struct cgroups *g, enum cgroup_kind kind)
{
    if (g == NULL || g->kind_fd[kind] < 0)
        return -1;
    return fcntl(g->kind_fd[kind], F_DUPFD_CLOEXEC, 0);
}

int
cgroups_root(const struct cgroups *g)
{
    return g == NULL ? -1 : fcntl(g->root_fd, F_DUPFD_CLOEXEC, 3);
}

static uint64_t
kind_oom_kills(const struct cgroups *g, enum cgroup_kind kind)
{
    uint64_t kills;

    (void)cgroup_read_value(g->kind_fd[kind], "memory.events", "oom_kill",
                            &kills);
    return kills;
}

/* Make the next leaf whose name is free.  0 or -errno. */
static int
leaf_create(struct cgroups *g, enum cgroup_kind kind, struct cgroup_leaf *ret)
{
    int dir_fd = g->kind_fd[kind];
    char name[NAME_BYTES];
    int r = -EEXIST;

    if (dir_fd < 0)
        return -ENOENT;
    for (int i = 0; i < NAMES_MAX && r == -EEXIST; i++) {
        leaf_name(++g->last, name);
        r = mkdirat(dir_fd, name, 0755) < 0 ? -errno : 0;
    }
    if (r < 0)
        return r;
    ret->fd =
        openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (ret->fd < 0) {
        r = -errno;
        (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
        return r;
    }
    ret->kind = kind;
    ret->number = g->last;
    ret->oom_kills = kind_oom_kills(g, kind);
    return 0;
}

/* Whether it is the directory that is at fault, and not the machine. */
static bool
is_unsound(int err)
{
    return err == ENOENT || err == ENODEV || err == ENOTDIR || err == EBUSY ||
           err == EOPNOTSUPP || err == EACCES;
}

void
cgroup_leaf_make(struct cgroups *g, enum cgroup_kind kind,
                 struct cgroup_leaf *ret)
{
    int r = 0;

    *ret = (struct cgroup_leaf){.fd = -1};
    if (g == NULL)
        return;
    if (g->refused[kind])
        r = kind_renew(g, kind);
    if (r == 0)
        r = leaf_create(g, kind, ret);
    if (r < 0 && is_unsound(-r)) {
        r = kind_renew(g, kind);
        if (r == 0)
            r = leaf_create(g, kind, ret);
    }
    if (r < 0)
        log_failure("No cgroup for a command", kind_names[kind],
                    errno_text(-r));
}

void
cgroup_leaf_leave(struct cgroups *g, struct cgroup_leaf *leaf)
{
    fd_close(&leaf->fd);
    if (leaf->number != 0)
        leaf_remove(g, leaf->kind, leaf->number);
    leaf->number = 0;
}

void
cgroup_leaf_refused(struct cgroups *g, struct cgroup_leaf *leaf)
{
    if (leaf->number != 0)
        g->refused[leaf->kind] = true;
    cgroup_leaf_leave(g, leaf);
}

uint64_t
cgroup_leaf_cpu_us(const struct cgroup_leaf *leaf)
{
    uint64_t usage = 0;

    if (leaf->fd >= 0)
        (void)cgroup_read_value(leaf->fd, "cpu.stat", "usage_usec", &usage);
    return usage;
}

bool
cgroup_leaf_saw_oom(const struct cgroups *g, const struct cgroup_leaf *leaf)
{
    return leaf->number != 0 && kind_oom_kills(g, leaf->kind) > leaf->oom_kills;
}
