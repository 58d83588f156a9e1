/*
 * What must be remembered of a spawn_spec after the spawn.
 */
#ifndef ENVD_PROCESS_SPAWN_COPY_H
#define ENVD_PROCESS_SPAWN_COPY_H

#include "process/spawn.h"

/*
 * A copy that is good for spawn_read_status() only, that is, for the words of
 * a failure: without variables and groups, and with no more arguments than
 * those words can hold.  One allocation: free(3) it.
 *
 * Returns NULL when memory is exhausted.
 */
struct spawn_spec *spawn_spec_copy(const struct spawn_spec *spec);

#endif
