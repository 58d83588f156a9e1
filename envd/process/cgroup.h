/*
 * A cgroup for each command: directories `user` and `ptys` below a root, which
 * have their share of the machine, and in them one leaf a command, by which all
 * that the command makes can be counted, stopped and killed.  A third,
 * `socats`, is for whoever forwards ports.
 *
 * A leaf has no controllers of its own.  It is removed when its command has
 * ended and nobody is left in it.
 */
#ifndef ENVD_PROCESS_CGROUP_H
#define ENVD_PROCESS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cgroups;
struct loop;

/* Whose parent a leaf is. */
enum cgroup_kind {
    CGROUP_USER, /* commands with pipes */
    CGROUP_PTYS, /* with a terminal */
};

/* The cgroup of one command; embed it. */
struct cgroup_leaf {
    int fd; /* its directory, O_PATH; -1: none.  Owned */
    enum cgroup_kind kind;
    uint64_t number;    /* 0: not made here, and not removed */
    uint64_t oom_kills; /* of all of its kind, when it was made */
};

/*
 * Make what is missing below `root`, and remove leaves that an earlier agent
 * left; those in which its commands live on are removed when they end.
 *
 * Returns NULL, which stands for no placement everywhere below, when `root` is
 * no cgroup v2 or does not let us, or the size of memory is not known; the log
 * says why.  Context: loop.
 */
struct cgroups *cgroups_open(struct loop *loop, const char *root);

/* As cgroups_open(), not asking what file system it is; takes over root_fd. */
struct cgroups *cgroups_open_at(struct loop *loop, int root_fd);

/*
 * Free it, after all leaves were left.  Directories in which commands live on
 * stay.  NULL is fine.
 */
void cgroups_close(struct cgroups *g);

/* A descriptor of the root, the caller's to close; -1 when there is none. */
int cgroups_root(const struct cgroups *g);

/*
 * The directory above the leaves of a kind, O_PATH, for the caller to close;
 * -1 when there is none or `g` is NULL.
 */
int cgroups_dup(const struct cgroups *g, enum cgroup_kind kind);

/*
 * Make a leaf; *ret has an fd of -1 when there is none to be had (the log says
 * why) or `g` is NULL.  A directory that someone removed is made again.
 */
void cgroup_leaf_make(struct cgroups *g, enum cgroup_kind kind,
                      struct cgroup_leaf *ret);

/* The command has ended: remove the leaf as soon as it is empty. */
void cgroup_leaf_leave(struct cgroups *g, struct cgroup_leaf *leaf);

/*
 * The kernel would not place a process there: remove the leaf, and make the
 * directory above it again, if it can be, before the next one.
 */
void cgroup_leaf_refused(struct cgroups *g, struct cgroup_leaf *leaf);

/* CPU time of all that ever was in it, microseconds; 0 when not known. */
uint64_t cgroup_leaf_cpu_us(const struct cgroup_leaf *leaf);

/*
 * Whether the kernel has killed something of this kind for want of memory
 * since the leaf was made.  A leaf itself does not count that.
 */
bool cgroup_leaf_saw_oom(const struct cgroups *g,
                         const struct cgroup_leaf *leaf);

#endif
