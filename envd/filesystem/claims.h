/*
 * Which files are being written, so that two uploads do not interleave in one.
 *
 * An entry is an inode, not a path, and is known only to the worker that has
 * opened the file: hence a table with a lock of its own, held for a few
 * comparisons and never during a system call.  There is one table, as there
 * is one set of inodes.
 */
#ifndef ENVD_FILESYSTEM_CLAIMS_H
#define ENVD_FILESYSTEM_CLAIMS_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

/* One writer's claim; embed it, zero-initialised. */
struct file_claim {
    LIST_ENTRY(file_claim) link;
    dev_t dev;
    ino_t ino;
    bool held;
};

/*
 * Claim an inode; true at once if `claim` is held already.  Never waits: false
 * when another writer has it.  Context: any.
 */
bool file_claim_take(struct file_claim *claim, dev_t dev, ino_t ino);

/* Whether a writer has an inode just now.  Context: any. */
bool file_claim_is_held(dev_t dev, ino_t ino);

/* Give it up; nothing happens when it is not held.  Context: any. */
void file_claim_drop(struct file_claim *claim);

#endif
