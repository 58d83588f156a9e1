/*
 * Inside of guest/forward*: what listeners and connections share.
 */
#ifndef ENVD_GUEST_FORWARD_INTERNAL_H
#define ENVD_GUEST_FORWARD_INTERNAL_H

#include <sys/queue.h>

#include "guest/forward.h"
#include "guest/forward_flow.h"
#include "loop/loop.h"

struct forward_conn;

struct forwarder {
    struct loop *loop;
    struct forwarder_options options;
    struct forwarder_stats stats;
    struct flow_pipes pipes;
    TAILQ_HEAD(, forward_conn) conns;
    TAILQ_HEAD(, forward) forwards;
    struct loop_timer rest; /* nothing is accepted until it fires */
    bool resting;
};

/*
 * Take over a socket that was accepted (also on failure: it is reset), and
 * connect to `target`.
 *
 * Returns 0 or -errno: what has failed is a socket of our own (-EMFILE and its
 * like), or the program does not take it.
 */
int forward_conn_open(struct forwarder *f, int fd, const uint8_t target[16],
                      uint16_t port);

/* Reset both ends and free it. */
void forward_conn_abort(struct forward_conn *c);

/* Close so that the peer sees a reset. */
void socket_reset(int fd);

void socket_option(int fd, int level, int name, int value);

/* What both ends have: no delay, and dead peers are found. */
void socket_tune(int fd);

#endif
