/*
 * The open directories on the way down a tree.
 *
 * A tree may be deeper than there are descriptors, and than any path can say.
 * Only the lowest LIMIT_WALK_OPEN_DIRS levels are held open; on the way back
 * up, a directory is opened again as its child's `..` and compared with what it
 * was, so that a tree rearranged meanwhile ends the walk instead of leading it
 * astray.
 *
 * Zero-initialise it; walk_done() ends it.  Context: worker.
 */
#ifndef ENVD_FILESYSTEM_WALK_H
#define ENVD_FILESYSTEM_WALK_H

#include <stddef.h>

struct walk_level;

struct walk {
    struct walk_level *levels; /* root first */
    size_t depth;              /* levels in use */
    size_t cap;
};

/* Open `name` in a directory for a walk; links are refused (-ENOTDIR). */
int walk_open(int dir_fd, const char *name);

/*
 * Step down into `fd`, which is taken, also on failure.  Returns 0 or -errno.
 */
int walk_push(struct walk *w, int fd);

/* The directory the walk is in; depth must not be 0. */
int walk_fd(const struct walk *w);

/*
 * Step up.  Returns 0, or -ESTALE or another -errno when the parent cannot be
 * opened again: walk_fd() must then not be used.
 */
int walk_pop(struct walk *w);

void walk_done(struct walk *w);

#endif
