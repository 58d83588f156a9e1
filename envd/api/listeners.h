/*
 * What the agent listens on: its port, and what else the options say.
 */
#ifndef ENVD_API_LISTENERS_H
#define ENVD_API_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"

struct envd;

struct listeners {
    struct envd *envd;
    struct loop_timer retry; /* while somebody else has the port */
    bool tcp;
    bool unix_path;
    bool vsock;
    bool ready;          /* listeners_ready() was called */
    uint16_t vsock_port; /* 0: none */
};

/*
 * Listen on what was handed over (sockets of a unit, and those that an earlier
 * agent has left with the service manager), and open what is missing.
 *
 * Where the machine is ours and somebody has the port, that is said and tried
 * again until it is free.
 *
 * Returns 0, or -1 after having said why on stderr.
 */
int listeners_open(struct envd *e);

/* The loop is about to run: tell the service manager once all are open. */
void listeners_ready(struct envd *e);

void listeners_close(struct envd *e);

#endif
