/*
 * One file from one file system to another.
 */
#include "filesystem/copy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "limits.h"
#include "loop/worker.h"

/* The kernel's own limits for a list and for a value. */
#define LIST_BYTES_MAX  65536
#define VALUE_BYTES_MAX 65536

/* Where a copy between two descriptors stands. */
struct copy {
    int from_fd;
    int to_fd;
    off_t shift; /* from a place in the one to that in the other */
    const atomic_bool *cancel;
    bool by_hand; /* the kernel does not copy between these two */
    char *buffer; /* LIMIT_TRANSFER_SLICE_BYTES, made when needed */
};

static void
copy_done(struct copy *c)
{
    free(c->buffer);
}

/* Copy at most `len` bytes at `at` through memory. */
static ssize_t
copy_by_hand(struct copy *c, off_t at, size_t len)
{
    ssize_t got;
    ssize_t done = 0;

    if (c->buffer == NULL)
        c->buffer = malloc(LIMIT_TRANSFER_SLICE_BYTES);
    if (c->buffer == NULL)
        return -ENOMEM;
    len = MIN(len, (size_t)LIMIT_TRANSFER_SLICE_BYTES);
    got = pread(c->from_fd, c->buffer, len, at);
    if (got < 0)
        return -errno;
    while (done < got) {
        ssize_t n = pwrite(c->to_fd, c->buffer + done, (size_t)(got - done),
                           at + c->shift + done);

        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? n : 0;
    }
    return done;
}

/* Copy at most one slice of `len` bytes at `at`; 0 at the end of the file. */
static ssize_t
copy_slice(struct copy *c, off_t at, size_t len)
{
    off_t in = at;
    off_t out = at + c->shift;
    ssize_t n;

    len = MIN(len, (size_t)16 * LIMIT_TRANSFER_SLICE_BYTES);
    if (c->by_hand)
        return copy_by_hand(c, at, len);
    n = copy_file_range(c->from_fd, &in, c->to_fd, &out, len, 0);
    /* It also answers 0 for files whose size the kernel makes up. */
    if (n > 0)
        return n;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
        return -errno;
    c->by_hand = true;
    return copy_by_hand(c, at, len);
}

/*
 * Copy the bytes from *at, which is advanced, to `end`, or to the end of the
 * file if it is less.
 */
static int
copy_range(struct copy *c, off_t *at, off_t end)
{
    while (*at < end) {
        ssize_t n;

        worker_pause_point();
        if (atomic_load_explicit(c->cancel, memory_order_relaxed))
            return -ECANCELED;
        n = copy_slice(c, *at, (size_t)(end - *at));
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        *at += n;
    }
    return 0;
}

/* Copy `size` bytes, but for the holes in them. */
static int
copy_data(struct copy *c, off_t size)
{
    off_t at = 0;

    while (at < size) {
        off_t start = lseek(c->from_fd, at, SEEK_DATA);
        off_t end;
        int r;

        if (start < 0 && errno == ENXIO)
            break;
        if (start < 0)
            start = at;
        end = lseek(c->from_fd, start, SEEK_HOLE);
        if (end < 0)
            end = size;
        at = end;
        r = copy_range(c, &start, end);
        if (r < 0)
            return r;
    }
    return ftruncate(c->to_fd, size + c->shift) < 0 ? -errno : 0;
}

int
copy_file_content(int from_fd, int to_fd, const atomic_bool *cancel)
{
    SCOPE(copy_done)
    struct copy c = {.from_fd = from_fd, .to_fd = to_fd, .cancel = cancel};
    off_t size = lseek(from_fd, 0, SEEK_END);

    return size < 0 ? -errno : copy_data(&c, size);
}

