/*
 * The output of one process: its pipes (or terminal) are read into a ring, and
 * readers are cursors into the ring.
 *
 * A pipe is read only while the ring has room, and bytes that an attached
 * reader still needs are never dropped: so the slowest reader sets the pace of
 * the process, for ever when it is alone.  With others waiting it is cut when
 * it makes no progress.  Without readers the ring keeps the newest bytes.
 */
#ifndef ENVD_PROCESS_OUTPUT_H
#define ENVD_PROCESS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "loop/loop.h"
#include "process/process.h"
#include "process/ring.h"

TAILQ_HEAD(process_readers, process_reader);

enum output_phase {
    OUTPUT_PENDING, /* not known yet whether the process runs */
    OUTPUT_STARTED, /* readers get START, then data */
    OUTPUT_ENDED,   /* readers get what was there at that moment, then END */
    OUTPUT_FAILED,  /* readers get FAILED only */
};

/* One stream that is read. */
struct output_pipe {
    struct output *output;
    struct loop_io io;
    int fd; /* -1 when closed */
    enum process_source source;
    bool held;          /* not read until a reader makes room */
    int64_t drain_left; /* bytes to be read before the end; with `draining` */
};

/* What is needed only while something is read. */
struct output_pipes {
    struct output_pipe pipe[2];
    struct loop_timer stall;
    int64_t contended_ms; /* since when a pipe is held while a reader waits;
                             0: it is not so */
};

struct output {
    struct loop *loop;
    struct ring ring;
    struct output_pipes *pipes; /* NULL after the last one closed */
    bool draining;              /* only what is in the pipes is waited for */
    enum output_phase phase;
    uint32_t pid;
    const struct process_exit *exit; /* OUTPUT_ENDED */
    const struct status *failure;    /* OUTPUT_FAILED */
    uint64_t bytes[3];               /* read, by source */
    int64_t stall_ms;

    struct process_readers readers;
    unsigned int reader_count;
    struct process_reader *notify_next; /* while readers are being told */
    struct loop_deferred notify;
    uint64_t resume; /* where the last reader stopped */
    struct status cut;

    /* output_settled() or output_closed() became true; from the loop. */
    void (*on_settled)(struct output *o);
};

/* `pool` is borrowed; ring_bytes and stall_ms as in struct process_settings. */
void output_init(struct output *o, struct loop *loop, struct ring_pool *pool,
                 const struct process_settings *set);

/* Stop reading, close, free.  No reader may be attached. */
void output_done(struct output *o);

/*
 * Read from `fd` (owned from now on, non-blocking) from the next turn on; at
 * most two.
 */
void output_open(struct output *o, int fd, enum process_source source);

void output_start(struct output *o, uint32_t pid);
void output_end(struct output *o, const struct process_exit *ex);
void output_fail(struct output *o, const struct status *failure);

/*
 * The end is near: wait no longer for the end of file, only for what is in the
 * pipes now.  on_settled may be called before it returns.
 */
void output_drain(struct output *o);

/* Whether all that had to be read before the end was read. */
bool output_settled(const struct output *o);

/* Whether every pipe has come to its end. */
bool output_closed(const struct output *o);

/* What is read now, -1 for what has ended; borrowed. */
void output_fds(const struct output *o, int ret_fds[2]);

/*
 * Free what is not needed after the last pipe closed; not from inside
 * on_settled.
 */
void output_trim(struct output *o);

/* The pipe is held, or no longer: look who is to be cut, and when. */
void output_check_stall(struct output *o);

/* Some reader made room: read on where reading was held. */
void output_resume(struct output *o);

/* Tell waiting readers at the end of the turn. */
void output_wake(struct output *o);

/* For process_attach() and its sisters: see there. */
int reader_attach(struct output *o, struct process_reader *r,
                  enum process_replay replay, uint64_t from, struct status *st);
void reader_next(struct output *o, struct process_reader *r, size_t max,
                 struct process_event *ret);
void reader_detach(struct output *o, struct process_reader *r);

/* Whether reader_next() would give something. */
bool reader_has_event(const struct output *o, const struct process_reader *r);

/* The lowest offset that an attached reader needs, UINT64_MAX for none. */
uint64_t reader_floor(struct ring *ring);

/*
 * Cut readers that made no progress in time while another waited.  Returns
 * when to look again (a time of loop_now_ms()), or 0 for never.
 */
int64_t reader_cut_stalled(struct output *o, int64_t contended_ms,
                           int64_t now_ms);

/* Whether a reader has all there is and waits for more. */
bool reader_any_waiting(const struct output *o);

#endif
