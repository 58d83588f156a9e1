/*
 * Where symbolic links lead, by our own count of them.
 */
#ifndef ENVD_FILESYSTEM_LINK_H
#define ENVD_FILESYSTEM_LINK_H

#include <limits.h>

/* Links followed for one path; one more is -ELOOP. */
#define LINK_FOLLOWED_MAX 255

/*
 * Follow every link of a path, the last component included.
 *
 * from  absolute directory without links in which a relative `path` starts
 * path  not empty
 * ret   the path without links, `.` and `..`; on failure the prefix that could
 *       not be looked up
 *
 * Returns 0, -ELOOP for more than LINK_FOLLOWED_MAX links, -ENOTDIR when a
 * component that is followed by another is no directory, or -errno of lstat(2).
 * Context: worker.
 */
int link_resolve(const char *from, const char *path, char ret[PATH_MAX]);

#endif
