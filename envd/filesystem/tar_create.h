/*
 * Packing a directory into an archive, a slice at a time.
 *
 * Files, directories, symbolic links and hard links are packed, with modes,
 * owners and times; sockets, pipes and devices, and what lies in file systems
 * that the kernel makes up, are left out.  Members are in the order of a
 * listing; the directory itself is `./`.
 *
 * What changes meanwhile does not break the archive: a file that is cut is
 * filled up with zeros, one that grows is packed as long as it was.
 *
 * Context: worker, one job at a time.
 */
#ifndef ENVD_FILESYSTEM_TAR_CREATE_H
#define ENVD_FILESYSTEM_TAR_CREATE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "filesystem/entry.h"
#include "filesystem/hard_links.h"
#include "filesystem/walk.h"

struct tar_level;

/* A packing; begin with TAR_CREATE_INIT, end with tar_create_done(). */
struct tar_create {
    struct entry_names names;
    int root_fd; /* until it is entered */
    struct walk walk;
    struct tar_level *levels; /* walk.depth of them in use */
    size_t level_cap;
    struct buf path;         /* of what is packed, relative to the directory */
    char *batch;             /* DIRENTS_BATCH_BYTES */
    struct hard_links links; /* names of files with several */

    int fd; /* of the file being read, -1 when its rest is zeros */
    int64_t left;
    size_t padding;
    bool ended;

    uint64_t incomplete; /* entries that could not be read, or only in part */
};

/* So that tar_create_done() can be called at any time. */
#define TAR_CREATE_INIT ((struct tar_create){.root_fd = -1, .fd = -1})

/*
 * Open the directory.
 *
 * names  what it refers to must live until tar_create_done()
 *
 * Failures: not_found `path 'P' does not exist`, invalid_argument `path 'P' is
 * not a directory`, internal for all else.
 */
int tar_create_open(struct tar_create *t, const char *path,
                    const struct entry_names *names, struct status *st);

/*
 * Append the next slice of the archive, of at least `want` bytes if there are
 * as many, to `out`.
 *
 * Returns 1; 0 when the archive is complete; -ECANCELED or -errno when it will
 * never be.
 */
int tar_create_run(struct tar_create *t, size_t want, const atomic_bool *cancel,
                   struct buf *out);

void tar_create_done(struct tar_create *t);

#endif
