/*
 * The way of a scan down and up its trees.
 *
 * Only the lowest LIMIT_WALK_OPEN_DIRS levels are held open.  On the way back
 * up a directory is opened again as its child's `..` and compared with what it
 * was: a tree rearranged meanwhile ends the walk instead of leading it astray.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "watch/scan.h"

#define SLICE_ENTRIES 8192
#define PATH_STEP_MAX 4000

int
scan_watch(struct scan *s, int fd)
{
    char path[sizeof("/proc/self/fd/") + 12];
    int wd;

    if (s->watches_left != NULL && atomic_fetch_sub(s->watches_left, 1) <= 0)
        return -ENOSPC;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    wd = inotify_add_watch(s->inotify_fd, path, s->mask);
    return wd < 0 ? -errno : wd;
}

static int
open_dir(int dir_fd, const char *name)
{
    int fd =
        openat(dir_fd, name,
               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Nothing is wrong with the directory: it may be tried again. */
static bool
is_passing(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
           err == -EINTR || err == -ESTALE;
}

static void
note_stray(struct scan *s, int wd)
{
    s->strays[s->stray_count++] = wd;
}

/* There are no more than s->slice_dirs in a slice. */
static struct record *
add_record(struct scan *s)
{
    if (s->record_count == s->record_cap) {
        size_t cap = s->record_cap > 0 ? s->record_cap * 2 : 16;
        struct record *records = xcalloc(cap, sizeof(*records));

        for (size_t i = 0; i < s->record_count; i++)
            records[i] = s->records[i];
        free(s->records);
        s->records = records;
        s->record_cap = cap;
    }
    return &s->records[s->record_count++];
}

static bool
has_room(struct scan *s)
{
    size_t cap = s->cap > 0 ? s->cap * 2 : 16;
    struct scan_level *levels;

    if (s->depth < s->cap)
        return true;
    levels = reallocarray(s->levels, cap, sizeof(*levels));
    if (levels == NULL)
        return false;
    s->levels = levels;
    s->cap = cap;
    return true;
}

/* Go down into a directory; there is room. */
static void
push(struct scan *s, struct scan_level level)
{
    if (s->depth >= LIMIT_WALK_OPEN_DIRS)
        fd_close(&s->levels[s->depth - LIMIT_WALK_OPEN_DIRS].fd);
    s->levels[s->depth++] = level;
}

static void
close_level(struct scan_level *level)
{
    fd_close(&level->fd);
    free(level->dirs);
}

static void
close_levels(struct scan *s)
{
    while (s->depth > 0)
        close_level(&s->levels[--s->depth]);
    buf_truncate(&s->path, 0);
}

void
scan_close(struct scan *s)
{
    close_levels(s);
    fd_close(&s->base_fd);
    buf_done(&s->path);
    free(s->levels);
    free(s->batch);
    s->levels = NULL;
    s->batch = NULL;
}

/* Open the parent of `child_fd`, which `level` must describe. */
static bool
reopen(struct scan_level *level, int child_fd)
{
    SCOPE(fd_close) int fd = open_dir(child_fd, "..");
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != level->dev ||
        st.st_ino != level->ino)
        return false;
    level->fd = TAKE_FD(fd);
    return true;
}

static void
pop(struct scan *s)
{
    struct scan_level *top = &s->levels[--s->depth];
    bool lost = s->depth > 0 && top[-1].fd < 0 && !reopen(&top[-1], top->fd);

    close_level(top);
    if (lost) {
        s->torn = true;
        close_levels(s);
    } else if (s->depth > 0) {
        buf_truncate(&s->path, top[-1].path_len);
    }
}

/* Whether a file system was mounted here whose events we may not see. */
static bool
is_network_mount(struct scan *s, int fd)
{
    struct statfs fs;

    if (s->allow_network_mounts || fstatfs(fd, &fs) < 0 ||
        !is_network_type((long)fs.f_type))
        return false;
    free(s->network_path);
    s->network_path = strndup((const char *)buf_data(&s->path), s->path.len);
    return true;
}

/*
 * Watch and list the directory `fd`, which is taken, and go down into it.
 * `r` says where it is.  Returns 0 or -errno.
 */
static int
enter(struct scan *s, int fd, const struct scan_level *parent,
      const struct record *where)
{
    SCOPE(fd_close) int taken = fd;
    struct buf dirs = {0};
    struct record *r;
    struct stat st;
    int wd;
    int result;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (parent != NULL && parent->dev != st.st_dev && is_network_mount(s, fd))
        return -EXDEV;
    if (!has_room(s))
        return -ENOMEM;
    wd = scan_watch(s, fd);
    if (wd < 0)
        return wd;
    r = add_record(s);
    *r = *where;
    r->wd = wd;
    r->name = where->name != NULL ? xstrdup(where->name) : NULL;
    s->dirs_left -= s->dirs_left > 0 ? 1 : 0;
    result = scan_list(s, fd, r, &dirs);
    if (result < 0)
        s->torn = s->torn || is_passing(result);
    s->entries_left -= MIN(s->entries_left, r->count);
    if (result < 0 || !s->recursive || dirs.len == 0) {
        buf_done(&dirs);
        return 0;
    }
    push(s, (struct scan_level){.fd = TAKE_FD(taken),
                                .wd = wd,
                                .dev = st.st_dev,
                                .ino = st.st_ino,
                                .record = (ssize_t)s->record_count - 1,
                                .dirs = (char *)dirs.mem,
                                .dirs_len = dirs.len,
                                .path_len = s->path.len});
    return 0;
}

