/*
 * One line each time that the count of kills has risen.  Who was killed, the
 * end of its command tells.
 */
#include "process/cgroup_oom.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/scope.h"

#define EVENTS_BYTES 4096
#define PATH_BYTES   64

static void
look(struct cgroup_oom_watch *w)
{
    uint64_t kills;
    struct log_line line;

    if (w->wd < 0 ||
        cgroup_read_value(*w->dir_fd, "memory.events", "oom_kill", &kills) < 0)
        return;
    if (kills > w->kills && log_begin(&line, LOG_LEVEL_WARN, "cgroup")) {
        log_str(&line, "cgroup", w->name);
        log_u64(&line, "oom_kill", kills);
        log_u64(&line, "new", kills - w->kills);
        log_end(&line, "Out of memory: the kernel has killed a process");
    }
    w->kills = kills;
}

static void
on_readable(struct loop_io *io)
{
    struct cgroup_oom *o = container_of(io, struct cgroup_oom, io);
    char events[EVENTS_BYTES];

    /* What changed does not matter: there are only two to look at. */
    if (read(o->fd, events, sizeof(events)) <= 0)
        return;
    for (size_t i = 0; i < CGROUP_OOM_WATCHED; i++)
        look(&o->watches[i]);
}

void
cgroup_oom_init(struct cgroup_oom *o, struct loop *loop)
{
    for (size_t i = 0; i < CGROUP_OOM_WATCHED; i++)
        o->watches[i] = (struct cgroup_oom_watch){.wd = -1};
    o->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    loop_io_init(loop, &o->io, o->fd, EV_READ, on_readable);
    if (o->fd >= 0)
        loop_io_arm(&o->io);
}

void
cgroup_oom_done(struct cgroup_oom *o)
{
    loop_io_disarm(&o->io);
    fd_close(&o->fd);
}

void
cgroup_oom_watch(struct cgroup_oom *o, size_t i, const int *dir_fd,
                 const char *name)
{
    struct cgroup_oom_watch *w = &o->watches[i];
    char path[PATH_BYTES];

    if (w->wd >= 0)
        (void)inotify_rm_watch(o->fd, w->wd);
    *w = (struct cgroup_oom_watch){.wd = -1, .dir_fd = dir_fd, .name = name};
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events",
                   *dir_fd);
    if (o->fd >= 0)
        w->wd = inotify_add_watch(o->fd, path, IN_MODIFY);
    (void)cgroup_read_value(*dir_fd, "memory.events", "oom_kill", &w->kills);
}
