/*
 * Variables and defaults, as the host set them last.
 */
#include "guest/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"

struct guest_settings {
    char *default_user;     /* NULL: root */
    char *default_workdir;  /* NULL: none */
    struct guest_var *vars; /* by name */
    size_t var_count;
    int64_t newest_ns; /* time stamp */
};

struct guest_settings *
guest_settings_new(void)
{
    return xcalloc(1, sizeof(struct guest_settings));
}

static void
vars_free(struct guest_var *vars, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(vars[i].name);
        free(vars[i].value);
    }
    free(vars);
}

void
guest_settings_free(struct guest_settings *s)
{
    if (s == NULL)
        return;
    free(s->default_user);
    free(s->default_workdir);
    vars_free(s->vars, s->var_count);
    free(s);
}

/* Put a copy of `text` in place of *ret.  Returns 0 or -ENOMEM. */
static int
replace_text(char **ret, const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return -ENOMEM;
    free(*ret);
    *ret = copy;
    return 0;
}

const char *
guest_default_user(const struct guest_settings *s)
{
    return s->default_user != NULL ? s->default_user : "root";
}

int
guest_set_default_user(struct guest_settings *s, const char *name)
{
    return replace_text(&s->default_user, name);
}

const char *
guest_default_workdir(const struct guest_settings *s)
{
    return s->default_workdir;
}

int
guest_set_default_workdir(struct guest_settings *s, const char *path)
{
    return replace_text(&s->default_workdir, path);
}

const struct guest_var *
guest_vars(const struct guest_settings *s, size_t *ret_count)
{
    *ret_count = s->var_count;
    return s->vars;
}

/* The place of a name in a sorted list; whether it is there. */
static bool
vars_find(const struct guest_var *vars, size_t count, const char *name,
          size_t *ret_place)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(vars[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_place = low;
    return low < count && strcmp(vars[low].name, name) == 0;
}

void
guest_set_internal_var(struct guest_settings *s, const char *name,
                       const char *value)
{
    char *copy = xstrdup(value);
    struct guest_var *v;
    size_t place;

    if (!vars_find(s->vars, s->var_count, name, &place)) {
        v = reallocarray(s->vars, s->var_count + 1, sizeof(*v));
        if (v == NULL)
            abort();
        s->vars = v;
        memmove(v + place + 1, v + place, (s->var_count - place) * sizeof(*v));
        v[place] = (struct guest_var){.name = xstrdup(name)};
        s->var_count++;
    }
    v = &s->vars[place];
    free(v->value);
    v->value = copy;
    v->internal = true;
}

/* A variable on its way into the list. */
struct new_var {
    const char *name;
    const char *value;
    size_t order; /* of several with one name the greatest counts */
    bool internal;
};

static int
compare_new_vars(const void *left, const void *right)
{
    const struct new_var *a = left;
    const struct new_var *b = right;
    int r = strcmp(a->name, b->name);

    if (r != 0)
        return r;
    return a->order < b->order ? -1 : a->order > b->order;
}

/*
 * All that go into the list: the user's, then the agent's own, which thereby
 * win over a user's of the same name.  NULL when memory is exhausted.
 */
static struct new_var *
collect_vars(const struct guest_settings *s, const char *const *names,
             const char *const *values, size_t count, size_t *ret_count)
{
    size_t max;
    size_t used = 0;
    struct new_var *all;

    if (ckd_add(&max, count, s->var_count))
        return NULL;
    all = reallocarray(NULL, max + 1, sizeof(*all));
    if (all == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        all[used] = (struct new_var){names[i], values[i], used, false};
        used++;
    }
    for (size_t i = 0; i < s->var_count; i++) {
        const struct guest_var *v = &s->vars[i];

        if (!v->internal)
            continue;
        all[used] = (struct new_var){v->name, v->value, used, true};
        used++;
    }
    qsort(all, used, sizeof(*all), compare_new_vars);
    *ret_count = used;
    return all;
}

int
guest_replace_vars(struct guest_settings *s, const char *const *names,
                   const char *const *values, size_t count)
{
    size_t all_count;
    SCOPE(scope_free)
    struct new_var *all = collect_vars(s, names, values, count, &all_count);
    struct guest_var *vars;
    size_t used = 0;

    if (all == NULL)
        return -ENOMEM;
    vars = reallocarray(NULL, all_count + 1, sizeof(*vars));
    if (vars == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < all_count; i++) {
        if (i + 1 < all_count && strcmp(all[i].name, all[i + 1].name) == 0)
            continue;
        vars[used] = (struct guest_var){
            .name = strdup(all[i].name),
            .value = strdup(all[i].value),
            .internal = all[i].internal,
        };
        used++;
        if (vars[used - 1].name == NULL || vars[used - 1].value == NULL) {
            vars_free(vars, used);
            return -ENOMEM;
        }
    }
    vars_free(s->vars, s->var_count);
    s->vars = vars;
    s->var_count = used;
    return 0;
}

bool
guest_accept_timestamp(struct guest_settings *s, int64_t ns)
{
    if (ns < s->newest_ns)
        return false;
    s->newest_ns = ns;
    return true;
}
