/*
 * What the host sets and every command and path falls back to: variables,
 * default user, default working directory.
 */
#ifndef ENVD_GUEST_SETTINGS_H
#define ENVD_GUEST_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct guest_settings;

struct guest_settings *guest_settings_new(void);
void guest_settings_free(struct guest_settings *s);

/*
 * Never NULL; `root` until set.  Valid until set again.  The setters return 0,
 * or -ENOMEM and change nothing.
 */
const char *guest_default_user(const struct guest_settings *s);
int guest_set_default_user(struct guest_settings *s, const char *name);

/* NULL until set. */
const char *guest_default_workdir(const struct guest_settings *s);
int guest_set_default_workdir(struct guest_settings *s, const char *path);

/* One variable. */
struct guest_var {
    char *name;
    char *value;
    bool internal; /* the agent's own: users cannot set or remove it */
};

/* All variables, sorted by the bytes of their names; valid until changed. */
const struct guest_var *guest_vars(const struct guest_settings *s,
                                   size_t *ret_count);

/* Set a variable of the agent's own; takes over a user's of that name. */
void guest_set_internal_var(struct guest_settings *s, const char *name,
                            const char *value);

/*
 * Replace all of the user's variables.  Names of internal ones are ignored;
 * of a repeated name the last counts.  Returns 0, or -ENOMEM and changes
 * nothing.
 */
int guest_replace_vars(struct guest_settings *s, const char *const *names,
                       const char *const *values, size_t count);

/*
 * Note a request's time stamp (ns since the epoch).  Returns whether it is at
 * least as new as the newest before, which is 0 at first.
 */
bool guest_accept_timestamp(struct guest_settings *s, int64_t ns);

#endif