/* Go from a directory into one of its entries. */
static void
visit(struct scan *s, const struct scan_level *from, const char *name)
{
    struct scan_level parent = *from;
    struct record where = {
        .parent_wd = parent.wd,
        .parent = parent.record,
        .name = (char *)(uintptr_t)name,
        .token = s->items[s->item].todo->token,
        .again = s->items[s->item].todo->name == NULL,
    };
    size_t depth = s->depth;
    size_t path_len = s->path.len;
    int fd = open_dir(parent.fd, name);
    int result = fd;

    if (path_len > 0)
        buf_append_byte(&s->path, '/');
    buf_append_str(&s->path, name);
    if (fd >= 0)
        result = enter(s, fd, &parent, &where);
    if (result == -ENOSPC)
        s->is_full = true;
    if (is_passing(result))
        s->torn = true;
    if (s->silent && result == -ENOSPC && s->status.message == NULL) {
        (void)status_errno(&s->status, RPC_INTERNAL, ENOSPC,
                           "error adding path %s/%.*s to watcher", s->root_path,
                           (int)s->path.len, (const char *)buf_data(&s->path));
    }
    if (s->depth == depth)
        buf_truncate(&s->path, path_len);
}

/* Open a path of any length below a directory. */
static int
open_below(int dir_fd, const char *path)
{
    SCOPE(fd_close) int at = -1;
    char step[PATH_STEP_MAX + 1];

    while (*path != '\0') {
        size_t len = strlen(path);
        int next;

        if (len > PATH_STEP_MAX) {
            len = PATH_STEP_MAX;
            while (len > 0 && path[len] != '/')
                len--;
        }
        if (len == 0)
            return -ENAMETOOLONG;
        memcpy(step, path, len);
        step[len] = '\0';
        next = open_dir(at >= 0 ? at : dir_fd, step);
        if (next < 0)
            return next;
        fd_close(&at);
        at = next;
        path += len;
        while (*path == '/')
            path++;
    }
    return TAKE_FD(at);
}

/* Open the directory an item is in, if it is where it is thought to be. */
static bool
open_base(struct scan *s, const struct scan_item *item)
{
    SCOPE(fd_close) int root = -1;
    int wd;

    if (s->base_fd >= 0 && s->base_wd == item->todo->wd)
        return true;
    fd_close(&s->base_fd);
    root = open(s->root_path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (root < 0) {
        s->torn = s->torn || is_passing(-errno);
        return false;
    }
    s->base_fd =
        item->path[0] == '\0' ? TAKE_FD(root) : open_below(root, item->path);
    if (s->base_fd < 0) {
        s->torn = s->torn || is_passing(s->base_fd);
        s->base_fd = -1;
        return false;
    }
    wd = scan_watch(s, s->base_fd);
    s->base_wd = item->todo->wd;
    if (wd == item->todo->wd)
        return true;
    if (wd >= 0)
        note_stray(s, wd);
    fd_close(&s->base_fd);
    return false;
}

static void
begin_first(struct scan *s)
{
    struct record where = {
        .parent_wd = -1, .parent = -1, .token = s->items[0].todo->token};
    int fd = scan_open_root(s, &s->status);
    int result;

    if (fd < 0)
        return;
    result = enter(s, fd, NULL, &where);
    if (result < 0)
        (void)status_errno(&s->status, RPC_INTERNAL, -result,
                           "error adding path %s to watcher", s->root_path);
}

static void
begin_item(struct scan *s, struct scan_item *item)
{
    const struct todo *todo = item->todo;
    struct record where = {
        .parent_wd = -1, .parent = -1, .token = todo->token, .again = true};
    struct scan_level base = {.record = -1};
    struct stat st;

    buf_truncate(&s->path, 0);
    if (s->silent) {
        begin_first(s);
        return;
    }
    if (!open_base(s, item)) {
        item->result = ITEM_STALE;
        return;
    }
    buf_append_str(&s->path, item->path);
    if (todo->name == NULL) {
        (void)enter(s, TAKE_FD(s->base_fd), NULL, &where);
        return;
    }
    if (fstat(s->base_fd, &st) < 0)
        return;
    base.fd = s->base_fd;
    base.wd = s->base_wd;
    base.dev = st.st_dev;
    visit(s, &base, todo->name);
}

/* One step; false when all is done. */
static bool
step(struct scan *s)
{
    struct scan_level *top;

    if (s->depth > 0) {
        top = &s->levels[s->depth - 1];
        if (top->at == top->dirs_len) {
            pop(s);
        } else {
            const char *name = top->dirs + top->at;

            top->at += strlen(name) + 1;
            visit(s, top, name);
        }
        return true;
    }
    s->item += s->item_begun ? 1 : 0;
    s->item_begun = s->item < s->item_count;
    if (s->item_begun)
        begin_item(s, &s->items[s->item]);
    return s->item_begun;
}

void
scan_run(struct job *job)
{
    struct scan *s = container_of(job, struct scan, job);

    if (s->batch == NULL)
        s->batch = xcalloc(1, SCAN_BATCH_BYTES);
    s->dirs_left = s->slice_dirs;
    s->entries_left = SLICE_ENTRIES;
    for (size_t i = 0; i < s->depth; i++)
        s->levels[i].record = -1;
    while (s->dirs_left > 0 && s->entries_left > 0 && !job_cancelled(job) &&
           s->status.message == NULL && !s->finished)
        s->finished = !step(s);
}
