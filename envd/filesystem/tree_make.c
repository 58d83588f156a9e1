/*
 * Making directories: every missing component, from the top, each owned by the
 * user who asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/tree_made.h"

/* The code of a failure to write: a full disk is told apart. */
static enum rpc_code
code_of(int err)
{
    return err == ENOSPC || err == EDQUOT ? RPC_RESOURCE_EXHAUSTED
                                          : RPC_INTERNAL;
}

/* Drop slashes at the end, so that O_NOFOLLOW means what it says. */
static void
strip_slashes(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
}

/*
 * Give a directory that has just appeared to its owner.  It is opened without
 * following a link: one put in its place must not redirect us.
 */
static int
give(const struct place *p, const char *path, uid_t uid, gid_t gid,
     struct status *st)
{
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    SCOPE(fd_close) int fd = -1;
    struct stat info;

    strip_slashes(p->name);
    fd = CALLER_LEND(openat(p->dir_fd, p->name, flags));
    if (fd >= 0) {
        if (CALLER_LEND(fchownat(fd, "", uid, gid, AT_EMPTY_PATH)) == 0)
            return 0;
    } else if (place_stat(path, true, &info) == 0) {
        /* A link that dangled a moment ago, or a file. */
        if (S_ISDIR(info.st_mode))
            return 0;
        return status_set(st, RPC_INTERNAL, "path is a file: %s", path);
    }
    return status_errno(st, code_of(errno), errno,
                        "failed to chown directory: chown %s", path);
}

/* Make one directory unless it is there; its parent is. */
static int
make_one(const char *path, uid_t uid, gid_t gid, bool *ret_made,
         struct status *st)
{
    SCOPE(place_done) struct place p = {.dir_fd = -1};
    struct stat info;
    int r;

    *ret_made = false;
    if (place_stat(path, true, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return 0;
        return status_set(st, RPC_INTERNAL, "path is a file: %s", path);
    }
    if (errno != ENOENT)
        return status_errno(st, code_of(errno), errno,
                            "failed to stat directory: stat %s", path);
    r = place_at(path, &p);
    *ret_made = r == 0 && CALLER_LEND(mkdirat(p.dir_fd, p.name, 0755)) == 0;
    if (!*ret_made && (r < 0 || errno != EEXIST))
        return status_errno(st, code_of(errno), errno,
                            "failed to create directory: mkdir %s", path);
    return give(&p, path, uid, gid, st);
}

/*
 * The next length after `len` at which a prefix of `path` ends; the last one
 * is the whole path.
 */
static size_t
next_prefix(const char *path, size_t len)
{
    len += strspn(path + len, "/");
    return len + strcspn(path + len, "/");
}

/* Make all prefixes of `dir`, which is clean, then `path` as it is. */
static int
make_from_top(char *dir, const char *path, uid_t uid, gid_t gid,
              size_t *ret_first, struct status *st)
{
    size_t all = strlen(dir);
    size_t len = 0;
    bool made;

    while (len < all) {
        char cut;
        int r;

        len = next_prefix(dir, len);
        cut = dir[len];
        dir[len] = '\0';
        r = make_one(dir, uid, gid, &made, st);
        dir[len] = cut;
        if (made && *ret_first == 0)
            *ret_first = len;
        if (r < 0)
            return r;
        /* What is another's holds what we made above it. */
        if (!made)
            *ret_first = 0;
    }
    if (strcmp(dir, path) == 0)
        return 0;
    return make_one(path, uid, gid, &made, st);
}

int
tree_make_missing(const char *path, uid_t uid, gid_t gid, size_t *ret_first,
                  struct status *st)
{
    SCOPE(scope_free) char *dir = NULL;
    struct stat info;

    *ret_first = 0;
    if (place_stat(path, true, &info) == 0 && S_ISDIR(info.st_mode))
        return 0;
    /* A path that is not clean is made as it is, only its parents are not. */
    dir = path_clean(path);
    if (dir != NULL && strcmp(dir, path) != 0) {
        free(dir);
        dir = path_dir(path);
    }
    if (dir == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return make_from_top(dir, path, uid, gid, ret_first, st);
}

static bool
remove_dir(const char *path)
{
    SCOPE(place_done) struct place p = {.dir_fd = -1};

    return place_at(path, &p) == 0 &&
           CALLER_LEND(unlinkat(p.dir_fd, p.name, AT_REMOVEDIR)) == 0;
}

void
tree_blame_path(struct status *st)
{
    if (st->err == 0 || st->err == ENOTDIR || st->err == ENAMETOOLONG ||
        st->err == ELOOP)
        st->code = RPC_INVALID_ARGUMENT;
}

void
tree_unmake(const char *path, size_t first)
{
    SCOPE(scope_free) char *dir = strdup(path);
    size_t len = strlen(path);

    while (dir != NULL && first > 0 && len >= first && remove_dir(dir)) {
        while (len > 0 && dir[len - 1] != '/')
            len--;
        if (len > 0)
            len--;
        dir[len] = '\0';
    }
}

int
tree_ensure_dirs(const char *path, uid_t uid, gid_t gid, struct status *st)
{
    size_t first;

    return tree_make_missing(path, uid, gid, &first, st);
}

int
tree_make_dir(const char *path, uid_t uid, gid_t gid, struct status *st)
{
    struct stat info;

    if (place_stat(path, true, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return status_set(st, RPC_ALREADY_EXISTS,
                              "directory already exists: %s", path);
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path already exists but it is not a directory: %s",
                          path);
    }
    if (errno != ENOENT)
        return status_errno(st, RPC_INTERNAL, errno,
                            "error getting file info: stat %s", path);
    return tree_ensure_dirs(path, uid, gid, st);
}
