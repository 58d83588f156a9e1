/*
 * Reading and replacing small files.
 */
#include "guest/file_at.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"

#define TEMP_TRIES 8
#define TEMP_BYTES sizeof(".envd-0123456789abcdef")

int
file_at_read(int dir_fd, const char *name, size_t max, char **ret,
             size_t *ret_len, struct stat *ret_info)
{
    SCOPE(fd_close)
    int fd = openat(dir_fd, name,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    SCOPE(scope_free) char *text = NULL;
    size_t size;
    size_t len = 0;

    if (fd < 0 || fstat(fd, ret_info) < 0)
        return -errno;
    if (!S_ISREG(ret_info->st_mode))
        return -EINVAL;
    if (ret_info->st_size < 0 || (uintmax_t)ret_info->st_size > max)
        return -EFBIG;
    size = (size_t)ret_info->st_size;
    text = malloc(size + 1);
    if (text == NULL)
        return -ENOMEM;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    *ret_len = len;
    *ret = TAKE_PTR(text);
    return 0;
}

int
file_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A new file under a name that nobody could foresee. */
static int
temp_open(int dir_fd, char name[TEMP_BYTES])
{
    for (int i = 0; i < TEMP_TRIES; i++) {
        uint64_t random = 0;
        int fd;

        if (getrandom(&random, sizeof(random), 0) < 0)
            return -errno;
        (void)snprintf(name, TEMP_BYTES, ".envd-%016llx",
                       (unsigned long long)random);
        fd = openat(dir_fd, name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : -errno;
    }
    return -EEXIST;
}

static int
temp_fill(int fd, const struct stat *seen, const void *data, size_t len,
          bool sync)
{
    int r = file_write_all(fd, data, len);

    if (r < 0)
        return r;
    if (seen != NULL &&
        (seen->st_uid != geteuid() || seen->st_gid != getegid()))
        if (fchown(fd, seen->st_uid, seen->st_gid) < 0)
            return -errno;
    if (fchmod(fd, seen != NULL ? seen->st_mode & 07777 : 0644) < 0)
        return -errno;
    return sync && fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static bool
is_unchanged(int dir_fd, const char *name, const struct stat *seen)
{
    struct stat now;

    return fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_dev == seen->st_dev && now.st_ino == seen->st_ino &&
           now.st_size == seen->st_size &&
           now.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
}

int
file_at_replace(int dir_fd, const char *name, const struct stat *seen,
                const void *data, size_t len, bool sync)
{
    char temp[TEMP_BYTES];
    SCOPE(fd_close) int fd = temp_open(dir_fd, temp);
    int r;

    if (fd < 0)
        return fd;
    r = temp_fill(fd, seen, data, len, sync);
    if (r == 0 && seen != NULL && !is_unchanged(dir_fd, name, seen))
        r = -ESTALE;
    if (r == 0 && renameat(dir_fd, temp, dir_fd, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, temp, 0);
    return r;
}

int
file_at_overwrite(int dir_fd, const char *name, const void *data, size_t len)
{
    SCOPE(fd_close)
    int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    int r;

    if (fd < 0)
        return -errno;
    r = file_write_all(fd, data, len);
    if (r < 0)
        return r;
    return ftruncate(fd, (off_t)len) < 0 ? -errno : 0;
}
