/*
 * Owners and modes, of one file or of all below it.  Each is opened without
 * rights and without following a link, then changed by its descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/dirents.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/walk.h"
#include "loop/worker.h"

/* One directory on the way down. */
struct level {
    struct dirents dirents;
    size_t next; /* of its names */
    size_t path_len;
};

struct changer {
    const struct tree_change *change;
    const atomic_bool *cancel;
    struct walk walk;
    struct level *levels; /* walk.depth of them in use */
    size_t level_cap;
    struct buf path; /* of what is looked at, for messages */
    char *batch;     /* DIRENTS_BATCH_BYTES */
    struct status *st;
};

static void
changer_done(struct changer *c)
{
    for (size_t i = 0; i < c->walk.depth; i++)
        dirents_done(&c->levels[i].dirents);
    walk_done(&c->walk);
    free(c->levels);
    buf_done(&c->path);
    free(c->batch);
}

/* Keep the first failure. */
static void
note(struct changer *c, const char *what, const char *op, int err)
{
    enum rpc_code code = RPC_INTERNAL;

    if (c->st->message != NULL)
        return;
    if (err == ENAMETOOLONG || err == ELOOP || err == EINVAL || err == ENOTDIR)
        code = RPC_INVALID_ARGUMENT;
    if (err == ENOSPC || err == EDQUOT || err == ENOMEM)
        code = RPC_RESOURCE_EXHAUSTED;
    (void)status_errno(c->st, code, err, "error changing %s: %s %.*s", what, op,
                       (int)c->path.len, (const char *)buf_data(&c->path));
}

/*
 * Whether rights may be lent to change it: not where others may have given a
 * name to what is not theirs.
 */
static bool
may_lend(const struct stat *info)
{
    return S_ISDIR(info->st_mode) || info->st_nlink == 1;
}

static int
change_owner(int fd, const struct tree_change *change, bool lend)
{
    const uid_t uid = change->uid;
    const gid_t gid = change->gid;

    if (lend)
        return CALLER_LEND(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
}

/* chmod(2) by a descriptor that was opened without rights. */
static int
change_mode(int fd, mode_t mode, bool lend)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return lend ? CALLER_LEND(chmod(path, mode)) : chmod(path, mode);
}

static void
change_one(struct changer *c, int fd, const struct stat *info)
{
    const struct tree_change *change = c->change;
    bool directory = S_ISDIR(info->st_mode) && change->has_directory_mode;
    mode_t mode = directory ? change->directory_mode : change->mode;

    if ((change->uid != (uid_t)-1 || change->gid != (gid_t)-1) &&
        change_owner(fd, change, may_lend(info)) < 0)
        note(c, "owner", "chown", errno);
    if (S_ISLNK(info->st_mode) || (!directory && !change->has_mode))
        return;
    if (change_mode(fd, mode, may_lend(info)) < 0)
        note(c, "mode", "chmod", errno);
}

/* Read a directory and step down into it. */
static int
enter(struct changer *c, int fd)
{
    SCOPE(fd_close) int own = walk_open(fd, ".");
    struct level level = {.path_len = c->path.len};
    int r;

    if (own < 0)
        return own;
    if (c->walk.depth == c->level_cap) {
        size_t cap = c->level_cap > 0 ? c->level_cap * 2 : 16;
        struct level *levels = reallocarray(c->levels, cap, sizeof(*levels));

        if (levels == NULL)
            return -ENOMEM;
        c->levels = levels;
        c->level_cap = cap;
    }
    r = dirents_read(own, c->batch, c->cancel, &level.dirents);
    if (r == 0)
        r = walk_push(&c->walk, TAKE_FD(own));
    if (r == 0)
        c->levels[c->walk.depth - 1] = level;
    else
        dirents_done(&level.dirents);
    return r;
}

/* Change what `fd`, which is taken, is open on, and step down into it. */
static int
take(struct changer *c, int fd)
{
    SCOPE(fd_close) int taken = fd;
    struct stat info;
    int r;

    if (taken < 0 || fstat(taken, &info) < 0) {
        if (errno != ENOENT) /* vanished: nothing is to be done */
            note(c, "attributes", "open", errno);
        return 0;
    }
    change_one(c, taken, &info);
    if (!c->change->recursive || !S_ISDIR(info.st_mode))
        return 0;
    r = enter(c, taken);
    if (r < 0)
        note(c, "attributes", "open", -r);
    return r == -ECANCELED || r == -ENOMEM ? r : 0;
}

static int
change_all(struct changer *c)
{
    int r = 0;

    while (r == 0 && c->walk.depth > 0) {
        struct level *level = &c->levels[c->walk.depth - 1];
        const char *name;

        worker_pause_point();
        if (atomic_load_explicit(c->cancel, memory_order_relaxed))
            return -ECANCELED;
        if (level->next == level->dirents.count) {
            dirents_done(&level->dirents);
            r = walk_pop(&c->walk);
            continue;
        }
        name = level->dirents.names[level->next++];
        buf_truncate(&c->path, level->path_len);
        buf_append_byte(&c->path, '/');
        buf_append_str(&c->path, name);
        r = take(c, CALLER_LEND(openat(walk_fd(&c->walk), name,
                                       O_PATH | O_NOFOLLOW | O_CLOEXEC)));
    }
    return r;
}

int
tree_change(const char *path, const struct tree_change *change,
            const atomic_bool *cancel, struct status *st)
{
    SCOPE(changer_done)
    struct changer c = {
        .change = change,
        .cancel = cancel,
        .batch = malloc(DIRENTS_BATCH_BYTES),
        .st = st,
    };
    int fd = place_open(path, O_PATH | O_CLOEXEC);
    int r;

    buf_append_str(&c.path, path);
    if (fd < 0 && errno == ENOENT)
        return status_set(st, RPC_NOT_FOUND, "path '%s' does not exist", path);
    r = c.batch == NULL || c.path.failed ? -ENOMEM : 0;
    if (r < 0)
        fd_close(&fd);
    else
        r = take(&c, fd);
    if (r == 0)
        r = change_all(&c);
    if (r == -ECANCELED)
        return status_set(st, RPC_CANCELED, "context canceled");
    if (r < 0)
        note(&c, "attributes", "open", -r);
    return st->message != NULL ? -1 : 0;
}
