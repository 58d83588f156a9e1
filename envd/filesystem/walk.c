/*
 * Down and up a tree with a bounded number of descriptors.
 */
#include "filesystem/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "limits.h"

struct walk_level {
    int fd; /* -1: given up for a deeper one */
    dev_t dev;
    ino_t ino;
};

int
walk_open(int dir_fd, const char *name)
{
    const int flags =
        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = CALLER_LEND(openat(dir_fd, name, flags));

    return fd < 0 ? -errno : fd;
}

int
walk_push(struct walk *w, int fd)
{
    SCOPE(fd_close) int taken = fd;
    struct stat st;

    if (w->depth == w->cap) {
        size_t cap = w->cap > 0 ? w->cap * 2 : 16;
        struct walk_level *levels =
            reallocarray(w->levels, cap, sizeof(*levels));

        if (levels == NULL)
            return -ENOMEM;
        w->levels = levels;
        w->cap = cap;
    }
    if (fstat(taken, &st) < 0)
        return -errno;
    if (w->depth >= LIMIT_WALK_OPEN_DIRS)
        fd_close(&w->levels[w->depth - LIMIT_WALK_OPEN_DIRS].fd);
    w->levels[w->depth++] =
        (struct walk_level){TAKE_FD(taken), st.st_dev, st.st_ino};
    return 0;
}

int
walk_fd(const struct walk *w)
{
    return w->levels[w->depth - 1].fd;
}

/* Open the parent of `child_fd`, which `level` must describe. */
static int
reopen(struct walk_level *level, int child_fd)
{
    SCOPE(fd_close) int fd = walk_open(child_fd, "..");
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_dev != level->dev || st.st_ino != level->ino)
        return -ESTALE;
    level->fd = TAKE_FD(fd);
    return 0;
}

int
walk_pop(struct walk *w)
{
    struct walk_level *top = &w->levels[--w->depth];
    int r = 0;

    if (w->depth > 0 && top[-1].fd < 0)
        r = reopen(&top[-1], top->fd);
    fd_close(&top->fd);
    return r;
}

void
walk_done(struct walk *w)
{
    while (w->depth > 0)
        fd_close(&w->levels[--w->depth].fd);
    free(w->levels);
    *w = (struct walk){0};
}
