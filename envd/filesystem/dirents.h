/*
 * The names in a directory, read with few system calls and few allocations.
 */
#ifndef ENVD_FILESYSTEM_DIRENTS_H
#define ENVD_FILESYSTEM_DIRENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes one getdents64(2) may fill; a buffer for it is on the heap. */
#define DIRENTS_BATCH_BYTES (32 * 1024)

/* One record of a batch. */
struct dirent_ref {
    const char *name;   /* in the batch */
    unsigned char type; /* DT_*; a hint, often DT_UNKNOWN */
    off_t next;         /* where reading goes on behind it, for lseek(2) */
};

/* A batch being looked through. */
struct dirents_batch {
    char *data; /* DIRENTS_BATCH_BYTES */
    size_t len;
    size_t at;
};

/*
 * Read the next batch.  Returns 1; 0 at the end of the directory (also of one
 * that was removed meanwhile); -errno.  Context: worker.
 */
int dirents_fill(struct dirents_batch *b, int fd);

/* The next record that is neither `.` nor `..`; false when there is none. */
bool dirents_next(struct dirents_batch *b, struct dirent_ref *ret);

/* All names of a directory.  Zero-initialise it; dirents_done() ends it. */
struct dirents {
    char *mem;
    char **names; /* into mem */
    size_t count;
};

/*
 * Read the whole of a directory, sorted by the bytes of the names.
 *
 * batch   memory to read into
 * cancel  polled between batches
 *
 * Returns 0, -ECANCELED or -errno.  Context: worker.
 */
int dirents_read(int fd, char *batch, const atomic_bool *cancel,
                 struct dirents *ret);

void dirents_done(struct dirents *d);

#endif
