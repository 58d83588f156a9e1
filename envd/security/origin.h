/*
 * Whether whoever is connected is outside of this machine.
 *
 * The machine's host steers the agent through routes that nobody inside should
 * reach.  A peer is inside when its address is one of the machine's own, or
 * when it came by another interface than the one that leads to the host: from
 * a bridge of containers, or back through the loopback.
 *
 * The machine's addresses are kept as the kernel tells of them; what it has
 * told is read when somebody asks.  Nothing here waits.  Context: loop.
 */
#ifndef ENVD_SECURITY_ORIGIN_H
#define ENVD_SECURITY_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct origin;

/* The interface that leads to the host; without it any but the loopback does.
 */
#define ORIGIN_INTERFACE "eth0"

struct origin *origin_new(void);

/* NULL is fine. */
void origin_free(struct origin *o);

/*
 * Whether the peer of a connected socket is outside: of TCP as above, of vsock
 * the host alone, of a UNIX socket root alone, to whom its file belongs.
 */
bool origin_is_outside(struct origin *o, int fd);

/* The parts, for tests. */

/* Take messages of rtnetlink.  False: they are not all, ask again. */
bool origin_feed(struct origin *o, void *messages, size_t len);

/*
 * Whether a peer with this address is outside.
 *
 * ingress  the interface it came by, 0: not known
 * outward  ORIGIN_INTERFACE, 0: there is none
 */
bool origin_admits(const struct origin *o, const struct sockaddr_storage *peer,
                   unsigned int ingress, unsigned int outward);

#endif
