/*
 * Composing: who is who is decided by inodes, never by how a path is spelled.
 */
#include "filesystem/compose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/compose_append.h"
#include "filesystem/path.h"
#include "filesystem/place.h"
#include "loop/worker.h"

static const struct file_writer_words words = {
    .look = "error creating destination file",
    .open = "error creating destination file",
    .write = "error finalizing compose",
};

/* ---- the sources --------------------------------------------------------- */

static int
check_source(const struct compose *c, struct compose_source *s,
             const struct directory_entry *given,
             const struct directory_entry *real, struct status *st)
{
    SCOPE(status_done) struct status inner = {0};
    struct directory_entry entry;
    struct stat info;

    if (path_resolve(str_from(s->given), c->user, c->home, c->workdir, &s->path,
                     &inner) < 0)
        return status_set(st, inner.code,
                          "error resolving source path \"%s\": %s", s->given,
                          status_message(&inner));
    entry = directory_entry_of(s->path);
    if (strcmp(s->path, c->destination) == 0 ||
        directory_entry_same(&entry, given) ||
        directory_entry_same(&entry, real))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "source path \"%s\" cannot be the same as "
                          "destination",
                          s->given);
    if (place_stat(s->path, true, &info) < 0)
        return status_set(st, RPC_NOT_FOUND, "source file not found: %s",
                          s->given);
    if (!S_ISREG(info.st_mode))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "source path is not a regular file: %s", s->given);
    s->dev = info.st_dev;
    s->ino = info.st_ino;
    return file_claim_is_held(s->dev, s->ino) ? COMPOSE_BUSY : 0;
}

/* Look at everything before anything is touched. */
static int
check(struct compose *c, struct status *st)
{
    struct directory_entry given = directory_entry_of(c->destination);
    struct directory_entry real = {0};
    char path[PATH_MAX];
    struct stat info;

    if (place_real(c->destination, path) == 0)
        real = directory_entry_of(path);
    for (size_t i = 0; i < c->count; i++) {
        int r = check_source(c, &c->sources[i], &given, &real, st);

        if (r != 0)
            return r;
    }
    if (place_stat(c->destination, true, &info) < 0 || S_ISREG(info.st_mode))
        return 0;
    return status_set(st, RPC_INVALID_ARGUMENT,
                      S_ISDIR(info.st_mode)
                          ? "path is a directory: %s"
                          : "destination is not a regular file: %s",
                      c->destination);
}

int
compose_open_source(struct compose_source *s, struct status *st)
{
    SCOPE(fd_close)
    int fd = place_open(s->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) < 0)
        return status_errno(st, RPC_INTERNAL, errno,
                            "error opening source file %s: open %s", s->given,
                            s->path);
    if (!S_ISREG(info.st_mode))
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "source path is not a regular file: %s", s->given);
    s->dev = info.st_dev;
    s->ino = info.st_ino;
    return TAKE_FD(fd);
}

int
compose_fail_copy(const struct compose_source *s, int err, struct status *st)
{
    if (err == ECANCELED)
        return status_set(st, RPC_CANCELED, "canceled");
    if (err == ENOSPC || err == EDQUOT)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "not enough disk space available");
    return status_errno(st, RPC_INTERNAL, err, "error composing source %s",
                        s->given);
}

/*
 * Remove a source: if its name still leads to what was read, and is not what
 * has just been written.
 */
static void
remove_source(const struct compose_source *s,
              const struct directory_entry *given,
              const struct directory_entry *real, const struct stat *result)
{
    SCOPE(scope_free) char *dir = path_parent(s->path);
    SCOPE(fd_close) int dir_fd = -1;
    struct directory_entry entry;
    struct stat now;
    struct stat name;

    if (dir != NULL)
        dir_fd = place_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return;
    entry = directory_entry_at(dir_fd, s->path);
    if (directory_entry_same(&entry, given) ||
        directory_entry_same(&entry, real) ||
        place_stat(s->path, true, &now) < 0 ||
        CALLER_LEND(fstatat(dir_fd, entry.name, &name, AT_SYMLINK_NOFOLLOW)) <
            0 ||
        now.st_dev != s->dev || now.st_ino != s->ino)
        return;
    /* The only name of the result, where names have several spellings. */
    if (name.st_dev == result->st_dev && name.st_ino == result->st_ino &&
        name.st_nlink == 1)
        return;
    (void)CALLER_LEND(unlinkat(dir_fd, entry.name, 0));
}

static void
remove_sources(struct compose *c)
{
    struct directory_entry given = directory_entry_of(c->destination);
    struct directory_entry real;
    char path[PATH_MAX];
    struct stat result;

    /* Somebody has taken the result away: its sources are all there is. */
    if (place_real(c->destination, path) < 0 ||
        place_stat(path, true, &result) < 0)
        return;
    real = directory_entry_of(path);
    for (size_t i = 0; i < c->count; i++) {
        worker_pause_point();
        remove_source(&c->sources[i], &given, &real, &result);
    }
}

/* ---- the destination ----------------------------------------------------- */

static int
copy_sources(struct compose *c, const atomic_bool *cancel, struct status *st)
{
    for (size_t i = 0; i < c->count; i++) {
        struct compose_source *s = &c->sources[i];
        SCOPE(fd_close) int fd = compose_open_source(s, st);
        int r = fd < 0 ? -1 : file_writer_copy(&c->writer, fd, cancel);

        if (fd < 0)
            return -1;
        if (r < 0)
            return compose_fail_copy(s, -r, st);
    }
    return 0;
}

static int
write_destination(struct compose *c, const atomic_bool *cancel,
                  struct status *st)
{
    c->writer = (struct file_writer){
        .path = c->destination,
        .uid = c->uid,
        .gid = c->gid,
        .size_expected = -1,
        .words = &words,
        .keep_old = true,
    };
    if (file_writer_open(&c->writer, /* whole= */ false, st) < 0) {
        if (st->code == RPC_RESOURCE_EXHAUSTED)
            return status_set(st, RPC_RESOURCE_EXHAUSTED,
                              "not enough disk space available");
        return -1;
    }
    if (copy_sources(c, cancel, st) == 0)
        return 0;
    file_writer_abort(&c->writer);
    return -1;
}

static int
begin(struct compose *c, struct status *st)
{
    c->sources = calloc(c->count, sizeof(*c->sources));
    if (c->sources == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < c->count; i++)
        c->sources[i].given = c->given[i];
    return check(c, st);
}

int
compose_run(struct compose *c, const atomic_bool *cancel, struct status *st)
{
    int r;

    if (c->writer.mode == FILE_WRITER_CLOSED) {
        compose_done(c);
        r = begin(c, st);
        if (r == 0)
            r = compose_append(c, cancel, st);
        if (r != COMPOSE_COPY) {
            if (r == 0)
                remove_sources(c);
            return r;
        }
        if (write_destination(c, cancel, st) < 0)
            return -1;
    }
    c->size = c->writer.written;
    r = file_writer_commit(&c->writer, st);
    if (r == 0)
        remove_sources(c);
    return r == FILE_WRITER_BUSY ? COMPOSE_BUSY : r;
}

void
compose_abort(struct compose *c)
{
    if (c->writer.mode != FILE_WRITER_CLOSED)
        file_writer_abort(&c->writer);
}

void
compose_done(struct compose *c)
{
    for (size_t i = 0; c->sources != NULL && i < c->count; i++)
        free(c->sources[i].path);
    free(TAKE_PTR(c->sources));
}
