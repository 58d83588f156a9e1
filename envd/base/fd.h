/*
 * Descriptors: one owner each, close-on-exec from birth, -1 when unset.
 */
#ifndef ENVD_BASE_FD_H
#define ENVD_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

/* Close *fd if it is set, and unset it; keeps errno.  For SCOPE(fd_close). */
void fd_close(int *fd);

/* Set or clear O_NONBLOCK.  Returns 0 or -errno. */
int fd_set_nonblock(int fd, int on);

/*
 * Read a whole small file, as those of /proc, /sys and /etc.
 *
 * path     opened read-only, close-on-exec
 * max      bytes; a longer file is -EFBIG
 * ret      on success the content and a NUL behind it; the caller frees it
 * ret_len  on success its length in bytes without that NUL; may be NULL
 *
 * Returns 0 or -errno.  Context: any for virtual files, worker for others.
 */
int fd_read_file(const char *path, size_t max, char **ret, size_t *ret_len);

/*
 * Write a small string to an existing file, in one write(2).
 * Returns 0 or -errno (-EIO for a short write).  Context: as fd_read_file().
 */
int fd_write_file(const char *path, const char *text);

#endif
