/*
 * Keepalive messages of a stream: one is due when so long a time has passed
 * without a message.
 */
#ifndef ENVD_API_KEEPALIVE_H
#define ENVD_API_KEEPALIVE_H

#include <stdint.h>

#include "loop/loop.h"

struct call;

/* Embed it. */
struct keepalive {
    struct loop_timer timer;
    struct call *call;
    int64_t interval_ms;
    int64_t last_message_ms;
    /* Send one, and note it; only called while the call has room. */
    void (*send)(struct keepalive *k);
};

/*
 * Prepare for a call, with the interval that its Keepalive-Ping-Interval asks
 * for: seconds, at most 3600; 90 when it is no positive integer.
 */
void keepalive_init(struct keepalive *k, struct call *c,
                    void (*send)(struct keepalive *k));

/* Begin: the first message of the stream has been sent. */
void keepalive_start(struct keepalive *k);

/* A message has been sent, whichever. */
void keepalive_note(struct keepalive *k);

void keepalive_stop(struct keepalive *k);

#endif
