/*
 * A queue of lines, and one request at a time.
 */
#include "guest/log_export.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "guest/http_client.h"
#include "limits.h"
#include "loop/loop.h"

#define ANSWER_BYTES \
    ((size_t)4096) /* of which nothing is read but the status */
#define COMPLAIN_MS (60 * 1000)

struct line {
    STAILQ_ENTRY(line) link;
    uint64_t number;
    size_t len;
    char text[]; /* without its first brace and its line feed */
};

/* Somebody who waits until the lines before `until` are gone. */
struct flush {
    TAILQ_ENTRY(flush) link;
    struct log_exporter *x;
    struct loop_timer budget;
    uint64_t until;
    void (*done)(void *ctx, bool all);
    void *ctx;
};

struct log_exporter {
    struct loop *loop;
    struct http_client client;
    struct loop_deferred pump;
    STAILQ_HEAD(, line) lines;
    TAILQ_HEAD(, flush) flushes;
    size_t bytes;      /* of the lines, with their headers */
    uint64_t next;     /* the number of the next line */
    uint64_t sending;  /* that of the one on its way */
    struct buf prefix; /* {"instanceID":"…","envID":"…", */
    char *url;         /* NULL: not known yet */
    char *path;        /* in it */
    bool known;        /* whose lines these are: they may be sent */
    struct log_quota said_dropped;
    struct log_quota said_failed;
    struct log_export_stats stats;
};

/* ---- flushes ------------------------------------------------------------- */

static bool
gone(const struct log_exporter *x, uint64_t until)
{
    const struct line *first = STAILQ_FIRST(&x->lines);

    return (!x->client.busy || x->sending >= until) &&
           (first == NULL || first->number >= until);
}

static void
flush_end(struct flush *f)
{
    bool all = gone(f->x, f->until);

    TAILQ_REMOVE(&f->x->flushes, f, link);
    loop_timer_cancel(&f->budget);
    f->done(f->ctx, all);
    free(f);
}

static void
on_budget(struct loop_timer *t)
{
    flush_end(container_of(t, struct flush, budget));
}

/* What has nothing to wait for ends: at once, but not in here. */
static void
flushes_check(struct log_exporter *x)
{
    struct flush *f;

    TAILQ_FOREACH (f, &x->flushes, link)
        if (gone(x, f->until) || !x->known)
            loop_timer_set(&f->budget, 0);
}

void
log_exporter_flush(struct log_exporter *x, int64_t budget_ms,
                   void (*done)(void *ctx, bool all), void *ctx)
{
    struct flush *f = xcalloc(1, sizeof(*f));

    *f = (struct flush){.x = x, .until = x->next, .done = done, .ctx = ctx};
    loop_timer_init(x->loop, &f->budget, on_budget);
    loop_timer_set(&f->budget, budget_ms);
    TAILQ_INSERT_TAIL(&x->flushes, f, link);
    flushes_check(x);
}

/* ---- the queue ----------------------------------------------------------- */

static size_t
line_bytes(const struct line *l)
{
    return sizeof(*l) + l->len;
}

static struct line *
queue_pop(struct log_exporter *x)
{
    struct line *l = STAILQ_FIRST(&x->lines);

    STAILQ_REMOVE_HEAD(&x->lines, link);
    x->bytes -= line_bytes(l);
    x->stats.queued_lines--;
    return l;
}

static void
say_dropped(struct log_exporter *x, const char *why)
{
    log_note(&x->said_dropped, "log exporter: dropped a line: %s", why);
}

static void
queue_trim(struct log_exporter *x)
{
    size_t room = x->known ? LIMIT_LOG_EXPORT_BYTES : LIMIT_LOG_EARLY_BYTES;

    while (x->bytes > room) {
        free(queue_pop(x));
        x->stats.dropped++;
        say_dropped(x, "the queue is full");
    }
}

/* The log's second reader. */
static void
on_line(void *ctx, const char *text, size_t len)
{
    struct log_exporter *x = ctx;
    struct line *l;

    if (len < 3)
        return;
    if (len > LIMIT_LOG_LINE_BYTES) {
        x->stats.dropped_long++;
        say_dropped(x, "it is too long");
        return;
    }
    l = malloc(sizeof(*l) + len - 2);
    if (l == NULL) {
        x->stats.dropped++;
        return;
    }
    l->number = x->next++;
    l->len = len - 2;
    memcpy(l->text, text + 1, l->len);
    STAILQ_INSERT_TAIL(&x->lines, l, link);
    x->bytes += line_bytes(l);
    x->stats.queued_lines++;
    queue_trim(x);
    if (x->known && !x->client.busy)
        loop_defer(x->loop, &x->pump);
}

