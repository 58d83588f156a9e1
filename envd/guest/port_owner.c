/*
 * A walk over /proc/PID/fd, as short as it can be.
 */
#include "guest/port_owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

struct search {
    int proc_fd;
    struct port_owner_entry *entries;
    size_t count;
    size_t left;  /* entries without an owner */
    size_t links; /* that may still be looked at */
    const atomic_bool *cancelled;
};

static int
compare_inodes(const void *a, const void *b)
{
    const struct port_owner_entry *x = a;
    const struct port_owner_entry *y = b;

    return (x->inode > y->inode) - (x->inode < y->inode);
}

void
port_owners_sort(struct port_owner_entry *entries, size_t count)
{
    if (count > 0)
        qsort(entries, count, sizeof(*entries), compare_inodes);
}

struct port_owner_entry *
port_owner_of(struct port_owner_entry *entries, size_t count, uint32_t inode)
{
    struct port_owner_entry key = {.inode = inode};

    if (count == 0)
        return NULL;
    return bsearch(&key, entries, count, sizeof(key), compare_inodes);
}

/* A small file of a process; its length, 0 when it is gone. */
static size_t
read_of(const struct search *s, pid_t pid, const char *name, char *buf,
        size_t size)
{
    char path[48];
    ssize_t n;
    int fd;

    *buf = '\0';
    (void)snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
    fd = openat(s->proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buf, size - 1);
    (void)close(fd);
    buf[MAX(n, 0)] = '\0';
    return (size_t)MAX(n, 0);
}

static pid_t
parent_of(const struct search *s, pid_t pid)
{
    char text[512];
    const char *at;

    if (read_of(s, pid, "stat", text, sizeof(text)) == 0)
        return 0;
    at = strrchr(text, ')'); /* the name before it may hold anything */
    if (at == NULL || strlen(at) < 5)
        return 0;
    return (pid_t)strtol(at + 4, NULL, 10);
}

static void
describe(const struct search *s, pid_t pid, struct port_owner *ret)
{
    char text[LIMIT_PORT_COMMAND_BYTES + 1];
    pid_t up;
    size_t len;

    ret->pid = pid;
    (void)read_of(s, pid, "comm", ret->name, sizeof(ret->name));
    ret->name[strcspn(ret->name, "\n")] = '\0';
    len = read_of(s, pid, "cmdline", text, sizeof(text));
    while (len > 0 && text[len - 1] == '\0')
        len--;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    free(ret->command);
    ret->command = strdup(text);
    up = parent_of(s, pid);
    for (int i = 0; i < PORT_ANCESTORS && up > 1; i++) {
        ret->ancestors[i] = up;
        up = parent_of(s, up);
    }
}

/* `socket:[N]` */
static bool
read_inode(const char *link, uint32_t *ret)
{
    static const char prefix[] = "socket:[";

    if (strncmp(link, prefix, sizeof(prefix) - 1) != 0)
        return false;
    *ret = (uint32_t)strtoul(link + sizeof(prefix) - 1, NULL, 10);
    return true;
}

static bool
is_over(const struct search *s)
{
    return s->left == 0 || s->links == 0 ||
           atomic_load_explicit(s->cancelled, memory_order_relaxed);
}

static void
search_process(struct search *s, pid_t pid)
{
    char path[32];
    struct dirent *d;
    DIR *dir;
    int fd;

    (void)snprintf(path, sizeof(path), "%d/fd", (int)pid);
    fd = openat(s->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return;
    }
    while (!is_over(s) && (d = readdir(dir)) != NULL) {
        struct port_owner_entry *entry;
        char link[64];
        uint32_t inode;
        ssize_t n = readlinkat(fd, d->d_name, link, sizeof(link) - 1);

        s->links--;
        link[MAX(n, 0)] = '\0';
        if (!read_inode(link, &inode))
            continue;
        entry = port_owner_of(s->entries, s->count, inode);
        if (entry == NULL || entry->owner.pid != 0)
            continue;
        describe(s, pid, &entry->owner);
        s->left--;
    }
    (void)closedir(dir);
}

void
port_owners_find(const char *proc, struct port_owner_entry *entries,
                 size_t count, const atomic_bool *cancelled)
{
    DIR *dir = opendir(proc);
    struct search s = {
        .entries = entries,
        .count = count,
        .left = count,
        .links = LIMIT_PORT_OWNER_LINKS,
        .cancelled = cancelled,
    };
    const struct dirent *d;

    if (dir == NULL)
        return;
    s.proc_fd = dirfd(dir);
    while (!is_over(&s) && (d = readdir(dir)) != NULL)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
            search_process(&s, (pid_t)strtol(d->d_name, NULL, 10));
    (void)closedir(dir);
}
