/*
 * Writing one file: where its bytes go meanwhile, and how they become the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/place.h"
#include "filesystem/stage.h"
#include "filesystem/transfer.h"
#include "filesystem/virtual.h"
#include "filesystem/writer_open.h"
#include "limits.h"

static bool
is_full(int err)
{
    return err == ENOSPC || err == EDQUOT;
}

static int
fail_full(const struct file_writer *w, struct status *st)
{
    if (w->size_told > 0)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "attempted to write %lld bytes: not enough disk "
                          "space available",
                          (long long)w->size_told);
    return status_set(st, RPC_RESOURCE_EXHAUSTED,
                      "not enough disk space available");
}

static int
fail_write(const struct file_writer *w, int err, struct status *st)
{
    if (is_full(err))
        return fail_full(w, st);
    return status_errno(st, RPC_INTERNAL, err, "error writing file: write %s",
                        w->path);
}

/*
 * Give it to its owner; an owner it has costs nothing, set-id bits included.
 * Root's rights are not lent for a file of several names, and a user who may
 * write into a file without owning it leaves it to its owner.
 */
static int
change_owner(struct file_writer *w, struct status *st)
{
    if (!S_ISREG(w->old.st_mode) ||
        (w->old.st_uid == w->uid && w->old.st_gid == w->gid &&
         w->mode != FILE_WRITER_REPLACED))
        return 0;
    if (fchown(w->fd, w->uid, w->gid) == 0 ||
        (w->old.st_nlink == 1 &&
         CALLER_LEND(fchown(w->fd, w->uid, w->gid)) == 0) ||
        (errno == EPERM && caller_acts()))
        return 0;
    return status_errno(st, RPC_INTERNAL, errno,
                        "error changing file ownership: chown %s", w->path);
}

static bool
claim(struct file_writer *w)
{
    return file_claim_take(&w->claim, w->old.st_dev, w->old.st_ino);
}

/* ---- where the bytes go -------------------------------------------------- */

/* Bytes that can be written where the file lies; INT64_MAX when unknown. */
static int64_t
room(const struct file_writer *w)
{
    struct statfs info;
    int64_t bytes;

    if (fstatfs(w->fd, &info) < 0 || info.f_blocks == 0 ||
        ckd_mul(&bytes, (int64_t)info.f_bfree, (int64_t)info.f_bsize))
        return INT64_MAX;
    return bytes;
}

static int64_t
old_bytes(const struct file_writer *w)
{
    return w->mode == FILE_WRITER_DIRECT ? (int64_t)w->old.st_blocks * 512 : 0;
}

/* Prepare to write over the old content. */
static int
choose_direct(struct file_writer *w, struct status *st)
{
    w->mode = FILE_WRITER_DIRECT;
    return change_owner(w, st);
}

/* Gather beside the old content; over it when that cannot be done. */
static int
choose_stage(struct file_writer *w, struct status *st)
{
    SCOPE(fd_close) int dir_fd = -1;
    char real[PATH_MAX];
    char *slash = place_real(w->path, real) == 0 ? strrchr(real, '/') : NULL;

    if (slash != NULL) {
        slash[slash == real ? 1 : 0] = '\0';
        dir_fd = place_open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    w->stage_fd = dir_fd >= 0 ? stage_open(dir_fd) : -1;
    if (w->stage_fd < 0) {
        w->stage_fd = -1;
        return choose_direct(w, st);
    }
    w->mode = FILE_WRITER_STAGED;
    return 0;
}

/*
 * Complete content goes over the old one at once: no cut connection can leave
 * a part of it.  Room is made sure of first.
 */
static int
choose_whole(struct file_writer *w, struct status *st)
{
    if (!claim(w))
        return choose_stage(w, st);
    if (w->size_expected > old_bytes(w) &&
        fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, w->size_expected) < 0 &&
        is_full(errno))
        return fail_full(w, st);
    return choose_direct(w, st);
}

static int
choose_over_old(struct file_writer *w, bool whole, struct status *st)
{
    if (!S_ISREG(w->old.st_mode))
        return choose_direct(w, st);
    w->is_virtual = w->old.st_blocks == 0 && virtual_file(w->fd);
    if (w->is_virtual)
        return choose_direct(w, st);
    if (whole)
        return choose_whole(w, st);
    if (w->size_expected > 0 && room(w) < w->size_expected && claim(w))
        return choose_direct(w, st);
    return choose_stage(w, st);
}

static int
choose_mode(struct file_writer *w, bool whole, struct status *st)
{
    bool large = w->size_expected > LIMIT_TRANSFER_SLICE_BYTES;

    if (large && S_ISREG(w->old.st_mode) &&
        room(w) < w->size_expected - old_bytes(w))
        return fail_full(w, st);
    switch (w->mode) {
    case FILE_WRITER_CREATED:
        /* Somebody may have opened the name meanwhile and claimed it. */
        if (!claim(w))
            return choose_stage(w, st);
        return change_owner(w, st);
    case FILE_WRITER_REPLACED:
        return change_owner(w, st);
    case FILE_WRITER_CLOSED:
    case FILE_WRITER_STAGED:
    case FILE_WRITER_DIRECT:
        break;
    }
    return choose_over_old(w, whole, st);
}

int
file_writer_open(struct file_writer *w, bool whole, struct status *st)
{
    w->fd = -1;
    w->stage_fd = -1;
    w->dir_fd = -1;
    caller_begin();
    if (writer_open_target(w, st) == 0 && choose_mode(w, whole, st) == 0)
        return 0;
    file_writer_abort(w);
    return -1;
}

/* ---- bytes --------------------------------------------------------------- */

/*
 * The stage has filled the disk: put it over the old content, whose blocks are
 * then used, and go on there.
 */
