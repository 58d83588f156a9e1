/*
 * The processes of the machine as /proc shows them.  Context of all: loop;
 * nothing here waits for a process.  Rule: proc(5).
 */
#ifndef ENVD_PROCESS_PROC_H
#define ENVD_PROCESS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One process. */
struct proc_entry {
    pid_t pid;
    pid_t parent;
    pid_t group;
    pid_t session;
    uint64_t start; /* clock ticks since boot: tells users of a pid apart */
    bool dead;      /* a zombie, or less */
    bool running;   /* or ready to, when what it waits for comes */
    bool victim;    /* the caller's mark */
};

/* All of them, sorted by pid.  Zero-initialise it. */
struct proc_table {
    struct proc_entry *entries;
    size_t count;
    size_t cap;
};

/*
 * Read one process.
 * proc_fd  /proc, open
 * pid      its number in decimal
 * Returns false when it is gone.
 */
bool proc_entry_read(int proc_fd, const char *pid, struct proc_entry *ret);

/* Look at every process, anew; false when /proc cannot be read. */
bool proc_table_take(struct proc_table *t);
struct proc_entry *proc_table_find(const struct proc_table *t, pid_t pid);
void proc_table_done(struct proc_table *t);

/*
 * Call `each` for the children of all threads of a process, as long as it
 * returns true.  Complete when the process is stopped, or our own.
 * Returns 1 when it always did, 0 when not, -1 when the kernel does not tell.
 */
int proc_children_visit(pid_t pid, bool (*each)(void *ctx, pid_t pid),
                        void *ctx);

#endif
