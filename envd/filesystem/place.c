/*
 * Paths to descriptors, and the rule for links.
 *
 * The common path has no link in it: one openat2(2) by the caller's own rights
 * opens it and says so.  Kernels before 5.6 lack that call; there each path is
 * walked.
 */
#include "filesystem/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "filesystem/caller.h"
#include "filesystem/link.h"

#define STEP_FLAGS (O_PATH | O_NOFOLLOW | O_CLOEXEC)

/* Beside 0 and -errno: a walk is at its end. */
#define ARRIVED 1

/* An errno that opening has no other use for: a link could be another's. */
#define STRAYED EXDEV

/* Where a path has been walked to. */
struct route {
    const struct caller *caller;
    int dir_fd;          /* where it is */
    struct stat dir;     /* of that */
    char text[PATH_MAX]; /* its path without links; the root is empty */
    size_t len;
    const char *rest;   /* what is still to do */
    struct buf pending; /* what `rest` points into after the first link */
    unsigned int links;
    char name[NAME_MAX + 1]; /* in the end: the last component, or "." */
};

static void
route_done(struct route *r)
{
    fd_close(&r->dir_fd);
    buf_done(&r->pending);
}

/* ---- the rule ------------------------------------------------------------ */

static bool
is_friend(const struct caller *c, uid_t owner)
{
    return owner == 0 || owner == c->uid;
}

