/*
 * POST /files/compose: the loop gathers the request, a worker does it.  The
 * work ends when the client leaves, and is then undone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_read.h"
#include "connect/json_write.h"
#include "envd.h"
#include "filesystem/caller.h"
#include "filesystem/compose.h"
#include "filesystem/path.h"
#include "guest/settings.h"
#include "http/exchange.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "rest.pb-c.h"
#include "security/user.h"

/* How long a compose waits for an upload of one of its files. */
#define RETRY_MS 20

/* One request.  While a job runs, it alone uses what is marked (job). */
struct compose_post {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when it is answered or the client gone */
    uint64_t operation_id;
    bool running;
    struct loop_timer retry;

    struct buf body; /* holds the strings of the request */
    struct arena arena;
    const Rest__ComposeRequest *request;
    struct user user;
    struct caller caller; /* the same, for jobs */
    char *workdir;
    char *destination; /* resolved */

    struct compose compose; /* (job) */
    int result;             /* (job) */
    struct status st;       /* (job) */
};

static struct compose_post *
post_of(struct job *job)
{
    return container_of(job, struct compose_post, job);
}

static void
post_free(struct compose_post *p)
{
    loop_timer_cancel(&p->retry);
    compose_done(&p->compose);
    buf_done(&p->body);
    arena_done(&p->arena);
    user_done(&p->user);
    caller_done(&p->caller);
    status_done(&p->st);
    free(p->workdir);
    free(p->destination);
    free(p);
}

/* ---- the end ------------------------------------------------------------- */

static void
run_abort(struct job *job)
{
    struct compose_post *p = post_of(job);

    (void)caller_enter(&p->caller, &p->st);
    compose_abort(&p->compose);
    caller_leave();
}

static void
on_aborted(struct job *job)
{
    /* Not run only when the agent ends: nothing may stay half done. */
    if (job_cancelled(job))
        run_abort(job);
    post_free(post_of(job));
}

/* The exchange is over. */
static void
post_end(struct compose_post *p)
{
    p->x = NULL;
    if (p->running)
        return; /* its `done` comes here again */
    if (p->compose.writer.mode == FILE_WRITER_CLOSED) {
        post_free(p);
        return;
    }
    p->job.run = run_abort;
    p->job.path = NULL; /* not to be held back */
    p->job.done = on_aborted;
    if (worker_submit(p->envd->workers, &p->job) < 0)
        loop_timer_set(&p->retry, RETRY_MS);
}

static void
fail(struct compose_post *p, int http_status, const char *text)
{
    struct log_line line;

    if (log_begin(&line, LOG_LEVEL_ERROR, "envd")) {
        log_str(&line, "error", text);
        log_operation(&line, p->operation_id);
        api_log_request(&line, p->x);
        log_i64(&line, "error_code", http_status);
        log_end(&line, "File compose");
    }
    api_error(p->x, http_status, "%s", text);
    post_end(p);
}

static void
answer(struct compose_post *p)
{
    SCOPE(scope_free) char *name = path_base(p->destination);
    SCOPE(buf_done) struct buf out = {0};
    struct log_line line;

    buf_append_str(&out, "{\"name\":");
    json_write_string(&out, name != NULL ? name : "",
                      name != NULL ? strlen(name) : 0);
    buf_append_str(&out, ",\"path\":");
    json_write_string(&out, p->destination, strlen(p->destination));
    buf_append_str(&out, ",\"type\":\"file\"}\n");
    if (log_begin(&line, LOG_LEVEL_INFO, "envd")) {
        log_operation(&line, p->operation_id);
        api_log_request(&line, p->x);
        log_str(&line, "path", p->destination);
        log_u64(&line, "sources", p->compose.count);
        log_i64(&line, "size", p->compose.size);
        log_end(&line, "File compose completed");
    }
    http_add_header(p->x, "Content-Type", "application/json");
    http_reply_buf(p->x, 200, &out);
    post_end(p);
}

/* ---- the work ------------------------------------------------------------ */

static void
run_compose(struct job *job)
{
    struct compose_post *p = post_of(job);

    p->result = caller_enter(&p->caller, &p->st);
    if (p->result == 0)
        p->result = compose_run(&p->compose, &job->cancelled, &p->st);
    caller_judge(&p->st);
    caller_leave();
}

static void
on_composed(struct job *job)
{
    struct compose_post *p = post_of(job);

    p->running = false;
    if (p->x == NULL)
        post_end(p);
    else if (p->result == 0)
        answer(p);
    else if (p->result == COMPOSE_BUSY)
        loop_timer_set(&p->retry, RETRY_MS);
    else
        fail(p, files_http_status(p->st.code), status_message(&p->st));
}

