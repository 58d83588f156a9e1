/*
 * Reading one file: what it is, how long it is, and its bytes.
 */
#include "filesystem/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/place.h"
#include "filesystem/virtual.h"
#include "limits.h"

/* What is longer than this is read in order, and asked for ahead. */
#define SEQUENTIAL_BYTES (128 * 1024)

/* How much a cold disk is asked for at once, to be busy while we send. */
#define AHEAD_BYTES (4 * 1024 * 1024)

/* The kernel cuts a single wish to about the size of one transfer. */
#define AHEAD_STEP_BYTES (256 * 1024)

/* Words and code for a path that cannot be looked at. */
static int
fail_stat(const char *path, int err, struct status *st)
{
    enum rpc_code code = RPC_INTERNAL;

    if (err == ENOENT)
        return status_set(st, RPC_NOT_FOUND, "path '%s' does not exist", path);
    if (err == ELOOP || err == ENAMETOOLONG || err == EINVAL)
        code = RPC_INVALID_ARGUMENT;
    return status_errno(st, code, err,
                        "error checking if path exists '%s': stat %s", path,
                        path);
}

/* Refuse what cannot be read to an end. */
static int
check_kind(const char *path, mode_t mode, struct status *st)
{
    if (S_ISDIR(mode))
        return status_set(st, RPC_INVALID_ARGUMENT, "path '%s' is a directory",
                          path);
    if (S_ISFIFO(mode) || S_ISSOCK(mode))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path '%s' is not a regular file", path);
    return 0;
}

int
file_reader_open(struct file_reader *r, const char *path, struct status *st)
{
    SCOPE(fd_close) int fd = -1;
    struct stat info;

    *r = (struct file_reader){.fd = -1};
    /* Before the open, which whoever writes into a pipe would notice. */
    if (place_stat(path, true, &info) < 0)
        return fail_stat(path, errno, st);
    if (check_kind(path, info.st_mode, st) < 0)
        return -1;
    /* Non-blocking, so that the open of a terminal returns. */
    fd = place_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return status_errno(st, RPC_INTERNAL, errno,
                            "error opening file '%s': open %s", path, path);
    if (fstat(fd, &info) < 0)
        return fail_stat(path, errno, st);
    if (check_kind(path, info.st_mode, st) < 0)
        return -1;
    r->size = info.st_size;
    r->inode = info.st_ino;
    r->mtime = info.st_mtim;
    r->left = info.st_size;
    if (!S_ISREG(info.st_mode)) {
        r->size = -1;
        r->left = LIMIT_TRANSFER_DEVICE_BYTES;
    } else if (info.st_blocks == 0 && virtual_file(fd)) {
        r->size = -1;
        r->left = INT64_MAX;
    }
    r->fd = TAKE_FD(fd);
    return 0;
}

void
file_reader_seek(struct file_reader *r, int64_t first, int64_t len)
{
    r->offset = (off_t)first;
    r->left = len;
    r->ahead = r->offset;
}

/* Whether a byte would have to come from the disk. */
static bool
is_cold(const struct file_reader *r, off_t offset)
{
    char byte;
    struct iovec part = {&byte, 1};

    return preadv2(r->fd, &part, 1, offset, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

/*
 * Have the disk fetch what comes next while we send what is there: one that is
 * far away answers many wishes in the time of one.
 */
static void
read_ahead(struct file_reader *r)
{
    off_t end = r->offset + (off_t)r->left;
    off_t wish;

    if (r->ahead >= end || r->left <= SEQUENTIAL_BYTES ||
        r->ahead - r->offset > AHEAD_BYTES / 2)
        return;
    if (!r->sequential)
        (void)posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    r->sequential = true;
    wish = MIN(r->ahead + AHEAD_BYTES, end);
    if (!is_cold(r, wish - 1))
        r->ahead = wish;
    for (; r->ahead < wish; r->ahead += AHEAD_STEP_BYTES)
        (void)posix_fadvise(r->fd, r->ahead, AHEAD_STEP_BYTES,
                            POSIX_FADV_WILLNEED);
}

ssize_t
file_reader_read(struct file_reader *r, struct buf *out, size_t max)
{
    size_t done = 0;
    uint8_t *p;

    max = (size_t)MIN((int64_t)max, r->left);
    p = buf_reserve(out, max);
    if (p == NULL && max > 0)
        return -ENOMEM;
    if (r->size >= 0)
        read_ahead(r);
    while (done < max) {
        ssize_t n = r->size >= 0 ? pread(r->fd, p + done, max - done, r->offset)
                                 : read(r->fd, p + done, max - done);

        if (n < 0 && errno == EINTR)
            continue;
        /* A device without data now is at its end. */
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n <= 0)
            break;
        done += (size_t)n;
        r->offset += n;
    }
    r->left -= (int64_t)done;
    buf_commit(out, done);
    return (ssize_t)done;
}

ssize_t
file_reader_peek(const struct file_reader *r, void *out, size_t max)
{
    ssize_t n;

    do
        n = pread(r->fd, out, max, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

struct file_sent
file_reader_send(struct file_reader *r, int socket_fd, size_t max)
{
    struct file_sent sent = {0};

    max = (size_t)MIN((int64_t)max, r->left);
    read_ahead(r);
    while (sent.len < max && sent.err == 0) {
        ssize_t n = sendfile(socket_fd, r->fd, &r->offset, max - sent.len);

        if (n > 0)
            sent.len += (size_t)n;
        else if (n == 0)
            sent.err = -ENODATA;
        else if (errno != EINTR)
            sent.err = -errno;
    }
    r->left -= (int64_t)sent.len;
    return sent;
}

void
file_reader_done(struct file_reader *r)
{
    fd_close(&r->fd);
}
