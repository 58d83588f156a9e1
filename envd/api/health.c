/*
 * GET /health, and what SIGUSR1 puts into the log.
 */
#include "api/health.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/listeners.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/str.h"
#include "connect/json_write.h"
#include "envd.h"
#include "guest/freezer.h"
#include "guest/fsfreeze.h"
#include "http/exchange.h"
#include "http/server.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "process/process.h"
#include "watch/watch.h"

/* Takes one matter: a number, or a text. */
struct sink {
    void (*number)(struct sink *s, const char *key, int64_t value);
    void (*text)(struct sink *s, const char *key, const char *value);
    struct buf *out;
    struct log_line *line;
};

static const char *
word_commit(struct envd *e)
{
    return e->options.commit;
}

static const char *
word_listeners(struct envd *e)
{
    static const char *const texts[] = {
        "none",  "tcp",       "unix",       "tcp unix",
        "vsock", "tcp vsock", "unix vsock", "tcp unix vsock",
    };
    const struct listeners *l = &e->listeners;

    return texts[(l->tcp ? 1 : 0) + (l->unix_path ? 2 : 0) +
                 (l->vsock ? 4 : 0)];
}

static const char *
word_cgroups(struct envd *e)
{
    return e->cgroups != NULL ? "used" : "not used";
}

static const char *
word_freeze(struct envd *e)
{
    return e->freezer == NULL           ? "impossible"
           : freezer_stands(e->freezer) ? "frozen"
                                        : "thawed";
}

static const char *
word_fsfreeze(struct envd *e)
{
    return e->fsfreeze == NULL            ? NULL
           : fsfreeze_frozen(e->fsfreeze) ? "frozen"
                                          : "thawed";
}

static const char *
word_longest_stall(struct envd *e)
{
    return loop_stalls(e->loop).longest;
}

static const struct {
    const char *key;
    health_word_fn word;
} words[] = {
    {"commit", word_commit},        {"listeners", word_listeners},
    {"cgroups", word_cgroups},      {"commands", word_freeze},
    {"file_system", word_fsfreeze}, {"longest_stall_in", word_longest_stall},
};

static void
tell(struct sink *s, struct envd *e)
{
    const struct http_stats *http = http_server_stats(e->http);
    struct process_stats processes = process_table_stats(e->processes);
    struct watch_stats watches = watch_hub_stats(e->watches);
    struct worker_stats workers = worker_pool_stats(e->workers);
    struct loop_stalls stalls = loop_stalls(e->loop);
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"pid", getpid()},
        {"port", e->options.port},
        {"uptime_s", (loop_now_ms() - e->started_ms) / 1000},
        {"connections", (int64_t)http_server_connections(e->http)},
        {"connections_accepted", (int64_t)http->accepted},
        {"connections_refused", (int64_t)http->refused},
        {"processes", (int64_t)processes.live},
        {"processes_retained", (int64_t)processes.retained},
        {"processes_started", (int64_t)processes.started},
        {"output_kept_bytes", (int64_t)processes.ring_bytes},
        {"readers_cut", (int64_t)processes.readers_cut},
        {"watchers", (int64_t)watches.watchers},
        {"watched_directories", (int64_t)watches.directories},
        {"watch_overflows", (int64_t)watches.overflows},
        {"worker_threads", workers.threads},
        {"worker_threads_still", workers.still},
        {"worker_jobs_queued", (int64_t)workers.waiting},
        {"worker_jobs_held", (int64_t)workers.held},
        {"worker_jobs_gated", (int64_t)workers.gated},
        {"uploads", (int64_t)e->uploads},
        {"loop_stalls", (int64_t)stalls.count},
        {"loop_longest_stall_ms", stalls.longest_ms},
        {"log_lines_dropped", (int64_t)log_dropped()},
    };

    s->text(s, "version", ENVD_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *word = words[i].word(e);

        if (word != NULL)
            s->text(s, words[i].key, word);
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        s->number(s, numbers[i].key, numbers[i].value);
}

/* ---- as JSON ------------------------------------------------------------- */

static void
append_key(struct sink *s, const char *key)
{
    buf_appendf(s->out, "%s\n  \"%s\": ", s->out->len > 1 ? "," : "", key);
}

static void
append_number(struct sink *s, const char *key, int64_t value)
{
    append_key(s, key);
    buf_append_i64(s->out, value);
}

static void
append_text(struct sink *s, const char *key, const char *value)
{
    append_key(s, key);
    json_write_string(s->out, value, strlen(value));
}

void
health_append(struct buf *out, struct envd *e)
{
    struct sink s = {append_number, append_text, out, NULL};

    buf_append_byte(out, '{');
    tell(&s, e);
    buf_append_str(out, "\n}\n");
}

/* ---- as a log line ------------------------------------------------------- */

static void
log_number(struct sink *s, const char *key, int64_t value)
{
    log_i64(s->line, key, value);
}

static void
log_text(struct sink *s, const char *key, const char *value)
{
    log_str(s->line, key, value);
}

void
health_log(struct envd *e)
{
    SCOPE(buf_done) struct buf text = {0};
    struct log_line line;
    struct sink s = {log_number, log_text, NULL, &line};

    if (log_begin(&line, LOG_LEVEL_INFO, "envd")) {
        tell(&s, e);
        log_end(&line, "The state of the agent");
        return;
    }
    health_append(&text, e);
    log_aside(buf_data(&text), text.len);
}

/* ---- the route ----------------------------------------------------------- */

/* Whether the query has `verbose`, alone or with a value. */
static bool
is_verbose(struct str query)
{
    while (query.len > 0) {
        const char *end = memchr(query.data, '&', query.len);
        size_t len = end != NULL ? (size_t)(end - query.data) : query.len;
        struct str pair = {query.data, len};

        if (str_starts(pair, "verbose") && (len == 7 || query.data[7] == '='))
            return true;
        len += end != NULL ? 1 : 0;
        query = (struct str){query.data + len, query.len - len};
    }
    return false;
}

void
api_health(struct envd *e, struct http_exchange *x)
{
    SCOPE(buf_done) struct buf body = {0};

    http_add_header(x, "Cache-Control", "no-store");
    if (!is_verbose(http_request(x)->query)) {
        http_reply(x, 204, NULL, 0);
        return;
    }
    if (api_lacks_token(e, x))
        return;
    health_append(&body, e);
    http_add_header(x, "Content-Type", "application/json");
    http_reply_buf(x, 200, &body);
}
