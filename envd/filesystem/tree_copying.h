/*
 * Copying a tree with everything that belongs to it.  Shared by the files of
 * tree.h.
 */
#ifndef ENVD_FILESYSTEM_TREE_COPYING_H
#define ENVD_FILESYSTEM_TREE_COPYING_H

#include <stdatomic.h>

/*
 * Copy `name` in `from_fd` to `to_name`, which must not exist, in `to_fd`:
 * content with its holes, mode, owner, times, extended attributes, links, hard
 * links inside the tree, special files.  Links are not followed; mount points
 * are refused (-EBUSY), as they could not be removed behind the copy.
 *
 * After a failure a part of the copy may exist.  Returns 0, -ECANCELED or
 * -errno.
 */
int tree_copy_at(int from_fd, const char *name, int to_fd, const char *to_name,
                 const atomic_bool *cancel);

#endif
