/*
 * The environment of a command, layer by layer.
 */
#ifndef ENVD_API_PROCESS_ENV_H
#define ENVD_API_PROCESS_ENV_H

#include "process.pb-c.h"

struct arena;
struct guest_settings;
struct user;

/*
 * `NAME=value` strings with a NULL at the end, later layers winning: PATH of
 * the agent with HOME, USER and LOGNAME of the user; variables set for the
 * whole guest; those of the request.  Nothing else is inherited.  Entries of
 * the request with an empty name are dropped.
 *
 * Returns NULL when memory is exhausted; all of it lies in the arena.
 */
const char *const *process_env_build(const struct guest_settings *settings,
                                     const struct user *user,
                                     const Process__ProcessConfig *config,
                                     struct arena *arena);

#endif
