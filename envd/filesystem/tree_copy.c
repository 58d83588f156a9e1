/*
 * Copying a tree: two walks side by side, one reading, one writing.
 */
#include "filesystem/tree_copying.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/copy_file.h"
#include "filesystem/dirents.h"
#include "filesystem/hard_links.h"
#include "filesystem/walk.h"
#include "loop/worker.h"

/* One directory on the way down. */
struct level {
    struct dirents dirents;
    size_t next; /* of its names */
    size_t path_len;
    struct statx info;
};

struct copier {
    const atomic_bool *cancel;
    const struct tree_owner *owner; /* NULL: a move */
    int to_fd;                      /* where the copy is made */
    struct statx to_top; /* the top of the copy, when it is a directory */
    struct walk from;
    struct walk to;
    struct level *levels; /* from.depth of them in use */
    size_t level_cap;
    struct buf path; /* of the copy of what is looked at, below to_fd */
    struct hard_links hard_links; /* their copies, below to_fd */
    char *batch;                  /* DIRENTS_BATCH_BYTES */
};

static void
copier_done(struct copier *c)
{
    for (size_t i = 0; i < c->from.depth; i++)
        dirents_done(&c->levels[i].dirents);
    walk_done(&c->from);
    walk_done(&c->to);
    free(c->levels);
    buf_done(&c->path);
    hard_links_done(&c->hard_links);
    free(c->batch);
}

/*
 * Make one more name of a file that was copied before.  Returns 1 when that is
 * done; 0 when the file is to be copied, which is the case for a first name and
 * where the copy can have no other; -ENOMEM.
 */
static int
copy_hard_link(struct copier *c, const struct statx *info, int dir_fd,
               const char *name)
{
    dev_t dev = makedev(info->stx_dev_major, info->stx_dev_minor);
    const char *first;

    if (info->stx_nlink < 2 || S_ISDIR(info->stx_mode))
        return 0;
    first = hard_links_find(&c->hard_links, dev, info->stx_ino);
    if (first != NULL)
        return CALLER_LEND(linkat(c->to_fd, first, dir_fd, name, 0)) == 0 ? 1
                                                                          : 0;
    buf_append_byte(&c->path, '\0');
    return c->path.failed ? -ENOMEM
                          : hard_links_note(&c->hard_links, dev, info->stx_ino,
                                            (const char *)buf_data(&c->path));
}

static int
copy_regular(struct copier *c, int from_fd, const char *name, int to_fd,
             const char *to_name, const struct statx *info)
{
    const int in_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const int out_flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    SCOPE(fd_close) int in = -1;
    SCOPE(fd_close) int out = -1;
    int r;

    in = CALLER_LEND(openat(from_fd, name, in_flags));
    if (in < 0)
        return -errno;
    out = CALLER_LEND(openat(to_fd, to_name, out_flags, 0600));
    if (out < 0)
        return -errno;
    r = copy_file_content(in, out, c->cancel);
    return r < 0 ? r : copy_file_attributes(in, info, out);
}

/* A link, fifo, socket or device: made by name, as it cannot be opened. */
static int
copy_special(int from_fd, const char *name, int to_fd, const char *to_name,
             const struct statx *info)
{
    char target[PATH_MAX];
    int r;

    if (S_ISLNK(info->stx_mode)) {
        ssize_t len =
            CALLER_LEND(readlinkat(from_fd, name, target, sizeof(target) - 1));

        if (len < 0)
            return -errno;
        target[len] = '\0';
        r = CALLER_LEND(symlinkat(target, to_fd, to_name));
    } else {
        const dev_t dev = makedev(info->stx_rdev_major, info->stx_rdev_minor);

        r = CALLER_LEND(
            mknodat(to_fd, to_name, (info->stx_mode & S_IFMT) | 0600U, dev));
    }
    return r < 0 ? -errno : copy_special_attributes(info, to_fd, to_name);
}

/* Keep the level of a directory of which both sides are open and pushed. */
static int
add_level(struct copier *c, const struct level *level)
{
    if (c->from.depth > c->level_cap) {
        size_t cap = c->level_cap > 0 ? c->level_cap * 2 : 16;
        struct level *levels = reallocarray(c->levels, cap, sizeof(*levels));

        if (levels == NULL)
            return -ENOMEM;
        c->levels = levels;
        c->level_cap = cap;
    }
    c->levels[c->from.depth - 1] = *level;
    return 0;
}

