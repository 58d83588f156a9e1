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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "base/str.h"
#include "filesystem/entry.h"

/* A part of a listing, which is the same whatever was asked for before. */
struct tree_page {
    struct str after; /* relative path of the last entry of the page before;
                         absent for the first page */
    uint32_t max;     /* entries */
    char *last; /* out: that of this page's last entry, when there are more;
                   owned by the caller */
};

/* Who is given each entry of a walk; embed it. */
struct tree_visitor {
    struct tree_page *page; /* NULL: everything */
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

/* Whom a copy belongs to. */
struct tree_owner {
    bool keep; /* to whom the original does; then the others do not count */
    uid_t uid;
    gid_t gid;
};

/*
 * Copy a file, a link (not what it leads to) or a tree, with modes, times,
 * extended attributes and hard links, under a private name that is then renamed
 * into place: the destination is complete or as it was.  Parents are made, and
 * removed again after a failure.  A file at the destination is replaced, a
 * directory is refused.
 *
 * owner  uid and gid are also those of the parents made
 *
 * Failures: not_found for the source, invalid_argument, resource_exhausted,
 * canceled, internal.
 */
int tree_copy(const char *source, const char *destination,
              const struct tree_owner *owner, const atomic_bool *cancel,
              struct status *st);

/* What is to be changed of files; an id of -1 stays as it is. */
struct tree_change {
    bool has_mode;
    bool has_directory_mode;
    bool recursive; /* links below the path are given, not followed */
    mode_t mode;
    mode_t directory_mode; /* of directories, instead of `mode` */
    uid_t uid;
    gid_t gid;
};

/*
 * Change owner, then mode; a link at `path` is followed.  Goes on past what
 * cannot be changed and reports the first failure.
 */
int tree_change(const char *path, const struct tree_change *change,
                const atomic_bool *cancel, struct status *st);

/*
 * Remove recursively; a missing path is success.  Goes on past what cannot be
 * removed and reports the first failure.  Refuses the root, by whatever path.
 */
int tree_remove(const char *path, const atomic_bool *cancel, struct status *st);

#endif
