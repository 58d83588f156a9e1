/*
 * Directories of cgroups that are to be removed when nobody is in them any
 * more: one inotify instance waits for all of them.
 */
#ifndef ENVD_PROCESS_CGROUP_LINGER_H
#define ENVD_PROCESS_CGROUP_LINGER_H

#include <stddef.h>
#include <sys/queue.h>

#include "loop/loop.h"

#define CGROUP_LINGER_BUCKETS 64

struct cgroup_lingerer;
LIST_HEAD(cgroup_linger_bucket, cgroup_lingerer);

/* Of process/cgroup.c. */
struct cgroup_lingerers {
    int fd; /* inotify, -1 when the kernel refused */
    struct loop_io io;
    struct loop_timer retry; /* for those that could not be watched */
    size_t count;
    struct cgroup_linger_bucket by_wd[CGROUP_LINGER_BUCKETS];
};

void cgroup_lingerers_init(struct cgroup_lingerers *all, struct loop *loop);

/* Try all once more, and forget them: what is populated stays. */
void cgroup_lingerers_done(struct cgroup_lingerers *all);

/*
 * Remove a directory now if it is empty, or once it is.  One that others have
 * made cgroups in is theirs and stays; so does one too many
 * (LIMIT_CGROUP_LINGERING).
 *
 * dir_fd  where a descriptor of the parent is at any time, -1 for none
 * name    in it
 *
 * Context: loop.
 */
void cgroup_linger(struct cgroup_lingerers *all, const int *dir_fd,
                   const char *name);

#endif
