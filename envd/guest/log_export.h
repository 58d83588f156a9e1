/*
 * Lines of the log on their way to the host's collector: one request a line,
 * in order, on one connection that is kept.  Each line gets the identity of
 * the sandbox.  What does not fit, or fails, is lost and counted; nobody ever
 * waits for it.
 *
 * Context: loop, all of it.
 */
#ifndef ENVD_GUEST_LOG_EXPORT_H
#define ENVD_GUEST_LOG_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_exporter;
struct loop;

/*
 * Begin to collect lines: the log's second reader (log_tee()).  They are kept,
 * LIMIT_LOG_EARLY_BYTES of them, until it is known where they go.
 */
struct log_exporter *log_exporter_new(struct loop *loop);

/* NULL is fine; what is queued is lost. */
void log_exporter_free(struct log_exporter *x);

/*
 * Where lines go from now on, and whose they are.  Nothing happens when that
 * is known already; otherwise queued lines go there, too.
 *
 * url  http://ADDRESS[:PORT][/PATH], with an IPv4 or a bracketed IPv6 address
 *
 * Returns 0, or -EINVAL for another kind of URL, and then nothing is changed.
 */
int log_exporter_target(struct log_exporter *x, const char *url,
                        const char *instance_id, const char *env_id);

/*
 * Wait until the lines queued now have been sent or lost.
 *
 * budget_ms  after which the wait ends in any case
 * done       called once, never inside; `all` tells that none is left.  After
 *            log_exporter_free() it is not called any more
 */
void log_exporter_flush(struct log_exporter *x, int64_t budget_ms,
                        void (*done)(void *ctx, bool all), void *ctx);

/*
 * Another life of the sandbox begins (a new lifecycle id): lines of the one
 * before would be refused and are dropped; the connection has died with it.
 * Lines from now on are kept, as at the beginning, until
 * log_exporter_target() says again, or anew, whose they are.
 */
void log_exporter_drop(struct log_exporter *x);

struct log_export_stats {
    uint64_t sent;         /* lines that the collector has taken */
    uint64_t refused;      /* answers other than 2xx */
    uint64_t failed;       /* lost with a connection */
    uint64_t dropped;      /* for lack of room */
    uint64_t dropped_old;  /* by log_exporter_drop() */
    uint64_t dropped_long; /* lines above LIMIT_LOG_LINE_BYTES */
    uint64_t connections;
    uint64_t queued_bytes; /* now */
    uint64_t queued_lines;
};

void log_exporter_get_stats(const struct log_exporter *x,
                            struct log_export_stats *ret);

#endif
