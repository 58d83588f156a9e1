/*
 * Inside of process/: the struct behind a process, and the table that finds
 * it.
 */
#ifndef ENVD_PROCESS_TABLE_H
#define ENVD_PROCESS_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "loop/loop.h"
#include "process/cgroup.h"
#include "process/input.h"
#include "process/orphan.h"
#include "process/output.h"
#include "process/process.h"
#include "process/ring.h"

#define TABLE_BUCKETS 512

/* The life of a process; changed by process.c alone. */
enum process_state {
    PROCESS_STARTING, /* cloned; not known yet whether its command runs */
    PROCESS_RUNNING,  /* the command runs, output is open */
    PROCESS_CLOSED,   /* the command runs, all its output has ended */
    PROCESS_EXITED,   /* it exited, and is a zombie until its output ended: so
                         its pid stays its own */
    PROCESS_RETAINED, /* reaped, the end is published and kept for others */
    PROCESS_GONE,     /* no longer found; here while a reader is attached, or
                         something in the background writes to its output */
    PROCESS_FAILED,   /* it never ran; as gone, and here until reaped */
};

/* What a process needs until it has ended. */
struct process_life {
    struct process *process;
    struct spawn_child child; /* the output's descriptors have moved there */
    struct spawn_spec *spec;  /* for the words of a failure; NULL once known */
    struct loop_io pid_io;
    struct loop_io status_io;
    struct loop_timer deadline;
    struct loop_timer linger;
    struct loop_timer grace;       /* from SIGTERM to SIGKILL */
    enum process_scope term_scope; /* of that SIGTERM */
    struct input input;
    int64_t deadline_ms; /* 0: none */
    size_t arg_count;
    struct cgroup_leaf leaf;
    bool deadline_fired;
    bool killed;    /* by us, with SIGKILL */
    bool impatient; /* it was asked to end: background output is not awaited */
};

struct process {
    struct process_table *table;
    enum process_state state;
    pid_t pid;
    uint64_t serial;
    bool pty;
    char *tag;                         /* NULL: none */
    void *config;                      /* NULL once it has ended */
    void (*config_free)(void *config); /* may be NULL */
    int64_t ended_ms;
    struct process_exit exit; /* from PROCESS_RETAINED on */
    struct status failure;    /* PROCESS_FAILED */
    struct output output;
    struct process_life *life;  /* NULL some time after the end */
    struct loop_deferred sweep; /* frees what is no longer needed */
    TAILQ_ENTRY(process) link;  /* in one of the table's lists */
    LIST_ENTRY(process) by_pid; /* while live or retained */
    LIST_ENTRY(process) by_tag;
};

TAILQ_HEAD(process_list, process);
LIST_HEAD(process_bucket, process);

struct process_table {
    struct loop *loop;
    struct process_settings set;
    struct ring_pool pool;
    struct process_list live;     /* in order of their start */
    struct process_list retained; /* in order of their end */
    struct process_list gone;
    size_t live_count;
    size_t retained_count;
    uint64_t serial;
    uint64_t ended;
    uint64_t failed;
    struct loop_timer expiry;
    struct orphans orphans;
    /* Newest first, so that the latest owner of a tag is found first. */
    struct process_bucket by_pid[TABLE_BUCKETS];
    struct process_bucket by_tag[TABLE_BUCKETS];
};

static inline bool
process_is_live(const struct process *p)
{
    return p->state <= PROCESS_EXITED;
}

/*
 * Enter a process that has just been made.  Retained ones of the same pid or
 * tag are dropped.
 */
void table_add(struct process_table *t, struct process *p);

/* It has ended: from the live ones to the retained ones; drops old ones. */
void table_retain(struct process_table *t, struct process *p);

/* From the live or the retained ones to those that are not found. */
void table_remove(struct process_table *t, struct process *p);

/* A process dropped by the table; in process.c. */
void process_forget(struct process *p);

/* Free what is no longer needed of it, at the end of the turn. */
void process_sweep_later(struct process *p);

/* Free at once, whatever its state; in process.c. */
void process_free(struct process *p);

/* Whether `pid` is a child of ours that is not reaped yet. */
bool table_owns_child(const struct process_table *t, pid_t pid);

#endif
