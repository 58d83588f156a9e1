/*
 * Making a child in a cgroup of its own.
 */
#ifndef ENVD_PROCESS_PLACED_H
#define ENVD_PROCESS_PLACED_H

#include "process/cgroup.h"
#include "process/spawn.h"

/*
 * As spawn(), into a leaf that is made for the child: unless `spec` names a
 * cgroup already, or the tag is `_system`.  Where no leaf is to be had the
 * child runs beside the agent.
 *
 * g         may be NULL: no leaves
 * tag       may be NULL
 * ret_leaf  on success; its fd is -1 when the child is in no cgroup of its
 *           own.  To be left with cgroup_leaf_leave()
 *
 * Context: loop.
 */
int spawn_placed(struct cgroups *g, const struct spawn_spec *spec,
                 const char *tag, struct cgroup_leaf *ret_leaf,
                 struct spawn_child *ret, struct status *st);

#endif
