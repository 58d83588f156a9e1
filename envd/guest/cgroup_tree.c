/*
 * The files of the freezer, and going through a tree whose shape and names
 * guests choose: each list is sorted and cut, the walk ends at its bound.
 */
#include "guest/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup_file.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

/* Cgroups whose change is awaited by the kernel's word; others wait for time */
#define AWAITED_MAX 64

/* Nobody's tree is that deep; a path that is longer cannot be opened. */
#define PATH_BYTES 4096

/* All paths of one walk. */
#define WALK_BYTES ((size_t)16 * 1024 * 1024)

bool
cgroup_has_vanished(int err)
{
    return err == ENOENT || err == ENODEV;
}

char *
cgroup_path_join(const char *path, const char *name)
{
    size_t path_len = strlen(path);
    size_t name_len = strlen(name);
    char *joined = malloc(path_len + name_len + 2);
    char *at = joined;

    if (joined == NULL)
        return NULL;
    memcpy(at, path, path_len);
    at += path_len;
    if (path_len > 0)
        *at++ = '/';
    memcpy(at, name, name_len + 1);
    return joined;
}

/* ---- the kernel's files -------------------------------------------------- */

static int
file_path(const char *path, const char *file, char out[PATH_BYTES])
{
    int len = snprintf(out, PATH_BYTES, "%s/%s", path, file);

    return len < PATH_BYTES ? 0 : -ENAMETOOLONG;
}

static int
kernel_read_request(const struct cgroup_tree *t, const char *path, bool *ret)
{
    char file[PATH_BYTES];
    char text[8];
    ssize_t n;
    int r = file_path(path, "cgroup.freeze", file);
    SCOPE(fd_close)
    int fd = r < 0 ? -1 : openat(t->root_fd, file, O_RDONLY | O_CLOEXEC);

    if (r < 0)
        return r;
    n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n < 0)
        return -errno;
    *ret = n > 0 && text[0] == '1' && (n == 1 || text[1] == '\n');
    return 0;
}

static int
kernel_write_request(const struct cgroup_tree *t, const char *path, bool frozen)
{
    char file[PATH_BYTES];
    int r = file_path(path, "cgroup.freeze", file);

    return r < 0 ? r : cgroup_write(t->root_fd, file, frozen ? "1" : "0");
}

static int
kernel_read_settled(const struct cgroup_tree *t, const char *path, bool *ret)
{
    char file[PATH_BYTES];
    uint64_t frozen;
    int r = file_path(path, "cgroup.events", file);

    if (r == 0)
        r = cgroup_read_value(t->root_fd, file, "frozen", &frozen);
    if (r == 0)
        *ret = frozen == 1;
    return r;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
cgroup_names_done(struct cgroup_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->names[i]);
    free(n->names);
    *n = (struct cgroup_names){0};
}

/* Keep the first of them, so that which ones a bound leaves out is known. */
static void
names_sort(struct cgroup_names *n, size_t max)
{
    if (n->count > 0)
        qsort(n->names, n->count, sizeof(*n->names), compare_names);
    for (; n->count > max; n->cut = true)
        free(n->names[--n->count]);
}

static bool
is_directory(int dir_fd, const struct dirent *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(st.st_mode);
}

/* Room for one more; what is too much is sorted out.  Returns 0 or -ENOMEM. */
static int
names_make_room(struct cgroup_names *n, size_t *room)
{
    const size_t most = (size_t)LIMIT_FREEZE_TREE * 2;
    size_t more = *room == 0 ? 32 : *room * 2;
    char **names;

    if (n->count < *room)
        return 0;
    if (*room >= most) {
        names_sort(n, LIMIT_FREEZE_TREE);
        return 0;
    }
    names = reallocarray(n->names, more, sizeof(*names));
    if (names == NULL)
        return -ENOMEM;
    n->names = names;
    *room = more;
    return 0;
}

/* Take names until the end.  Returns 0 or -errno. */
static int
names_take(DIR *dir, struct cgroup_names *n)
{
    const struct dirent *entry;
    size_t room = 0;

    errno = 0;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !is_directory(dirfd(dir), entry))
            continue;
        if (names_make_room(n, &room) < 0)
            return -ENOMEM;
        n->names[n->count] = strdup(entry->d_name);
        if (n->names[n->count] == NULL)
            return -ENOMEM;
        n->count++;
        errno = 0;
    }
    if (errno != 0)
        return -errno;
    names_sort(n, LIMIT_FREEZE_TREE);
    return 0;
}

