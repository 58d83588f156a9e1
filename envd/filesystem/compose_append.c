/*
 * The first source, grown by the others and then renamed: what copies least.
 * It keeps its own name until it is complete, so that undoing is cutting off
 * what was appended.
 */
#include "filesystem/compose_append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/compose.h"
#include "filesystem/copy_file.h"
#include "filesystem/metadata.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/writer_open.h"

/* ---- entries ------------------------------------------------------------- */

struct directory_entry
directory_entry_at(int dir_fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct directory_entry e = {0};
    struct stat info;

    if (dir_fd >= 0 && fstat(dir_fd, &info) == 0) {
        e.dev = info.st_dev;
        e.ino = info.st_ino;
        e.name = slash != NULL ? slash + 1 : path;
    }
    return e;
}

struct directory_entry
directory_entry_of(const char *path)
{
    SCOPE(scope_free) char *dir = path_parent(path);
    SCOPE(fd_close) int fd = -1;

    if (dir != NULL)
        fd = place_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return directory_entry_at(fd, path);
}

bool
directory_entry_same(const struct directory_entry *a,
                     const struct directory_entry *b)
{
    return a->name != NULL && b->name != NULL && a->dev == b->dev &&
           a->ino == b->ino && strcmp(a->name, b->name) == 0;
}

/* ---- growing ------------------------------------------------------------- */

/* The first source while it grows, and what it was. */
struct growth {
    int fd;
    int from_dir; /* of its name */
    int to_dir;   /* of the destination */
    const char *from_name;
    const char *to_name;
    struct stat old;
    off_t size;
    struct file_claim claim;
    struct arena arena; /* of the metadata */
    struct metadata *metadata;
    size_t metadata_count;
};

static void
growth_done(struct growth *g)
{
    file_claim_drop(&g->claim);
    fd_close(&g->fd);
    fd_close(&g->from_dir);
    fd_close(&g->to_dir);
    arena_done(&g->arena);
}

static const char *
last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static int
open_parent(const char *path)
{
    SCOPE(scope_free) char *dir = path_parent(path);

    return dir != NULL ? place_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Whether the first source is one that may become the destination. */
static bool
fits(const struct compose *c, struct growth *g)
{
    const struct compose_source *first = &c->sources[0];
    struct stat other;

    for (size_t i = 1; i < c->count; i++)
        if (c->sources[i].dev == first->dev && c->sources[i].ino == first->ino)
            return false;
    g->from_name = last_name(first->path);
    g->to_name = last_name(c->destination);
    g->from_dir = open_parent(first->path);
    g->to_dir = open_parent(c->destination);
    if (g->from_dir < 0 || g->to_dir < 0 || *g->to_name == '\0' ||
        CALLER_LEND(
            fstatat(g->to_dir, g->to_name, &other, AT_SYMLINK_NOFOLLOW)) == 0 ||
        errno != ENOENT || fstat(g->to_dir, &other) < 0)
        return false;
    g->fd = CALLER_LEND(
        openat(g->from_dir, g->from_name,
               O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    return g->fd >= 0 && fstat(g->fd, &g->old) == 0 &&
           S_ISREG(g->old.st_mode) && g->old.st_nlink == 1 &&
           g->old.st_dev == other.st_dev && g->old.st_dev == first->dev &&
           g->old.st_ino == first->ino && metadata_is_all(g->fd) &&
           file_claim_take(&g->claim, g->old.st_dev, g->old.st_ino);
}

/* Make it again what it was. */
static void
shrink(const struct growth *g)
{
    const struct timespec times[2] = {g->old.st_atim, g->old.st_mtim};

    (void)!ftruncate(g->fd, g->old.st_size);
    (void)!CALLER_LEND(fchown(g->fd, g->old.st_uid, g->old.st_gid));
    (void)CALLER_LEND(fchmod(g->fd, g->old.st_mode & 07777U));
    (void)metadata_replace(g->fd, g->metadata, g->metadata_count);
    (void)CALLER_LEND(futimens(g->fd, times));
}

static int
grow(struct compose *c, struct growth *g, const atomic_bool *cancel,
     struct status *st)
{
    g->size = g->old.st_size;
    for (size_t i = 1; i < c->count; i++) {
        struct compose_source *s = &c->sources[i];
        SCOPE(fd_close) int fd = compose_open_source(s, st);
        int r = 0;

        if (fd < 0)
            return -1;
        r = copy_file_append(fd, g->fd, g->size, cancel, &g->size);
        if (r < 0)
            return compose_fail_copy(s, -r, st);
    }
    return 0;
}

/* What a new file of that user would be, under the name it shall have. */
static int
put_in_place(const struct compose *c, struct growth *g)
{
    struct stat now;

    if (CALLER_LEND(fchown(g->fd, c->uid, c->gid)) < 0 ||
        CALLER_LEND(fchmod(g->fd, 0644)) < 0 ||
        metadata_replace(g->fd, NULL, 0) < 0 ||
        CALLER_LEND(futimens(g->fd, NULL)) < 0 ||
        CALLER_LEND(fstatat(g->from_dir, g->from_name, &now,
                            AT_SYMLINK_NOFOLLOW)) < 0 ||
        now.st_dev != g->old.st_dev || now.st_ino != g->old.st_ino)
        return -1;
    return CALLER_LEND(renameat2(g->from_dir, g->from_name, g->to_dir,
                                 g->to_name, RENAME_NOREPLACE));
}

int
compose_append(struct compose *c, const atomic_bool *cancel, struct status *st)
{
    SCOPE(growth_done)
    struct growth g = {.fd = -1, .from_dir = -1, .to_dir = -1};

    if (writer_ensure_parents(c->destination, c->uid, c->gid, st) < 0)
        return -1;
    if (!fits(c, &g))
        return COMPOSE_COPY;
    g.metadata_count = metadata_read_all(g.fd, &g.arena, &g.metadata);
    if (grow(c, &g, cancel, st) < 0) {
        shrink(&g);
        return -1;
    }
    c->size = g.size;
    if (put_in_place(c, &g) == 0)
        return 0;
    shrink(&g);
    return COMPOSE_COPY;
}
