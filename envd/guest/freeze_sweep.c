/*
 * Freezing: the cgroups of commands first, then whatever else there is beside
 * what must go on.
 *
 * What the guest has frozen itself (a paused container) is recorded before the
 * first write of a frozen window, and never written to: the thaw tells by the
 * record who froze what.  While a freeze of ours stands nothing is recorded,
 * as ours and theirs look alike.
 */
#include "guest/freeze_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/freeze_place.h"
#include "limits.h"
#include "loop/loop.h"

#define SAMPLE_MAX 8

/* ---- sets ---------------------------------------------------------------- */

static size_t
path_set_find(const struct path_set *s, const char *path, bool *ret_there)
{
    size_t low = 0;
    size_t high = s->count;

    *ret_there = false;
    while (low < high && !*ret_there) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->paths[middle], path);

        if (order < 0)
            low = middle + 1;
        else
            high = middle;
        if (order == 0) {
            low = middle;
            *ret_there = true;
        }
    }
    return low;
}

bool
path_set_has(const struct path_set *s, const char *path)
{
    bool there;

    (void)path_set_find(s, path, &there);
    return there;
}

bool
path_set_add(struct path_set *s, const char *path)
{
    bool there;
    size_t at = path_set_find(s, path, &there);
    char *copy;

    if (there)
        return false;
    if (s->count == s->room) {
        size_t room = MAX(s->room * 2, (size_t)16);
        char **paths = reallocarray(s->paths, room, sizeof(*paths));

        if (paths == NULL)
            return false;
        s->paths = paths;
        s->room = room;
    }
    copy = strdup(path);
    if (copy == NULL)
        return false;
    memmove(s->paths + at + 1, s->paths + at,
            (s->count - at) * sizeof(*s->paths));
    s->paths[at] = copy;
    s->count++;
    return true;
}

void
path_set_clear(struct path_set *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->paths[i]);
    free(s->paths);
    *s = (struct path_set){0};
}

void
freeze_sample_add(struct freeze_sample *s, const char *path)
{
    size_t used = strlen(s->text);
    const char *comma = used > 0 ? ", " : "";
    size_t len = strlen(comma) + strlen(path);

    if (s->count >= SAMPLE_MAX || used + len >= sizeof(s->text))
        return;
    (void)stpcpy(stpcpy(s->text + used, comma), path);
    s->count++;
}

void
freeze_run_done(struct freeze_run *run)
{
    path_set_clear(&run->written);
}

int64_t
freeze_wait_clamped(int64_t max_wait_ms)
{
    int64_t wait_ms = MIN(max_wait_ms, (int64_t)LIMIT_FREEZE_WAIT_MS);

    return MAX(wait_ms, (int64_t)0);
}

uint32_t
freeze_cgroups_clamped(int64_t max_cgroups)
{
    if (max_cgroups <= 0)
        return LIMIT_FREEZE_CGROUPS;
    return (uint32_t)MIN(max_cgroups, (int64_t)LIMIT_FREEZE_TREE);
}

/* ---- before the sweep ---------------------------------------------------- */

/* Look for a freeze of ours.  Returns 0, or -errno of what cannot be read. */
static int
look_for_ours(const struct freeze_state *s, bool *ret)
{
    int error = 0;

    *ret = s->wrote;
    if (s->tree.root_fd < 0)
        return 0;
    for (size_t i = 0; i < FREEZE_STATICS && !*ret; i++) {
        int r = s->tree.ops->read_request(&s->tree, freeze_statics[i], ret);

        error = error != 0 ? error : r;
    }
    return error;
}

bool
freeze_stands(const struct freeze_state *s)
{
    bool stands;

    (void)look_for_ours(s, &stands);
    return stands;
}

bool
freeze_is_nowhere(const struct freeze_state *s)
{
    bool stands;

    return look_for_ours(s, &stands) == 0 && !stands;
}

struct scan {
    struct freeze_state *s;
    const char *self;
};

static void
scan_visit(void *ctx, const char *path)
{
    struct scan *scan = ctx;
    struct freeze_state *s = scan->s;
    bool frozen = false;
    int r;

    if (freeze_is_static(path) || freeze_is_descended(scan->self, path) ||
        freeze_is_allowed(path))
        return;
    r = s->tree.ops->read_request(&s->tree, path, &frozen);
    if (r < 0 && !cgroup_has_vanished(-r))
        s->scan_failed++;
    else if (r == 0 && frozen)
        (void)path_set_add(&s->record, path);
}

