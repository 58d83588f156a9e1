/*
 * Directories made on the way to a path, and their undoing.  Shared by the
 * files of tree.h.
 */
#ifndef ENVD_FILESYSTEM_TREE_MADE_H
#define ENVD_FILESYSTEM_TREE_MADE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"

/*
 * As tree_ensure_dirs().
 *
 * ret_first  on return, also after a failure, the length of the shortest
 *            prefix of `path` that was made here together with all below it; 0
 *            when none was
 */
int tree_make_missing(const char *path, uid_t uid, gid_t gid, size_t *ret_first,
                      struct status *st);

/*
 * Make a failure of tree_make_missing() or tree_ensure_dirs() the caller's
 * fault (invalid_argument) when it is: the path leads through a file, or can be
 * none.
 */
void tree_blame_path(struct status *st);

/* Remove what tree_make_missing() made, as far as it is empty. */
void tree_unmake(const char *path, size_t first);

#endif
