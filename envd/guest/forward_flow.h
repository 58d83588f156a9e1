/*
 * Inside of guest/forward*: one direction of a connection, and the pipes that
 * bytes are in on their way.  Context: loop.
 */
#ifndef ENVD_GUEST_FORWARD_FLOW_H
#define ENVD_GUEST_FORWARD_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pipes that nothing is in, kept for the next who needs one. */
#define FLOW_PIPES_SPARE 8

struct flow_pipe {
    struct flow_pipe *next;
    int fds[2]; /* to read from, to write to */
    size_t size;
    size_t held; /* bytes in it */
};

/* Zero-initialise it and set `max`; end it with flow_pipes_done(). */
struct flow_pipes {
    struct flow_pipe *spare;
    size_t spare_count;
    size_t count; /* with the spare ones */
    size_t max;   /* above, bytes are copied */
};

void flow_pipes_done(struct flow_pipes *pool);

/* One end; what it is ready for is kept from one edge to the next. */
struct flow_end {
    int fd;
    bool readable;
    bool writable;
};

struct flow {
    struct flow_pipe *pipe; /* only while bytes are in it */
    bool eof;               /* the sender has ended */
    bool over;              /* and the receiver was told; or broken */
};

enum flow_result {
    FLOW_WAITS,        /* for an edge at one of the ends */
    FLOW_MORE,         /* its share is used up */
    FLOW_OVER,         /* all was passed on, and the end as well */
    FLOW_READ_FAILED,  /* the sender was reset */
    FLOW_WRITE_FAILED, /* the receiver was */
};

/*
 * Move what can be moved without waiting, at most LIMIT_FORWARD_PIPE_BYTES.
 * Where no pipe can be had, bytes are copied.
 *
 * ret_bytes  increased by the bytes that reached `to`
 */
enum flow_result flow_move(struct flow *f, struct flow_pipes *pool,
                           struct flow_end *from, struct flow_end *to,
                           uint64_t *ret_bytes);

/* Drop what is on its way. */
void flow_done(struct flow *f, struct flow_pipes *pool);

#endif
