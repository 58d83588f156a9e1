/*
 * Structured log lines: one JSON object a line, never payloads, tokens or
 * values of variables.  Writing never blocks; what does not fit is dropped
 * and counted.
 */
#ifndef ENVD_BASE_LOG_H
#define ENVD_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
};

/*
 * One line being built.  Use:
 *
 *     struct log_line line;
 *     if (log_begin(&line, LOG_LEVEL_INFO, "process")) {
 *         log_u64(&line, "pid", pid);
 *         log_end(&line, "Process with pid %u started", pid);
 *     }
 */
struct log_line {
    struct buf text;
};

/*
 * Where lines go: a descriptor (borrowed, may block: it is polled before each
 * write), or -1 for nowhere, in which case log_begin() returns false.
 */
void log_open(int fd, enum log_level least);

/*
 * Hold lines back, up to LIMIT_LOG_QUEUE_BYTES, where writing one could wait
 * for a disk: while that is frozen.  Letting go writes them.  Notes for stderr
 * are dropped instead, if that is a file.  Context: loop.
 */
void log_hold(bool hold);

/* Begin a line; false when nobody would read it.  Context: loop. */
bool log_begin(struct log_line *line, enum log_level level, const char *logger);

void log_str(struct log_line *line, const char *key, const char *value);
void log_u64(struct log_line *line, const char *key, uint64_t value);
void log_i64(struct log_line *line, const char *key, int64_t value);
void log_bool(struct log_line *line, const char *key, bool value);
void log_end(struct log_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A second reader of all lines: `take` gets each, with its line feed, and must
 * neither log nor block.  NULL: none any more.
 */
void log_tee(void (*take)(void *ctx, const char *line, size_t len), void *ctx);

/* How often something may be said: so many times in each window. */
struct log_quota {
    unsigned int lines;
    int64_t window_ms;
    int64_t since_ms; /* when the window began */
    unsigned int used;
    uint64_t suppressed; /* since something was said last */
};

#define LOG_QUOTA(lines_, window_ms_)                \
    {                                                \
        .lines = (lines_), .window_ms = (window_ms_) \
    }

/*
 * Count one more; whether it may be said.
 *
 * now_ms          of a monotonic clock
 * ret_suppressed  when it may: how many may not have been, before it
 */
bool log_quota_take(struct log_quota *q, int64_t now_ms,
                    uint64_t *ret_suppressed);

/*
 * As log_begin(), for what somebody else can make happen as often as he likes:
 * false also when the quota is used up.  The next line that is written has
 * their number, as `suppressed`.
 */
bool log_begin_limited(struct log_line *line, enum log_level level,
                       const char *logger, struct log_quota *q);

/* Text for people on stderr, as far as it does not block.  Context: any. */
void log_aside(const void *text, size_t len);

/*
 * A line for people on stderr, which is dropped where it would block.  With a
 * quota, `(N suppressed since last log)` is behind it when there is an N.
 */
void log_note(struct log_quota *q, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A number for one operation, from 1. */
uint64_t log_operation_id(void);

/* Add it to a line, where it is a string. */
void log_operation(struct log_line *line, uint64_t id);

/* Lines dropped because the reader of the log was too slow. */
uint64_t log_dropped(void);

/* Append `value` as the inside of a JSON string, repairing invalid UTF-8. */
void log_escape(struct buf *out, const char *value);

#endif
