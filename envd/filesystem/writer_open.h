/*
 * The first half of writing a file: opening or making it.  For writing only.
 */
#ifndef ENVD_FILESYSTEM_WRITER_OPEN_H
#define ENVD_FILESYSTEM_WRITER_OPEN_H

#include <sys/types.h>

#include "base/status.h"

struct file_writer;

/*
 * Open the file that the path leads to, or make it: sets mode (CREATED,
 * REPLACED, or DIRECT for what exists), fd and old, and dir_fd and name where
 * a name may have to be removed.  Parents are made when they are missing.
 * Returns 0 or -1 with `st`.  Context: worker.
 */
int writer_open_target(struct file_writer *w, struct status *st);

/*
 * Make the missing parents of a path, 0755 and owned by uid:gid.  Returns 0 or
 * -1 with `st` (`error ensuring directories: …`).
 */
int writer_ensure_parents(const char *path, uid_t uid, gid_t gid,
                          struct status *st);

#endif
