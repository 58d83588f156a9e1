/*
 * The blocking parts of the freezer: what its jobs do.  All of it owns nothing
 * but what it is given, and logs nothing.
 *
 * Context: worker (tests: any); one at a time for one struct freeze_state, the
 * audit apart, which has none.
 */
#ifndef ENVD_GUEST_FREEZE_WORK_H
#define ENVD_GUEST_FREEZE_WORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/cgroup_tree.h"
#include "guest/freezer.h"

/* A set of paths, sorted. */
struct path_set {
    char **paths;
    size_t count;
    size_t room;
};

bool path_set_has(const struct path_set *s, const char *path);

/* Returns false when it is there already, or memory is exhausted. */
bool path_set_add(struct path_set *s, const char *path);
void path_set_clear(struct path_set *s);

/* Some of the paths that something is to be said about, in one text. */
struct freeze_sample {
    unsigned int count;
    char text[512];
};

void freeze_sample_add(struct freeze_sample *s, const char *path);

/* What is known from one freeze or thaw to the next. */
struct freeze_state {
    struct cgroup_tree tree;
    uint32_t tree_max;      /* LIMIT_FREEZE_TREE */
    struct path_set record; /* frozen by the guest, before us */
    bool wrote;     /* a sweep has frozen something, no clean thaw since */
    bool hierarchy; /* the last sweep was such, no thaw since */
    uint32_t scan_failed; /* cgroups the last scan could not judge */
};

/* One freeze. */
struct freeze_run {
    struct freeze_params params; /* as they were asked for */
    struct freeze_result result;
    struct path_set written;
    struct freeze_sample refused; /* could not be written, read or listed */
    struct freeze_sample moving;  /* not frozen in time */
    int error;                    /* -errno of the first refusal */
    int self_error; /* -errno: our own cgroup is not known, so mode legacy */
};

void freeze_run_done(struct freeze_run *run);

/* Within their bounds. */
int64_t freeze_wait_clamped(int64_t max_wait_ms);
uint32_t freeze_cgroups_clamped(int64_t max_cgroups);

/* Whether a freeze of ours stands, of this agent or of one before it. */
bool freeze_stands(const struct freeze_state *s);

/*
 * Whether a thaw would find nothing to write to and nothing that it could not
 * read.  It reads two files of the kernel's, for which nothing has to be waited
 * for.  Context: any.
 */
bool freeze_is_nowhere(const struct freeze_state *s);

/* Freeze; run->written are those that were. */
void freeze_sweep(struct freeze_state *s, struct freeze_run *run);

/*
 * Wait until all that was written stands still, no longer than asked for.  They
 * are looked at together, so that it takes as long as the slowest.
 *
 * cancelled  nobody waits any more
 */
void freeze_settle(const struct cgroup_tree *t, struct freeze_run *run,
                   const atomic_bool *cancelled);

struct thaw_run {
    struct thaw_result result;
    struct freeze_sample refused;
};

void freeze_thaw(struct freeze_state *s, struct thaw_run *run);

struct audit_run {
    struct freeze_audit result;
    struct freeze_sample escaped;
    struct freeze_sample violations;
    int error; /* -errno: nothing is known */
};

/* max  cgroups that are looked at */
void freeze_audit(const struct cgroup_tree *t, uint32_t max,
                  struct audit_run *run);

#endif
