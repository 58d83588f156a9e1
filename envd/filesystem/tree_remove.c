/*
 * Recursive removal, by descriptors and names only: no link is followed and no
 * path can be too long.
 *
 * A directory is read on while its entries are removed; file systems differ in
 * what they then show, so a directory that is not empty in the end is gone
 * through again as long as that helps.
 */
#include "filesystem/tree_removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "filesystem/caller.h"
#include "filesystem/dirents.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/walk.h"
#include "loop/worker.h"

/* Against a writer that is as quick as we are. */
#define PASSES_MAX 64

/* One directory on the way down. */
struct level {
    size_t path_len; /* of its own path, NUL not counted */
    size_t name_at;  /* where its name begins in that */
    off_t at;        /* where reading it goes on */
    unsigned int pass;
    bool removed; /* anything, in this pass */
};

struct removal {
    const atomic_bool *cancel;
    int root_fd; /* holds what is removed */
    struct walk walk;
    struct level *levels; /* walk.depth of them in use */
    size_t level_cap;
    struct buf path; /* of what is looked at */
    char *batch;     /* DIRENTS_BATCH_BYTES */
    int err;         /* the first failure, -errno, and its path */
    char *err_path;
};

static void
removal_done(struct removal *r)
{
    walk_done(&r->walk);
    free(r->levels);
    buf_done(&r->path);
    free(r->batch);
    free(r->err_path);
}

/* Note a failure at r->path. */
static void
note(struct removal *r, int err)
{
    if (r->err != 0)
        return;
    r->err = err;
    r->err_path =
        str_dup((struct str){(const char *)buf_data(&r->path), r->path.len});
}

/* Whether a failure concerns one entry, and not the walk. */
static bool
is_local(int err)
{
    return err != -ECANCELED && err != -ENOMEM && err != -EMFILE &&
           err != -ENFILE && err != -ESTALE;
}

static int
push(struct removal *r, int fd, size_t name_at, unsigned int pass)
{
    SCOPE(fd_close) int taken = fd;
    int err;

    if (r->walk.depth == r->level_cap) {
        size_t cap = r->level_cap > 0 ? r->level_cap * 2 : 16;
        struct level *levels = reallocarray(r->levels, cap, sizeof(*levels));

        if (levels == NULL)
            return -ENOMEM;
        r->levels = levels;
        r->level_cap = cap;
    }
    err = walk_push(&r->walk, TAKE_FD(taken));
    if (err == 0)
        r->levels[r->walk.depth - 1] = (struct level){
            .path_len = r->path.len,
            .name_at = name_at,
            .pass = pass,
        };
    return err;
}

static int
parent_fd(const struct removal *r)
{
    return r->walk.depth > 0 ? walk_fd(&r->walk) : r->root_fd;
}

static int
unlink_name(int dir_fd, const char *name, int flags)
{
    return CALLER_LEND(unlinkat(dir_fd, name, flags)) < 0 ? -errno : 0;
}

/*
 * Remove one name of the directory the walk is in, or step down into it; its
 * path is in r->path, the name at `name_at`.  Failures are noted; returns
 * those that end the walk.
 */
static int
remove_one(struct removal *r, const char *name, unsigned char type,
           size_t name_at, unsigned int pass)
{
    int dir_fd = parent_fd(r);
    int err = -EISDIR;

    if (type != DT_DIR)
        err = unlink_name(dir_fd, name, 0);
    if (err == -EISDIR) {
        int fd = walk_open(dir_fd, name);

        if (fd >= 0)
            return push(r, fd, name_at, pass);
        err = fd;
        /* Not a directory after all, or one that cannot be read. */
        if (is_local(err) &&
            unlink_name(dir_fd, name, err == -ENOTDIR ? 0 : AT_REMOVEDIR) == 0)
            err = 0;
    }
    if (err == 0 && r->walk.depth > 0)
        r->levels[r->walk.depth - 1].removed = true;
    if (err == 0 || err == -ENOENT)
        return 0;
    note(r, err);
    return is_local(err) ? 0 : err;
}

/* The directory the walk is in has been read to its end: step up, remove it. */
static int
leave(struct removal *r)
{
    struct level level = r->levels[r->walk.depth - 1];
    const char *name;
    int err = walk_pop(&r->walk);

    buf_truncate(&r->path, level.path_len);
    buf_append_byte(&r->path, '\0');
    if (r->path.failed)
        return -ENOMEM;
    buf_truncate(&r->path, level.path_len);
    name = (const char *)buf_data(&r->path) + level.name_at;
    if (err < 0) {
        note(r, err);
        return err;
    }
    err = unlink_name(parent_fd(r), name, AT_REMOVEDIR);
    if (err == 0) {
        if (r->walk.depth > 0)
            r->levels[r->walk.depth - 1].removed = true;
        return 0;
    }
    if (err == -ENOENT)
        return 0;
    if ((err == -ENOTEMPTY || err == -EEXIST) && level.removed &&
        level.pass < PASSES_MAX)
        return remove_one(r, name, DT_DIR, level.name_at, level.pass + 1);
    note(r, err);
    return 0;
}

