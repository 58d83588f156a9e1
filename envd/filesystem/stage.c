/*
 * Staging: where an overwrite waits until it is complete.
 */
#include "filesystem/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "loop/worker.h"

/* Copied at once; also what the stage is cut by when the disk is full. */
#define COPY_BYTES (8 * 1024 * 1024)

/* Directories above one another that are looked at for the topmost. */
#define CLIMB_MAX 256

/* The highest directory on the file system of dir_fd, or -errno. */
static int
topmost(int dir_fd)
{
    SCOPE(fd_close) int top = openat(dir_fd, ".", O_PATH | O_CLOEXEC);
    struct stat here;
    struct stat above;

    if (top < 0 || fstat(top, &here) < 0)
        return -errno;
    for (int i = 0; i < CLIMB_MAX; i++) {
        int up = openat(top, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (up < 0)
            break;
        if (fstat(up, &above) < 0 || above.st_dev != here.st_dev ||
            above.st_ino == here.st_ino) {
            fd_close(&up);
            break;
        }
        fd_close(&top);
        top = up;
        here = above;
    }
    return TAKE_FD(top);
}

/* For file systems without unnamed files: a hidden one, unlinked at once. */
static int
open_hidden(int dir_fd)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    char name[64];
    uint64_t number = 0;
    int fd;

    (void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
    (void)snprintf(name, sizeof(name), ".envd-%016llx",
                   (unsigned long long)number);
    fd = CALLER_LEND(openat(dir_fd, name, flags, 0600));
    if (fd < 0)
        return -errno;
    (void)CALLER_LEND(unlinkat(dir_fd, name, 0));
    return fd;
}

int
stage_open(int dir_fd)
{
    const int flags = O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC;
    SCOPE(fd_close) int top = topmost(dir_fd);
    int fd = top < 0 ? -1 : CALLER_LEND(openat(top, ".", flags, 0600));

    if (fd < 0)
        fd = CALLER_LEND(openat(dir_fd, ".", flags, 0600));
    return fd >= 0 ? fd : open_hidden(dir_fd);
}

static bool
is_full(ssize_t err)
{
    return err == -ENOSPC || err == -EDQUOT;
}

/* Copy at most COPY_BYTES at `at`; both positions are there. */
static ssize_t
copy_some(int stage_fd, int to_fd, off_t at, size_t len)
{
    off_t from = at;
    off_t to = at;
    ssize_t n;

    len = MIN(len, (size_t)COPY_BYTES);
    n = copy_file_range(stage_fd, &from, to_fd, &to, len, 0);
    if (n < 0 && (is_full(-errno) || errno == EIO))
        return -errno;
    if (n <= 0) {
        if (lseek(to_fd, at, SEEK_SET) < 0)
            return -errno;
        n = sendfile(to_fd, stage_fd, &from, len);
    }
    if (n == 0)
        return -EIO; /* the stage is shorter than what was written into it */
    return n < 0 ? -errno : n;
}

int
stage_move(int stage_fd, int to_fd, int64_t len, int64_t *ret_moved)
{
    off_t at = 0;
    off_t cut = 0;

    *ret_moved = 0;
    if (len == 0)
        return 0;
    if (ioctl(to_fd, FICLONE, stage_fd) == 0) {
        *ret_moved = len;
        return 0;
    }
    while (at < len) {
        ssize_t n;

        worker_pause_point();
        n = copy_some(stage_fd, to_fd, at, (size_t)(len - at));

        if (n > 0) {
            at += n;
            *ret_moved = at;
            continue;
        }
        /* Free what is copied, and try again once per progress made. */
        if (!is_full(n) || cut == at)
            return (int)n;
        if (fallocate(stage_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, cut,
                      at - cut) < 0)
            return (int)n;
        cut = at;
    }
    return 0;
}
