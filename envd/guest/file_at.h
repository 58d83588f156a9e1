/*
 * Small files in a directory that is held open: read whole, and replaced so
 * that at every moment one of both contents is there, whole.
 */
#ifndef ENVD_GUEST_FILE_AT_H
#define ENVD_GUEST_FILE_AT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/*
 * Read a regular file; links are not followed.
 *
 * max       bytes; a longer one is -EFBIG
 * ret       on success the content and a NUL behind it; the caller frees it
 * ret_info  what it was when it was read; for file_at_replace()
 *
 * Returns 0 or -errno (-EINVAL for what is no regular file).  Context: worker.
 */
int file_at_read(int dir_fd, const char *name, size_t max, char **ret,
                 size_t *ret_len, struct stat *ret_info);

/*
 * Put a new file in the place of `name`, by a temporary one and a rename; a
 * link there is replaced, never followed.
 *
 * seen  as file_at_read() gave it: its mode and owner are kept, and when the
 *       file has changed since then nothing is done, -ESTALE; NULL: whatever is
 *       there, 0644 and ours
 * sync  let it reach the disk before it takes the name
 *
 * Returns 0 or -errno; nothing is left behind then.  Context: worker.
 */
int file_at_replace(int dir_fd, const char *name, const struct stat *seen,
                    const void *data, size_t len, bool sync);

/* Write over an existing file, in place.  Returns 0 or -errno. */
int file_at_overwrite(int dir_fd, const char *name, const void *data,
                      size_t len);

/* Write all of it.  Returns 0 or -errno. */
int file_write_all(int fd, const void *data, size_t len);

#endif
