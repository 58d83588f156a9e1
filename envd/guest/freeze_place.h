/*
 * Which cgroups a freeze leaves alone: where the agent itself lives, and what a
 * resume needs before the thaw.  Pure functions over paths relative to the
 * root.  Context: any.
 */
#ifndef ENVD_GUEST_FREEZE_PLACE_H
#define ENVD_GUEST_FREEZE_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct cgroup_tree;

/* Those of commands: frozen in each mode, and first. */
#define FREEZE_STATICS 2
extern const char *const freeze_statics[FREEZE_STATICS];

bool freeze_is_static(const char *path);

/*
 * The agent's own cgroup out of /proc/self/cgroup.
 *
 * prefix  the root's path, as the kernel counts it ("/" for a mount's root)
 * ret     relative to the root; "" for the root itself, and for one that is
 *         not below it.  The caller frees it
 *
 * Returns 0; -ENOENT when there is no line of cgroup v2, -ENOMEM.
 */
int freeze_self_parse(struct str text, const char *prefix, char **ret);

/* As freeze_self_parse() for a tree; also -errno of reading the file. */
int freeze_self_read(const struct cgroup_tree *t, char **ret);

/*
 * The path of a cgroup as the kernel counts it, from a descriptor: "/" when it
 * cannot be told.  The caller frees it.
 */
char *freeze_root_prefix(int root_fd);

/* Whether the agent lives in it or below it. */
bool freeze_on_chain(const char *self, const char *path);

/* Whether it is on the chain, or something allowed is below it. */
bool freeze_is_descended(const char *self, const char *path);

/* Whether it, or one above it, goes on while all else is frozen. */
bool freeze_is_allowed(const char *path);

/*
 * The i-th of all that freeze_is_descended(), beginning with the root; NULL
 * behind the last.  The caller frees it.
 */
char *freeze_descended(const char *self, size_t i);

#endif
