/*
 * Copying one file's bytes and attributes between file systems.
 */
#ifndef ENVD_FILESYSTEM_COPY_FILE_H
#define ENVD_FILESYSTEM_COPY_FILE_H

#include <stdatomic.h>
#include <sys/types.h>

struct statx;

/*
 * Copy the content of one regular file into another, empty one; holes stay
 * holes.  Returns 0, -ECANCELED or -errno.  Context: worker.
 */
int copy_file_content(int from_fd, int to_fd, const atomic_bool *cancel);

/*
 * The same behind the first `at` bytes of a file that ends there, sharing
 * blocks where the file system can, and to the end of what may have no size
 * or grow.
 *
 * ret_end  on success where the copy ends
 */
int copy_file_append(int from_fd, int to_fd, off_t at,
                     const atomic_bool *cancel, off_t *ret_end);

/*
 * Give `to_fd` the owner, extended attributes, mode and times of `from_fd`,
 * whose statx is given.  What the file system refuses to take is left out, and
 * the set-id bits with the owner.  Returns 0 or -errno.  Context: worker.
 */
int copy_file_attributes(int from_fd, const struct statx *info, int to_fd);

/*
 * The same, but for extended attributes, for a file that cannot be opened: a
 * link, fifo, socket or device.
 */
int copy_special_attributes(const struct statx *info, int dir_fd,
                            const char *name);

#endif
