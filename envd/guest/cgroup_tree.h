/*
 * The cgroups below a root, as a freeze sees them: what was requested of each,
 * what has come of it, and which are below it.
 *
 * Paths are relative to the root; "" is the root, which has neither
 * cgroup.freeze nor cgroup.events.
 *
 * Context: worker, or any thread; never two at once for what is not const.
 */
#ifndef ENVD_GUEST_CGROUP_TREE_H
#define ENVD_GUEST_CGROUP_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup_tree;

/* Names in a directory, sorted. */
struct cgroup_names {
    char **names;
    size_t count;
    bool cut; /* there were more: these are the first */
};

void cgroup_names_done(struct cgroup_names *n);

/* How they are reached; each returns 0 or -errno. */
struct cgroup_tree_ops {
    /* cgroup.freeze: what was asked of this very one. */
    int (*read_request)(const struct cgroup_tree *t, const char *path,
                        bool *ret);
    int (*write_request)(const struct cgroup_tree *t, const char *path,
                         bool frozen);
    /* cgroup.events: whether all in it stand still, for whatever reason. */
    int (*read_settled)(const struct cgroup_tree *t, const char *path,
                        bool *ret);
    int (*list)(const struct cgroup_tree *t, const char *path,
                struct cgroup_names *ret);
    /*
     * Return when one of `pending` may have changed, and after `ms` at the
     * latest.  NULL: always after `ms`.
     */
    void (*await_change)(const struct cgroup_tree *t, char *const *pending,
                         size_t count, int64_t ms);
};

struct cgroup_tree {
    const struct cgroup_tree_ops *ops;
    int root_fd;           /* -1: there is none */
    const char *self_file; /* where a process reads which cgroup it is in */
    const char *prefix;    /* the root's own path in there */
    void *ctx;             /* of whoever has made the ops */
};

/* The kernel's. */
extern const struct cgroup_tree_ops cgroup_tree_kernel;

struct cgroup_walk {
    uint32_t max;     /* cgroups that are visited */
    uint32_t visited; /* result, as all below */
    uint32_t failed;  /* directories that could not be listed */
    int error;        /* 0, or -errno of the first of these */
    bool truncated;
};

/*
 * Visit all cgroups below the root, the root apart: breadth first, in the order
 * of their names.  One that vanishes meanwhile is no failure.
 */
void cgroup_tree_walk(const struct cgroup_tree *t, struct cgroup_walk *w,
                      void (*visit)(void *ctx, const char *path), void *ctx);

/* Whether an error says that the cgroup was removed meanwhile. */
bool cgroup_has_vanished(int err);

/* PATH/NAME, or NAME below the root; NULL when memory is exhausted. */
char *cgroup_path_join(const char *path, const char *name);

#endif