static void
start(struct compose_post *p)
{
    p->job.run = run_compose;
    p->job.done = on_composed;
    p->job.path = p->destination;
    p->job.other = ""; /* the sources vanish, wherever they are */
    p->job.writes = true;
    p->running = worker_submit(p->envd->workers, &p->job) == 0;
    if (!p->running)
        fail(p, 503, "too many file operations");
}

static void
on_retry(struct loop_timer *t)
{
    struct compose_post *p = container_of(t, struct compose_post, retry);

    if (p->x == NULL)
        post_end(p);
    else
        start(p);
}

/* ---- the request --------------------------------------------------------- */

static int
decode(struct compose_post *p, struct status *st)
{
    SCOPE(status_done) struct status inner = {0};
    const char *reason = "EOF";

    if (p->body.len > 0) {
        arena_init(&p->arena, LIMIT_REST_DECODED_BYTES);
        p->request = (const Rest__ComposeRequest *)json_read(
            &rest__compose_request__descriptor, (char *)buf_data(&p->body),
            p->body.len, JSON_RULES_REST_PREFIX, &p->arena, &inner);
        reason = status_message(&inner);
    }
    if (p->request == NULL)
        return status_set(st, RPC_INVALID_ARGUMENT, "invalid request body: %s",
                          reason);
    if (p->request->n_source_paths == 0)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "source_paths must not be empty");
    if (p->request->n_source_paths > LIMIT_COMPOSE_SOURCES)
        return status_set(st, RPC_INVALID_ARGUMENT, "more than %d source_paths",
                          LIMIT_COMPOSE_SOURCES);
    if (*p->request->destination == '\0')
        return status_set(st, RPC_INVALID_ARGUMENT, "destination is required");
    return 0;
}

static int
find_user(struct compose_post *p, struct status *st)
{
    const Rest__ComposeRequest *r = p->request;
    bool named = r->_username_case == REST__COMPOSE_REQUEST___USERNAME_USERNAME;
    const char *name =
        named ? r->username : guest_default_user(p->envd->settings);

    if (user_find(p->envd->users, name, &p->user) == 0) {
        api_caller_init(p->envd, &p->user, &p->caller);
        return 0;
    }
    return status_set(st, RPC_UNAUTHENTICATED,
                      "error looking up user '%s': user: unknown user %s", name,
                      name);
}

static int
prepare(struct compose_post *p, struct status *st)
{
    const char *workdir = guest_default_workdir(p->envd->settings);
    SCOPE(status_done) struct status inner = {0};

    if (decode(p, st) < 0 || find_user(p, st) < 0)
        return -1;
    p->workdir = workdir != NULL ? xstrdup(workdir) : NULL;
    if (path_resolve(str_from(p->request->destination), p->user.name,
                     p->user.home, p->workdir, &p->destination, &inner) < 0)
        return status_set(st, inner.code,
                          "error resolving destination path: %s",
                          status_message(&inner));
    p->compose = (struct compose){
        .given = p->request->source_paths,
        .count = p->request->n_source_paths,
        .destination = p->destination,
        .user = p->user.name,
        .home = p->user.home,
        .workdir = p->workdir,
        .uid = p->user.uid,
        .gid = p->user.gid,
    };
    return 0;
}

static void
refuse_large(struct compose_post *p)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "request body is larger than %d bytes",
                   LIMIT_REST_JSON_BYTES);
    fail(p, 413, text);
}

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    struct compose_post *p = ctx;

    (void)x;
    if (len <= LIMIT_REST_JSON_BYTES - p->body.len)
        buf_append(&p->body, data, len);
    else
        refuse_large(p);
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    SCOPE(status_done) struct status st = {0};
    struct compose_post *p = ctx;

    (void)x;
    if (err != 0)
        fail(p, 400, "invalid request body: unexpected EOF");
    else if (p->body.failed)
        fail(p, 507, "out of memory");
    else if (prepare(p, &st) == 0)
        start(p);
    else
        fail(p,
             st.code == RPC_UNAUTHENTICATED ? 401 : files_http_status(st.code),
             status_message(&st));
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct compose_post *p = ctx;

    (void)x;
    if (p->running)
        job_cancel(&p->job);
    post_end(p);
}

void
api_files_compose(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_cancel = on_cancel,
    };
    struct compose_post *p = xcalloc(1, sizeof(*p));
    int64_t length = http_request(x)->content_length;

    p->envd = e;
    p->x = x;
    p->operation_id = log_operation_id();
    loop_timer_init(e->loop, &p->retry, on_retry);
    if (length > LIMIT_REST_JSON_BYTES) {
        refuse_large(p);
        return;
    }
    http_accept(x, &handler, p);
    http_body_resume(x);
}
