/*
 * A walk that stops whenever a slice is full and goes on with the next.
 */
#include "filesystem/tar_create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/dirents.h"
#include "filesystem/place.h"
#include "filesystem/tar.h"
#include "filesystem/virtual.h"
#include "limits.h"

/* One directory on the way down. */
struct tar_level {
    struct dirents dirents;
    size_t next; /* of its names */
    size_t path_len;
    dev_t dev;
};

/* ---- files with several names -------------------------------------------- */

/*
 * The name under which a file is in the archive already, else NULL; it is then
 * noted as packed under `path`.  When there is no room to note it, it is packed
 * again under its next name.
 */
static const char *
packed_as(struct tar_create *t, const struct stat *info, const char *path)
{
    const char *first;

    if (info->st_nlink < 2)
        return NULL;
    first = hard_links_find(&t->links, info->st_dev, info->st_ino);
    if (first == NULL)
        (void)hard_links_note(&t->links, info->st_dev, info->st_ino, path);
    return first;
}

/* ---- members ------------------------------------------------------------- */

static void
append_header(struct tar_create *t, const struct stat *info, char type,
              const char *name, const char *link, struct buf *out)
{
    const struct entry_names *n = &t->names;
    bool content = type == TAR_FILE;

    tar_header_append(out, &(struct tar_member){
                               .type = type,
                               .name = name,
                               .link = link,
                               .size = content ? info->st_size : 0,
                               .mode = info->st_mode & 07777,
                               .uid = info->st_uid,
                               .gid = info->st_gid,
                               .user = n->of_uid(n->ctx, info->st_uid),
                               .group = n->of_gid(n->ctx, info->st_gid),
                               .mtime = info->st_mtim,
                           });
}

/* NUL-terminate the path; buf_truncate() takes the NUL off again. */
static const char *
text_of(struct buf *b)
{
    buf_append_byte(b, '\0');
    return b->failed ? NULL : (const char *)buf_data(b);
}

/* Whether a failure concerns one entry, and not the archive. */
static bool
is_local(int err)
{
    return err != -ECANCELED && err != -ENOMEM && err != -EMFILE &&
           err != -ENFILE;
}

static int
push_level(struct tar_create *t, int fd, const struct tar_level *level)
{
    int r = walk_push(&t->walk, fd);

    if (r == 0 && t->walk.depth > t->level_cap) {
        size_t cap = t->level_cap > 0 ? t->level_cap * 2 : 16;
        struct tar_level *levels =
            reallocarray(t->levels, cap, sizeof(*levels));

        if (levels == NULL) {
            (void)walk_pop(&t->walk);
            return -ENOMEM;
        }
        t->levels = levels;
        t->level_cap = cap;
    }
    if (r == 0)
        t->levels[t->walk.depth - 1] = *level;
    return r;
}

/* Pack a directory, open as `fd`, which is taken, and step down into it. */
static int
enter(struct tar_create *t, int fd, const struct stat *info,
      const atomic_bool *cancel, struct buf *out)
{
    SCOPE(fd_close) int taken = fd;
    struct tar_level level = {.path_len = t->path.len, .dev = info->st_dev};
    bool top = t->walk.depth == 0;
    const char *name;
    int r = 0;

    buf_append_str(&t->path, top ? "./" : "/");
    name = text_of(&t->path);
    if (name == NULL)
        return -ENOMEM;
    append_header(t, info, TAR_DIRECTORY, name, "", out);
    buf_truncate(&t->path, level.path_len);
    if (!top && info->st_dev != t->levels[t->walk.depth - 1].dev &&
        virtual_file(taken))
        return 0;
    r = dirents_read(taken, t->batch, cancel, &level.dirents);
    if (r == 0)
        r = push_level(t, TAKE_FD(taken), &level);
    if (r < 0)
        dirents_done(&level.dirents);
    return r;
}

/* Pack a regular file, open as `fd`, which is taken; its content follows. */
static int
begin_file(struct tar_create *t, int fd, const struct stat *info,
           struct buf *out)
{
    SCOPE(fd_close) int taken = fd;
    const char *name = text_of(&t->path);
    const char *link;

    if (name == NULL)
        return -ENOMEM;
    link = packed_as(t, info, name);
    if (link != NULL) {
        append_header(t, info, TAR_HARD_LINK, name, link, out);
        return 0;
    }
    append_header(t, info, TAR_FILE, name, "", out);
    t->left = info->st_size;
    t->padding = tar_padding(t->left);
    t->fd = TAKE_FD(taken);
    return 0;
}

/* What can be opened: a file or a directory. */
static int
pack_opened(struct tar_create *t, const char *name, mode_t expected,
            const atomic_bool *cancel, struct buf *out)
{
    SCOPE(fd_close) int fd = -1;
    struct stat info;

    fd = CALLER_LEND(
        openat(walk_fd(&t->walk), name,
               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (fd < 0 || fstat(fd, &info) < 0)
        return -errno;
    if ((info.st_mode & S_IFMT) != (expected & S_IFMT))
        return -ESTALE; /* another thing took its name */
    return S_ISDIR(info.st_mode) ? enter(t, TAKE_FD(fd), &info, cancel, out)
                                 : begin_file(t, TAKE_FD(fd), &info, out);
}

static int
pack_symlink(struct tar_create *t, const char *name, const struct stat *info,
             struct buf *out)
{
    char target[PATH_MAX];
    ssize_t len = CALLER_LEND(
        readlinkat(walk_fd(&t->walk), name, target, sizeof(target) - 1));
    const char *path;
    const char *link;

    if (len < 0)
        return -errno;
    target[len] = '\0';
    path = text_of(&t->path);
    if (path == NULL)
        return -ENOMEM;
    link = packed_as(t, info, path);
    append_header(t, info, link != NULL ? TAR_HARD_LINK : TAR_SYMLINK, path,
                  link != NULL ? link : target, out);
    return 0;
}

static int
pack(struct tar_create *t, const char *name, const atomic_bool *cancel,
     struct buf *out)
{
    struct stat info;

    if (CALLER_LEND(
            fstatat(walk_fd(&t->walk), name, &info, AT_SYMLINK_NOFOLLOW)) < 0)
        return -errno;
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))
        return pack_opened(t, name, info.st_mode, cancel, out);
    return S_ISLNK(info.st_mode) ? pack_symlink(t, name, &info, out) : 0;
}

