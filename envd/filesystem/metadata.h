/*
 * What clients keep beside a file: its `user.e2b.` attributes.
 */
#ifndef ENVD_FILESYSTEM_METADATA_H
#define ENVD_FILESYSTEM_METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct arena;

/* Before the key, in the name of the extended attribute. */
#define METADATA_PREFIX "user.e2b."

/* Bytes of the longest key (the kernel's 255 less the prefix), and of all
 * entries of a file with their prefixes. */
#define METADATA_KEY_MAX   246
#define METADATA_TOTAL_MAX 4096

struct metadata {
    char *key;   /* without METADATA_PREFIX */
    char *value; /* ends with a NUL behind `len` */
    size_t len;  /* bytes */
};

/*
 * Read all of a file's metadata, through symbolic links.
 *
 * ret  on return the entries, sorted by key, in the arena; those whose key or
 *      value is not UTF-8 are left out (so are values with a NUL byte, which
 *      the messages cannot carry)
 *
 * Returns their number; 0 also after any failure.  Context: worker.
 */
size_t metadata_read(const char *path, struct arena *arena,
                     struct metadata **ret);

/* The same of an open file, with what metadata_read() leaves out. */
size_t metadata_read_all(int fd, struct arena *arena, struct metadata **ret);

/* Whether an open file has no other attributes than metadata. */
bool metadata_is_all(int fd);

/*
 * Whether a client may set these, which have different keys.  Returns 0, or -1
 * with `st` invalid_argument (`metadata key "K" exceeds 246 bytes`, …).
 * Context: any.
 */
int metadata_check(const struct metadata *entries, size_t count,
                   struct status *st);

/*
 * Make the metadata of an open file these entries and no others; what other
 * attributes it has stays.  Returns 0; -ENOTSUP where the file system has
 * none, or -errno: some are then replaced.  Context: worker.
 */
int metadata_replace(int fd, const struct metadata *entries, size_t count);

#endif
