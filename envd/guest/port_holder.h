/*
 * Who listens on a port that we want.
 */
#ifndef ENVD_GUEST_PORT_HOLDER_H
#define ENVD_GUEST_PORT_HOLDER_H

#include <stdint.h>

struct loop;

struct port_holder {
    uint32_t uid;   /* whose socket it is */
    uint32_t inode; /* as in /proc/PID/fd */
};

/*
 * Ask the kernel for the socket that listens on a TCP port.  Nothing is waited
 * for: behind some thousands of others it is not found.
 *
 * Returns 0, -ENOENT when there is none, other -errno.  Context: loop.
 */
int port_holder_find(struct loop *loop, uint16_t port, struct port_holder *ret);

#endif
