/*
 * One file read: what a download does to a disk.
 *
 * Plain blocking functions over a state that belongs to one job at a time.
 * Context: worker, unless said otherwise.
 */
#ifndef ENVD_FILESYSTEM_READER_H
#define ENVD_FILESYSTEM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/status.h"

/* A file open for reading; end it with file_reader_done(). */
struct file_reader {
    int fd;       /* owned, -1 when unset */
    int64_t size; /* bytes; -1 when it shows only by reading to the end */
    ino_t inode;
    struct timespec mtime;

    off_t offset; /* of a file with a size: where reading goes on */
    int64_t left; /* bytes still to be read, or allowed */
    off_t ahead;  /* up to here the disk was told what is wanted */
    bool sequential;
};

/*
 * Open a file.  Regular files of real file systems have a size; those whose
 * size the kernel makes up (/proc, /sys) and devices are read to their end,
 * devices to LIMIT_TRANSFER_DEVICE_BYTES at most.
 *
 * Failures: not_found `path 'P' does not exist`; invalid_argument `path 'P' is
 * a directory`, `path 'P' is not a regular file` (pipes, sockets), and for
 * names that are too long and loops of links; internal `error checking if path
 * exists 'P': stat P: …`, `error opening file 'P': open P: …`.
 */
int file_reader_open(struct file_reader *r, const char *path,
                     struct status *st);

/* Go on with the `len` bytes from `first` on, which a file with a size has. */
void file_reader_seek(struct file_reader *r, int64_t first, int64_t len);

/*
 * Append up to `max` bytes of what is left to `out`; fewer only when nothing
 * is left or the file ends.  Returns the bytes, or -errno.
 */
ssize_t file_reader_read(struct file_reader *r, struct buf *out, size_t max);

/* Read up to `max` bytes of the front of a file with a size, in between. */
ssize_t file_reader_peek(const struct file_reader *r, void *out, size_t max);

/* What came of file_reader_send(). */
struct file_sent {
    size_t len; /* bytes that went into the socket */
    int err;    /* 0, -EAGAIN when it takes no more now, or -errno; -ENODATA
                 * when the file ended early */
};

/* Send up to `max` bytes of what is left of a file with a size. */
struct file_sent file_reader_send(struct file_reader *r, int socket_fd,
                                  size_t max);

/* Context: any. */
void file_reader_done(struct file_reader *r);

#endif
