/*
 * Listening TCP sockets out of /proc/net/tcp and tcp6, for kernels that have no
 * dumps for sock_diag.h.
 */
#ifndef ENVD_GUEST_SOCK_PROC_H
#define ENVD_GUEST_SOCK_PROC_H

#include <stddef.h>
#include <stdint.h>

#include "guest/sock_diag.h"

/*
 * Call `on_listener` for each.  They stand before all other sockets, so that
 * what is read does not grow with the connections.
 *
 * folder  "/proc/net"
 *
 * Returns 0 or -errno (-ENOENT when neither file is there).  Context: loop.
 */
int sock_proc_read(const char *folder,
                   void (*on_listener)(void *ctx,
                                       const struct sock_listener *l),
                   void *ctx);

/* Read one line of either file; false when it is no listening socket. */
bool sock_proc_line(const char *line, struct sock_listener *ret);

#endif
