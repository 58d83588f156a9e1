/*
 * Members become files: each step from one directory to the next is a
 * descriptor, never a path.
 */
#include "filesystem/tar_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/tree_made.h"
#include "limits.h"
#include "loop/worker.h"

/* Opened without following a link, and without any right to it. */
#define OPEN_STEP (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A directory whose mode and time are set when nothing more is put in it. */
struct tar_directory {
    SLIST_ENTRY(tar_directory) link;
    uint32_t mode;
    struct timespec mtime;
    char path[];
};

/* ---- failures ------------------------------------------------------------ */

/* The archive asks for something it will not get. */
static int
refuse(const struct tar_extract *t, const char *why, struct status *st)
{
    return status_set(st, RPC_INVALID_ARGUMENT, "error extracting '%s': %s",
                      t->reader.member.name, why);
}

static int
fail(const struct tar_extract *t, const char *op, int err, struct status *st)
{
    bool full = err == ENOSPC || err == EDQUOT || err == ENOMEM;
    bool name = err == ENAMETOOLONG || err == EFBIG || err == EINVAL;

    return status_errno(st,
                        full   ? RPC_RESOURCE_EXHAUSTED
                        : name ? RPC_INVALID_ARGUMENT
                               : RPC_INTERNAL,
                        err, "error extracting '%s': %s", t->reader.member.name,
                        op);
}

/* ---- names --------------------------------------------------------------- */

/*
 * Append `name` to `out` without `.`, `//` and slashes at its end, and a NUL;
 * the directory itself is "".  Returns what is wrong with it, or NULL.
 */
static const char *
clean_name(const char *name, struct buf *out)
{
    buf_truncate(out, 0);
    if (*name == '\0')
        return "the name is empty";
    if (*name == '/')
        return "the name is absolute";
    while (*name != '\0') {
        size_t len = strcspn(name, "/");

        if (len == 2 && memcmp(name, "..", 2) == 0)
            return "the name leads out of the directory";
        if (len > NAME_MAX)
            return "the name is too long";
        if (len > 0 && !(len == 1 && *name == '.')) {
            if (out->len > 0)
                buf_append_byte(out, '/');
            buf_append(out, name, len);
        }
        name += len + strspn(name + len, "/");
    }
    buf_append_byte(out, '\0');
    return out->failed ? "out of memory" : NULL;
}

static const char *
text_of(const struct buf *b)
{
    return (const char *)buf_data(b);
}

/* The last component of a clean name. */
static const char *
base_of(const char *clean)
{
    const char *slash = strrchr(clean, '/');

    return slash != NULL ? slash + 1 : clean;
}

/* ---- directories --------------------------------------------------------- */

static int
parent_fd(const struct tar_extract *t)
{
    return t->parent_fd >= 0 ? t->parent_fd : t->root_fd;
}

/* Make a directory and give it to the user.  Returns its descriptor. */
static int
make_step(const struct tar_extract *t, int fd, const char *name, mode_t mode)
{
    SCOPE(fd_close) int made = -1;

    if (CALLER_LEND(mkdirat(fd, name, mode)) < 0 && errno != EEXIST)
        return -errno;
    made = CALLER_LEND(openat(fd, name, OPEN_STEP));
    if (made < 0)
        return -errno;
    if (CALLER_LEND(fchownat(made, "", t->uid, t->gid, AT_EMPTY_PATH)) < 0)
        return -errno;
    return TAKE_FD(made);
}

/*
 * Open `len` bytes of a clean path from the root, a component at a time; with
 * `make`, what is missing is made.  Returns a descriptor or -errno.
 */
static int
walk_to(const struct tar_extract *t, const char *path, size_t len, bool make)
{
    SCOPE(fd_close) int fd = CALLER_LEND(openat(t->root_fd, ".", OPEN_STEP));

    while (fd >= 0 && len > 0) {
        char name[NAME_MAX + 1];
        const char *slash = memchr(path, '/', len);
        size_t n = slash != NULL ? (size_t)(slash - path) : len;
        int next;

        memcpy(name, path, n); /* clean_name() has looked at its length */
        name[n] = '\0';
        next = CALLER_LEND(openat(fd, name, OPEN_STEP));
        if (next < 0 && errno == ENOENT && make)
            next = make_step(t, fd, name, 0755);
        else if (next < 0)
            next = -errno;
        if (next < 0)
            return next;
        fd_close(&fd);
        fd = next;
        n = MIN(n + 1, len);
        path += n;
        len -= n;
    }
    return fd < 0 ? -errno : TAKE_FD(fd);
}

