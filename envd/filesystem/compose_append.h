/*
 * Composing without a copy of the first source.  For compose.c only.
 */
#ifndef ENVD_FILESYSTEM_COMPOSE_APPEND_H
#define ENVD_FILESYSTEM_COMPOSE_APPEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/status.h"

struct compose;

/* A source: its name as given and resolved, and the inode that was read. */
struct compose_source {
    const char *given;
    char *path; /* owned */
    dev_t dev;
    ino_t ino;
};

/* A name in a directory, however the directory is spelled. */
struct directory_entry {
    dev_t dev; /* of the directory */
    ino_t ino;
    const char *name; /* points into the path; NULL: there is none */
};

/* That of the last component of `path`, whose directory is open or not. */
struct directory_entry directory_entry_of(const char *path);
struct directory_entry directory_entry_at(int dir_fd, const char *path);

bool directory_entry_same(const struct directory_entry *a,
                          const struct directory_entry *b);

/* Open a source, remembering its inode.  Returns a descriptor, or -1. */
int compose_open_source(struct compose_source *s, struct status *st);

/* Words for a copy that failed.  Returns -1. */
int compose_fail_copy(const struct compose_source *s, int err,
                      struct status *st);

/* compose_append() does not apply, and has changed nothing. */
#define COMPOSE_COPY 2

/*
 * Append the other sources to the first one and rename that into place, when
 * the destination is absent and the first source a file on its file system
 * with no other name, no foreign attributes and no writer.  Returns 0,
 * COMPOSE_COPY, or -1 with `st` and everything as it was.  Context: worker.
 */
int compose_append(struct compose *c, const atomic_bool *cancel,
                   struct status *st);

#endif
