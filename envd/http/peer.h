/*
 * Whether the other end of a socket is still there, asked without reading
 * from it or writing to it.
 */
#ifndef ENVD_HTTP_PEER_H
#define ENVD_HTTP_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the connection was reset, or has failed otherwise. */
bool peer_is_reset(int fd);

enum peer_output {
    PEER_HAS_ALL,     /* all that was sent is acknowledged */
    PEER_TAKES_TIME,  /* some is not yet; a peer that does not read is here */
    PEER_SAYS_NOTHING /* it was asked again and again for stall_ms in vain */
};

/*
 * What became of the bytes given to the kernel.  TCP_USER_TIMEOUT would not
 * do: it also ends connections whose peer answers but does not read.
 */
enum peer_output peer_output(int fd, int64_t stall_ms);

#endif
