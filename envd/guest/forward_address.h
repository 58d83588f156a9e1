/*
 * The address that ports are forwarded from: which one it is, and whether this
 * machine has it.  Context: loop.
 */
#ifndef ENVD_GUEST_FORWARD_ADDRESS_H
#define ENVD_GUEST_FORWARD_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

#include "loop/loop.h"

/* Embed it. */
struct forward_address {
    const char *fixed; /* numeric; NULL: the sandbox's */
    bool interface;    /* eth0's counts first */
    struct in_addr address;
    bool present; /* the machine has it */
    struct loop_io io;
    struct loop_timer timer; /* to look again */
    int64_t pause_ms;
    int fd; /* tells of changes; -1: the kernel does not */
    /* The address may be another one, or gone. */
    void (*on_change)(struct forward_address *a);
};

/*
 * Find it, and watch for changes from now on.
 *
 * fixed      borrowed; what is no IPv4 address is never present
 * interface  without `fixed`: eth0's first IPv4 address, if it has one
 */
void forward_address_init(struct forward_address *a, struct loop *loop,
                          const char *fixed, bool interface,
                          void (*on_change)(struct forward_address *a));

/* Look anew; returns whether it has changed. */
bool forward_address_check(struct forward_address *a);

void forward_address_done(struct forward_address *a);

#endif
