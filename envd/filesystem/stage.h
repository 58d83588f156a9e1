/*
 * An unnamed file beside the content that is to be replaced.
 */
#ifndef ENVD_FILESYSTEM_STAGE_H
#define ENVD_FILESYSTEM_STAGE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Make one on the file system of a directory, in its topmost directory where
 * that is possible: changes of an unnamed file are told to those who watch the
 * directory it was made in.
 *
 * Returns a descriptor or -errno.  Context: worker.
 */
int stage_open(int dir_fd);

/*
 * Make the first `len` bytes of `to_fd` those of the stage, sharing blocks
 * where the file system can.  When there is no room for a second copy, what is
 * copied is cut out of the stage.  What `to_fd` holds beyond stays.
 *
 * ret_moved  bytes of `to_fd` that are those of the stage: the content is mixed
 *            after a failure, unless it is 0
 *
 * Returns 0 or -errno.  Context: worker.
 */
int stage_move(int stage_fd, int to_fd, int64_t len, int64_t *ret_moved);

#endif
