/*
 * Merging the layers of an environment: sort by name, keep the last.
 */
#include "api/process_env.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "guest/settings.h"
#include "security/user.h"

struct env_entry {
    const char *text; /* NAME=value */
    size_t name_len;
    size_t order;
};

struct env_list {
    struct env_entry *entries;
    size_t count;
    struct arena *arena;
    bool failed;
};

static void
env_add(struct env_list *l, const char *name, const char *value)
{
    size_t name_len = strlen(name);
    size_t value_len = strlen(value);
    char *text = arena_alloc(l->arena, name_len + value_len + 2);

    if (text == NULL) {
        l->failed = true;
        return;
    }
    memcpy(text, name, name_len);
    text[name_len] = '=';
    memcpy(text + name_len + 1, value, value_len + 1);
    /* A name that holds `=` sets the variable before it. */
    l->entries[l->count] = (struct env_entry){
        .text = text,
        .name_len = strcspn(text, "="),
        .order = l->count,
    };
    l->count++;
}

static bool
same_name(const struct env_entry *a, const struct env_entry *b)
{
    return a->name_len == b->name_len &&
           memcmp(a->text, b->text, a->name_len) == 0;
}

static int
compare_entries(const void *left, const void *right)
{
    const struct env_entry *a = left;
    const struct env_entry *b = right;
    size_t len = a->name_len < b->name_len ? a->name_len : b->name_len;
    int r = memcmp(a->text, b->text, len);

    if (r != 0)
        return r;
    if (a->name_len != b->name_len)
        return a->name_len < b->name_len ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

const char *const *
process_env_build(const struct guest_settings *settings,
                  const struct user *user, const Process__ProcessConfig *config,
                  struct arena *arena)
{
    const char *path = getenv("PATH");
    struct env_list l = {.arena = arena};
    size_t var_count;
    const struct guest_var *vars = guest_vars(settings, &var_count);
    size_t max = 4 + var_count + config->n_envs;
    const char **env = arena_alloc(arena, (max + 1) * sizeof(*env));
    size_t used = 0;

    l.entries = arena_alloc(arena, max * sizeof(*l.entries));
    if (env == NULL || l.entries == NULL)
        return NULL;
    env_add(&l, "PATH", path != NULL ? path : "");
    env_add(&l, "HOME", user->home);
    env_add(&l, "USER", user->name);
    env_add(&l, "LOGNAME", user->name);
    for (size_t i = 0; i < var_count; i++)
        env_add(&l, vars[i].name, vars[i].value);
    for (size_t i = 0; i < config->n_envs; i++)
        if (*config->envs[i]->key != '\0' && *config->envs[i]->key != '=')
            env_add(&l, config->envs[i]->key, config->envs[i]->value);
    if (l.failed)
        return NULL;
    qsort(l.entries, l.count, sizeof(*l.entries), compare_entries);
    for (size_t i = 0; i < l.count; i++)
        if (i + 1 == l.count || !same_name(&l.entries[i], &l.entries[i + 1]))
            env[used++] = l.entries[i].text;
    env[used] = NULL;
    return env;
}
