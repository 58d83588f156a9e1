/*
 * Opening these sockets, and knowing them again.
 */
#include "guest/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
    struct sockaddr_vm vm;
    char bytes[sizeof(struct sockaddr_un) + 1]; /* ends a path */
};

/* ---- a UNIX socket ------------------------------------------------------- */

/* Whether nobody else can change what a directory has.  last: no sticky one */
static bool
is_safe(int dir_fd, bool last)
{
    struct stat st;

    if (fstat(dir_fd, &st) < 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
        return false;
    return (st.st_mode & 022) == 0 || (!last && (st.st_mode & S_ISVTX) != 0);
}

/*
 * Open the directory of an absolute path, and find its last component.
 * Returns O_PATH or -errno.
 */
static int
open_parent(const char *path, const char **ret_name)
{
    SCOPE(fd_close) int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    *ret_name = "";
    if (dir < 0)
        return -errno;
    if (*path != '/')
        return -EINVAL;
    for (;;) {
        char name[NAME_MAX + 1];
        size_t len;
        int next;

        path += strspn(path, "/");
        len = strcspn(path, "/");
        if (path[len] == '\0')
            break;
        if (len >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, path, len);
        name[len] = '\0';
        if (!is_safe(dir, /* last= */ false))
            return -EPERM;
        next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -errno;
        fd_close(&dir);
        dir = next;
        path += len;
    }
    *ret_name = path;
    if (*path == '\0' || strcmp(path, ".") == 0 || strcmp(path, "..") == 0)
        return -EINVAL;
    return is_safe(dir, /* last= */ true) ? TAKE_FD(dir) : -EPERM;
}

/* Remove a socket that an earlier one of us has left.  0 or -errno. */
static int
remove_stale(int dir_fd, const char *name, const union address *a)
{
    SCOPE(fd_close) int fd = -1;
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, &a->any, sizeof(a->path)) == 0 || errno != ECONNREFUSED)
        return -EADDRINUSE;
    return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

int
listen_unix_open(const char *path)
{
    const char *name = "";
    SCOPE(fd_close) int dir = open_parent(path, &name);
    SCOPE(fd_close) int fd = -1;
    union address a = {.path = {.sun_family = AF_UNIX}};
    int r;

    if (dir < 0)
        return dir;
    if (strlen(path) >= sizeof(a.path.sun_path))
        return -ENAMETOOLONG;
    /* Nobody else can lead it elsewhere: that was seen to. */
    memcpy(a.path.sun_path, path, strlen(path) + 1);
    r = remove_stale(dir, name, &a);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The file gets the mode of the socket: there is no moment without it. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, &a.any, sizeof(a.path)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

bool
listen_unix_is(int fd, const char *path)
{
    union address a = {0};
    socklen_t len = sizeof(a) - 1;
    struct stat st;

    return path != NULL && getsockname(fd, &a.any, &len) == 0 &&
           a.any.sa_family == AF_UNIX && strcmp(a.path.sun_path, path) == 0 &&
           lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

bool
listen_admits_uid(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

bool
listen_admits_unix(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           listen_admits_uid(peer.uid);
}

/* ---- vsock --------------------------------------------------------------- */

bool
listen_vsock_is_there(void)
{
    SCOPE(fd_close) int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    uint32_t cid = VMADDR_CID_ANY;

    return fd >= 0 && ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0 &&
           cid > VMADDR_CID_HOST && cid != VMADDR_CID_ANY;
}

int
listen_vsock_open(uint32_t port)
{
    const union address a = {.vm = {.svm_family = AF_VSOCK,
                                    .svm_cid = VMADDR_CID_ANY,
                                    .svm_port = port}};
    SCOPE(fd_close)
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, &a.any, sizeof(a.vm)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

bool
listen_vsock_is(int fd, uint32_t port)
{
    union address a = {0};
    socklen_t len = sizeof(a);

    return port != 0 && getsockname(fd, &a.any, &len) == 0 &&
           a.any.sa_family == AF_VSOCK && a.vm.svm_port == port;
}

bool
listen_admits_cid(uint32_t cid)
{
    return cid == VMADDR_CID_HOST;
}

bool
listen_admits_vsock(int fd)
{
    union address a = {0};
    socklen_t len = sizeof(a);

    return getpeername(fd, &a.any, &len) == 0 && a.any.sa_family == AF_VSOCK &&
           listen_admits_cid(a.vm.svm_cid);
}

/* -------------------------------------------------------------------------- */

/* Where a stream socket listens; false: it is none. */
static bool
listens_at(int fd, union address *ret)
{
    socklen_t len = sizeof(*ret);
    socklen_t value_len = sizeof(int);
    int listens = 0;
    int type = 0;

    memset(ret, 0, sizeof(*ret));
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &value_len) ==
               0 &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &value_len) == 0 &&
           getsockname(fd, &ret->any, &len) == 0 && listens != 0 &&
           type == SOCK_STREAM;
}

int
listen_family(int fd)
{
    union address a;

    return listens_at(fd, &a) ? a.any.sa_family : -1;
}

int
listen_tcp_port(int fd)
{
    union address a;

    if (!listens_at(fd, &a))
        return -1;
    if (a.any.sa_family == AF_INET6)
        return ntohs(a.v6.sin6_port);
    return a.any.sa_family == AF_INET ? ntohs(a.v4.sin_port) : -1;
}
