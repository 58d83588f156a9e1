/*
 * ListDir: a walk that hands out entries as it goes and keeps none, so that
 * its memory is the names of the directories it is inside of.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "filesystem/caller.h"
#include "filesystem/dirents.h"
#include "filesystem/link.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/walk.h"

/* Bytes of strings after which the arena of the entries is emptied. */
#define SCRATCH_BYTES (64 * 1024)

/* Beside 0 and -errno: the visitor failed, or the page is full. */
#define VISIT_REFUSED 1
#define VISIT_ENOUGH  2

/* One directory on the way down. */
struct level {
    struct dirents dirents;
    size_t next;      /* of its names */
    size_t shown_len; /* of its own paths, in the buffers below */
    size_t real_len;
};

struct list {
    const struct entry_names *names;
    const atomic_bool *cancel;
    struct tree_visitor *visitor;
    struct str after; /* of the page before, as long as the walk follows it */
    uint32_t visited;
    size_t root_len; /* of `real` */
    struct buf last; /* relative path of the last entry that was visited */
    uint32_t depth_max;
    struct walk walk;
    struct level *levels; /* walk.depth of them in use */
    size_t level_cap;
    struct buf shown; /* path as requested, cleaned, of what is looked at */
    struct buf real;  /* the same without links */
    struct arena scratch;
    char *batch; /* DIRENTS_BATCH_BYTES */
};

static void
list_done(struct list *l)
{
    for (size_t i = 0; i < l->walk.depth; i++)
        dirents_done(&l->levels[i].dirents);
    walk_done(&l->walk);
    free(l->levels);
    buf_done(&l->shown);
    buf_done(&l->real);
    buf_done(&l->last);
    arena_done(&l->scratch);
    free(l->batch);
}

/* NUL-terminate a path; buf_truncate() takes the NUL off again. */
static const char *
text_of(struct buf *b)
{
    uint8_t *end = buf_reserve(b, 1);

    if (end == NULL)
        return NULL;
    *end = '\0';
    return (const char *)buf_data(b);
}

static void
append_component(struct buf *path, const char *name)
{
    if (path->len == 0 || buf_data(path)[path->len - 1] != '/')
        buf_append_byte(path, '/');
    buf_append_str(path, name);
}

