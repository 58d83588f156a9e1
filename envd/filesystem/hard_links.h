/*
 * Files with several names that a walk has met: inode to first name.
 */
#ifndef ENVD_FILESYSTEM_HARD_LINKS_H
#define ENVD_FILESYSTEM_HARD_LINKS_H

#include <sys/types.h>

#include "base/mem.h"

/* Zero-initialise it, or set the limit of the arena; then hard_links_done(). */
struct hard_links {
    void *tree; /* of tsearch(3) */
    struct arena arena;
};

/* The name that was noted for an inode, or NULL; valid until the end. */
const char *hard_links_find(const struct hard_links *h, dev_t dev, ino_t ino);

/* Note a name for an inode that has none.  Returns 0 or -ENOMEM. */
int hard_links_note(struct hard_links *h, dev_t dev, ino_t ino,
                    const char *path);

void hard_links_done(struct hard_links *h);

#endif
