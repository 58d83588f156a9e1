/*
 * Recursive removal below an open directory.  Shared by the files of tree.h.
 */
#ifndef ENVD_FILESYSTEM_TREE_REMOVAL_H
#define ENVD_FILESYSTEM_TREE_REMOVAL_H

#include <stdatomic.h>

/*
 * Remove `name` in `dir_fd` and, when it is a directory, all below it; links
 * are removed, not followed.  Goes on past what cannot be removed.
 *
 * shown     path of the same, ending in `name`; for *ret_path
 * cancel    polled; NULL for a removal that must come to its end
 * ret_path  after a failure the path it happened at (the caller frees it); it
 *           is NULL for one that concerns no path
 *
 * Returns 0 (also when there is nothing), -ECANCELED, or the first -errno.
 */
int tree_remove_at(int dir_fd, const char *name, const char *shown,
                   const atomic_bool *cancel, char **ret_path);

#endif
