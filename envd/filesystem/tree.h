/*
 * Look at, make, move and remove files and directories.
 *
 * Plain blocking functions: api/ runs them as jobs.  Context: worker.
 * Texts and codes of every failure are those of the contract's chapter on the
 * filesystem service.  `cancel` is polled throughout; what it interrupts ends
 * with canceled.
 */
#ifndef ENVD_FILESYSTEM_TREE_H
#define ENVD_FILESYSTEM_TREE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "filesystem/entry.h"

/* Who is given each entry of a walk; embed it. */
struct tree_visitor {
    /*
     * e  borrowed for the call, with all its strings
     * Returns 0, or -1 with `st` to end the walk with that failure.
     */
    int (*on_entry)(struct tree_visitor *v, const struct entry *e,
                    struct status *st);
};

/*
 * Visit what is in a directory, `depth` levels deep (0 means 1): pre-order, the
 * children of each directory sorted by the bytes of their names, links below
 * the root not followed.  What vanishes meanwhile, and directories that cannot
 * be read, are skipped below the root.
 */
int tree_list(const char *path, uint32_t depth, const struct entry_names *names,
              struct tree_visitor *visitor, const atomic_bool *cancel,
              struct status *st);

/*
 * Make every missing directory of `path`, 0755, each new one owned by
 * uid:gid.  The failure's text has no prefix (`path is a file: P`,
 * `failed to create directory: mkdir P: …`) and the code is internal, or
 * resource_exhausted for ENOSPC and EDQUOT.
 */
int tree_ensure_dirs(const char *path, uid_t uid, gid_t gid, struct status *st);

/* MakeDir: refuses what exists, then as tree_ensure_dirs(). */
int tree_make_dir(const char *path, uid_t uid, gid_t gid, struct status *st);

/*
 * Move: checks the source first, makes missing parents of the destination,
 * renames; over file systems it copies and removes.  Parents made here are
 * removed again when the move fails.  Refuses the root.
 *
 * uid, gid  owner of the parents made
 */
int tree_move(const char *source, const char *destination, uid_t uid, gid_t gid,
              const atomic_bool *cancel, struct status *st);

/*
 * Remove recursively; a missing path is success.  Goes on past what cannot be
 * removed and reports the first failure.  Refuses the root, by whatever path.
 */
int tree_remove(const char *path, const atomic_bool *cancel, struct status *st);

#endif
