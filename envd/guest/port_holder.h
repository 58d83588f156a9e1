/*
 * Who listens on a port that we want.
 */
#ifndef ENVD_GUEST_PORT_HOLDER_H
#define ENVD_GUEST_PORT_HOLDER_H

#include <stdint.h>

struct port_holder {
    uint32_t uid;   /* whose socket it is */
    uint32_t inode; /* as in /proc/PID/fd */
};

/*
 * Ask the kernel for the socket that listens on a TCP port.  Returns 0,
 * -ENOENT when there is none, other -errno.  Context: any.
 * Rule: sock_diag(7).
 */
int port_holder_find(uint16_t port, struct port_holder *ret);

#endif
