/*
 * The clock was set, and not by POST /init: as a time service does after a
 * pause that no host has told us of.
 */
#ifndef ENVD_API_CLOCK_MOVED_H
#define ENVD_API_CLOCK_MOVED_H

#include <stdint.h>

/*
 * Note it in the log.  Time that has passed unseen is a pause, and this machine
 * may be one of several copies: the random pool is stirred, and ports are
 * looked at.  Connections stay: whether this is another life only the host can
 * say.
 *
 * ctx  the struct envd; for clock_watch_new()
 */
void clock_moved(void *ctx, int64_t moved_ms);

#endif