int
copy_file_append(int from_fd, int to_fd, off_t at, const atomic_bool *cancel,
                 off_t *ret_end)
{
    SCOPE(copy_done)
    struct copy c = {
        .from_fd = from_fd, .to_fd = to_fd, .shift = at, .cancel = cancel};
    const struct file_clone_range range = {.src_fd = from_fd,
                                           .dest_offset = (uint64_t)at};
    off_t end = lseek(from_fd, 0, SEEK_END);
    int r = 0;

    if (end < 0)
        return -errno;
    if (end > 0 && ioctl(to_fd, FICLONERANGE, &range) < 0)
        r = copy_data(&c, end);
    if (r == 0)
        r = copy_range(&c, &end, INT64_MAX - at);
    *ret_end = at + end;
    return r;
}

/* 0 for success and for what a file system may refuse to take, else -errno. */
static int
lenient(int r)
{
    if (r == 0 || errno == ENOTSUP || errno == EPERM || errno == EACCES ||
        errno == EINVAL || errno == ENOSYS)
        return 0;
    return -errno;
}

/* `all`: those, too, that give power to whoever runs the file. */
static int
copy_xattrs(int from_fd, int to_fd, bool all)
{
    SCOPE(scope_free) char *list = NULL;
    SCOPE(scope_free) char *value = NULL;
    ssize_t len = flistxattr(from_fd, NULL, 0);
    int r = 0;

    if (len <= 0)
        return 0;
    list = malloc(LIST_BYTES_MAX);
    value = malloc(VALUE_BYTES_MAX);
    if (list == NULL || value == NULL)
        return -ENOMEM;
    len = flistxattr(from_fd, list, LIST_BYTES_MAX);
    for (const char *name = list; r == 0 && len > 0 && name < list + len;
         name += strlen(name) + 1) {
        ssize_t n;

        if (!all && strncmp(name, "security.", strlen("security.")) == 0)
            continue;
        n = CALLER_LEND(fgetxattr(from_fd, name, value, VALUE_BYTES_MAX));

        if (n >= 0)
            r = lenient(
                CALLER_LEND(fsetxattr(to_fd, name, value, (size_t)n, 0)));
    }
    return r;
}

static void
times_of(const struct statx *info, struct timespec ret[2])
{
    ret[0].tv_sec = info->stx_atime.tv_sec;
    ret[0].tv_nsec = info->stx_atime.tv_nsec;
    ret[1].tv_sec = info->stx_mtime.tv_sec;
    ret[1].tv_nsec = info->stx_mtime.tv_nsec;
}

int
copy_file_attributes(int from_fd, const struct statx *info, int to_fd)
{
    struct timespec times[2];
    struct stat st;
    mode_t mode = info->stx_mode & 07777U;
    bool same = true;
    int r;

    /* The owner first: a new one costs capabilities and set-id bits. */
    r = lenient(CALLER_LEND(fchown(to_fd, info->stx_uid, info->stx_gid)));
    if (r == 0 && fstat(to_fd, &st) < 0)
        r = -errno;
    if (r == 0) {
        /* No set-id bits and capabilities for whom they were not meant. */
        same = st.st_uid == info->stx_uid && st.st_gid == info->stx_gid;
        mode &= same ? 07777U : 0777U;
        r = copy_xattrs(from_fd, to_fd, same);
    }
    if (r == 0)
        r = lenient(CALLER_LEND(fchmod(to_fd, mode)));
    times_of(info, times);
    return r < 0 ? r : lenient(CALLER_LEND(futimens(to_fd, times)));
}

int
copy_special_attributes(const struct statx *info, int dir_fd, const char *name)
{
    struct timespec times[2];
    int r = lenient(CALLER_LEND(fchownat(dir_fd, name, info->stx_uid,
                                         info->stx_gid, AT_SYMLINK_NOFOLLOW)));

    if (r == 0 && !S_ISLNK(info->stx_mode))
        r = lenient(CALLER_LEND(fchmodat(dir_fd, name, info->stx_mode & 0777U,
                                         AT_SYMLINK_NOFOLLOW)));
    times_of(info, times);
    return r < 0 ? r
                 : lenient(CALLER_LEND(
                       utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW)));
}
