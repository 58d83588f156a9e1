/*
 * The processes of the machine as /proc shows them.
 */
#include "process/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"

/* Processes looked at; a machine of ours has no more. */
#define ENTRIES_MAX ((size_t)1 << 16)

/* Numbers of children read of one thread. */
#define CHILDREN_BYTES ((size_t)1 << 20)

/* The next blank-separated number of *text. */
static int64_t
next_number(char **text)
{
    return strtoll(*text, text, 10);
}

bool
proc_entry_read(int proc_fd, const char *pid, struct proc_entry *ret)
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
    *ret = (struct proc_entry){.dead = at[2] == 'Z' || at[2] == 'X'};
    ret->running = at[2] == 'R' || at[2] == 'S';
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
    const struct proc_entry *x = a;
    const struct proc_entry *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

struct proc_entry *
proc_table_find(const struct proc_table *t, pid_t pid)
{
    struct proc_entry key = {.pid = pid};

    if (t->count == 0)
        return NULL;
    return bsearch(&key, t->entries, t->count, sizeof(key), compare_pids);
}

static bool
proc_table_add(struct proc_table *t, const struct proc_entry *e)
{
    if (t->count == t->cap) {
        size_t cap = t->cap == 0 ? 256 : t->cap * 2;
        struct proc_entry *grown =
            cap <= ENTRIES_MAX ? realloc(t->entries, cap * sizeof(*grown))
                               : NULL;

        if (grown == NULL)
            return false;
        t->entries = grown;
        t->cap = cap;
    }
    t->entries[t->count++] = *e;
    return true;
}

void
proc_table_done(struct proc_table *t)
{
    free(t->entries);
    *t = (struct proc_table){0};
}

bool
proc_table_take(struct proc_table *t)
{
    DIR *dir = opendir("/proc");
    const struct dirent *name;

    t->count = 0;
    if (dir == NULL)
        return false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    while ((name = readdir(dir)) != NULL) {
        struct proc_entry e;

        if (name->d_name[0] < '1' || name->d_name[0] > '9' ||
            !proc_entry_read(dirfd(dir), name->d_name, &e))
            continue;
        if (!proc_table_add(t, &e))
            break;
    }
    (void)closedir(dir);
    if (t->count > 0)
        qsort(t->entries, t->count, sizeof(*t->entries), compare_pids);
    return true;
}

/*
 * Call `each` for the children of one thread, as long as it returns true.
 * Returns 1 when it always did, 0 when not, -1 when the kernel does not tell.
 */
static int
children_visit(const char *path, bool (*each)(void *ctx, pid_t pid), void *ctx)
{
    SCOPE(scope_free) char *text = NULL;
    const char *at;

    if (fd_read_file(path, CHILDREN_BYTES, &text, NULL) < 0)
        return -1;
    for (at = text; *at != '\0';) {
        char *end;
        pid_t pid = (pid_t)strtol(at, &end, 10);

        if (end == at)
            break;
        if (!each(ctx, pid))
            return 0;
        at = end + strspn(end, " \n");
    }
    return 1;
}

int
proc_children_visit(pid_t pid, bool (*each)(void *ctx, pid_t pid), void *ctx)
{
    DIR *dir;
    const struct dirent *thread;
    char path[64];
    int r = 1;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (dir == NULL)
        return -1;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    while (r == 1 && (thread = readdir(dir)) != NULL) {
        if (thread->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children",
                       (int)pid, thread->d_name);
        r = children_visit(path, each, ctx);
    }
    (void)closedir(dir);
    return r;
}
