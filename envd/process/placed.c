/*
 * Where the making of a child and the cgroups of commands meet.
 */
#include "process/placed.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

/* The tag of the host's own commands: they run beside the agent, and so also
 * while those of users are frozen. */
#define SYSTEM_TAG "_system"

static struct cgroup_leaf
leaf_for(struct cgroups *g, const struct spawn_spec *spec, const char *tag)
{
    struct cgroup_leaf leaf = {.fd = -1};

    if (spec->cgroup_fd >= 0)
        leaf.fd = fcntl(spec->cgroup_fd, F_DUPFD_CLOEXEC, 3);
    else if (tag == NULL || strcmp(tag, SYSTEM_TAG) != 0)
        cgroup_leaf_make(g, spec->pty ? CGROUP_PTYS : CGROUP_USER, &leaf);
    return leaf;
}

int
spawn_placed(struct cgroups *g, const struct spawn_spec *spec, const char *tag,
             struct cgroup_leaf *ret_leaf, struct spawn_child *ret,
             struct status *st)
{
    struct cgroup_leaf leaf = leaf_for(g, spec, tag);
    struct spawn_spec placed = *spec;

    placed.cgroup_fd = leaf.fd;
    if (spawn(&placed, ret, st) < 0) {
        cgroup_leaf_leave(g, &leaf);
        return -1;
    }
    if (ret->unplaced)
        cgroup_leaf_refused(g, &leaf);
    *ret_leaf = leaf;
    return 0;
}