/* Step into the directory of a member; most follow one from the same. */
static int
enter_parent(struct tar_extract *t, const char *clean, struct status *st)
{
    size_t len = (size_t)(base_of(clean) - clean);
    int fd;

    len -= len > 0 ? 1 : 0;
    if (t->parent.len == len &&
        (len == 0 || memcmp(buf_data(&t->parent), clean, len) == 0))
        return 0;
    fd = walk_to(t, clean, len, true);
    if (fd == -ENOTDIR || fd == -ELOOP)
        return refuse(t, "a directory on its way is a link or a file", st);
    if (fd < 0)
        return fail(t, "opening its directory", -fd, st);
    fd_close(&t->parent_fd);
    t->parent_fd = fd;
    buf_truncate(&t->parent, 0);
    buf_append(&t->parent, clean, len);
    return t->parent.failed ? fail(t, "opening its directory", ENOMEM, st) : 0;
}

/* Set what makes it harder to work in a directory, or changes by that. */
static void
settle(const struct tar_extract *t, const char *path, uint32_t mode,
       const struct timespec *mtime)
{
    const struct timespec times[2] = {*mtime, *mtime};
    SCOPE(fd_close) int step = walk_to(t, path, strlen(path), false);
    SCOPE(fd_close) int fd = -1;

    if (step >= 0)
        fd = CALLER_LEND(openat(step, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return; /* moved meanwhile: not ours any more */
    /* One that was there may be another's. */
    (void)CALLER_LEND(fchmod(fd, mode));
    (void)CALLER_LEND(futimens(fd, times));
}

/* What came last lies deepest, as a rule, and goes first. */
static void
settle_all(struct tar_extract *t)
{
    struct tar_directory *d;

    SLIST_FOREACH (d, &t->directories, link)
        settle(t, d->path, d->mode, &d->mtime);
    SLIST_INIT(&t->directories);
}

static uint32_t
mode_of(const struct tar_extract *t, const struct tar_member *m)
{
    /* No set-id bits for whom they were not meant. */
    bool same = m->uid == t->uid && m->gid == t->gid;

    return m->mode & (same ? 07777U : 01777U);
}

static int
take_directory(struct tar_extract *t, struct status *st)
{
    const struct tar_member *m = &t->reader.member;
    const char *clean = text_of(&t->clean);
    size_t size = strlen(clean) + 1;
    struct tar_directory *d;
    SCOPE(fd_close) int fd = -1;

    if (size == 1 && !t->root_made)
        return 0; /* it is the caller's, not the archive's */
    if (size > 1) {
        if (enter_parent(t, clean, st) < 0)
            return -1;
        fd = CALLER_LEND(openat(parent_fd(t), base_of(clean), OPEN_STEP));
        if (fd < 0)
            fd = errno == ENOENT
                     ? make_step(t, parent_fd(t), base_of(clean), 0700)
                     : -errno;
        if (fd == -ENOTDIR || fd == -ELOOP)
            return refuse(t, "it is there, and is no directory", st);
        if (fd < 0)
            return fail(t, "mkdir", -fd, st);
    }
    t->folders++;
    d = arena_alloc(&t->arena, sizeof(*d) + size);
    if (d == NULL) {
        settle(t, clean, mode_of(t, m), &m->mtime);
        return 0;
    }
    d->mode = mode_of(t, m);
    d->mtime = m->mtime;
    memcpy(d->path, clean, size);
    SLIST_INSERT_HEAD(&t->directories, d, link);
    return 0;
}

/* ---- files --------------------------------------------------------------- */

static int
private_name(char *out, size_t size)
{
    uint64_t id;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return -EIO;
    (void)snprintf(out, size, ".envd-tar-%016" PRIx64, id);
    return 0;
}

/* Make the file under its own name or, when that is taken, a private one. */
static int
create_file(struct tar_extract *t)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const char *name = text_of(&t->file);
    struct stat info;

    t->temp[0] = '\0';
    t->fd = CALLER_LEND(openat(parent_fd(t), name, flags, 0600));
    if (t->fd >= 0 || errno != EEXIST)
        return t->fd < 0 ? -errno : 0;
    if (CALLER_LEND(fstatat(parent_fd(t), name, &info, AT_SYMLINK_NOFOLLOW)) ==
            0 &&
        S_ISDIR(info.st_mode))
        return -EISDIR;
    if (private_name(t->temp, sizeof(t->temp)) < 0)
        return -EIO;
    t->fd = CALLER_LEND(openat(parent_fd(t), t->temp, flags, 0600));
    return t->fd < 0 ? -errno : 0;
}

static int
begin_file(struct tar_extract *t, struct status *st)
{
    const struct tar_member *m = &t->reader.member;
    const char *clean = text_of(&t->clean);
    int r;

    if (*clean == '\0')
        return refuse(t, "it is the directory itself", st);
    if (enter_parent(t, clean, st) < 0)
        return -1;
    buf_truncate(&t->file, 0);
    buf_append(&t->file, base_of(clean), strlen(base_of(clean)) + 1);
    if (t->file.failed)
        return fail(t, "open", ENOMEM, st);
    r = create_file(t);
    if (r == -EISDIR)
        return refuse(t, "it is there, and is a directory", st);
    if (r < 0)
        return fail(t, "open", -r, st);
    /* A full disk shows before the content comes. */
    if (m->size > LIMIT_TRANSFER_SLICE_BYTES &&
        fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, m->size) < 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return fail(t, "write", errno, st);
    return 0;
}

static int
write_file(struct tar_extract *t, struct str data, struct status *st)
{
    t->bytes += data.len;
    while (data.len > 0) {
        ssize_t n = write(t->fd, data.data, data.len);

        if (n < 0 && errno != EINTR)
            return fail(t, "write", errno, st);
        n = MAX(n, (ssize_t)0);
        data.data += n;
        data.len -= (size_t)n;
    }
    return 0;
}

static int
end_file(struct tar_extract *t, struct status *st)
{
    const struct tar_member *m = &t->reader.member;
    const struct timespec times[2] = {m->mtime, m->mtime};

    /* The owner first: a new one costs set-id bits. */
    if (CALLER_LEND(fchown(t->fd, t->uid, t->gid)) < 0)
        return fail(t, "chown", errno, st);
    if (CALLER_LEND(fchmod(t->fd, mode_of(t, m))) < 0)
        return fail(t, "chmod", errno, st);
    (void)CALLER_LEND(
        futimens(t->fd, times)); /* fails for years the disk cannot say */
    if (t->temp[0] != '\0' &&
        CALLER_LEND(renameat(parent_fd(t), t->temp, parent_fd(t),
                             text_of(&t->file))) < 0)
        return errno == EISDIR
                   ? refuse(t, "it is there, and is a directory", st)
                   : fail(t, "rename", errno, st);
    fd_close(&t->fd);
    t->files++;
    return 0;
}

/* The file will never be complete. */
static void
drop_file(struct tar_extract *t)
{
    if (t->fd < 0)
        return;
    (void)CALLER_LEND(unlinkat(
        parent_fd(t), t->temp[0] != '\0' ? t->temp : text_of(&t->file), 0));
    fd_close(&t->fd);
}

/* ---- links --------------------------------------------------------------- */

/* Whether two names lead to one file, which then needs no new link. */
static bool
is_same(int a_fd, const char *a, int b_fd, const char *b)
{
    struct stat x;
    struct stat y;

    return CALLER_LEND(fstatat(a_fd, a, &x, AT_SYMLINK_NOFOLLOW)) == 0 &&
           CALLER_LEND(fstatat(b_fd, b, &y, AT_SYMLINK_NOFOLLOW)) == 0 &&
           x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What was in the way of a link has gone, or the reason why not. */
static int
make_way(struct tar_extract *t, const char *name, int err, struct status *st)
{
    if (err != EEXIST)
        return fail(t, "link", err, st);
    if (CALLER_LEND(unlinkat(parent_fd(t), name, 0)) == 0 || errno == ENOENT)
        return 0;
    /* POSIX says EPERM for a directory, Linux EISDIR. */
    return errno == EISDIR || errno == EPERM
               ? refuse(t, "it is there, and is a directory", st)
               : fail(t, "unlink", errno, st);
}

static int
take_symlink(struct tar_extract *t, struct status *st)
{
    const struct tar_member *m = &t->reader.member;
    const struct timespec times[2] = {m->mtime, m->mtime};
    const char *name = base_of(text_of(&t->clean));

    if (*name == '\0' || *m->link == '\0')
        return refuse(t, "a symbolic link without a name or a target", st);
    if (enter_parent(t, text_of(&t->clean), st) < 0)
        return -1;
    if (CALLER_LEND(symlinkat(m->link, parent_fd(t), name)) < 0) {
        if (make_way(t, name, errno, st) < 0)
            return -1;
        if (CALLER_LEND(symlinkat(m->link, parent_fd(t), name)) < 0)
            return fail(t, "symlink", errno, st);
    }
    if (CALLER_LEND(fchownat(parent_fd(t), name, t->uid, t->gid,
                             AT_SYMLINK_NOFOLLOW)) < 0)
        return fail(t, "chown", errno, st);
    (void)CALLER_LEND(
        utimensat(parent_fd(t), name, times, AT_SYMLINK_NOFOLLOW));
    t->links++;
    return 0;
}

static int
take_hard_link(struct tar_extract *t, struct status *st)
{
    SCOPE(buf_done) struct buf target = {0};
    SCOPE(fd_close) int fd = -1;
    const char *name = base_of(text_of(&t->clean));
    const char *wrong = clean_name(t->reader.member.link, &target);
    const char *path;
    int err;

    if (wrong != NULL || *name == '\0')
        return refuse(t, wrong != NULL ? wrong : "it is the directory itself",
                      st);
    path = text_of(&target);
    fd = walk_to(t, path, (size_t)(base_of(path) - path), false);
    if (fd < 0 || *path == '\0' ||
        CALLER_LEND(faccessat(fd, base_of(path), F_OK, AT_SYMLINK_NOFOLLOW)) <
            0)
        return refuse(t, "a hard link to what is not there", st);
    if (enter_parent(t, text_of(&t->clean), st) < 0)
        return -1;
    t->links++;
    if (CALLER_LEND(linkat(fd, base_of(path), parent_fd(t), name, 0)) == 0)
        return 0;
    err = errno;
    if (err == EEXIST && is_same(fd, base_of(path), parent_fd(t), name))
        return 0;
    if (err == EPERM)
        return refuse(t, "a hard link to what can have none", st);
    if (make_way(t, name, err, st) < 0)
        return -1;
    if (CALLER_LEND(linkat(fd, base_of(path), parent_fd(t), name, 0)) < 0)
        return fail(t, "link", errno, st);
    return 0;
}

/* ---- members ------------------------------------------------------------- */

static int
take_member(struct tar_extract *t, struct status *st)
{
    const char *wrong = clean_name(t->reader.member.name, &t->clean);

    if (wrong != NULL)
        return refuse(t, wrong, st);
    switch (t->reader.member.type) {
    case TAR_FILE:
        return begin_file(t, st);
    case TAR_DIRECTORY:
        return take_directory(t, st);
    case TAR_SYMLINK:
        return take_symlink(t, st);
    case TAR_HARD_LINK:
        return take_hard_link(t, st);
    default:
        return refuse(t, "only files, directories and links are extracted", st);
    }
}

static int
take_event(struct tar_extract *t, enum tar_event event, struct status *st)
{
    switch (event) {
    case TAR_MEMBER:
        return take_member(t, st);
    case TAR_DATA:
        return write_file(t, t->reader.data, st);
    case TAR_MEMBER_END:
        return t->fd >= 0 ? end_file(t, st) : 0;
    case TAR_FAILED:
        return status_set(st, RPC_INVALID_ARGUMENT, "error reading archive: %s",
                          t->reader.fault);
    case TAR_MORE:
    case TAR_END:
        break;
    }
    return 0;
}

int
tar_extract_run(struct tar_extract *t, const uint8_t *in, size_t len,
                const atomic_bool *cancel, struct status *st)
{
    enum tar_event event;
    int r;

    do {
        worker_pause_point();
        if (atomic_load_explicit(cancel, memory_order_relaxed))
            return status_set(st, RPC_CANCELED, "context canceled");
        event = tar_reader_next(&t->reader, &in, &len);
        r = take_event(t, event, st);
    } while (r == 0 && (event != TAR_MORE && event != TAR_END));
    return r;
}

int
tar_extract_finish(struct tar_extract *t, struct status *st)
{
    if (take_event(t, tar_reader_finish(&t->reader), st) < 0)
        return -1;
    settle_all(t);
    return 0;
}

/* ---- begin and end ------------------------------------------------------- */

int
tar_extract_open(struct tar_extract *t, const char *path, struct status *st)
{
    struct stat info;

    arena_init(&t->arena, LIMIT_TAR_DIRS_BYTES);
    t->root_made = place_stat(path, true, &info) < 0;
    if (t->root_made && tree_ensure_dirs(path, t->uid, t->gid, st) < 0) {
        tree_blame_path(st);
        return -1;
    }
    t->root_fd = place_open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (t->root_fd >= 0)
        return 0;
    if (errno == ENOTDIR)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "path '%s' is not a directory", path);
    return status_errno(st, RPC_INTERNAL, errno,
                        "error opening directory '%s': open %s", path, path);
}

void
tar_extract_done(struct tar_extract *t)
{
    drop_file(t);
    settle_all(t);
    fd_close(&t->parent_fd);
    fd_close(&t->root_fd);
    tar_reader_done(&t->reader);
    buf_done(&t->clean);
    buf_done(&t->parent);
    buf_done(&t->file);
    arena_done(&t->arena);
}
