/*
 * Unpacking an archive into a directory.
 *
 * Nothing is written outside of the directory, whatever the archive says and
 * whatever links there are: names are relative and without `..`, and every
 * directory on the way is opened without following a link.  Files, directories,
 * symbolic and hard links are made; all else is refused.
 *
 * A file that exists is replaced when the new one is complete, a link at once;
 * a directory is kept.  All that is made belongs to the user.  What was
 * unpacked before a failure stays, but for the file the failure was in.
 *
 * Context: worker, one job at a time.
 */
#ifndef ENVD_FILESYSTEM_TAR_EXTRACT_H
#define ENVD_FILESYSTEM_TAR_EXTRACT_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "filesystem/tar_reader.h"

struct tar_directory;

/* An extraction; begin with TAR_EXTRACT_INIT, end with tar_extract_done(). */
struct tar_extract {
    uid_t uid; /* the owner of what is made; set before it is opened */
    gid_t gid;
    int root_fd;    /* -1: not open */
    bool root_made; /* it was not there before */
    struct tar_reader reader;

    struct buf clean;  /* the name of the member, without `.` and `//` */
    struct buf parent; /* the directory last worked in, and its descriptor */
    int parent_fd;     /* -1: parent_fd is the root */

    int fd;          /* of the file being written */
    struct buf file; /* its name in parent_fd */
    char temp[40];   /* its name until it is complete, "" when it has its own */

    SLIST_HEAD(, tar_directory) directories; /* that get their times last */
    struct arena arena;                      /* of these */

    uint64_t files; /* made so far */
    uint64_t links;
    uint64_t folders;
    uint64_t bytes;
};

#define TAR_EXTRACT_INIT \
    ((struct tar_extract){.root_fd = -1, .parent_fd = -1, .fd = -1})

/*
 * Open the directory, making it when it is missing.  Failures are those of
 * tree_ensure_dirs(), or invalid_argument when it is none.
 */
int tar_extract_open(struct tar_extract *t, const char *path,
                     struct status *st);

/*
 * Take input; all of it.
 *
 * Failures: invalid_argument for what the archive is or asks for,
 * resource_exhausted for a full disk, canceled, internal for all else.
 */
int tar_extract_run(struct tar_extract *t, const uint8_t *in, size_t len,
                    const atomic_bool *cancel, struct status *st);

/* There is no more input. */
int tar_extract_finish(struct tar_extract *t, struct status *st);

/* Give up what is unfinished, and free. */
void tar_extract_done(struct tar_extract *t);

#endif
