/*
 * How much of the machine each of the cgroups gets.
 */
#ifndef ENVD_PROCESS_CGROUP_VALUES_H
#define ENVD_PROCESS_CGROUP_VALUES_H

#include <stdint.h>

/* What all commands of one kind may have together. */
struct cgroup_budget {
    uint64_t memory_bytes;
    uint64_t pids; /* processes and threads; 0: not limited */
};

/*
 * Out of the machine's own: memory without an eighth (128 MiB at most), pids
 * without what runs already and a reserve for the agent, so that commands can
 * take neither from it.
 *
 * proc      "/proc"
 * mine      of what runs, those that are commands from before
 *
 * Returns 0, or -errno when the size of memory is not known.
 */
int cgroup_budget_read(const char *proc, uint64_t mine,
                       struct cgroup_budget *ret);

/* How many run in a cgroup; 0 when not known. */
uint64_t cgroup_pids(int dir_fd);

/*
 * Write the values of one of `user`, `ptys` and `socats`.  A file that is not
 * there, its controller being off, or not ours to write, is named in the log
 * and passed over.
 *
 * dir_fd  the cgroup, O_PATH will do
 *
 * Returns 0, or -errno of any other failure.
 */
int cgroup_values_write(int dir_fd, const char *name,
                        const struct cgroup_budget *b);

#endif
