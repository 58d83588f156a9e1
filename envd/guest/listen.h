/*
 * Sockets to listen on beside TCP: a UNIX socket for root of this machine, and
 * vsock for its host.
 *
 * Rule: unix(7), vsock(7).
 */
#ifndef ENVD_GUEST_LISTEN_H
#define ENVD_GUEST_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Bind a UNIX socket, mode 0600, at an absolute path.  Every directory on the
 * way must be root's or ours, and nobody else may write to the last one, nor
 * to another one unless it is sticky; links are not followed.  A socket that
 * nobody listens on any more is replaced.
 *
 * Returns the socket, which does not listen yet; -EADDRINUSE when somebody
 * does, -EEXIST when something else is there, -EPERM when a directory is open
 * to others, other -errno.  Context: start.
 */
int listen_unix_open(const char *path);

/* Bind a vsock socket for any address of ours.  Returns it or -errno. */
int listen_vsock_open(uint32_t port);

/* Whether the machine's host has given it a vsock device. */
bool listen_vsock_is_there(void);

/* The address family of a stream socket that listens, -1: it is none. */
int listen_family(int fd);

/* The TCP port on which a socket listens, -1: it is no such socket. */
int listen_tcp_port(int fd);

/* Whether a bound socket is the one that the functions above would make. */
bool listen_unix_is(int fd, const char *path);
bool listen_vsock_is(int fd, uint32_t port);

/* Whether to serve the peer of an accepted socket.  Context: any. */
bool listen_admits_unix(int fd);  /* root, or who we are */
bool listen_admits_vsock(int fd); /* the host */

/* The same by number. */
bool listen_admits_uid(uid_t uid);
bool listen_admits_cid(uint32_t cid);

#endif
