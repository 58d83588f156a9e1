/*
 * From a plan to a child.
 */
#ifndef ENVD_PROCESS_SPAWN_MAKE_H
#define ENVD_PROCESS_SPAWN_MAKE_H

struct spawn_child;
struct spawn_plan;

/*
 * Clone a child that carries out the plan, and fill in its pid, its pid_fd and
 * whether it is unplaced.  The clone is the spawner's, which the loop waits
 * for.
 *
 * cgroup_fd  directory to begin in, or -1
 *
 * Returns 0 or -errno.  Context: loop.
 */
int spawn_make(struct spawn_plan *plan, int cgroup_fd,
               struct spawn_child *child);

/* Tell the log that a child runs outside of its cgroup.  Context: as above. */
void spawn_log_unplaced(int err);

#endif
