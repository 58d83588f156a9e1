/*
 * Thawing: all that a freeze of ours may have frozen, wherever it is by now,
 * and nothing that the guest has.
 */
#include "guest/freeze_work.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/freeze_place.h"
#include "loop/loop.h"

struct thaw {
    struct freeze_state *s;
    struct thaw_run *run;
    const char *self;
};

static void
fail(struct thaw_run *run, const char *path, int r)
{
    run->result.failed++;
    run->result.error = run->result.error != 0 ? run->result.error : r;
    freeze_sample_add(&run->refused, path);
}

static void
thaw_visit(void *ctx, const char *path)
{
    struct thaw *thaw = ctx;
    const struct cgroup_tree *t = &thaw->s->tree;
    bool frozen = false;
    int r;

    if (freeze_on_chain(thaw->self, path) || freeze_is_static(path))
        return;
    r = t->ops->read_request(t, path, &frozen);
    if (r == 0 && frozen && path_set_has(&thaw->s->record, path)) {
        thaw->run->result.preserved++;
        return;
    }
    if (r == 0 && frozen) {
        r = t->ops->write_request(t, path, false);
        if (r == 0)
            thaw->run->result.thawed++;
    }
    if (r < 0 && !cgroup_has_vanished(-r))
        fail(thaw->run, path, r);
}

static void
thaw_tree(struct thaw *thaw)
{
    struct thaw_result *result = &thaw->run->result;
    struct cgroup_walk walk = {.max = thaw->s->tree_max};

    cgroup_tree_walk(&thaw->s->tree, &walk, thaw_visit, thaw);
    result->failed += walk.failed;
    result->truncated = walk.truncated;
    if (result->error == 0)
        result->error = walk.error;
    if (result->error == 0 && walk.truncated)
        result->error = -E2BIG;
}

void
freeze_thaw(struct freeze_state *s, struct thaw_run *run)
{
    SCOPE(scope_free) char *self = NULL;
    const struct cgroup_tree *t = &s->tree;
    int64_t began = loop_now_ms();
    struct thaw thaw = {s, run, ""};

    s->hierarchy = false;
    if (t->root_fd < 0)
        return;
    /* Not known: what is thawed then beside all else are our own, no harm. */
    if (freeze_self_read(t, &self) == 0)
        thaw.self = self;
    run->result.stood = freeze_stands(s);
    /* Of an earlier agent, too: what fails now is found again next time. */
    s->wrote = run->result.stood;
    for (size_t i = 0; i < FREEZE_STATICS; i++) {
        int r = t->ops->write_request(t, freeze_statics[i], false);

        if (r < 0 && !cgroup_has_vanished(-r))
            fail(run, freeze_statics[i], r);
    }
    if (run->result.stood)
        thaw_tree(&thaw);
    if (run->result.error == 0) {
        s->wrote = false;
        path_set_clear(&s->record);
    }
    run->result.thaw_ms = loop_now_ms() - began;
}
