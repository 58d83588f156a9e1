/*
 * Processes: the table of those that live and those that ended lately, their
 * output as a ring with readers, their input as a queue.
 *
 * Knows nothing of HTTP, RPC or messages.  Everything runs on the loop, and
 * calls back only from the loop, never from inside a call of the caller's.
 */
#ifndef ENVD_PROCESS_PROCESS_H
#define ENVD_PROCESS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/status.h"
#include "base/str.h"
#include "process/spawn.h"

struct cgroups;
struct loop;
struct process;
struct process_table;

/* Whom SIGKILL, SIGTERM and the deadline of a command reach. */
enum process_scope {
    PROCESS_SCOPE_TREE,   /* SIGKILL all that the command has made, other
                             signals its process group */
    PROCESS_SCOPE_LEADER, /* the process itself */
};

/* Bounds and habits of a table; constant while it lives. */
struct process_settings {
    size_t ring_bytes;     /* recent output kept for one process */
    size_t rings_bytes;    /* for all processes together */
    size_t processes_max;  /* alive at once */
    size_t retained_max;   /* exits kept; beyond, the oldest go first */
    size_t retained_min;   /* so many stay, however old they are */
    int64_t retain_ms;     /* how long the others are kept */
    int64_t stall_ms;      /* no progress of one reader while others wait:
                              cut */
    int64_t linger_ms;     /* from the exit to its end, while a process in
                              the background holds the output open; -1: wait
                              for it */
    int64_t term_grace_ms; /* from a SIGTERM to the SIGKILL behind it; 0: no
                              such kill */
    enum process_scope kill_scope; /* of the deadline */
    struct cgroups *cgroups;       /* borrowed, outlives the table; NULL:
                                      commands are not placed */
};

struct process_table *process_table_new(struct loop *loop,
                                        const struct process_settings *set);

/*
 * Free everything; the children live on unobserved.  All readers must have
 * been detached and inputs cancelled.
 */
void process_table_free(struct process_table *t);

/* What a table holds, and what has happened since it was made. */
struct process_stats {
    size_t live;
    size_t retained;
    size_t ring_bytes; /* memory of all rings */
    uint64_t started;
    uint64_t ended;         /* of those, also those that have never run */
    uint64_t failed;        /* that have never run */
    uint64_t output_bytes;  /* read from commands */
    uint64_t dropped_bytes; /* gone before a reader that wanted them came */
    uint64_t readers_cut;   /* for want of progress */
};

struct process_stats process_table_stats(const struct process_table *t);

/* How a process ended. */
struct process_exit {
    int32_t exit_code;   /* -1 when a signal ended it */
    bool exited;         /* by itself, with exit_code */
    bool deadline;       /* its deadline had fired */
    bool oom_killed;     /* the kernel ended it for want of memory */
    uint64_t cpu_us;     /* of the command and of what it has made */
    uint64_t peak_bytes; /* most memory held by one of its processes */
    char status[64];     /* "exit status 3", "signal: killed (core dumped)" */
    const char *error;   /* absent (NULL) only for exit status 0 */
    struct rusage usage; /* of the process and what it waited for */
};

/*
 * Start a process; it is in the table, by pid and tag, when this returns.  It
 * gets a cgroup of its own unless `spec` names one or its tag is `_system`.
 *
 * spec        borrowed for the call
 * tag         NULL for none; "" is a tag
 * deadline_ms SIGKILL after so long; 0 for never
 * config      an opaque value for process_config(), freed by `config_free`
 *             with the process; taken over on success only
 * ret         borrowed: valid until its end was seen, or while a reader is
 *             attached
 *
 * Returns 0, or -1 with `st` set as by spawn(), or resource_exhausted.
 * A failure after the clone reaches the readers as PROCESS_EVENT_FAILED.
 */
int process_start(struct process_table *t, const struct spawn_spec *spec,
                  const char *tag, int64_t deadline_ms, void *config,
                  void (*config_free)(void *config), struct process **ret,
                  struct status *st);

/* A live process, or NULL.  A tag finds its latest live owner. */
struct process *process_by_pid(struct process_table *t, uint32_t pid);
struct process *process_by_tag(struct process_table *t, struct str tag);

/* One that ended and is still kept, or NULL; of a tag the latest. */
struct process *process_retained_by_pid(struct process_table *t, uint32_t pid);
struct process *process_retained_by_tag(struct process_table *t,
                                        struct str tag);

/* Visit all live processes, in order of their start. */
struct process *process_first(struct process_table *t);
struct process *process_next(struct process *p);

