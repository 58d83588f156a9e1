/*
 * Small helpers around descriptors and small files.
 */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"

void
fd_close(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
    errno = saved;
}

int
fd_set_nonblock(int fd, int on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int
fd_read_file(const char *path, size_t max, char **ret, size_t *ret_len)
{
    /* Non-blocking, so that a pipe in the place of a file is an empty one. */
    SCOPE(fd_close)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    SCOPE(scope_free) char *text = NULL;
    size_t len = 0;
    size_t cap = 4096;

    if (fd < 0)
        return -errno;
    for (;;) {
        char *grown = realloc(text, cap + 1);
        ssize_t n;

        if (grown == NULL)
            return -ENOMEM;
        text = grown;
        n = read(fd, text + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max)
            return -EFBIG;
        if (len == cap)
            cap *= 2;
    }
    text[len] = '\0';
    if (ret_len != NULL)
        *ret_len = len;
    *ret = TAKE_PTR(text);
    return 0;
}

int
fd_write_file(const char *path, const char *text)
{
    SCOPE(fd_close) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, text, strlen(text));
    if (n < 0)
        return -errno;
    return (size_t)n == strlen(text) ? 0 : -EIO;
}
