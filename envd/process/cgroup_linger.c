/*
 * Waiting for cgroups to become empty: the kernel reports a change of
 * cgroup.events as a modification of that file.
 */
#include "process/cgroup_linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

/* How often those are looked at that the kernel would not watch. */
#define RETRY_MS (10 * 1000)

/* Events taken in one turn. */
#define EVENTS_BYTES 4096

#define NAME_BYTES 24
#define PATH_BYTES 96

struct cgroup_lingerer {
    LIST_ENTRY(cgroup_lingerer) link;
    int wd; /* -1: not watched */
    const int *dir_fd;
    char name[NAME_BYTES];
};

static struct cgroup_linger_bucket *
bucket_of(struct cgroup_lingerers *all, int wd)
{
    return &all->by_wd[(unsigned int)wd % CGROUP_LINGER_BUCKETS];
}

static bool
is_populated(int dir_fd, const char *name)
{
    char path[PATH_BYTES];
    uint64_t populated;

    (void)snprintf(path, sizeof(path), "%s/cgroup.events", name);
    return cgroup_read_value(dir_fd, path, "populated", &populated) < 0 ||
           populated != 0;
}

/*
 * Remove a directory if that can be done.  Returns false when it is worth
 * another try: when somebody is in it.
 */
static bool
try_remove(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
        return true;
    if (is_populated(dir_fd, name))
        return false;
    /* Left a moment ago, or others have cgroups in it. */
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
    return true;
}

static void
forget(struct cgroup_lingerers *all, struct cgroup_lingerer *l)
{
    if (l->wd >= 0)
        (void)inotify_rm_watch(all->fd, l->wd);
    LIST_REMOVE(l, link);
    all->count--;
    free(l);
}

/* Returns whether it still waits. */
static bool
look(struct cgroup_lingerers *all, struct cgroup_lingerer *l)
{
    if (!try_remove(*l->dir_fd, l->name))
        return true;
    forget(all, l);
    return false;
}

static void
look_at_bucket(struct cgroup_lingerers *all, struct cgroup_linger_bucket *b)
{
    struct cgroup_lingerer *l = LIST_FIRST(b);

    while (l != NULL) {
        struct cgroup_lingerer *next = LIST_NEXT(l, link);

        (void)look(all, l);
        l = next;
    }
}

static void
look_at_all(struct cgroup_lingerers *all)
{
    for (size_t i = 0; i < CGROUP_LINGER_BUCKETS; i++)
        look_at_bucket(all, &all->by_wd[i]);
}

static void
on_retry(struct loop_timer *t)
{
    struct cgroup_lingerers *all =
        container_of(t, struct cgroup_lingerers, retry);
    struct cgroup_linger_bucket *unwatched = bucket_of(all, -1);

    look_at_bucket(all, unwatched);
    if (!LIST_EMPTY(unwatched))
        loop_timer_set(&all->retry, RETRY_MS);
}

static void
on_event(struct cgroup_lingerers *all, const struct inotify_event *event)
{
    struct cgroup_lingerer *l;

    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        look_at_all(all);
        return;
    }
    LIST_FOREACH (l, bucket_of(all, event->wd), link) {
        if (l->wd == event->wd) {
            (void)look(all, l);
            return;
        }
    }
}

static void
on_readable(struct loop_io *io)
{
    struct cgroup_lingerers *all =
        container_of(io, struct cgroup_lingerers, io);
    alignas(struct inotify_event) char events[EVENTS_BYTES];
    ssize_t n = read(all->fd, events, sizeof(events));
    const char *at = events;

    while (n > 0) {
        const struct inotify_event *event = (const void *)at;
        size_t len = sizeof(*event) + event->len;

        on_event(all, event);
        at += len;
        n -= (ssize_t)len;
    }
}

void
cgroup_lingerers_init(struct cgroup_lingerers *all, struct loop *loop)
{
    all->count = 0;
    for (size_t i = 0; i < CGROUP_LINGER_BUCKETS; i++)
        LIST_INIT(&all->by_wd[i]);
    loop_timer_init(loop, &all->retry, on_retry);
    all->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    loop_io_init(loop, &all->io, all->fd, EV_READ, on_readable);
    if (all->fd >= 0)
        loop_io_arm(&all->io);
}

void
cgroup_lingerers_done(struct cgroup_lingerers *all)
{
    look_at_all(all);
    for (size_t i = 0; i < CGROUP_LINGER_BUCKETS; i++)
        while (!LIST_EMPTY(&all->by_wd[i]))
            forget(all, LIST_FIRST(&all->by_wd[i]));
    loop_timer_cancel(&all->retry);
    loop_io_disarm(&all->io);
    fd_close(&all->fd);
}

/* Ask for word of its changes; -1 when the kernel has no room for that. */
static int
watch(const struct cgroup_lingerers *all, int dir_fd, const char *name)
{
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s/cgroup.events",
                   dir_fd, name);
    return all->fd < 0 ? -1 : inotify_add_watch(all->fd, path, IN_MODIFY);
}

static void
log_left_behind(const char *name)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "cgroup"))
        return;
    log_str(&line, "cgroup", name);
    log_end(&line, "Too many cgroups of ended commands: this one stays");
}

void
cgroup_linger(struct cgroup_lingerers *all, const int *dir_fd, const char *name)
{
    struct cgroup_lingerer *l;

    if (try_remove(*dir_fd, name))
        return;
    if (all->count >= LIMIT_CGROUP_LINGERING) {
        log_left_behind(name);
        return;
    }
    l = xcalloc(1, sizeof(*l));
    l->dir_fd = dir_fd;
    (void)snprintf(l->name, sizeof(l->name), "%s", name);
    l->wd = watch(all, *dir_fd, name);
    LIST_INSERT_HEAD(bucket_of(all, l->wd), l, link);
    all->count++;
    /* It may have become empty before it was watched. */
    if (look(all, l) && l->wd < 0)
        loop_timer_set(&all->retry, RETRY_MS);
}
