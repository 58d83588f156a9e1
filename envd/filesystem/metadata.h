/*
 * What clients keep beside a file: its `user.e2b.` attributes.
 */
#ifndef ENVD_FILESYSTEM_METADATA_H
#define ENVD_FILESYSTEM_METADATA_H

#include <stddef.h>

struct arena;

/* Before the key, in the name of the extended attribute. */
#define METADATA_PREFIX "user.e2b."

struct metadata {
    char *key; /* without METADATA_PREFIX */
    char *value;
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

#endif