/* Read the directory `fd`, which is taken, and step down into it. */
static int
enter(struct list *l, int fd)
{
    SCOPE(fd_close) int taken = fd;
    struct level level = {.shown_len = l->shown.len, .real_len = l->real.len};
    int r = dirents_read(fd, l->batch, l->cancel, &level.dirents);

    if (r == 0 && l->walk.depth == l->level_cap) {
        size_t cap = l->level_cap > 0 ? l->level_cap * 2 : 16;
        struct level *levels = reallocarray(l->levels, cap, sizeof(*levels));

        if (levels != NULL) {
            l->levels = levels;
            l->level_cap = cap;
        }
        r = levels != NULL ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = walk_push(&l->walk, TAKE_FD(taken));
    if (r == 0)
        l->levels[l->walk.depth - 1] = level;
    else
        dirents_done(&level.dirents);
    return r;
}

/* Whether a failure concerns one directory, and not the walk. */
static bool
is_local(int err)
{
    return err != -ECANCELED && err != -ENOMEM && err != -EMFILE &&
           err != -ENFILE;
}

/*
 * Hand one entry on, unless its page is full.  Returns 0, -ENOMEM or why no
 * more are to come.
 */
static int
hand_on(struct list *l, const char *name, const struct entry *e,
        struct status *st)
{
    struct tree_page *page = l->visitor->page;

    if (page == NULL)
        return l->visitor->on_entry(l->visitor, e, st) < 0 ? VISIT_REFUSED : 0;
    if (l->visited == page->max) {
        /* Between the root's path and it there may be a slash. */
        if (*buf_data(&l->last) == '/')
            buf_consume(&l->last, 1);
        page->last = str_dup(
            (struct str){(const char *)buf_data(&l->last), l->last.len});
        return page->last != NULL ? VISIT_ENOUGH : -ENOMEM;
    }
    l->visited++;
    buf_truncate(&l->last, 0);
    buf_append(&l->last, buf_data(&l->real) + l->root_len,
               l->real.len - l->root_len);
    append_component(&l->last, name);
    if (l->last.failed)
        return -ENOMEM;
    return l->visitor->on_entry(l->visitor, e, st) < 0 ? VISIT_REFUSED : 0;
}

/* Step down into a directory that is to be listed, too. */
static int
descend(struct list *l, const char *name)
{
    int r;

    if (l->walk.depth >= l->depth_max)
        return 0;
    r = walk_open(walk_fd(&l->walk), name);
    if (r >= 0) {
        append_component(&l->real, name);
        r = l->real.failed ? -ENOMEM : enter(l, r);
    }
    return r < 0 && is_local(r) ? 0 : r;
}

/*
 * Visit one entry, and step down into it when it is to be listed, too.
 * Returns 0, -errno, VISIT_REFUSED with `st` set, or VISIT_ENOUGH.
 */
static int
visit(struct list *l, const char *name, struct status *st)
{
    struct entry_dir dir = {.fd = walk_fd(&l->walk)};
    struct entry e;
    int r;

    if (l->scratch.total > SCRATCH_BYTES)
        arena_done(&l->scratch);
    dir.real = text_of(&l->real);
    if (dir.real == NULL)
        return -ENOMEM;
    r = entry_get_at(&dir, name, text_of(&l->shown), l->names, &l->scratch, &e);
    if (r < 0)
        return is_local(r) ? 0 : r;
    r = hand_on(l, name, &e, st);
    if (r != 0 || e.type != ENTRY_DIRECTORY || e.symlink_target != NULL)
        return r;
    return descend(l, name);
}

/*
 * Where a name stands to the page before: below 0, it was in it with all below
 * it; 0, it was in it, but what is below it may follow; above 0, it follows,
 * and so does everything from here on.
 */
static int
compare_to_page(struct list *l, const char *name)
{
    const char *slash;
    struct str first = l->after;
    size_t len = strlen(name);
    int order;

    if (first.data == NULL)
        return 1;
    slash = memchr(first.data, '/', first.len);
    if (slash != NULL)
        first.len = (size_t)(slash - first.data);
    order = memcmp(name, first.data, MIN(len, first.len));
    if (order == 0)
        order = len < first.len ? -1 : len > first.len;
    if (order > 0)
        l->after = (struct str){0};
    if (order != 0)
        return order;
    if (slash == NULL) {
        l->after = (struct str){0};
    } else {
        l->after.len -= first.len + 1;
        l->after.data = slash + 1;
    }
    return 0;
}

/* Step down into what the page before ended with, or in. */
static int
go_on_below(struct list *l, const char *name)
{
    size_t depth = l->walk.depth;
    int r = descend(l, name);

    /* It is no directory any more: all of it is behind us. */
    if (l->walk.depth == depth)
        l->after = (struct str){0};
    return r;
}

static int
append_shown(struct list *l, const char *name)
{
    SCOPE(scope_free) char *copy = NULL;

    if (!utf8_valid(name, strlen(name))) {
        copy = utf8_sanitize(name);
        if (copy == NULL)
            return -ENOMEM;
    }
    append_component(&l->shown, copy != NULL ? copy : name);
    return text_of(&l->shown) != NULL ? 0 : -ENOMEM;
}

static int
walk_all(struct list *l, struct status *st)
{
    int r = 0;

    while (r == 0 && l->walk.depth > 0) {
        struct level *level = &l->levels[l->walk.depth - 1];
        const char *name;
        int order;

        if (atomic_load_explicit(l->cancel, memory_order_relaxed))
            return -ECANCELED;
        if (level->next == level->dirents.count) {
            dirents_done(&level->dirents);
            r = walk_pop(&l->walk);
            /* What follows is behind all that was below here. */
            l->after = (struct str){0};
            continue;
        }
        name = level->dirents.names[level->next++];
        buf_truncate(&l->shown, level->shown_len);
        buf_truncate(&l->real, level->real_len);
        order = compare_to_page(l, name);
        r = order < 0 ? 0 : append_shown(l, name);
        if (r == 0 && order > 0)
            r = visit(l, name, st);
        else if (r == 0 && order == 0)
            r = go_on_below(l, name);
    }
    return r;
}

/*
 * Open what the path leads to, by `real` where nobody's links matter: the
 * kernel would not follow as many of them.
 */
static int
open_real(const char *path, const char *real)
{
    int fd;

    if (caller_lending() == NULL)
        return walk_open(AT_FDCWD, real);
    fd = place_open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Follow the links of the path and open the directory; -1 with `st` set. */
static int
open_root(const char *path, char real[PATH_MAX], struct status *st)
{
    int r = link_resolve("/", path, real);

    if (r == -ENOENT)
        return status_errno(st, RPC_NOT_FOUND, ENOENT,
                            "path not found: lstat %s", real);
    if (r == -ELOOP)
        return status_set(st, RPC_FAILED_PRECONDITION,
                          "cyclic symlink or chain >%d links at \"%s\"",
                          LINK_FOLLOWED_MAX, path);
    if (r == -ENOTDIR)
        return status_errno(st, RPC_INTERNAL, ENOTDIR,
                            "error resolving symlink");
    if (r < 0)
        return status_errno(st, RPC_INTERNAL, -r,
                            "error resolving symlink: lstat %s", real);
    r = open_real(path, real);
    if (r == -ENOENT)
        return status_errno(st, RPC_NOT_FOUND, ENOENT,
                            "directory not found: stat %s", real);
    if (r == -ENOTDIR)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path is not a directory: %s", real);
    if (r < 0)
        return status_errno(st, RPC_INTERNAL, -r,
                            "error reading directory %s: open %s", real, real);
    return r;
}

int
tree_list(const char *path, uint32_t depth, const struct entry_names *names,
          struct tree_visitor *visitor, const atomic_bool *cancel,
          struct status *st)
{
    SCOPE(list_done)
    struct list l = {
        .names = names,
        .cancel = cancel,
        .visitor = visitor,
        .depth_max = depth > 0 ? depth : 1,
        .batch = malloc(DIRENTS_BATCH_BYTES),
    };
    SCOPE(scope_free) char *shown = path_clean(path);
    char real[PATH_MAX];
    int r = open_root(path, real, st);

    if (r < 0)
        return -1;
    if (shown != NULL) {
        buf_append_str(&l.shown, shown);
        buf_append_str(&l.real, real);
        l.root_len = l.real.len;
    }
    if (visitor->page != NULL)
        l.after = visitor->page->after;
    if (shown == NULL || l.batch == NULL || l.shown.failed || l.real.failed) {
        fd_close(&r);
        r = -ENOMEM;
    } else {
        r = enter(&l, r);
    }
    if (r == 0)
        r = walk_all(&l, st);
    if (r == -ECANCELED)
        return status_set(st, RPC_CANCELED, "context canceled");
    if (r < 0)
        return status_errno(st, RPC_INTERNAL, -r, "error reading directory %s",
                            real);
    return r == VISIT_REFUSED ? -1 : 0; /* 0 for VISIT_ENOUGH, too */
}
