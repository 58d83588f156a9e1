/*
 * What must be true of a directory before it is watched.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "watch/scan.h"

#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xFF534D42
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xFE534D42
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

bool
is_network_type(long type)
{
    switch ((uint32_t)type) {
    case NFS_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case FUSE_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

int
scan_open_root(const struct scan *s, struct status *st)
{
    const char *path = s->root_path;
    struct statfs fs;
    struct stat sb;
    int fd;

    if (stat(path, &sb) < 0) {
        if (errno == ENOENT)
            return status_errno(st, RPC_NOT_FOUND, errno,
                                "path %s not found: stat %s", path, path);
        return status_errno(st, RPC_INTERNAL, errno,
                            "error statting path %s: stat %s", path, path);
    }
    if (!S_ISDIR(sb.st_mode))
        return status_set(st, RPC_INVALID_ARGUMENT, "path %s not a directory",
                          path);
    if (!s->allow_network_mounts) {
        if (statfs(path, &fs) < 0)
            return status_errno(
                st, RPC_INTERNAL, errno,
                "error checking mount status: failed to statfs %s", path);
        if (is_network_type((long)fs.f_type))
            return status_set(st, RPC_INVALID_ARGUMENT,
                              "cannot watch path on network filesystem: %s",
                              path);
    }
    if (s->inotify_fd < 0)
        return status_errno(st, RPC_INTERNAL, -s->inotify_fd,
                            "error creating watcher");
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return status_errno(st, RPC_INTERNAL, errno,
                            "error adding path %s to watcher", path);
    return fd;
}
