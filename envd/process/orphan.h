/*
 * Orphans: what a command leaves behind comes to us when its parents end,
 * because the agent is a subreaper (or the first process); when it ends it
 * must be reaped.
 */
#ifndef ENVD_PROCESS_ORPHAN_H
#define ENVD_PROCESS_ORPHAN_H

#include <stdbool.h>

#include "loop/loop.h"

struct process_table;

struct orphans {
    const struct process_table *table;
    struct loop_signal child;
    struct loop_timer timer; /* many ends are dealt with at once */
    bool timer_set;
    bool hidden; /* a zombie of ours stood before others */
};

void orphans_init(struct orphans *o, struct loop *loop,
                  const struct process_table *table);
void orphans_done(struct orphans *o);

/* A child of ours was reaped: look at what it may have hidden. */
void orphans_child_reaped(struct orphans *o);

#endif