/* Pack what comes next in the walk, or step up. */
static int
pack_next(struct tar_create *t, const atomic_bool *cancel, struct buf *out)
{
    struct tar_level *level = &t->levels[t->walk.depth - 1];
    const char *name;
    int r;

    if (level->next == level->dirents.count) {
        dirents_done(&level->dirents);
        return walk_pop(&t->walk);
    }
    name = level->dirents.names[level->next++];
    buf_truncate(&t->path, level->path_len);
    if (t->path.len > 0)
        buf_append_byte(&t->path, '/');
    buf_append_str(&t->path, name);
    r = pack(t, name, cancel, out);
    if (r == 0 || !is_local(r))
        return r;
    /* What has vanished is not missing. */
    t->incomplete += r == -ENOENT ? 0 : 1;
    return 0;
}

/* ---- content ------------------------------------------------------------- */

/* Append some of the present file, or of the zeros that stand for it. */
static int
append_content(struct tar_create *t, struct buf *out)
{
    size_t want = (size_t)MIN(t->left, (int64_t)LIMIT_TRANSFER_SLICE_BYTES);
    uint8_t *to = buf_reserve(out, want);
    ssize_t n;

    if (to == NULL)
        return -ENOMEM;
    if (t->fd < 0) {
        memset(to, 0, want);
        n = (ssize_t)want;
    } else {
        n = read(t->fd, to, want);
    }
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0) { /* it was cut, or the disk is broken */
        t->incomplete++;
        fd_close(&t->fd);
        return 0;
    }
    buf_commit(out, (size_t)n);
    t->left -= n;
    return 0;
}

static void
end_content(struct tar_create *t, struct buf *out)
{
    static const uint8_t zeros[TAR_BLOCK_BYTES];

    buf_append(out, zeros, t->padding);
    t->padding = 0;
    fd_close(&t->fd);
}

/* Two blocks of zeros. */
static void
end_archive(struct tar_create *t, struct buf *out)
{
    static const uint8_t zeros[2 * TAR_BLOCK_BYTES];

    buf_append(out, zeros, sizeof(zeros));
    t->ended = true;
}

/* The directory that was opened is the first member. */
static int
begin_archive(struct tar_create *t, const atomic_bool *cancel, struct buf *out)
{
    SCOPE(fd_close) int fd = TAKE_FD(t->root_fd);
    struct stat info;

    if (fstat(fd, &info) < 0)
        return -errno;
    return enter(t, TAKE_FD(fd), &info, cancel, out);
}

int
tar_create_run(struct tar_create *t, size_t want, const atomic_bool *cancel,
               struct buf *out)
{
    size_t begin = out->len;
    int r = t->root_fd >= 0 ? begin_archive(t, cancel, out) : 0;

    while (r == 0 && !t->ended && out->len - begin < want) {
        if (atomic_load_explicit(cancel, memory_order_relaxed))
            return -ECANCELED;
        if (t->left > 0)
            r = append_content(t, out);
        else if (t->padding > 0 || t->fd >= 0)
            end_content(t, out);
        else if (t->walk.depth > 0)
            r = pack_next(t, cancel, out);
        else
            end_archive(t, out);
        if (out->failed)
            r = -ENOMEM;
    }
    return r < 0 ? r : !t->ended;
}

/* ---- begin and end ------------------------------------------------------- */

static int
fail_open(const char *path, int err, struct status *st)
{
    if (err == ENOENT)
        return status_set(st, RPC_NOT_FOUND, "path '%s' does not exist", path);
    if (err == ENOTDIR)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path '%s' is not a directory", path);
    return status_errno(
        st,
        err == ENAMETOOLONG || err == ELOOP ? RPC_INVALID_ARGUMENT
                                            : RPC_INTERNAL,
        err, "error opening directory '%s': open %s", path, path);
}

int
tar_create_open(struct tar_create *t, const char *path,
                const struct entry_names *names, struct status *st)
{
    t->names = *names;
    t->batch = malloc(DIRENTS_BATCH_BYTES);
    arena_init(&t->links.arena, LIMIT_TAR_LINKS_BYTES);
    if (t->batch == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    t->root_fd =
        place_open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    return t->root_fd < 0 ? fail_open(path, errno, st) : 0;
}

void
tar_create_done(struct tar_create *t)
{
    for (size_t i = 0; i < t->walk.depth; i++)
        dirents_done(&t->levels[i].dirents);
    walk_done(&t->walk);
    free(t->levels);
    buf_done(&t->path);
    free(t->batch);
    hard_links_done(&t->links);
    fd_close(&t->root_fd);
    fd_close(&t->fd);
}
