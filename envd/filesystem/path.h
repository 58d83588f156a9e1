/*
 * What a path in a request means: `~`, relative paths, the default directory.
 */
#ifndef ENVD_FILESYSTEM_PATH_H
#define ENVD_FILESYSTEM_PATH_H

#include <stdbool.h>

#include "base/status.h"
#include "base/str.h"

/*
 * Resolve a path of a request by text alone; the disk is not looked at.
 *
 * path     as sent; empty means `workdir`, else `home`
 * user     name, for the message
 * home     of that user
 * workdir  default directory, may be NULL or ""; `~` is expanded in it too
 * ret      on success the path; absolute input is kept as it is, other input
 *          joined to `home` and cleaned.  The caller frees it
 *
 * Returns 0, or -1 with `st` invalid_argument (`failed to expand path '' for
 * user 'USER': cannot expand user-specific home dir`; a NUL byte in `path`) or
 * resource_exhausted when memory is.  Context: any.
 */
int path_resolve(struct str path, const char *user, const char *home,
                 const char *workdir, char **ret, struct status *st);

/*
 * Whether a path of a request names the place it would be resolved against:
 * nothing, or nothing but dots and slashes that stay there.  Removing or
 * moving that is never what was meant.
 */
bool path_is_implicit(struct str path);

/* Whether a path is the root once cleaned. */
bool path_is_root(const char *path);

/*
 * The shortest equal path by text: no `.`, no `//`, `..` applied; "." for
 * nothing.  NULL when memory is exhausted.  The caller frees it.  Context: any.
 */
char *path_clean(const char *path);

/* `dir`/`name`, cleaned; as path_clean(). */
char *path_join(const char *dir, const char *name);

/* All but the last component, cleaned; as path_clean(). */
char *path_dir(const char *path);

/*
 * The directory part as it is written, `.` for none: what the kernel looks the
 * last component up in.  As path_clean(), but not cleaned.
 */
char *path_parent(const char *path);

/*
 * The last component, trailing slashes ignored; `/` for the root.  NULL when
 * memory is exhausted.  The caller frees it.
 */
char *path_base(const char *path);

#endif
