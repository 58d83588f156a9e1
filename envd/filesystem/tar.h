/*
 * The tar format, block by block: ustar with pax extensions, as written here;
 * also what GNU tar writes, as read.
 *
 * Rule: POSIX pax, "ustar Interchange Format" and "pax Header Block"; GNU tar
 * manual, "Basic Tar Format".  Context: any; nothing here does I/O.
 */
#ifndef ENVD_FILESYSTEM_TAR_H
#define ENVD_FILESYSTEM_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"

#define TAR_BLOCK_BYTES 512

/* Type flags; others occur. */
#define TAR_FILE         '0'
#define TAR_HARD_LINK    '1'
#define TAR_SYMLINK      '2'
#define TAR_DIRECTORY    '5'
#define TAR_PAX          'x'
#define TAR_PAX_GLOBAL   'g'
#define TAR_GNU_NAME     'L'
#define TAR_GNU_LINK     'K'
#define TAR_VOLUME_LABEL 'V'

/* One member of an archive. */
struct tar_member {
    char type;
    const char *name;
    const char *link; /* target of a link, else "" */
    int64_t size;     /* bytes of content */
    uint32_t mode;    /* 07777 bits */
    uint64_t uid;
    uint64_t gid;
    const char *user; /* name of the uid, or NULL; only written */
    const char *group;
    struct timespec mtime;
};

/* Bytes that fill the last block of `size` bytes. */
static inline size_t
tar_padding(int64_t size)
{
    return (size_t)(-(uint64_t)size % TAR_BLOCK_BYTES);
}

/* Append the header of a member, behind a pax header where one is needed. */
void tar_header_append(struct buf *out, const struct tar_member *m);

/* What one header block says. */
struct tar_header {
    char type;
    char name[257]; /* prefix and name */
    char link[101];
    int64_t size;
    uint32_t mode;
    uint64_t uid;
    uint64_t gid;
    int64_t mtime; /* seconds */
};

enum tar_block {
    TAR_BLOCK_HEADER,
    TAR_BLOCK_ZERO, /* the end of an archive */
    TAR_BLOCK_BAD,  /* no header, a wrong checksum, a number out of range */
};

enum tar_block tar_header_read(const uint8_t block[TAR_BLOCK_BYTES],
                               struct tar_header *ret);

/* What pax records say; strings are absent, numbers unset, unless they do. */
struct tar_pax {
    struct str path; /* into the records */
    struct str link;
    bool has_size;
    bool has_uid;
    bool has_gid;
    bool has_mtime;
    int64_t size;
    uint64_t uid;
    uint64_t gid;
    struct timespec mtime;
};

/*
 * Read the records of a pax header over what `pax` already says.  Unknown keys
 * are skipped.
 *
 * Returns NULL, or what is wrong with them; static.
 */
const char *tar_pax_read(struct str records, struct tar_pax *pax);

/* Append one record. */
void tar_pax_append(struct buf *out, const char *key, const char *value);

#endif