/* What cannot be judged is nobody's: it is thawed with all else. */
static void
scan_guest(struct freeze_state *s, const char *self)
{
    struct scan scan = {s, self};
    struct cgroup_walk walk = {.max = s->tree_max};

    path_set_clear(&s->record);
    s->scan_failed = 0;
    cgroup_tree_walk(&s->tree, &walk, scan_visit, &scan);
    s->scan_failed += walk.failed;
}

/* ---- the sweep ----------------------------------------------------------- */

struct sweep {
    struct freeze_state *s;
    struct freeze_run *run;
    const char *self;
    uint32_t max; /* cgroups looked at */
    bool fresh;   /* the guest's were recorded for this sweep */
};

static void
refuse(struct freeze_run *run, const char *path, int r)
{
    run->result.failed++;
    run->error = run->error != 0 ? run->error : r;
    freeze_sample_add(&run->refused, *path != '\0' ? path : "/");
}

static void
sweep_write(struct sweep *w, const char *path)
{
    const struct cgroup_tree *t = &w->s->tree;
    int r = t->ops->write_request(t, path, true);

    if (r < 0) {
        refuse(w->run, path, r);
        return;
    }
    w->s->wrote = true;
    w->run->result.requested++;
    (void)path_set_add(&w->run->written, path);
}

/* Frozen since the guest's were recorded: by the guest, too. */
static bool
sweep_adopts(struct sweep *w, const char *path)
{
    const struct cgroup_tree *t = &w->s->tree;
    bool frozen = false;

    if (!w->fresh || t->ops->read_request(t, path, &frozen) < 0 || !frozen)
        return false;
    (void)path_set_add(&w->s->record, path);
    return true;
}

static void
sweep_child(struct sweep *w, const char *path)
{
    w->run->result.visited++;
    if (freeze_is_descended(w->self, path) || freeze_is_static(path))
        return;
    if (freeze_is_allowed(path))
        w->run->result.allowlisted++;
    else if (!path_set_has(&w->s->record, path) && !sweep_adopts(w, path))
        sweep_write(w, path);
}

/* Returns false at the bound. */
static bool
sweep_children(struct sweep *w, const char *parent)
{
    struct freeze_result *result = &w->run->result;
    const struct cgroup_tree *t = &w->s->tree;
    struct cgroup_names names = {0};
    int r = t->ops->list(t, parent, &names);
    bool more = true;

    if (r < 0 && !cgroup_has_vanished(-r))
        refuse(w->run, parent, r);
    for (size_t i = 0; i < names.count && more; i++) {
        SCOPE(scope_free)
        char *path = cgroup_path_join(parent, names.names[i]);

        more = result->visited < w->max && path != NULL;
        if (more)
            sweep_child(w, path);
    }
    result->truncated = !more || names.cut;
    cgroup_names_done(&names);
    return !result->truncated;
}

static void
sweep_hierarchy(struct sweep *w)
{
    bool more = true;

    for (size_t i = 0; more; i++) {
        SCOPE(scope_free) char *parent = freeze_descended(w->self, i);

        if (parent == NULL)
            return;
        more = sweep_children(w, parent);
    }
}

static void
sweep_none(struct freeze_run *run)
{
    run->result.requested = FREEZE_STATICS;
    run->result.unobservable = FREEZE_STATICS;
}

void
freeze_sweep(struct freeze_state *s, struct freeze_run *run)
{
    SCOPE(scope_free) char *self = NULL;
    int64_t began = loop_now_ms();
    struct sweep w = {s, run, "",
                      freeze_cgroups_clamped(run->params.max_cgroups), false};
    int r;

    run->result.mode = run->params.mode;
    if (s->tree.root_fd < 0) {
        run->result.mode = FREEZE_LEGACY;
        sweep_none(run);
        return;
    }
    r = freeze_self_read(&s->tree, &self);
    if (r == 0)
        w.self = self;
    if (r < 0 && run->params.mode == FREEZE_HIERARCHY) {
        run->self_error = r;
        run->result.mode = FREEZE_LEGACY;
    }
    w.fresh = !freeze_stands(s);
    if (w.fresh)
        scan_guest(s, w.self);
    s->hierarchy = run->result.mode == FREEZE_HIERARCHY;
    /* An agent that was started as a command of another one goes on. */
    for (size_t i = 0; i < FREEZE_STATICS; i++)
        if (!freeze_on_chain(w.self, freeze_statics[i]))
            sweep_write(&w, freeze_statics[i]);
    if (s->hierarchy)
        sweep_hierarchy(&w);
    run->result.pre_frozen = (uint32_t)s->record.count;
    run->result.sweep_ms = loop_now_ms() - began;
}