/* Set r->path to that of `name` in the directory the walk is in. */
static int
set_path(struct removal *r, const char *name, size_t *ret_name_at)
{
    buf_truncate(&r->path, r->levels[r->walk.depth - 1].path_len);
    buf_append_byte(&r->path, '/');
    *ret_name_at = r->path.len;
    buf_append_str(&r->path, name);
    return r->path.failed ? -ENOMEM : 0;
}

/*
 * Go on reading a directory where it was left; the descriptor may be a new one,
 * opened on the way back up.  A directory that was removed meanwhile no longer
 * knows the place: it is begun again, but not for ever.  False: give it up.
 */
static bool
resume(struct level *level, int fd)
{
    if (level->at == 0 || lseek(fd, level->at, SEEK_SET) >= 0)
        return true;
    return level->pass++ < PASSES_MAX && lseek(fd, 0, SEEK_SET) == 0;
}

/*
 * Remove the entries of the directory the walk is in, until one of them has
 * been stepped down into or there are no more, in which case it is left.
 */
static int
sweep(struct removal *r)
{
    struct dirents_batch b = {.data = r->batch};
    size_t depth = r->walk.depth;
    int fd = walk_fd(&r->walk);
    struct dirent_ref d;
    int err;

    if (!resume(&r->levels[depth - 1], fd))
        return leave(r);
    while ((err = dirents_fill(&b, fd)) > 0) {
        while (dirents_next(&b, &d)) {
            size_t name_at;

            worker_pause_point();
            if (r->cancel != NULL &&
                atomic_load_explicit(r->cancel, memory_order_relaxed))
                return -ECANCELED;
            r->levels[depth - 1].at = d.next;
            err = set_path(r, d.name, &name_at);
            if (err == 0)
                err = remove_one(r, d.name, d.type, name_at, 0);
            if (err < 0 || r->walk.depth > depth)
                return err;
        }
    }
    if (err < 0) {
        buf_truncate(&r->path, r->levels[depth - 1].path_len);
        note(r, err);
    }
    return leave(r);
}

int
tree_remove_at(int dir_fd, const char *name, const char *shown,
               const atomic_bool *cancel, char **ret_path)
{
    SCOPE(removal_done)
    struct removal r = {
        .cancel = cancel,
        .root_fd = dir_fd,
        .batch = malloc(DIRENTS_BATCH_BYTES),
    };
    size_t shown_len = strlen(shown);
    int err;

    *ret_path = NULL;
    buf_append(&r.path, shown, shown_len);
    if (r.batch == NULL || r.path.failed)
        return -ENOMEM;
    err = remove_one(&r, name, DT_UNKNOWN, shown_len - strlen(name), 0);
    while (err == 0 && r.walk.depth > 0)
        err = sweep(&r);
    if (r.err != 0) {
        err = r.err;
        *ret_path = TAKE_PTR(r.err_path);
    }
    return err;
}

/* Whether the object in `dir_fd` is the root directory of the machine. */
static bool
is_machine_root(int dir_fd, const char *name)
{
    struct stat root;
    struct stat st;

    return stat("/", &root) == 0 &&
           CALLER_LEND(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW)) == 0 &&
           st.st_dev == root.st_dev && st.st_ino == root.st_ino;
}

/*
 * Cut a path into directory and last component; slashes at the end are dropped
 * from `path`, into which *ret_name points.  Returns the directory, which the
 * caller frees, or NULL.
 */
static char *
split(char *path, const char **ret_name)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    while (len > 0 && path[len - 1] != '/')
        len--;
    *ret_name = path + len;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len > 0 ? str_dup((struct str){path, len}) : strdup(".");
}

int
tree_remove(const char *path, const atomic_bool *cancel, struct status *st)
{
    static const char what[] = "error removing file or directory";
    SCOPE(scope_free) char *shown = strdup(path);
    SCOPE(scope_free) char *dir = NULL;
    SCOPE(scope_free) char *err_path = NULL;
    SCOPE(fd_close) int dir_fd = -1;
    const char *name;
    int err;

    if (path_is_root(path))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path must not be the root directory: %s", path);
    dir = shown != NULL ? split(shown, &name) : NULL;
    if (dir == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return status_errno(st, RPC_INTERNAL, EINVAL, "%s: RemoveAll %s", what,
                            path);
    dir_fd = place_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 && errno == ENOENT)
        return 0;
    if (dir_fd < 0 && errno == ENOTDIR)
        return status_errno(st, RPC_INTERNAL, ENOTDIR, "%s: unlinkat %s", what,
                            path);
    if (dir_fd < 0)
        return status_errno(st, RPC_INTERNAL, errno, "%s: open %s", what, dir);
    if (is_machine_root(dir_fd, name))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path must not be the root directory: %s", path);
    err = tree_remove_at(dir_fd, name, shown, cancel, &err_path);
    if (err == -ECANCELED)
        return status_set(st, RPC_CANCELED, "context canceled");
    if (err < 0)
        return status_errno(st, RPC_INTERNAL, -err, "%s: unlinkat %s", what,
                            err_path != NULL ? err_path : path);
    return 0;
}
