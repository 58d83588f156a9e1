/*
 * Paths of a request, on the way from their text to something that is open.
 *
 * The thread's caller (caller.h) decides what they may do.  With root's rights
 * that are lent, a path is walked a component at a time by descriptors, and a
 * link is followed only if nobody else can have put it there: it belongs to
 * root or to the caller, lies in a directory that only root or the caller can
 * write to, and not on a file system of a user's making (FUSE) or of links that
 * are more than their text (/proc).  Whoever comes along another link with
 * rights of his own goes on with no others (caller_stray()).
 *
 * Context: worker.
 */
#ifndef ENVD_FILESYSTEM_PLACE_H
#define ENVD_FILESYSTEM_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * As open(2), without O_CREAT and O_TRUNC.  A file of several names is not
 * opened with root's rights where others may have given it one of them.
 */
int place_open(const char *path, int flags);

/* As stat(2), or as lstat(2) unless it is `to_end`. */
int place_stat(const char *path, bool to_end, struct stat *ret);

/*
 * As realpath(3): a path without links, none of them another's unless the
 * caller has strayed.
 */
int place_real(const char *path, char ret[PATH_MAX]);

/*
 * The same two with lent rights alone, for what was just refused (errno) and is
 * only looked at: the caller does not stray.  -1 and errno unchanged when they
 * may not be lent; else place_real_lent() sets `ret` also on failure, to what
 * could not be looked up.
 */
int place_open_lent(const char *path, int flags);
int place_real_lent(const char *path, char ret[PATH_MAX]);

/* As readlinkat(2), and a NUL: for a link that is followed by its text. */
ssize_t place_readlink(int dir_fd, const char *name, char ret[PATH_MAX]);

/* A name in a directory, for calls that do not follow it. */
struct place {
    int dir_fd; /* owned */
    char *name; /* owned; with the slashes it had at its end */
};

/*
 * Where a path's last component is.  Zero-initialise `ret`, and end it with
 * place_done() also after a failure (-1 and errno).
 *
 * place_at() may leave all of it to the name (AT_FDCWD and the whole path) when
 * there is nobody whose links matter; place_parent() opens the directory.
 */
int place_at(const char *path, struct place *ret);
int place_parent(const char *path, struct place *ret);

void place_done(struct place *p);

#endif