/* Make the copy of a directory and step down into both. */
static int
enter(struct copier *c, int from_fd, const char *name, int to_fd,
      const char *to_name, const struct statx *info)
{
    struct level level = {.path_len = c->path.len, .info = *info};
    SCOPE(fd_close) int in = walk_open(from_fd, name);
    SCOPE(fd_close) int out = -1;
    int r;

    if (in < 0)
        return in;
    if (CALLER_LEND(mkdirat(to_fd, to_name, 0700)) < 0)
        return -errno;
    out = walk_open(to_fd, to_name);
    if (out < 0)
        return out;
    if (c->from.depth == 0 &&
        statx(out, "", AT_EMPTY_PATH, STATX_INO, &c->to_top) < 0)
        return -errno;
    r = dirents_read(in, c->batch, c->cancel, &level.dirents);
    if (r == 0)
        r = walk_push(&c->to, TAKE_FD(out));
    if (r == 0)
        r = walk_push(&c->from, TAKE_FD(in));
    if (r == 0) {
        r = add_level(c, &level);
        if (r < 0)
            (void)walk_pop(&c->from);
    }
    if (r < 0)
        dirents_done(&level.dirents);
    return r;
}

static bool
is_same(const struct statx *a, const struct statx *b)
{
    return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
           a->stx_dev_minor == b->stx_dev_minor;
}

/* Let the copy be told to belong to somebody else, without set-id bits. */
static void
give(const struct tree_owner *owner, struct statx *info)
{
    if (owner->keep ||
        (info->stx_uid == owner->uid && info->stx_gid == owner->gid))
        return;
    info->stx_uid = owner->uid;
    info->stx_gid = owner->gid;
    info->stx_mode &= (uint16_t)~06000U;
}

/*
 * Copy one object; of a directory only itself, to be filled by the walk.  What
 * has vanished meanwhile is no failure: there is nothing to lose.
 */
static int
copy_one(struct copier *c, int from_fd, const char *name, int to_fd,
         const char *to_name)
{
    struct statx info;
    int r;

    if (CALLER_LEND(statx(from_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS,
                          &info)) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (c->owner != NULL)
        give(c->owner, &info);
    else if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
        return -EBUSY;
    /* A bind mount can have led us into our own copy. */
    if (c->from.depth > 0 && is_same(&info, &c->to_top))
        return -EINVAL;
    r = copy_hard_link(c, &info, to_fd, to_name);
    if (r != 0)
        return MIN(r, 0);
    if (S_ISDIR(info.stx_mode))
        return enter(c, from_fd, name, to_fd, to_name, &info);
    if (S_ISREG(info.stx_mode))
        return copy_regular(c, from_fd, name, to_fd, to_name, &info);
    return copy_special(from_fd, name, to_fd, to_name, &info);
}

/* A directory is complete: its attributes come last, as times change. */
static int
leave(struct copier *c)
{
    struct level *level = &c->levels[c->from.depth - 1];
    int r =
        copy_file_attributes(walk_fd(&c->from), &level->info, walk_fd(&c->to));
    int up;

    dirents_done(&level->dirents);
    up = walk_pop(&c->from);
    if (r == 0)
        r = up;
    up = walk_pop(&c->to);
    return r == 0 ? up : r;
}

static int
copy_all(struct copier *c)
{
    int r = 0;

    while (r == 0 && c->from.depth > 0) {
        struct level *level = &c->levels[c->from.depth - 1];
        const char *name;

        worker_pause_point();
        if (atomic_load_explicit(c->cancel, memory_order_relaxed))
            return -ECANCELED;
        if (level->next == level->dirents.count) {
            r = leave(c);
            continue;
        }
        name = level->dirents.names[level->next++];
        buf_truncate(&c->path, level->path_len);
        buf_append_byte(&c->path, '/');
        buf_append_str(&c->path, name);
        if (c->path.failed)
            return -ENOMEM;
        r = copy_one(c, walk_fd(&c->from), name, walk_fd(&c->to), name);
    }
    return r;
}

int
tree_copy_at(const struct place *from, const struct place *to,
             const struct tree_owner *owner, const atomic_bool *cancel)
{
    SCOPE(copier_done)
    struct copier c = {
        .cancel = cancel,
        .owner = owner,
        .to_fd = to->dir_fd,
        .batch = malloc(DIRENTS_BATCH_BYTES),
    };
    int r;

    buf_append_str(&c.path, to->name);
    if (c.batch == NULL || c.path.failed)
        return -ENOMEM;
    r = copy_one(&c, from->dir_fd, from->name, to->dir_fd, to->name);
    return r < 0 ? r : copy_all(&c);
}
