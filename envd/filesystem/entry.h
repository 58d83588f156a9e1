/*
 * What is known of one file: lstat, owner, target, metadata.
 */
#ifndef ENVD_FILESYSTEM_ENTRY_H
#define ENVD_FILESYSTEM_ENTRY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/status.h"
#include "filesystem/metadata.h"

struct arena;

enum entry_type {
    ENTRY_OTHER,
    ENTRY_FILE,
    ENTRY_DIRECTORY,
};

/* Kind and special bits (at most five letters), nine bits, NUL. */
#define ENTRY_PERMISSIONS_BYTES 16

/* One entry; its strings lie where the function that fills it says. */
struct entry {
    const char *name;
    const char *path;
    enum entry_type type; /* of the final target of a symbolic link */
    int64_t size;         /* bytes, of the link itself */
    uint32_t mode;        /* 0777 bits, of the final target of a link */
    char permissions[ENTRY_PERMISSIONS_BYTES]; /* of the link itself */
    const char *owner;
    const char *group;
    struct timespec mtime;
    const char *symlink_target; /* NULL when it is none */
    struct metadata *metadata;  /* sorted by key */
    size_t metadata_count;
};

/*
 * How ids become names, so that this folder need not know where they stand.
 * The functions return NULL for an unknown id.  Context: worker.
 */
struct entry_names {
    const void *ctx;
    const char *(*of_uid)(const void *ctx, uid_t uid);
    const char *(*of_gid)(const void *ctx, gid_t gid);
};

/* A directory whose files are looked at. */
struct entry_dir {
    int fd;           /* O_PATH will do */
    const char *real; /* its absolute path, without links */
};

/*
 * Fill `ret` for a path.
 *
 * path   given out again as ret->path: borrowed as long as `ret` is used, and
 *        so are the names that `names` gives
 * arena  for all other strings
 *
 * Returns 0, or -1 with `st`: not_found `file not found: lstat PATH: …`,
 * internal `error getting file info: lstat PATH: …`.  What is not UTF-8 is
 * given with replacement characters.  Context: worker.
 */
int entry_get(const char *path, const struct entry_names *names,
              struct arena *arena, struct entry *ret, struct status *st);

/*
 * As entry_get() for `name` in a directory, given out as `path` (whose last
 * component it is).  Returns 0 or -errno.
 */
int entry_get_at(const struct entry_dir *dir, const char *name,
                 const char *path, const struct entry_names *names,
                 struct arena *arena, struct entry *ret);

#endif
