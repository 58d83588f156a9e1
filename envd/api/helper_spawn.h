/*
 * Helpers of guest/ made as commands are: by the one seam for children.
 */
#ifndef ENVD_API_HELPER_SPAWN_H
#define ENVD_API_HELPER_SPAWN_H

#include "guest/helper.h"

/* As root, in the agent's own cgroup, in a session of its own. */
extern const struct helper_spawner api_helper_spawner;

#endif
