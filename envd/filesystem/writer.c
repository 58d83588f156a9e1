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
#include "filesystem/copy_file.h"
#include "filesystem/place.h"
#include "filesystem/stage.h"
#include "filesystem/transfer.h"
#include "filesystem/virtual.h"
#include "filesystem/writer_metadata.h"
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
    return status_errno(st, RPC_INTERNAL, err, "%s: write %s", w->words->write,
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

/* Make the file with the name ready for its new content. */
static int
take_over(struct file_writer *w, struct status *st)
{
    return change_owner(w, st) < 0 ? -1 : writer_set_metadata(w, st);
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

/* Make room for what is announced.  Returns 0 also where there is no way to
 * do that, else the errno that the writing would end with. */
static int
reserve(const struct file_writer *w, int fd)
{
    if (w->size_expected <= 0 ||
        fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, w->size_expected) == 0)
        return 0;
    return is_full(errno) || errno == EFBIG ? errno : 0;
}

/* Free the room behind the old content again. */
static void
give_room_back(const struct file_writer *w)
{
    const struct timespec times[2] = {w->old.st_atim, w->old.st_mtim};

    if (w->size_expected <= w->old.st_size)
        return;
    (void)!ftruncate(w->fd, w->old.st_size);
    (void)futimens(w->fd, times);
}

/* As reserve(), for content that goes over the old. */
static int
reserve_over_old(const struct file_writer *w)
{
    int err = reserve(w, w->fd);

    /* Some file systems keep the part that they found room for. */
    if (err != 0)
        give_room_back(w);
    return err;
}

/* Prepare to write over the old content. */
static int
choose_direct(struct file_writer *w, struct status *st)
{
    w->mode = FILE_WRITER_DIRECT;
    return take_over(w, st);
}

/* There is no room for a second copy: is there if the old one goes? */
static int
choose_for_want_of_room(struct file_writer *w, int err, struct status *st)
{
    if (w->keep_old || !claim(w))
        return fail_write(w, err, st);
    err = reserve_over_old(w);
    return err != 0 ? fail_write(w, err, st) : choose_direct(w, st);
}

/* Open a stage in the directory that holds the file's name, or -1. */
static int
stage_beside(const char *path)
{
    SCOPE(fd_close) int dir_fd = -1;
    char real[PATH_MAX];
    char *slash = place_real(path, real) == 0 ? strrchr(real, '/') : NULL;

    if (slash == NULL)
        return -1;
    slash[slash == real ? 1 : 0] = '\0';
    dir_fd = place_open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return dir_fd >= 0 ? MAX(stage_open(dir_fd), -1) : -1;
}

/* Gather beside the old content; over it when that cannot be done. */
static int
choose_stage(struct file_writer *w, struct status *st)
{
    int err;

    w->stage_fd = stage_beside(w->path);
    if (w->stage_fd < 0 && w->keep_old)
        return status_set(st, RPC_INTERNAL, "%s: no place beside %s",
                          w->words->open, w->path);
    if (w->stage_fd < 0)
        return choose_direct(w, st);
    err = reserve(w, w->stage_fd);
    if (err != 0) {
        fd_close(&w->stage_fd);
        return choose_for_want_of_room(w, err, st);
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
    if (w->size_expected > old_bytes(w)) {
        int err = reserve_over_old(w);

        if (err != 0)
            return fail_write(w, err, st);
    }
    return choose_direct(w, st);
}

static int
choose_over_old(struct file_writer *w, bool whole, struct status *st)
{
    if (!S_ISREG(w->old.st_mode))
        return choose_direct(w, st);
    w->is_virtual = w->old.st_blocks == 0 && virtual_file(w->fd);
    if (w->is_virtual && !w->keep_old)
        return choose_direct(w, st);
    if (whole)
        return choose_whole(w, st);
    if (w->size_expected > 0 && room(w) < w->size_expected)
        return choose_for_want_of_room(w, ENOSPC, st);
    return choose_stage(w, st);
}

static int
choose_mode(struct file_writer *w, bool whole, struct status *st)
{
    bool large = w->size_expected > LIMIT_TRANSFER_SLICE_BYTES;
    int err;

    if (large && S_ISREG(w->old.st_mode) &&
        room(w) < w->size_expected - old_bytes(w))
        return fail_full(w, st);
    switch (w->mode) {
    case FILE_WRITER_CREATED:
        /* Somebody may have opened the name meanwhile and claimed it. */
        if (!claim(w))
            return choose_stage(w, st);
        break;
    case FILE_WRITER_REPLACED:
        break;
    case FILE_WRITER_CLOSED:
    case FILE_WRITER_STAGED:
    case FILE_WRITER_DIRECT:
        return choose_over_old(w, whole, st);
    }
    err = large ? reserve(w, w->fd) : 0;
    return err != 0 ? fail_write(w, err, st) : take_over(w, st);
}

int
file_writer_open(struct file_writer *w, bool whole, struct status *st)
{
    static const struct file_writer_words upload = {
        .look = "error getting file info",
        .open = "error opening file",
        .write = "error writing file",
    };

    w->fd = -1;
    w->stage_fd = -1;
    w->dir_fd = -1;
    w->lost = false;
    w->metadata_unsupported = false;
    if (w->words == NULL)
        w->words = &upload;
    caller_begin();
    if (writer_open_target(w, st) == 0 && choose_mode(w, whole, st) == 0)
        return 0;
    file_writer_abort(w);
    return -1;
}

/* ---- bytes --------------------------------------------------------------- */

/* The stage could be moved in part only: that part is over the old content. */
static int
fail_move(struct file_writer *w, int err, int64_t moved, struct status *st)
{
    if (moved > 0 && w->mode == FILE_WRITER_STAGED) {
        w->mode = FILE_WRITER_DIRECT;
        w->written = moved;
    }
    return fail_write(w, err, st);
}

/*
 * The stage has filled the disk: put it over the old content, whose blocks are
 * then used, and go on there.
 */
static int
leave_stage(struct file_writer *w, struct status *st)
{
    int64_t moved;
    int r;

    if (w->keep_old || w->old.st_blocks == 0 || !claim(w))
        return fail_full(w, st);
    if (take_over(w, st) < 0)
        return -1;
    r = stage_move(w->stage_fd, w->fd, w->written, &moved);
    if (r < 0)
        return fail_move(w, -r, moved, st);
    w->mode = FILE_WRITER_DIRECT;
    fd_close(&w->stage_fd);
    if (lseek(w->fd, w->written, SEEK_SET) < 0)
        return fail_write(w, errno, st);
    return 0;
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

int
file_writer_copy(struct file_writer *w, int from_fd, const atomic_bool *cancel)
{
    int to_fd = w->mode == FILE_WRITER_STAGED ? w->stage_fd : w->fd;
    off_t end;
    int r = copy_file_append(from_fd, to_fd, w->written, cancel, &end);

    if (r == 0)
        w->written = end;
    return r;
}

/* ---- the end ------------------------------------------------------------- */

static void
release(struct file_writer *w)
{
    file_claim_drop(&w->claim);
    writer_forget_metadata(w);
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
    int64_t moved;
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
    if (take_over(w, st) < 0)
        return -1;
    r = stage_move(w->stage_fd, w->fd, w->written, &moved);
    if (r < 0)
        return fail_move(w, -r, moved, st);
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
    bool direct = w->mode == FILE_WRITER_DIRECT && w->written > 0;

    switch (w->mode) {
    case FILE_WRITER_CREATED:
        remove_name(w);
        break;
    case FILE_WRITER_REPLACED:
        (void)CALLER_LEND(unlinkat(w->dir_fd, w->temp, 0));
        break;
    case FILE_WRITER_DIRECT:
    case FILE_WRITER_STAGED:
        if (!direct) {
            writer_restore_metadata(w);
            if (w->mode == FILE_WRITER_DIRECT && S_ISREG(w->old.st_mode) &&
                !w->is_virtual)
                give_room_back(w);
        } else if (S_ISREG(w->old.st_mode) && !w->is_virtual) {
            /* Rather a stump than new content that goes over into old. */
            (void)!ftruncate(w->fd, w->written);
            w->lost = w->old.st_size > 0;
        }
        break;
    case FILE_WRITER_CLOSED:
        break;
    }
    release(w);
}
