/*
 * JSON lines to one descriptor, and to a second reader.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/now.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "limits.h"

/* The one module with state of its own: a log belongs to the process. */
static struct {
    int fd;
    enum log_level least;
    void (*tee)(void *ctx, const char *line, size_t len);
    void *tee_ctx;
    uint64_t operations;
    uint64_t dropped;
    atomic_bool held;   /* no disk is to be waited for */
    struct buf waiting; /* meanwhile */
} sink = {.fd = -1, .least = LOG_LEVEL_DEBUG};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

void
log_open(int fd, enum log_level least)
{
    sink.fd = fd;
    sink.least = least;
}

void
log_tee(void (*take)(void *ctx, const char *line, size_t len), void *ctx)
{
    sink.tee = take;
    sink.tee_ctx = ctx;
}

uint64_t
log_operation_id(void)
{
    return ++sink.operations;
}

void
log_operation(struct log_line *line, uint64_t id)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    log_str(line, "operation_id", text);
}

uint64_t
log_dropped(void)
{
    return sink.dropped;
}

void
log_escape(struct buf *out, const char *value)
{
    size_t len = strlen(value);
    size_t i = 0;

    while (i < len) {
        unsigned char c = (unsigned char)value[i];
        size_t n = utf8_char_len(value + i, len - i);

        if (n == 0) {
            buf_append_str(out, "\\ufffd");
            n = 1;
        } else if (c == '"' || c == '\\') {
            buf_append_byte(out, '\\');
            buf_append_byte(out, c);
        } else if (c < 0x20) {
            buf_appendf(out, "\\u%04x", c);
        } else {
            buf_append(out, value + i, n);
        }
        i += n;
    }
}

bool
log_begin(struct log_line *line, enum log_level level, const char *logger)
{
    if ((sink.fd < 0 && sink.tee == NULL) || level < sink.least)
        return false;
    *line = (struct log_line){0};
    buf_appendf(&line->text, "{\"level\":\"%s\",\"logger\":\"%s\"",
                level_names[level], logger);
    return true;
}

bool
log_quota_take(struct log_quota *q, int64_t now_ms, uint64_t *ret_suppressed)
{
    if (q->used == 0 || now_ms - q->since_ms >= q->window_ms) {
        q->since_ms = now_ms;
        q->used = 0;
    }
    if (q->used >= q->lines) {
        q->suppressed++;
        return false;
    }
    q->used++;
    *ret_suppressed = q->suppressed;
    q->suppressed = 0;
    return true;
}

bool
log_begin_limited(struct log_line *line, enum log_level level,
                  const char *logger, struct log_quota *q)
{
    uint64_t suppressed;

    if (!log_quota_take(q, clock_now_ms(CLOCK_MONOTONIC), &suppressed))
        return false;
    if (!log_begin(line, level, logger))
        return false;
    if (suppressed > 0)
        log_u64(line, "suppressed", suppressed);
    return true;
}

static void
log_key(struct log_line *line, const char *key)
{
    buf_appendf(&line->text, ",\"%s\":", key);
}

void
log_str(struct log_line *line, const char *key, const char *value)
{
    log_key(line, key);
    buf_append_byte(&line->text, '"');
    log_escape(&line->text, value);
    buf_append_byte(&line->text, '"');
}

void
log_u64(struct log_line *line, const char *key, uint64_t value)
{
    log_key(line, key);
    buf_append_u64(&line->text, value);
}

void
log_i64(struct log_line *line, const char *key, int64_t value)
{
    log_key(line, key);
    buf_append_i64(&line->text, value);
}

void
log_bool(struct log_line *line, const char *key, bool value)
{
    log_key(line, key);
    buf_append_str(&line->text, value ? "true" : "false");
}

static void
log_timestamp(struct log_line *line)
{
    struct timespec now;
    char text[RFC3339_SIZE];
    int len;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    len = rfc3339_format(text, now.tv_sec, 0);
    if (len < 0)
        return;
    buf_appendf(&line->text, ",\"timestamp\":\"%.*s.%09ldZ\"", len - 1, text,
                now.tv_nsec); /* all nine digits, and so without its Z */
}

/* Whether it is a regular file, which is always said to be writable. */
static bool
is_on_disk(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

/* One write, only when it cannot block: a stuck reader must not stop us. */
static bool
log_write(int fd, const void *line, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    const uint8_t *data = line;

    if (sink.held && is_on_disk(fd))
        return false;
    while (len > 0) {
        ssize_t n;

        if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
            break;
        n = write(fd, data, len < PIPE_BUF ? len : PIPE_BUF);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        data += n;
        len -= (size_t)n;
    }
    return len == 0;
}

void
log_aside(const void *text, size_t len)
{
    (void)log_write(STDERR_FILENO, text, len);
}

void
log_note(struct log_quota *q, const char *format, ...)
{
    uint64_t suppressed = 0;
    va_list args;
    char text[512];
    size_t len;

    if (q != NULL &&
        !log_quota_take(q, clock_now_ms(CLOCK_MONOTONIC), &suppressed))
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text) - 64, format, args);
    va_end(args);
    len = strlen(text);
    if (suppressed > 0)
        len += (size_t)snprintf(text + len, 63,
                                " (%llu suppressed since last log)",
                                (unsigned long long)suppressed);
    text[len++] = '\n';
    log_aside(text, len);
}

static void
log_deliver(const struct buf *text)
{
    bool waits = sink.held && is_on_disk(sink.fd);

    if (waits && text->len <= LIMIT_LOG_QUEUE_BYTES - sink.waiting.len)
        buf_append(&sink.waiting, buf_data(text), text->len);
    else if (sink.fd >= 0 && !log_write(sink.fd, buf_data(text), text->len))
        sink.dropped++;
    if (sink.tee != NULL)
        sink.tee(sink.tee_ctx, (const char *)buf_data(text), text->len);
}

void
log_hold(bool hold)
{
    sink.held = hold;
    if (hold || sink.waiting.len == 0)
        return;
    if (!log_write(sink.fd, buf_data(&sink.waiting), sink.waiting.len))
        sink.dropped++;
    buf_done(&sink.waiting);
}

void
log_end(struct log_line *line, const char *format, ...)
{
    struct buf message = {0};
    va_list args;
    char text[1024];

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_timestamp(line);
    log_escape(&message, text);
    buf_append_str(&line->text, ",\"message\":\"");
    buf_append(&line->text, buf_data(&message), message.len);
    buf_append_str(&line->text, "\"}\n");
    if (line->text.failed || message.failed)
        sink.dropped++;
    else
        log_deliver(&line->text);
    buf_done(&message);
    buf_done(&line->text);
}
