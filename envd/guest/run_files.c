/*
 * Written beside, then renamed.
 */
#include "guest/run_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

int
run_file_write(const char *dir, const char *name, const char *text, mode_t mode)
{
    SCOPE(fd_close) int folder = -1;
    SCOPE(fd_close) int fd = -1;
    char beside[64];
    size_t len = strlen(text);
    ssize_t n;
    int r = 0;

    folder = open(dir, O_DIRECTORY | O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    (void)snprintf(beside, sizeof(beside), "%s.new", name);
    (void)unlinkat(folder, beside, 0);
    fd = openat(folder, beside,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    n = write(fd, text, len);
    if (n != (ssize_t)len)
        r = n < 0 ? -errno : -ENOSPC;
    else if (renameat(folder, beside, folder, name) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(folder, beside, 0);
    return r;
}

int
run_files_init(const char *dir, bool sandbox)
{
    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return -errno;
    return run_file_write(dir, RUN_FILE_SANDBOX, sandbox ? "true" : "false",
                          0444);
}
