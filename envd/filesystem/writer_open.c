/*
 * Opening the target of an upload: what exists is opened without O_CREAT, what
 * does not is created with O_EXCL, so that the kernel's rules for sticky
 * directories do not stand in the way and we know which of both it was.
 */
#include "filesystem/writer_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/transfer.h"
#include "filesystem/tree.h"

/* Names that come and go under our hands, and links that lead to nothing. */
#define TRIES_MAX 40

/* Non-blocking: a pipe without a reader must not hold a worker. */
#define OPEN_FLAGS (O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define NEW_FLAGS  (OPEN_FLAGS | O_CREAT | O_EXCL)

/* A step ended neither well nor badly: look at the path again. */
#define AGAIN 1

static int
fail_directory(const struct file_writer *w, struct status *st)
{
    return status_set(st, RPC_INVALID_ARGUMENT, "path is a directory: %s",
                      w->path);
}

static int
fail_open(const struct file_writer *w, int err, struct status *st)
{
    if (err == ENOSPC || err == EDQUOT)
        return status_errno(st, RPC_RESOURCE_EXHAUSTED, err,
                            "not enough inodes available: open %s", w->path);
    return status_errno(st, RPC_INTERNAL, err, "%s: open %s", w->words->open,
                        w->path);
}

static int
fail_stat(const struct file_writer *w, int err, struct status *st)
{
    bool asked = err == ELOOP || err == ENAMETOOLONG;

    return status_errno(st, asked ? RPC_INVALID_ARGUMENT : RPC_INTERNAL, err,
                        "%s: stat %s", w->words->look, w->path);
}

int
writer_ensure_parents(const char *path, uid_t uid, gid_t gid, struct status *st)
{
    SCOPE(scope_free) char *parent = path_parent(path);
    SCOPE(scope_free) char *dir = parent != NULL ? path_clean(parent) : NULL;
    SCOPE(status_done) struct status inner = {0};

    if (dir == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    if (tree_ensure_dirs(dir, uid, gid, &inner) == 0)
        return 0;
    if (inner.err == ELOOP || inner.err == ENAMETOOLONG)
        inner.code = RPC_INVALID_ARGUMENT;
    (void)status_set(st, inner.code, "error ensuring directories: %s",
                     status_message(&inner));
    st->err = inner.err;
    return -1;
}

/* Keep the directory and the last component of `path`. */
static int
keep_name(struct file_writer *w, const char *path)
{
    SCOPE(scope_free) char *dir = path_parent(path);
    const char *slash = strrchr(path, '/');

    fd_close(&w->dir_fd);
    free(w->name);
    w->name = strdup(slash != NULL ? slash + 1 : path);
    if (dir == NULL || w->name == NULL)
        return -ENOMEM;
    w->dir_fd = place_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return w->dir_fd < 0 ? -errno : 0;
}

/*
 * Where the link that has the kept name leads; *path is replaced.  Returns 0,
 * AGAIN when there is something else by now, or -errno.
 */
static int
follow_dangling(const struct file_writer *w, char **path)
{
    SCOPE(scope_free) char *dir = NULL;
    char target[PATH_MAX];
    char *next = NULL;

    if (place_readlink(w->dir_fd, w->name, target) < 0)
        return errno == EINVAL || errno == ENOENT ? AGAIN : -errno;
    dir = path_parent(*path);
    if (dir == NULL)
        return -ENOMEM;
    /* Not cleaned: `..` behind a link is for the kernel to follow. */
    if (asprintf(&next, "%s%s%s", target[0] == '/' ? "" : dir,
                 target[0] == '/' ? "" : "/", target) < 0)
        return -ENOMEM;
    free(*path);
    *path = next;
    return 0;
}

/* Make the file, where a link that leads to nothing says if it is one. */
static int
create(struct file_writer *w, struct status *st)
{
    SCOPE(scope_free) char *path = strdup(w->path);
    int r = path == NULL ? -ENOMEM : 0;

    for (int i = 0; i < TRIES_MAX && r == 0; i++) {
        r = keep_name(w, path);
        if (r < 0)
            break;
        w->fd = CALLER_LEND(openat(w->dir_fd, w->name, NEW_FLAGS, 0644));
        if (w->fd >= 0) {
            w->mode = FILE_WRITER_CREATED;
            return 0;
        }
        r = errno == EEXIST ? follow_dangling(w, &path) : -errno;
    }
    if (r == AGAIN)
        return AGAIN;
    return fail_open(w, r == 0 ? ELOOP : -r, st);
}

/* A new inode under a hidden name: a running program's file is not written. */
static int
create_beside(struct file_writer *w, struct status *st)
{
    char real[PATH_MAX];
    uint64_t number = 0;
    int r;

    if (place_real(w->path, real) < 0)
        return fail_open(w, errno, st);
    r = keep_name(w, real);
    if (r < 0)
        return fail_open(w, -r, st);
    if (place_stat(real, true, &w->old) < 0)
        return fail_open(w, errno, st);
    (void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
    if (asprintf(&w->temp, ".envd-%016llx", (unsigned long long)number) < 0) {
        w->temp = NULL;
        return fail_open(w, ENOMEM, st);
    }
    w->fd = CALLER_LEND(openat(w->dir_fd, w->temp, NEW_FLAGS, 0600));
    if (w->fd < 0) {
        free(TAKE_PTR(w->temp));
        return fail_open(w, errno, st);
    }
    w->mode = FILE_WRITER_REPLACED;
    return 0;
}

/* The open of what may exist failed with `err`: find out what is there. */
static int
open_other(struct file_writer *w, int err, struct status *st)
{
    struct stat info;

    if (writer_ensure_parents(w->path, w->uid, w->gid, st) < 0)
        return -1;
    if (place_stat(w->path, true, &info) < 0)
        return errno == ENOENT ? create(w, st) : fail_stat(w, errno, st);
    if (S_ISDIR(info.st_mode))
        return fail_directory(w, st);
    if (err == ETXTBSY)
        return create_beside(w, st);
    if (err == ENOENT || err == ENOTDIR)
        return AGAIN;
    return fail_open(w, err, st);
}

int
writer_open_target(struct file_writer *w, struct status *st)
{
    int r = AGAIN;

    for (int i = 0; i < TRIES_MAX && r == AGAIN; i++) {
        w->fd = place_open(w->path, OPEN_FLAGS);
        if (w->fd >= 0) {
            w->mode = FILE_WRITER_DIRECT;
            r = 0;
        } else if (errno == EISDIR) {
            return fail_directory(w, st);
        } else {
            r = open_other(w, errno, st);
        }
    }
    if (r == AGAIN)
        return fail_open(w, EAGAIN, st);
    if (r == 0 && w->mode != FILE_WRITER_REPLACED && fstat(w->fd, &w->old) < 0)
        return fail_stat(w, errno, st);
    return r;
}