/* Whether only root and the caller can make names in a directory. */
static bool
is_guarded(const struct caller *c, const struct stat *dir)
{
    return is_friend(c, dir->st_uid) &&
           (dir->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Whether a link in a directory may be followed. */
static bool
may_follow(const struct caller *c, const struct stat *dir, int link_fd,
           const struct stat *link)
{
    struct statfs fs;

    return is_guarded(c, dir) && is_friend(c, link->st_uid) &&
           fstatfs(link_fd, &fs) == 0 && fs.f_type != FUSE_SUPER_MAGIC &&
           fs.f_type != PROC_SUPER_MAGIC;
}

/* ---- the walk ------------------------------------------------------------ */

/* Go into a directory that is open; the descriptor is taken. */
static int
move_to(struct route *r, int fd)
{
    if (fd < 0)
        return -errno;
    fd_close(&r->dir_fd);
    r->dir_fd = fd;
    return fstat(fd, &r->dir) < 0 ? -errno : 0;
}

/*
 * Go to the path in r->text from the root.  So does `..`: the kernel's would
 * lead to wherever the directory has been moved meanwhile.
 */
static int
restart(struct route *r)
{
    char name[NAME_MAX + 1];
    int err = move_to(r, open("/", STEP_FLAGS | O_DIRECTORY));
    size_t at = 0;

    while (err == 0 && at < r->len) {
        size_t len = strcspn(r->text + at + 1, "/");

        memcpy(name, r->text + at + 1, len);
        name[len] = '\0';
        at += len + 1;
        err = move_to(r, openat(r->dir_fd, name, STEP_FLAGS | O_DIRECTORY));
    }
    return err;
}

static int
go_up(struct route *r)
{
    while (r->len > 0 && r->text[r->len - 1] != '/')
        r->len--;
    if (r->len > 0)
        r->len--;
    r->text[r->len] = '\0';
    return restart(r);
}

/* Replace a link by its text, which is walked next. */
static int
follow(struct route *r, int link_fd, const struct stat *link)
{
    struct buf next = {0};
    char text[PATH_MAX];
    ssize_t len;

    if (!may_follow(r->caller, &r->dir, link_fd, link))
        return -STRAYED;
    if (++r->links > LINK_FOLLOWED_MAX)
        return -ELOOP;
    len = readlinkat(link_fd, "", text, sizeof(text));
    if (len < 0)
        return -errno;
    buf_append(&next, text, (size_t)len);
    buf_append(&next, r->rest, strlen(r->rest) + 1);
    buf_done(&r->pending);
    r->pending = next;
    if (next.failed)
        return -ENOMEM;
    r->rest = (const char *)buf_data(&r->pending);
    if (text[0] != '/')
        return 0;
    r->len = 0;
    r->text[0] = '\0';
    return restart(r);
}

/* Walk the component in r->name, behind which r->rest begins. */
static int
step(struct route *r)
{
    size_t len = strlen(r->name);
    SCOPE(fd_close) int fd = openat(r->dir_fd, r->name, STEP_FLAGS);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0)
        return -errno;
    if (S_ISLNK(info.st_mode))
        return follow(r, fd, &info);
    if (*r->rest == '\0')
        return ARRIVED;
    if (!S_ISDIR(info.st_mode))
        return -ENOTDIR;
    if (r->len + 1 + len >= sizeof(r->text))
        return -ENAMETOOLONG;
    r->text[r->len++] = '/';
    memcpy(r->text + r->len, r->name, len + 1);
    r->len += len;
    fd_close(&r->dir_fd);
    r->dir_fd = TAKE_FD(fd);
    r->dir = info;
    return 0;
}

/* Take the next component off r->rest and walk it. */
static int
next(struct route *r, bool to_end)
{
    size_t len;

    r->rest += strspn(r->rest, "/");
    len = strcspn(r->rest, "/");
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(r->name, r->rest, len);
    r->name[len] = '\0';
    r->rest += len;
    if (len == 0) {
        memcpy(r->name, ".", 2);
        return ARRIVED;
    }
    if (strcmp(r->name, ".") == 0)
        return 0;
    if (strcmp(r->name, "..") == 0)
        return go_up(r);
    return *r->rest == '\0' && !to_end ? ARRIVED : step(r);
}

/*
 * Walk to the directory that holds the end of a path; `to_end` follows the last
 * component, too, if it is a link.  Returns 0 or -errno, -STRAYED among them.
 */
static int
walk(struct route *r, const char *path, bool to_end)
{
    int err;

    *r = (struct route){
        .caller = caller_lending(),
        .dir_fd = -1,
        .rest = path,
    };
    if (*path != '/')
        return -STRAYED; /* only an odd home gives such a path */
    err = restart(r);
    while (err == 0)
        err = next(r, to_end);
    return MIN(err, 0);
}

/* ---- opening ------------------------------------------------------------- */

/* Open without any link; ELOOP when there is one. */
static int
open_straight(const char *path, int flags)
{
    const struct open_how how = {
        .flags = (unsigned int)flags,
        .resolve = RESOLVE_NO_SYMLINKS,
    };

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* Whether others may have given a file one of its names: the one it has here */
static bool
is_foreign_name(const struct route *r, int fd)
{
    struct stat info;

    return !is_guarded(r->caller, &r->dir) &&
           (fstat(fd, &info) < 0 ||
            (!S_ISDIR(info.st_mode) && info.st_nlink > 1));
}

/* Walk and open with the rights the thread has; -1 and errno. */
static int
open_walking(const char *path, int flags, bool lent)
{
    SCOPE(route_done) struct route r;
    SCOPE(fd_close) int fd = -1;
    int err = walk(&r, path, (flags & O_NOFOLLOW) == 0);

    if (err == 0) {
        /* What is a link by now was swapped for one. */
        fd = openat(r.dir_fd, r.name, flags | O_NOFOLLOW);
        err = -errno;
    }
    if (fd >= 0 && lent && (flags & O_PATH) == 0 && is_foreign_name(&r, fd)) {
        fd_close(&fd);
        err = -EACCES;
    }
    if (fd < 0)
        errno = -err;
    return TAKE_FD(fd);
}

/* A way that is not to be gone with root's rights counts as closed. */
static int
close_way(int r)
{
    if (r < 0 && errno == STRAYED)
        errno = EACCES;
    caller_unlend();
    return r;
}

int
place_open_lent(const char *path, int flags)
{
    return caller_lend() ? close_way(open_walking(path, flags, true)) : -1;
}

int
place_open(const char *path, int flags)
{
    int fd;

    if (caller_lending() == NULL)
        return open(path, flags);
    fd = open_straight(path, flags);
    if (fd < 0 && (errno == ELOOP || errno == ENOSYS || errno == EPERM))
        fd = open_walking(path, flags, false);
    if (fd < 0 && errno == STRAYED) {
        caller_stray();
        return open(path, flags);
    }
    return fd < 0 ? place_open_lent(path, flags) : fd;
}

int
place_stat(const char *path, bool to_end, struct stat *ret)
{
    int r = to_end ? stat(path, ret) : lstat(path, ret);

    if (r < 0 && caller_lend()) {
        SCOPE(route_done) struct route way;

        r = walk(&way, path, to_end);
        if (r == 0)
            r = fstatat(way.dir_fd, way.name, ret, AT_SYMLINK_NOFOLLOW);
        else
            errno = -r;
        r = close_way(r < 0 ? -1 : 0);
    }
    return r;
}

/* ---- paths without links ------------------------------------------------- */

static int
real_walking(const char *path, char ret[PATH_MAX])
{
    SCOPE(route_done) struct route r;
    int err = walk(&r, path, true);
    bool whole = strcmp(r.name, ".") == 0;
    int len = snprintf(ret, PATH_MAX, "%s%s%s", r.text,
                       whole && r.len > 0 ? "" : "/", whole ? "" : r.name);

    if (err == 0 && len >= PATH_MAX)
        err = -ENAMETOOLONG;
    if (err == 0)
        return 0;
    errno = -err;
    return -1;
}

int
place_real_lent(const char *path, char ret[PATH_MAX])
{
    return caller_lend() ? close_way(real_walking(path, ret)) : -1;
}

int
place_real(const char *path, char ret[PATH_MAX])
{
    int r;

    if (caller_lending() == NULL)
        return realpath(path, ret) != NULL ? 0 : -1;
    r = real_walking(path, ret);
    if (r < 0 && errno == STRAYED) {
        caller_stray();
        return realpath(path, ret) != NULL ? 0 : -1;
    }
    return r < 0 ? place_real_lent(path, ret) : 0;
}

ssize_t
place_readlink(int dir_fd, const char *name, char ret[PATH_MAX])
{
    const struct caller *c = caller_lending();
    SCOPE(fd_close) int fd = CALLER_LEND(openat(dir_fd, name, STEP_FLAGS));
    struct stat dir;
    struct stat link;
    ssize_t len = fd < 0 ? -1 : readlinkat(fd, "", ret, PATH_MAX - 1);

    if (len < 0)
        return -1;
    ret[len] = '\0';
    if (c != NULL && (fstat(dir_fd, &dir) < 0 || fstat(fd, &link) < 0 ||
                      !may_follow(c, &dir, fd, &link)))
        caller_stray();
    return len;
}

/* ---- names --------------------------------------------------------------- */

int
place_parent(const char *path, struct place *ret)
{
    SCOPE(scope_free) char *dir = NULL;
    size_t start = strlen(path);

    while (start > 1 && path[start - 1] == '/')
        start--;
    while (start > 0 && path[start - 1] != '/')
        start--;
    dir = str_dup(start > 0 ? (struct str){path, start} : STR("."));
    *ret = (struct place){-1, strdup(path[start] != '\0' ? path + start : ".")};
    if (dir == NULL || ret->name == NULL) {
        errno = ENOMEM;
        return -1;
    }
    ret->dir_fd = place_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return ret->dir_fd < 0 ? -1 : 0;
}

int
place_at(const char *path, struct place *ret)
{
    if (caller_lending() != NULL)
        return place_parent(path, ret);
    *ret = (struct place){AT_FDCWD, strdup(path)};
    return ret->name != NULL ? 0 : -1;
}

int
place_end(const char *path, struct place *ret)
{
    size_t len;

    if (place_parent(path, ret) < 0)
        return -errno;
    len = strlen(ret->name);
    while (len > 1 && ret->name[len - 1] == '/')
        ret->name[--len] = '\0';
    return 0;
}

int
place_private_name(const char *what, char ret[PLACE_NAME_BYTES])
{
    uint64_t id;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return -EIO;
    (void)snprintf(ret, PLACE_NAME_BYTES, ".envd-%.10s-%016" PRIx64, what, id);
    return 0;
}

void
place_done(struct place *p)
{
    fd_close(&p->dir_fd);
    free(p->name);
}