uint32_t process_pid(const struct process *p);
/* A number of ours that no other process of the table ever had or gets. */
uint64_t process_serial(const struct process *p);
const char *process_tag(const struct process *p); /* NULL: none */
void *process_config(const struct process *p);
bool process_has_pty(const struct process *p);

/* Readers. */

enum process_source {
    PROCESS_STDOUT,
    PROCESS_STDERR,
    PROCESS_PTY,
};

enum process_event_kind {
    PROCESS_EVENT_NONE,   /* nothing now: on_readable tells when */
    PROCESS_EVENT_START,  /* once, first */
    PROCESS_EVENT_DATA,   /* consecutive bytes of one source */
    PROCESS_EVENT_END,    /* once, last */
    PROCESS_EVENT_FAILED, /* it never ran; last */
    PROCESS_EVENT_CUT,    /* this reader held others up too long; last */
};

struct process_event {
    enum process_event_kind kind;
    uint32_t pid;               /* START, END */
    uint64_t offset;            /* START: of the first byte to come; DATA:
                                   of data[0]; counts the bytes of all
                                   sources of the process */
    uint64_t lost;              /* bytes missing before this event */
    enum process_source source; /* DATA */
    const uint8_t *data;        /* DATA: borrowed until the next call on
                                   this process */
    size_t len;
    const struct process_exit *exit; /* END */
    const struct status *failure;    /* FAILED, CUT */
};

/* Where a reader begins. */
enum process_replay {
    PROCESS_REPLAY_NOW,    /* with what comes from now on */
    PROCESS_REPLAY_RESUME, /* where the last reader stopped; now, when another
                              reader is attached */
    PROCESS_REPLAY_ALL,    /* with the oldest byte that is kept */
    PROCESS_REPLAY_FROM,   /* at an offset */
};

/* One reader; embed it. */
struct process_reader {
    struct process *process; /* NULL when detached */
    void *ctx;               /* the owner's */
    /* process_reader_next() would give something; not from inside a call. */
    void (*on_readable)(struct process_reader *r);

    /* Below: of process/ only. */
    TAILQ_ENTRY(process_reader) link;
    uint64_t offset;     /* of the next byte for it */
    uint64_t end;        /* it is not given bytes from here on */
    uint64_t lost;       /* bytes gone before it began */
    int64_t progress_ms; /* when it last took something */
    bool started;        /* START was given */
    bool ended;          /* END, FAILED or CUT was given */
    bool waiting;        /* it has all there is; on_readable is owed */
    bool cut;
};

/*
 * Attach a reader to a live or retained process; on_readable is called at the
 * end of the turn.  Returns 0, or -1 with `st` resource_exhausted beyond
 * LIMIT_PROCESS_READERS.
 */
int process_attach(struct process *p, struct process_reader *r,
                   enum process_replay replay, uint64_t from,
                   struct status *st);

/*
 * What comes next; at most `max` bytes of data.  After PROCESS_EVENT_NONE
 * on_readable is called once when there is more.
 */
void process_reader_next(struct process_reader *r, size_t max,
                         struct process_event *ret);

/* Detach; the process goes on.  Nothing happens when it is not attached. */
void process_detach(struct process_reader *r);

/* Input. */

enum process_input_kind {
    PROCESS_INPUT_STDIN,
    PROCESS_INPUT_PTY,
    PROCESS_INPUT_EOF, /* close stdin, behind what was queued before */
};

/* One write; embed it and keep it, and the bytes, until it is done. */
struct process_input {
    enum process_input_kind kind;
    const uint8_t *data;
    size_t len;
    size_t written; /* bytes that reached the process */
    void *ctx;
    /* It is over, at the end of a turn: `st` is NULL, or why it failed. */
    void (*on_done)(struct process_input *in, struct status *st);

    /* Below: of process/ only. */
    struct process *process;
    TAILQ_ENTRY(process_input) link;
};

/*
 * Queue a write behind those that wait already; the bytes of one write stay
 * together.
 *
 * Returns 1 when it is done already (on_done is not called), 0 when it waits,
 * -1 with `st` set to the texts of the contract.
 */
int process_input(struct process *p, struct process_input *in,
                  struct status *st);

/* Take a waiting write back; `written` says how much had gone. */
void process_input_cancel(struct process_input *in);

/*
 * Set the size of the terminal.  Returns 0, or -1 with `st` set (`error
 * resizing tty: …`).
 */
int process_resize(struct process *p, uint32_t cols, uint32_t rows,
                   struct status *st);

/* Send a signal.  Returns 0, or -1 with `st` (`error sending signal: …`). */
int process_signal(struct process *p, int signum, enum process_scope scope,
                   struct status *st);

#endif
