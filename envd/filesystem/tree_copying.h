/*
 * Copying a tree with everything that belongs to it.  Shared by the files of
 * tree.h.
 */
#ifndef ENVD_FILESYSTEM_TREE_COPYING_H
#define ENVD_FILESYSTEM_TREE_COPYING_H

#include <stdatomic.h>

#include "filesystem/place.h"
#include "filesystem/tree.h"

/*
 * Copy what is at one place to another, where nothing must be: content with its
 * holes, mode, owner, times, extended attributes, links, hard links inside the
 * tree, special files.  Links are not followed.
 *
 * owner  NULL: everything keeps its owner, and mount points are refused
 *        (-EBUSY), as they could not be removed behind the copy.  Else as in
 *        tree_copy()
 *
 * After a failure a part of the copy may exist.  Returns 0, -ECANCELED or
 * -errno.
 */
int tree_copy_at(const struct place *from, const struct place *to,
                 const struct tree_owner *owner, const atomic_bool *cancel);

#endif
