/*
 * Reading one file: what it is, how long it is, and its bytes.
 */
#include "filesystem/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/place.h"
#include "filesystem/virtual.h"
#include "limits.h"

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

static int
fail_kind(const char *path, mode_t mode, struct status *st)
{
    return status_set(st, RPC_INVALID_ARGUMENT, "path '%s' is %s", path,
                      S_ISDIR(mode) ? "a directory" : "not a regular file");
}

static bool
is_stream(mode_t mode)
{
    return S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* open(2) failed: say what a look at the path would have said first. */
static int
fail_open(const char *path, int err, struct status *st)
{
    struct stat info;

    if (place_stat(path, true, &info) < 0)
        return fail_stat(path, errno, st);
    if (S_ISDIR(info.st_mode) || is_stream(info.st_mode))
        return fail_kind(path, info.st_mode, st);
    return status_errno(st, RPC_INTERNAL, err,
                        "error opening file '%s': open %s", path, path);
}

int
file_reader_open(struct file_reader *r, const char *path, struct status *st)
{
    SCOPE(fd_close) int fd = -1;
    struct stat info;

    *r = (struct file_reader){.fd = -1};
    /* Non-blocking, so that the open of a pipe or a terminal returns. */
    fd = place_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return fail_open(path, errno, st);
    if (fstat(fd, &info) < 0)
        return fail_stat(path, errno, st);
    if (S_ISDIR(info.st_mode) || is_stream(info.st_mode))
        return fail_kind(path, info.st_mode, st);
    r->size = info.st_size;
    r->mtime = info.st_mtim;
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

ssize_t
file_reader_read(struct file_reader *r, struct buf *out, size_t max)
{
    uint8_t *p = buf_reserve(out, max);
    size_t done = 0;

    if (p == NULL && max > 0)
        return -ENOMEM;
    if (r->size < 0)
        max = (size_t)MIN((int64_t)max, r->left);
    while (done < max) {
        ssize_t n = read(r->fd, p + done, max - done);

        if (n < 0 && errno == EINTR)
            continue;
        /* A device without data now is at its end. */
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    r->left -= r->size < 0 ? (int64_t)done : 0;
    buf_commit(out, done);
    return (ssize_t)done;
}

ssize_t
file_reader_peek(const struct file_reader *r, off_t offset, void *out,
                 size_t max)
{
    ssize_t n;

    do
        n = pread(r->fd, out, max, offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

struct file_sent
file_reader_send(const struct file_reader *r, int socket_fd, off_t *offset,
                 size_t len)
{
    struct file_sent sent = {0};

    while (sent.len < len && sent.err == 0) {
        ssize_t n = sendfile(socket_fd, r->fd, offset, len - sent.len);

        if (n > 0)
            sent.len += (size_t)n;
        else if (n == 0)
            sent.err = -ENODATA;
        else if (errno != EINTR)
            sent.err = -errno;
    }
    return sent;
}

void
file_reader_done(struct file_reader *r)
{
    fd_close(&r->fd);
}