static int
leave_stage(struct file_writer *w, struct status *st)
{
    int r;

    if (w->old.st_blocks == 0 || !claim(w))
        return fail_full(w, st);
    r = stage_move(w->stage_fd, w->fd, w->written);
    fd_close(&w->stage_fd);
    if (choose_direct(w, st) < 0)
        return -1;
    if (r == 0 && lseek(w->fd, w->written, SEEK_SET) < 0)
        r = -errno;
    return r < 0 ? fail_write(w, -r, st) : 0;
}

int
file_writer_write(struct file_writer *w, const void *data, size_t len,
                  struct status *st)
{
    const char *p = data;

    while (len > 0) {
        bool staged = w->mode == FILE_WRITER_STAGED;
        ssize_t n = write(staged ? w->stage_fd : w->fd, p, len);

        if (n >= 0) {
            p += n;
            len -= (size_t)n;
            w->written += n;
        } else if (staged && is_full(errno)) {
            if (leave_stage(w, st) < 0)
                return -1;
        } else if (errno != EINTR) {
            return fail_write(w, errno, st);
        }
    }
    return 0;
}

/* ---- the end ------------------------------------------------------------- */

static void
release(struct file_writer *w)
{
    file_claim_drop(&w->claim);
    fd_close(&w->fd);
    fd_close(&w->stage_fd);
    fd_close(&w->dir_fd);
    free(w->name);
    free(w->temp);
    w->name = NULL;
    w->temp = NULL;
    w->mode = FILE_WRITER_CLOSED;
}

/* What was behind the new content is no longer part of it. */
static int
cut_rest(struct file_writer *w, struct status *st)
{
    if (!S_ISREG(w->old.st_mode) || w->is_virtual ||
        w->old.st_size <= w->written || ftruncate(w->fd, w->written) == 0)
        return 0;
    return fail_write(w, errno, st);
}

/* The name is gone from the old file: the content becomes a new one. */
static int
reopen(struct file_writer *w, struct status *st)
{
    file_claim_drop(&w->claim);
    fd_close(&w->fd);
    if (writer_open_target(w, st) < 0)
        return -1;
    w->mode = w->mode == FILE_WRITER_DIRECT ? FILE_WRITER_STAGED : w->mode;
    if (!claim(w)) {
        w->mode = FILE_WRITER_STAGED;
        return FILE_WRITER_BUSY;
    }
    return 0;
}

/* The new inode takes the name, with the mode of the old one. */
static int
commit_replacement(struct file_writer *w, struct status *st)
{
    if (CALLER_LEND(fchmod(w->fd, w->old.st_mode & 0777U)) < 0 ||
        CALLER_LEND(renameat(w->dir_fd, w->temp, w->dir_fd, w->name)) < 0)
        return fail_write(w, errno, st);
    return 0;
}

/* The stage becomes the content of the file that has the name. */
static int
commit_stage(struct file_writer *w, struct status *st)
{
    int r;

    if (!claim(w))
        return FILE_WRITER_BUSY;
    if (fstat(w->fd, &w->old) < 0)
        return fail_write(w, errno, st);
    if (w->old.st_nlink == 0) {
        r = reopen(w, st);
        if (r != 0)
            return r;
    }
    if (change_owner(w, st) < 0)
        return -1;
    r = stage_move(w->stage_fd, w->fd, w->written);
    if (r < 0)
        return fail_write(w, -r, st);
    if (w->mode == FILE_WRITER_REPLACED)
        return commit_replacement(w, st);
    return cut_rest(w, st);
}

static int
commit(struct file_writer *w, struct status *st)
{
    switch (w->mode) {
    case FILE_WRITER_STAGED:
        return commit_stage(w, st);
    case FILE_WRITER_REPLACED:
        return commit_replacement(w, st);
    case FILE_WRITER_CREATED:
    case FILE_WRITER_DIRECT:
        return cut_rest(w, st);
    case FILE_WRITER_CLOSED:
        break;
    }
    return 0;
}

/* A network file system may tell of a full disk only now. */
static int
close_file(struct file_writer *w, struct status *st)
{
    if (close(TAKE_FD(w->fd)) == 0 || errno == EINTR)
        return 0;
    return fail_write(w, errno, st);
}

int
file_writer_commit(struct file_writer *w, struct status *st)
{
    int r = commit(w, st);

    if (r == FILE_WRITER_BUSY)
        return r;
    if (r == 0)
        r = close_file(w, st);
    if (r == 0)
        release(w);
    else
        file_writer_abort(w);
    return r;
}

/* Remove the name of a new file, if it still is ours. */
static void
remove_name(const struct file_writer *w)
{
    struct stat now;

    if (CALLER_LEND(fstatat(w->dir_fd, w->name, &now, AT_SYMLINK_NOFOLLOW)) ==
            0 &&
        now.st_ino == w->old.st_ino && now.st_dev == w->old.st_dev)
        (void)CALLER_LEND(unlinkat(w->dir_fd, w->name, 0));
}

void
file_writer_abort(struct file_writer *w)
{
    switch (w->mode) {
    case FILE_WRITER_CREATED:
        remove_name(w);
        break;
    case FILE_WRITER_REPLACED:
        (void)CALLER_LEND(unlinkat(w->dir_fd, w->temp, 0));
        break;
    case FILE_WRITER_DIRECT:
        /* Rather a stump than new content that goes over into old. */
        if (w->written > 0 && S_ISREG(w->old.st_mode) && !w->is_virtual)
            (void)!ftruncate(w->fd, w->written);
        break;
    case FILE_WRITER_STAGED:
    case FILE_WRITER_CLOSED:
        break;
    }
    release(w);
}
