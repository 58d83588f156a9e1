/*
 * What a resume finds frozen, before it thaws: what has settled counts, as a
 * cgroup below a frozen one stands still without a request of its own.
 */
#include "guest/freeze_work.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/scope.h"
#include "guest/freeze_place.h"

struct audit {
    const struct cgroup_tree *tree;
    struct audit_run *run;
    const char *self;
};

static void
audit_visit(void *ctx, const char *path)
{
    struct audit *a = ctx;
    struct freeze_audit *result = &a->run->result;
    bool exempt = freeze_is_descended(a->self, path) || freeze_is_allowed(path);
    bool settled = false;

    result->visited++;
    if (a->tree->ops->read_settled(a->tree, path, &settled) < 0)
        return;
    if (settled && exempt) {
        result->violations++;
        freeze_sample_add(&a->run->violations, path);
    } else if (settled) {
        result->frozen++;
    } else if (!exempt) {
        result->escaped++;
        freeze_sample_add(&a->run->escaped, path);
    }
}

void
freeze_audit(const struct cgroup_tree *t, uint32_t max, struct audit_run *run)
{
    SCOPE(scope_free) char *self = NULL;
    struct audit a = {t, run, NULL};
    struct cgroup_walk walk = {.max = max};

    run->error = freeze_self_read(t, &self);
    if (run->error < 0)
        return;
    a.self = self;
    cgroup_tree_walk(t, &walk, audit_visit, &a);
    run->result.truncated = walk.truncated;
}
