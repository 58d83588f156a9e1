/*
 * The profiles that a command can ask for by name.
 */
#ifndef ENVD_API_PROFILES_H
#define ENVD_API_PROFILES_H

#include "base/status.h"
#include "base/str.h"

struct profiles;
struct sock_fprog;

/* dir  where files NAME.json are looked for; borrowed.  Never NULL. */
struct profiles *profiles_new(const char *dir);
void profiles_free(struct profiles *p);

/*
 * Find a profile: `hardened`, which is built in, or a file of that directory.
 * A file is read again when it has changed, on the loop: it is small, local,
 * and seldom another one.
 *
 * ret  borrowed until the next call
 *
 * Returns 0, or -1 with `st` set: invalid_argument when there is no such
 * profile, failed_precondition when its file, or the directory, can be written
 * by others than root and ourselves, or says what we cannot do.
 * Context: loop.
 */
int profiles_find(struct profiles *p, struct str name,
                  const struct sock_fprog **ret, struct status *st);

#endif