/* ---- requests ------------------------------------------------------------ */

static void
send_next(struct log_exporter *x)
{
    SCOPE(scope_free) struct line *l = queue_pop(x);
    struct buf *out = http_client_request(&x->client);

    x->sending = l->number;
    buf_appendf(out,
                "POST %s HTTP/1.1\r\n"
                "Host: %s\r\n"
                "Content-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n",
                x->path, x->client.target.host, x->prefix.len + l->len);
    buf_append(out, buf_data(&x->prefix), x->prefix.len);
    buf_append(out, l->text, l->len);
    http_client_send(&x->client, LIMIT_LOG_POST_MS, ANSWER_BYTES);
}

static void
on_pump(struct loop_deferred *d)
{
    struct log_exporter *x = container_of(d, struct log_exporter, pump);

    if (x->known && !x->client.busy && !STAILQ_EMPTY(&x->lines))
        send_next(x);
}

static void
on_sent(struct http_client *c, int error)
{
    struct log_exporter *x = container_of(c, struct log_exporter, client);

    if (error < 0) {
        x->stats.failed++;
        log_note(&x->said_failed, "error sending logs: %s", errno_text(-error));
    } else if (c->answer.status / 100 == 2) {
        x->stats.sent++;
    } else {
        x->stats.refused++;
        log_note(&x->said_failed, "error sending logs: status %u",
                 c->answer.status);
    }
    /* At the end of the turn, so that others have theirs between two lines. */
    loop_defer(x->loop, &x->pump);
    flushes_check(x);
}

/* ---- whose they are ------------------------------------------------------ */

static void
set_prefix(struct log_exporter *x, const char *instance_id, const char *env_id)
{
    buf_reset(&x->prefix, SIZE_MAX);
    buf_append_str(&x->prefix, "{\"instanceID\":\"");
    log_escape(&x->prefix, instance_id);
    buf_append_str(&x->prefix, "\",\"envID\":\"");
    log_escape(&x->prefix, env_id);
    buf_append_str(&x->prefix, "\",");
}

int
log_exporter_target(struct log_exporter *x, const char *url,
                    const char *instance_id, const char *env_id)
{
    struct http_target target;
    const char *path;

    if (http_target_parse(url, &target, &path) < 0)
        return -EINVAL;
    if (x->url == NULL || strcmp(x->url, url) != 0) {
        free(x->url);
        free(x->path);
        x->url = xstrdup(url);
        x->path = xstrdup(*path != '\0' ? path : "/");
        http_client_target(&x->client, &target);
    }
    set_prefix(x, instance_id, env_id);
    x->known = !x->prefix.failed;
    loop_defer(x->loop, &x->pump);
    return 0;
}

void
log_exporter_drop(struct log_exporter *x)
{
    if (x->client.busy)
        x->stats.dropped_old++;
    http_client_abort(&x->client);
    while (!STAILQ_EMPTY(&x->lines)) {
        free(queue_pop(x));
        x->stats.dropped_old++;
    }
    x->known = false;
    flushes_check(x);
}

void
log_exporter_get_stats(const struct log_exporter *x,
                       struct log_export_stats *ret)
{
    *ret = x->stats;
    ret->connections = x->client.connections;
    ret->queued_bytes = x->bytes;
}

struct log_exporter *
log_exporter_new(struct loop *loop)
{
    struct log_exporter *x = xcalloc(1, sizeof(*x));

    x->loop = loop;
    x->pump.run = on_pump;
    x->said_dropped = (struct log_quota)LOG_QUOTA(1, COMPLAIN_MS);
    x->said_failed = (struct log_quota)LOG_QUOTA(1, COMPLAIN_MS);
    STAILQ_INIT(&x->lines);
    TAILQ_INIT(&x->flushes);
    http_client_init(&x->client, loop, true, on_sent);
    log_tee(on_line, x);
    return x;
}

void
log_exporter_free(struct log_exporter *x)
{
    struct flush *f;

    if (x == NULL)
        return;
    log_tee(NULL, NULL);
    while (!STAILQ_EMPTY(&x->lines))
        free(queue_pop(x));
    while ((f = TAILQ_FIRST(&x->flushes)) != NULL) {
        TAILQ_REMOVE(&x->flushes, f, link);
        loop_timer_cancel(&f->budget);
        free(f);
    }
    loop_defer_cancel(x->loop, &x->pump);
    http_client_done(&x->client);
    buf_done(&x->prefix);
    free(x->url);
    free(x->path);
    free(x);
}
