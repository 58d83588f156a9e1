/*
 * Where file systems are mounted, out of the kernel's table.
 */
#ifndef ENVD_BASE_MOUNTS_H
#define ENVD_BASE_MOUNTS_H

#include <stdbool.h>

/*
 * The table, as text for mounts_find(); the caller frees it.  NULL when it
 * cannot be read.  Context: any.
 */
char *mounts_read(void);

/*
 * The mount point that a path lies below by its text, the longest one; links
 * are not looked at.  NULL for a path that begins with none, and when memory is
 * exhausted.  The caller frees it.  Context: any.
 */
char *mounts_find(const char *table, const char *path);

/* Whether a path is `dir` or lies below it, by its text. */
bool path_is_below(const char *path, const char *dir);

#endif
