/*
 * One file written whole: what an upload does to a disk.
 *
 * Plain blocking functions over a state that belongs to one job at a time.
 * Context: worker, unless said otherwise.
 *
 * The codes of a failure: invalid_argument for what the caller asked for,
 * not_found, resource_exhausted for a full disk, internal for all else.
 */
#ifndef ENVD_FILESYSTEM_TRANSFER_H
#define ENVD_FILESYSTEM_TRANSFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/status.h"
#include "filesystem/claims.h"
#include "filesystem/metadata.h"

enum file_writer_mode {
    FILE_WRITER_CLOSED,
    FILE_WRITER_CREATED,  /* a new file, written in place */
    FILE_WRITER_DIRECT,   /* over the old content, for want of a stage */
    FILE_WRITER_STAGED,   /* beside the old content, put in place at the end */
    FILE_WRITER_REPLACED, /* a new inode that takes the name at the end */
};

/* The beginnings of some failures' texts. */
struct file_writer_words {
    const char *look;  /* `error getting file info` */
    const char *open;  /* `error opening file` */
    const char *write; /* `error writing file` */
};

/*
 * A file being written; set the first group, zero the rest.
 *
 * A new file is written where it is, and vanishes again when the upload fails.
 * Over an old one the content is gathered in an unnamed file of the same file
 * system and copied into the old inode when it is complete, so that inode,
 * mode and links stay, and a failed upload leaves the old content.  Directly
 * written are: content that is complete in memory, files of virtual file
 * systems, devices, and what finds no room for a second copy.
 *
 * The metadata is replaced as a whole before the content is, so that a file
 * system without room for it refuses the upload with all that is old in place.
 */
struct file_writer {
    const char *path; /* absolute; borrowed */
    uid_t uid;        /* the owner it gets */
    gid_t gid;
    int64_t size_expected; /* bytes, -1 when unknown */
    int64_t size_told;     /* named in the message of a full disk if > 0 */
    const struct metadata *metadata; /* borrowed; all that it shall have */
    size_t metadata_count;
    const struct file_writer_words *words; /* NULL: those of an upload */
    bool keep_old; /* fail rather than write directly for want of room */

    enum file_writer_mode mode;
    int fd;       /* the file that has the name, or the replacement */
    int stage_fd; /* FILE_WRITER_STAGED */
    int dir_fd;   /* of the name, where it may have to be removed */
    char *name;   /* in dir_fd */
    char *temp;   /* FILE_WRITER_REPLACED: its name in dir_fd until the end */
    bool is_virtual;
    struct stat old; /* of fd, before anything was written */
    int64_t written; /* bytes */
    struct file_claim claim;
    bool metadata_changed;
    struct arena old_arena; /* of old_metadata */
    struct metadata *old_metadata;
    size_t old_metadata_count;

    /* What came of it, until the next open. */
    bool metadata_unsupported; /* by the file system: left out */
    bool lost; /* it failed, and the old content is lost with it */
};

/* file_writer_commit() could not begin: another upload has the file. */
#define FILE_WRITER_BUSY 1

/*
 * Open the file, making missing parents.
 *
 * whole  the whole content comes with the next file_writer_write(), and that
 *        is at most LIMIT_TRANSFER_SLICE_BYTES
 *
 * Returns 0, or -1 with `st`: the texts of the contract, chapter 8.5.  When
 * the size is known, room for it is made here.
 */
int file_writer_open(struct file_writer *w, bool whole, struct status *st);

/* Append.  Returns 0 or -1; after a failure only file_writer_abort(). */
int file_writer_write(struct file_writer *w, const void *data, size_t len,
                      struct status *st);

/*
 * Append what an open file holds, from its beginning to its end, in the kernel
 * where that is possible.  Returns 0, -ECANCELED or -errno; after a failure
 * only file_writer_abort().
 */
int file_writer_copy(struct file_writer *w, int from_fd,
                     const atomic_bool *cancel);

/*
 * The content is complete: make it that of the file, and close.  Returns 0, -1
 * (file_writer_abort() has then been done), or FILE_WRITER_BUSY: call again
 * later.
 */
int file_writer_commit(struct file_writer *w, struct status *st);

/* Give up: remove what is new, leave what is old, and say in `lost` when that
 * is not possible.  Only behind file_writer_open(). */
void file_writer_abort(struct file_writer *w);

#endif
