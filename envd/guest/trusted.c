/*
 * A walk that holds each directory by descriptor, so that nothing can be
 * exchanged behind it.
 */
#include "guest/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#define LINKS_MAX 40

/* The walk: where it is, and what of the path is still ahead. */
struct walk {
    enum trusted_way way;
    int dir_fd;
    struct statx dir;
    char rest[2 * PATH_MAX];
    int links;
};

static bool
is_root(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

bool
trusted_is_roots(const struct stat *info)
{
    return is_root(info->st_uid) && (info->st_mode & 022) == 0;
}

/* What is cached will do: a server behind a mount point may be gone. */
static int
look(int dir_fd, const char *name, int flags, struct statx *ret)
{
    return statx(dir_fd, name,
                 flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT |
                     AT_STATX_DONT_SYNC,
                 STATX_TYPE | STATX_MODE | STATX_UID | STATX_INO, ret) < 0
               ? -errno
               : 0;
}

static bool
others_write(const struct statx *info)
{
    return !is_root(info->stx_uid) || (info->stx_mode & 022) != 0;
}

/* Go on from this directory, which is taken over. */
static int
enter(struct walk *w, int fd)
{
    int r;

    if (fd < 0)
        return -errno;
    fd_close(&w->dir_fd);
    w->dir_fd = fd;
    r = look(fd, "", AT_EMPTY_PATH, &w->dir);
    if (r < 0)
        return r;
    if (w->way == TRUSTED_STRICT && others_write(&w->dir) &&
        (!is_root(w->dir.stx_uid) || (w->dir.stx_mode & S_ISVTX) == 0))
        return -EPERM;
    return 0;
}

static int
enter_root(struct walk *w)
{
    return enter(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/*
 * Put the text of a link before the rest of the path.  The link is held while
 * it is looked at and read: whoever can write the directory could put another
 * one in its place in between.
 */
static int
follow(struct walk *w, const char *name)
{
    SCOPE(fd_close)
    int fd = openat(w->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char text[PATH_MAX];
    size_t rest_len = strlen(w->rest);
    struct statx info;
    ssize_t n;
    int r;

    if (fd < 0)
        return -errno;
    r = look(fd, "", AT_EMPTY_PATH, &info);
    if (r < 0)
        return r;
    if (!S_ISLNK(info.stx_mode) ||
        (!is_root(info.stx_uid) && others_write(&w->dir)))
        return -EPERM;
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    n = readlinkat(fd, "", text, sizeof(text));
    if (n < 0)
        return -errno;
    if (n == 0)
        return -ENOENT;
    if ((size_t)n + 1 + rest_len >= sizeof(w->rest))
        return -ENAMETOOLONG;
    memmove(w->rest + n + 1, w->rest, rest_len + 1);
    memcpy(w->rest, text, (size_t)n);
    w->rest[n] = '/';
    return text[0] == '/' ? enter_root(w) : 0;
}

/* Take the next name off the rest.  Returns its length, 0 at the end. */
static int
next_name(struct walk *w, char name[NAME_MAX + 1])
{
    size_t skip = strspn(w->rest, "/");
    size_t len = strcspn(w->rest + skip, "/");
    size_t used;

    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, w->rest + skip, len);
    name[len] = '\0';
    used = skip + len;
    used += strspn(w->rest + used, "/");
    memmove(w->rest, w->rest + used, strlen(w->rest + used) + 1);
    return (int)len;
}

/* One name.  Returns 1 when it is the last one, 0 to go on. */
static int
step(struct walk *w, const char *name)
{
    struct statx info;
    int r;

    if (strcmp(name, ".") == 0)
        return *w->rest == '\0' ? -EINVAL : 0;
    if (strcmp(name, "..") == 0) {
        /* Only links lead here: the path itself has none. */
        if (*w->rest == '\0')
            return -EINVAL;
        return enter(w,
                     openat(w->dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    r = look(w->dir_fd, name, 0, &info);
    if (*w->rest == '\0' && w->way == TRUSTED_REPLACE)
        return r == 0 || r == -ENOENT ? 1 : r;
    if (r == 0 && S_ISLNK(info.stx_mode))
        return follow(w, name);
    if (*w->rest == '\0')
        return r == 0 || r == -ENOENT ? 1 : r;
    if (r == -ENOENT && (w->way == TRUSTED_MAKE || w->way == TRUSTED_REPLACE))
        r = mkdirat(w->dir_fd, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
    if (r < 0)
        return r;
    return enter(w, openat(w->dir_fd, name,
                           O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

static bool
holds_dots(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")) != NULL; at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return true;
    return false;
}

static int
walk_run(struct walk *w, char name[NAME_MAX + 1])
{
    int r = enter_root(w);

    while (r == 0) {
        r = next_name(w, name);
        if (r == 0)
            return -EINVAL; /* a link to the root */
        if (r > 0)
            r = step(w, name);
    }
    if (r < 0)
        return r;
    return w->way == TRUSTED_STRICT && others_write(&w->dir) ? -EPERM : 0;
}

/* The directory's path, as the kernel knows it. */
static int
tell_dir(int fd, char text[PATH_MAX])
{
    char link[32];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, text, PATH_MAX - 1);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return 0;
}

int
trusted_find(const char *path, enum trusted_way way, struct trusted_place *ret)
{
    struct walk w = {.way = way, .dir_fd = -1};
    size_t len = strlen(path);
    int r;

    if (path[0] != '/' || path[len - 1] == '/' || holds_dots(path))
        return -EINVAL;
    if (len >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(w.rest, path, len + 1);
    r = walk_run(&w, ret->name);
    if (r == 0)
        r = tell_dir(w.dir_fd, ret->dir);
    if (r < 0) {
        fd_close(&w.dir_fd);
        return r;
    }
    ret->dir_fd = w.dir_fd;
    return 0;
}

int
trusted_open(const char *path, enum trusted_way way, int flags)
{
    struct trusted_place place;
    int fd;
    int r = trusted_find(path, way, &place);

    if (r < 0)
        return r;
    fd = openat(place.dir_fd, place.name, flags | O_NOFOLLOW | O_CLOEXEC);
    r = fd < 0 ? -errno : fd;
    fd_close(&place.dir_fd);
    return r;
}

bool
trusted_program(const char *path, char ret[static PATH_MAX])
{
    struct trusted_place place;
    struct stat info;
    bool good;
    int len = 0;

    if (trusted_find(path, TRUSTED_STRICT, &place) < 0)
        return false;
    good = fstatat(place.dir_fd, place.name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(info.st_mode) && trusted_is_roots(&info) &&
           (info.st_mode & 0100) != 0;
    fd_close(&place.dir_fd);
    if (good)
        len = snprintf(ret, PATH_MAX, "%s/%s", place.dir, place.name);
    return good && len > 0 && len < PATH_MAX;
}
