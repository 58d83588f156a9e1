/*
 * Word of the kernel having killed a process for want of memory: the kernel
 * reports a change of memory.events as a modification of that file.
 */
#ifndef ENVD_PROCESS_CGROUP_OOM_H
#define ENVD_PROCESS_CGROUP_OOM_H

#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

#define CGROUP_OOM_WATCHED 2

/* Of process/cgroup.c. */
struct cgroup_oom {
    int fd; /* inotify, -1 when the kernel refused */
    struct loop_io io;
    struct cgroup_oom_watch {
        int wd; /* -1: none */
        const int *dir_fd;
        const char *name;
        uint64_t kills; /* when it was looked at last */
    } watches[CGROUP_OOM_WATCHED];
};

void cgroup_oom_init(struct cgroup_oom *o, struct loop *loop);
void cgroup_oom_done(struct cgroup_oom *o);

/*
 * Log kills in a cgroup from now on; to be called anew when its directory was
 * made again.
 *
 * i       which one, below CGROUP_OOM_WATCHED
 * dir_fd  where its descriptor is at any time, -1 for none
 * name    static
 */
void cgroup_oom_watch(struct cgroup_oom *o, size_t i, const int *dir_fd,
                      const char *name);

#endif
