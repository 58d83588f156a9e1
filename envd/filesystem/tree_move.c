/*
 * Move: one rename, or across file systems a copy under a private name that is
 * then renamed into place, and the removal of the source.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/tree_copying.h"
#include "filesystem/tree_made.h"
#include "filesystem/tree_removal.h"

/* Beside 0 and -errno. */
#define SAME_FILE 1

/*
 * What rename(2) would say about the source and the destination if it got that
 * far across file systems: -errno, 0 to go on, or SAME_FILE for two ways to one
 * file (a bind mount), with which nothing is to be done.
 */
static int
check_ends(const struct place *from, const char *source, const struct place *to,
           bool *ret_replaces)
{
    struct statx info;
    struct statx there;

    if (strcmp(from->name, ".") == 0 || strcmp(from->name, "..") == 0)
        return -EBUSY;
    if (CALLER_LEND(faccessat(from->dir_fd, ".", W_OK, AT_EACCESS)) < 0)
        return -errno;
    if (CALLER_LEND(statx(from->dir_fd, from->name, AT_SYMLINK_NOFOLLOW,
                          STATX_BASIC_STATS, &info)) < 0)
        return -errno;
    if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
        return -EBUSY;
    if (S_ISLNK(info.stx_mode) && source[strlen(source) - 1] == '/')
        return -ENOTDIR;
    if (CALLER_LEND(statx(to->dir_fd, to->name, AT_SYMLINK_NOFOLLOW,
                          STATX_BASIC_STATS, &there)) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (info.stx_ino == there.stx_ino &&
        info.stx_dev_major == there.stx_dev_major &&
        info.stx_dev_minor == there.stx_dev_minor)
        return SAME_FILE;
    *ret_replaces = true;
    return S_ISDIR(info.stx_mode) && !S_ISDIR(there.stx_mode) ? -ENOTDIR : 0;
}

/* Remove one end of a failed or finished move; cannot be interrupted. */
static int
remove_end(const struct place *p, const char *name)
{
    SCOPE(scope_free) char *err_path = NULL;

    return tree_remove_at(p->dir_fd, name, name, NULL, &err_path);
}

/*
 * Undo a move of which the source stayed: only what is certain to be no more
 * than a copy of it.
 */
static void
undo(const struct place *from, const struct place *to, bool replaced)
{
    struct stat st;

    if (!replaced &&
        CALLER_LEND(
            fstatat(from->dir_fd, from->name, &st, AT_SYMLINK_NOFOLLOW)) == 0 &&
        !S_ISDIR(st.st_mode))
        (void)CALLER_LEND(unlinkat(to->dir_fd, to->name, 0));
}

static int
move_across(const char *source, const char *destination,
            const atomic_bool *cancel)
{
    SCOPE(place_done) struct place from = {.dir_fd = -1};
    SCOPE(place_done) struct place to = {.dir_fd = -1};
    char name[PLACE_NAME_BYTES];
    bool replaced = false;
    int r = place_end(source, &from);

    if (r == 0)
        r = place_end(destination, &to);
    if (r == 0)
        r = check_ends(&from, source, &to, &replaced);
    if (r == 0)
        r = place_private_name("move", name);
    if (r != 0)
        return MIN(r, 0);
    r = tree_copy_at(&from, &(struct place){.dir_fd = to.dir_fd, .name = name},
                     NULL, cancel);
    if (r == 0 &&
        CALLER_LEND(renameat(to.dir_fd, name, to.dir_fd, to.name)) < 0)
        r = -errno;
    if (r < 0) {
        (void)remove_end(&to, name);
        return r;
    }
    r = remove_end(&from, from.name);
    if (r < 0)
        undo(&from, &to, replaced);
    return r;
}

/*
 * Rename, but never onto a directory, which rename(2) would replace when it is
 * empty; the same directory by another spelling is left to it.
 */
static int
move(const char *source, const char *destination, const struct stat *info,
     const atomic_bool *cancel)
{
    SCOPE(place_done) struct place from = {.dir_fd = -1};
    SCOPE(place_done) struct place to = {.dir_fd = -1};
    struct stat st;

    if (place_stat(destination, false, &st) == 0 && S_ISDIR(st.st_mode) &&
        (strcmp(source, destination) == 0 || st.st_dev != info->st_dev ||
         st.st_ino != info->st_ino))
        return -EEXIST;
    if (place_at(source, &from) < 0 || place_at(destination, &to) < 0)
        return -errno;
    if (CALLER_LEND(renameat(from.dir_fd, from.name, to.dir_fd, to.name)) == 0)
        return 0;
    return errno == EXDEV ? move_across(source, destination, cancel) : -errno;
}

/* The answer for a failed rename. */
static int
fail(const char *source, const char *destination, int err, struct status *st)
{
    if (err == ECANCELED)
        return status_set(st, RPC_CANCELED, "context canceled");
    if (err == ENOENT)
        return status_errno(st, RPC_NOT_FOUND, err,
                            "source file not found: rename %s %s", source,
                            destination);
    return status_errno(
        st,
        err == ENOSPC || err == EDQUOT ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL,
        err, "error renaming: rename %s %s", source, destination);
}

int
tree_move(const char *source, const char *destination, uid_t uid, gid_t gid,
          const atomic_bool *cancel, struct status *st)
{
    SCOPE(scope_free) char *parent = NULL;
    struct stat info;
    size_t made;
    int r;

    if (path_is_root(source))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "source must not be the root directory: %s", source);
    if (path_is_root(destination))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "destination must not be the root directory: %s",
                          destination);
    if (place_stat(source, false, &info) < 0)
        return fail(source, destination, errno, st);
    parent = path_dir(destination);
    if (parent == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    r = tree_make_missing(parent, uid, gid, &made, st);
    if (r == 0) {
        r = move(source, destination, &info, cancel);
        if (r < 0)
            (void)fail(source, destination, -r, st);
    }
    if (r < 0)
        tree_unmake(parent, made);
    return r < 0 ? -1 : 0;
}
