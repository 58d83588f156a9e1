/*
 * The service manager (systemd, or our own init): what it is told, the sockets
 * that it hands over, and its watchdog.  Without one nothing here does
 * anything.
 *
 * Rule: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).
 */
#ifndef ENVD_GUEST_SERVICE_H
#define ENVD_GUEST_SERVICE_H

#include <stdint.h>

struct loop;
struct service;

/*
 * Read NOTIFY_SOCKET, LISTEN_* and WATCHDOG_USEC.  What was handed over is
 * close-on-exec from here on, and LISTEN_* leave the environment; the other
 * variables stay for the image that may replace this one, commands are given
 * none of them.
 *
 * loop  borrowed; for the watchdog
 */
struct service *service_new(struct loop *loop);

/* NULL is fine.  Sockets that nobody took are closed. */
void service_free(struct service *s);

/*
 * The next of the sockets handed over.
 *
 * ret_name  its name, "" when it has none; valid as long as `s`
 *
 * Returns the descriptor, which the caller owns, or -1 when there is no more.
 */
int service_take_socket(struct service *s, const char **ret_name);

/* Leave a descriptor (borrowed) with the manager, for the next one of us. */
void service_store(struct service *s, int fd, const char *name);

/* Have it forget what is stored under this name. */
void service_forget(struct service *s, const char *name);

/* We serve.  Also begins to answer the watchdog.  port: for the status text */
void service_ready(struct service *s, uint16_t port);

void service_stopping(struct service *s);

#endif
