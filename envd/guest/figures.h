/*
 * What the kernel counts: of this process, of its cgroups, and how much the
 * machine's programs wait for processors, memory and disks.
 */
#ifndef ENVD_GUEST_FIGURES_H
#define ENVD_GUEST_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

/* One line of a file of pressure. */
struct pressure_line {
    bool known;
    uint32_t average[3]; /* of 10, 60 and 300 s: hundredths of a percent */
    uint64_t total_us;
};

enum pressure_kind { PRESSURE_SOME, PRESSURE_FULL, PRESSURE_KINDS };

/* A cgroup; `known` where the file was there. */
struct cgroup_figures {
    bool cpu_known;
    bool memory_known;
    bool pids_known;
    uint64_t cpu_user_us;
    uint64_t cpu_system_us;
    uint64_t memory_bytes;
    uint64_t oom_kills;
    uint64_t pids;
};

enum { PRESSURE_FILES = 3 };

struct figures {
    bool memory_known;
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
    uint64_t open_fds;
    struct pressure_line pressure[PRESSURE_FILES][PRESSURE_KINDS];
};

/* What the files of pressure are about: `cpu`, `memory`, `io`. */
extern const char *const figures_resources[PRESSURE_FILES];

/*
 * Read them; what cannot be read stays unknown.
 *
 * proc_root  where procfs is mounted ("/proc")
 *
 * Context: worker, as the kernel may have to add up first.
 */
void figures_read(const char *proc_root, struct figures *ret);

/* The same for a cgroup; dir_fd: its directory, O_PATH, or -1. */
void figures_read_cgroup(int dir_fd, struct cgroup_figures *ret);

/* The part for tests: a file of pressure.  Context: any. */
void pressure_parse(const char *text, struct pressure_line ret[PRESSURE_KINDS]);

#endif