/*
 * Whether nothing is below it: the kernel counts directories in the number of
 * links, and that spares reading all the files of most cgroups.
 */
static bool
is_leaf(const struct cgroup_tree *t, const char *path)
{
    struct stat st;

    return fstatat(t->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(st.st_mode) && st.st_nlink == 2;
}

static int
kernel_list(const struct cgroup_tree *t, const char *path,
            struct cgroup_names *ret)
{
    DIR *dir;
    int fd;
    int r;

    *ret = (struct cgroup_names){0};
    if (*path != '\0' && is_leaf(t, path))
        return 0;
    fd = openat(t->root_fd, *path != '\0' ? path : ".",
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        r = -errno;
        fd_close(&fd);
        return r;
    }
    r = names_take(dir, ret);
    (void)closedir(dir);
    if (r < 0)
        cgroup_names_done(ret);
    return r;
}

/*
 * The kernel tells a change of cgroup.events to those who have read it, at
 * most every 10 ms: one that has settled before it is read here ends the wait.
 */
static void
kernel_await_change(const struct cgroup_tree *t, char *const *pending,
                    size_t count, int64_t ms)
{
    struct pollfd fds[AWAITED_MAX];
    nfds_t used = 0;
    bool settled = false;

    for (size_t i = 0; i < count && used < AWAITED_MAX && !settled; i++) {
        char path[PATH_BYTES];
        char text[256];
        uint64_t frozen = 0;
        ssize_t n;

        if (file_path(pending[i], "cgroup.events", path) < 0)
            continue;
        fds[used] = (struct pollfd){
            .fd = openat(t->root_fd, path, O_RDONLY | O_CLOEXEC),
            .events = POLLPRI,
        };
        n = fds[used].fd < 0 ? -1 : read(fds[used].fd, text, sizeof(text));
        settled = n <= 0 || (cgroup_find_value((struct str){text, (size_t)n},
                                               "frozen", &frozen) &&
                             frozen == 1);
        used++;
    }
    if (!settled)
        (void)poll(fds, used, (int)ms);
    for (nfds_t i = 0; i < used; i++)
        fd_close(&fds[i].fd);
}

const struct cgroup_tree_ops cgroup_tree_kernel = {
    .read_request = kernel_read_request,
    .write_request = kernel_write_request,
    .read_settled = kernel_read_settled,
    .list = kernel_list,
    .await_change = kernel_await_change,
};

/* ---- the walk ------------------------------------------------------------ */

/* A cgroup that was visited, and is to be listed. */
struct walk_entry {
    STAILQ_ENTRY(walk_entry) link;
    char path[];
};

STAILQ_HEAD(walk_queue, walk_entry);

/* Remember a cgroup; its path, or NULL when there is no room. */
static const char *
queue_add(struct walk_queue *queue, struct arena *arena, const char *parent,
          const char *name)
{
    size_t size = strlen(parent) + strlen(name) + 2;
    struct walk_entry *e = arena_alloc(arena, sizeof(*e) + size);

    if (e == NULL)
        return NULL;
    (void)snprintf(e->path, size, "%s%s%s", parent, *parent != '\0' ? "/" : "",
                   name);
    STAILQ_INSERT_TAIL(queue, e, link);
    return e->path;
}

void
cgroup_tree_walk(const struct cgroup_tree *t, struct cgroup_walk *w,
                 void (*visit)(void *ctx, const char *path), void *ctx)
{
    SCOPE(arena_done) struct arena arena;
    struct walk_queue queue = STAILQ_HEAD_INITIALIZER(queue);
    const struct walk_entry *e = NULL;

    arena_init(&arena, WALK_BYTES);
    do {
        const char *parent = e != NULL ? e->path : "";
        struct cgroup_names names = {0};
        int r = t->ops->list(t, parent, &names);

        if (r < 0 && !cgroup_has_vanished(-r)) {
            w->failed++;
            w->error = w->error != 0 ? w->error : r;
        }
        w->truncated = w->truncated || names.cut;
        for (size_t i = 0; i < names.count; i++) {
            const char *path = NULL;

            if (w->visited < w->max)
                path = queue_add(&queue, &arena, parent, names.names[i]);
            if (path == NULL) {
                w->truncated = true;
                break;
            }
            w->visited++;
            visit(ctx, path);
        }
        cgroup_names_done(&names);
        e = e != NULL ? STAILQ_NEXT(e, link) : STAILQ_FIRST(&queue);
    } while (e != NULL && !(w->truncated && w->visited >= w->max));
}
