/*
 * Copy: made aside, then renamed into place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/tree_copying.h"
#include "filesystem/tree_made.h"
#include "filesystem/tree_removal.h"

/* A copy that was asked for. */
struct copy {
    const char *source;
    const char *destination;
    const struct tree_owner *owner;
    const atomic_bool *cancel;
};

static int
fail(const struct copy *c, int err, struct status *st)
{
    enum rpc_code code = RPC_INTERNAL;

    if (err == ECANCELED)
        return status_set(st, RPC_CANCELED, "context canceled");
    if (err == ENOSPC || err == EDQUOT || err == ENOMEM)
        code = RPC_RESOURCE_EXHAUSTED;
    /* Into itself, a name that cannot be, a file that is no directory. */
    if (err == EINVAL || err == ENAMETOOLONG || err == ELOOP || err == ENOTDIR)
        code = RPC_INVALID_ARGUMENT;
    return status_errno(st, code, err, "error copying '%s' to '%s'", c->source,
                        c->destination);
}

/* Look at both ends before anything is made. */
static int
check_ends(const struct copy *c, struct status *st)
{
    struct stat info;
    struct stat there;

    if (path_is_root(c->source) || path_is_root(c->destination))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "the root directory cannot be copied or replaced");
    if (place_stat(c->source, false, &info) < 0)
        return errno == ENOENT
                   ? status_set(st, RPC_NOT_FOUND, "path '%s' does not exist",
                                c->source)
                   : fail(c, errno, st);
    if (place_stat(c->destination, false, &there) < 0)
        return errno == ENOENT ? 0 : fail(c, errno, st);
    if (info.st_dev == there.st_dev && info.st_ino == there.st_ino)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "source '%s' and destination '%s' are the same file",
                          c->source, c->destination);
    if (S_ISDIR(there.st_mode))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "destination '%s' is a directory", c->destination);
    return S_ISDIR(info.st_mode) ? fail(c, ENOTDIR, st) : 0;
}

static int
copy(const struct copy *c)
{
    SCOPE(place_done) struct place from = {.dir_fd = -1};
    SCOPE(place_done) struct place to = {.dir_fd = -1};
    SCOPE(scope_free) char *err_path = NULL;
    char name[PLACE_NAME_BYTES];
    int r = place_end(c->source, &from);

    if (r == 0)
        r = place_end(c->destination, &to);
    if (r == 0)
        r = place_private_name("copy", name);
    if (r < 0)
        return r;
    r = tree_copy_at(&from, &(struct place){.dir_fd = to.dir_fd, .name = name},
                     c->owner, c->cancel);
    if (r == 0 &&
        CALLER_LEND(renameat(to.dir_fd, name, to.dir_fd, to.name)) < 0)
        r = -errno;
    if (r < 0)
        (void)tree_remove_at(to.dir_fd, name, name, NULL, &err_path);
    return r;
}

int
tree_copy(const char *source, const char *destination,
          const struct tree_owner *owner, const atomic_bool *cancel,
          struct status *st)
{
    const struct copy c = {source, destination, owner, cancel};
    SCOPE(scope_free) char *parent = NULL;
    size_t made;
    int r;

    if (check_ends(&c, st) < 0)
        return -1;
    parent = path_dir(destination);
    if (parent == NULL)
        return fail(&c, ENOMEM, st);
    r = tree_make_missing(parent, owner->uid, owner->gid, &made, st);
    if (r < 0) {
        tree_blame_path(st);
    } else {
        r = copy(&c);
        if (r < 0)
            (void)fail(&c, -r, st);
    }
    if (r < 0)
        tree_unmake(parent, made);
    return r < 0 ? -1 : 0;
}
