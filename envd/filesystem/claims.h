/*
 * Which files are being written, so that two uploads do not interleave in one.
 *
 * An entry is an inode, not a path, and is known only to the worker that has
 * opened the file: hence a table with a lock of its own.  It is held for a few
 * comparisons, never during a system call.
 */
#ifndef ENVD_FILESYSTEM_CLAIMS_H
#define ENVD_FILESYSTEM_CLAIMS_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

struct file_claims;

/* One writer's claim; embed it, zero-initialised. */
struct file_claim {
    LIST_ENTRY(file_claim) link;
    dev_t dev;
    ino_t ino;
    bool held;
};

struct file_claims *file_claims_new(void);
void file_claims_free(struct file_claims *claims); /* when none is held */

/*
 * Claim an inode; true at once if `claim` holds it already.  Never waits: false
 * when another writer has it.  Context: any.
 */
bool file_claim_take(struct file_claims *claims, struct file_claim *claim,
                     dev_t dev, ino_t ino);

/* Give it up; nothing happens when it is not held.  Context: any. */
void file_claim_drop(struct file_claims *claims, struct file_claim *claim);

#endif
