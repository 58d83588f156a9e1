/*
 * POST /files: the loop gathers the body in slices, workers decode and write
 * them.  While one slice is written the next is received; when both are full
 * the client waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/files.h"
#include "api/upload.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "http/accept.h"
#include "http/exchange.h"
#include "http/media_type.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

/* What is given to a worker at least, however many uploads run. */
#define SLICE_MIN_BYTES ((size_t)16 * 1024)

/* How long an upload waits for another one of the same file. */
#define RETRY_FIRST_MS 2
#define RETRY_MAX_MS   100

/* One POST.  While a job runs, it alone uses what is marked (job). */
struct post {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when it is answered or the client gone */
    struct files_request request;
    struct buf filling; /* what is received */
    size_t slice_bytes; /* given to a worker at once */
    bool paused;
    bool body_ended;
    bool running; /* a job is under way */
    bool waiting; /* for another upload: the slice is not taken yet */
    bool last;    /* the slice of that job is the last one */
    struct loop_timer retry;
    int64_t retry_ms;
    const char *fault; /* the body will never be complete: static words */
    int fault_status;

    struct upload upload;      /* (job) */
    struct buf slice;          /* (job) */
    enum upload_result result; /* (job) */
};

static struct post *
post_of(struct job *job)
{
    return container_of(job, struct post, job);
}

static void
post_free(struct post *p)
{
    p->envd->uploads--;
    loop_timer_cancel(&p->retry);
    upload_done(&p->upload);
    buf_done(&p->filling);
    buf_done(&p->slice);
    files_request_done(&p->request);
    free(p);
}

/* ---- the end ------------------------------------------------------------- */

static void
run_abort(struct job *job)
{
    struct post *p = post_of(job);

    (void)upload_enter(&p->upload, &p->request.caller);
    upload_abort(&p->upload);
    caller_leave();
}

static void on_aborted(struct job *job);

/* Have a worker undo what is half written; on_aborted() goes on. */
static void
start_abort(struct post *p)
{
    p->job.run = run_abort;
    p->job.done = on_aborted;
    p->running = worker_submit(p->envd->workers, &p->job) == 0;
    /* No thread to be had, and no place to wait for one: try again. */
    if (!p->running)
        loop_timer_set(&p->retry, RETRY_MAX_MS);
}

/* The exchange is over. */
static void
post_end(struct post *p)
{
    p->x = NULL;
    if (p->running)
        return; /* its `done` comes here again */
    if (p->upload.writer.mode == FILE_WRITER_CLOSED)
        post_free(p);
    else
        start_abort(p);
}

/* Nothing is half written: say what failed, and what it has cost. */
static void
fail(struct post *p, int http_status, const char *text)
{
    const char *lost = upload_lost(&p->upload);

    if (lost != NULL)
        files_fail(&p->request, p->x, http_status,
                   "%s; the old content of '%s' is lost", text, lost);
    else
        files_fail(&p->request, p->x, http_status, "%s", text);
    post_end(p);
}

static void
on_aborted(struct job *job)
{
    struct post *p = post_of(job);

    p->running = false;
    /* Not run only when the agent ends: a new file must vanish even then. */
    if (job_cancelled(job))
        upload_abort(&p->upload);
    if (p->x != NULL)
        fail(p, p->fault_status, p->fault);
    else
        post_free(p);
}

/* Answer with a failure, when what is half written is undone. */
static void
give_up(struct post *p, int http_status, const char *text)
{
    p->fault = text;
    p->fault_status = http_status;
    if (p->running)
        return; /* its `done` goes on */
    loop_timer_cancel(&p->retry);
    if (p->upload.writer.mode == FILE_WRITER_CLOSED)
        fail(p, http_status, text);
    else
        start_abort(p);
}

static void
log_unsupported(const struct post *p)
{
    struct log_line line;

    if (!log_begin(&line, LOG_LEVEL_WARN, "envd"))
        return;
    log_operation(&line, p->request.operation_id);
    log_end(&line, "file metadata is not supported by the file system");
}

static void
answer(struct post *p)
{
    SCOPE(buf_done) struct buf out = {0};

    upload_answer(&p->upload, &out);
    if (out.failed) {
        fail(p, 507, "out of memory");
        return;
    }
    if (p->upload.metadata_unsupported)
        log_unsupported(p);
    http_add_header(p->x, "Content-Type", "application/json");
    http_reply_buf(p->x, 200, &out);
    files_log(&p->request, 200, NULL);
    post_end(p);
}

/* ---- slices -------------------------------------------------------------- */

static void
run_slice(struct job *job)
{
    struct post *p = post_of(job);

    p->result = upload_enter(&p->upload, &p->request.caller);
    if (p->result == UPLOAD_MORE)
        p->result = upload_run(&p->upload, &p->slice, p->last, job);
    caller_leave();
}

static void
run_open(struct job *job)
{
    struct post *p = post_of(job);

    p->result = upload_enter(&p->upload, &p->request.caller);
    if (p->result == UPLOAD_MORE)
        p->result = upload_open(&p->upload);
    caller_leave();
}

static void on_slice(struct job *job);

static void
start(struct post *p, void (*run)(struct job *job))
{
    p->job.run = run;
    p->job.done = on_slice;
    p->running = worker_submit(p->envd->workers, &p->job) == 0;
    if (!p->running)
        give_up(p, 503, "too many file operations");
}

/* Two slices each: one is written while the other is received. */
static void
set_slice(struct post *p)
{
    size_t share = LIMIT_UPLOAD_BUFFERS_BYTES / 2 / p->envd->uploads;

    share = MAX(share, SLICE_MIN_BYTES);
    p->slice_bytes = MIN(share, (size_t)LIMIT_TRANSFER_SLICE_BYTES);
    http_body_into(p->x, &p->filling, p->slice_bytes);
}

static void
resume(struct post *p)
{
    if (p->paused && !p->body_ended)
        http_body_resume(p->x);
    p->paused = false;
}

/* Whether there is enough for a worker, and nothing before it. */
static bool
has_slice(const struct post *p)
{
    return !p->running && !p->waiting &&
           (p->filling.len >= p->slice_bytes || p->body_ended);
}

/* Give a worker what was received.  The post may be gone behind it. */
static void
start_slice(struct post *p)
{
    struct buf empty = p->slice;

    p->slice = p->filling;
    p->filling = empty;
    set_slice(p);
    p->last = p->body_ended;
    resume(p);
    start(p, run_slice);
}

/* What came of a slice, for a client that is still there. */
static void
on_result(struct post *p)
{
    switch (p->result) {
    case UPLOAD_MORE:
        buf_reset(&p->slice, p->slice_bytes);
        if (has_slice(p))
            start_slice(p);
        else
            resume(p);
        break;
    case UPLOAD_DONE:
        answer(p);
        break;
    case UPLOAD_BUSY:
        p->waiting = true;
        p->retry_ms = MIN(p->retry_ms * 2, RETRY_MAX_MS);
        loop_timer_set(&p->retry, p->retry_ms);
        break;
    case UPLOAD_FAILED:
        fail(p, p->upload.http_status, status_message(&p->upload.st));
        break;
    }
}

static void
on_slice(struct job *job)
{
    struct post *p = post_of(job);

    p->running = false;
    if (p->x == NULL)
        post_end(p);
    else if (p->fault != NULL && p->result != UPLOAD_FAILED)
        give_up(p, p->fault_status, p->fault);
    else
        on_result(p);
}

static void
on_retry(struct loop_timer *t)
{
    struct post *p = container_of(t, struct post, retry);

    p->waiting = false;
    if (p->x == NULL)
        post_end(p);
    else if (p->fault != NULL)
        give_up(p, p->fault_status, p->fault);
    else
        start(p, run_slice);
}

/* ---- the body ------------------------------------------------------------ */

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    struct post *p = ctx;

    if (data != NULL)
        buf_append(&p->filling, data, len);
    if (p->filling.failed) {
        http_body_pause(x);
        give_up(p, 507, "out of memory");
        return;
    }
    if (has_slice(p)) {
        start_slice(p);
    } else if (p->filling.len >= p->slice_bytes) {
        p->paused = true;
        http_body_pause(x);
    }
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    struct post *p = ctx;

    (void)x;
    if (err == -ETIMEDOUT) {
        give_up(p, 408, "error writing file: the body stalled");
    } else if (err == -EBADMSG) {
        give_up(p, 400, "error writing file: malformed chunked encoding");
    } else if (err != 0) {
        give_up(p, 500, "error writing file: unexpected EOF");
    } else {
        p->body_ended = true;
        if (has_slice(p))
            start_slice(p);
    }
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct post *p = ctx;

    (void)x;
    /* A body that is complete is stored, whether or not its sender waits. */
    if (p->running && !p->last)
        job_cancel(&p->job);
    post_end(p);
}

/* ---- the request --------------------------------------------------------- */

/* Decide between a raw and a multipart body. */
static int
read_content_type(struct post *p, struct media_type *type)
{
    struct str header = http_header(p->x, "Content-Type");
    int r = media_type_parse(header, type);
    bool form;

    if (str_eq(type->type, "application/octet-stream"))
        return 0;
    if (!str_starts(type->type, "multipart/")) {
        files_fail(&p->request, p->x, 400,
                   "unsupported content type: %.*s, expected "
                   "multipart/form-data or application/octet-stream",
                   (int)header.len, header.data != NULL ? header.data : "");
        return -1;
    }
    p->upload.multipart = true;
    form = str_eq(type->type, "multipart/form-data") ||
           str_eq(type->type, "multipart/mixed");
    if (form && r == 0)
        return 0;
    files_fail(&p->request, p->x, 500,
               "error parsing multipart form: request Content-Type isn't "
               "multipart/form-data");
    return -1;
}

static int
read_boundary(struct post *p, const struct media_type *type, struct str *ret)
{
    char *boundary = NULL;
    size_t len;

    *ret = (struct str){0};
    if (!p->upload.multipart)
        return 0;
    if (media_type_param(type, "boundary", &boundary, &len) < 0) {
        files_fail(&p->request, p->x, 500,
                   "error parsing multipart form: no multipart boundary param "
                   "in Content-Type");
        return -1;
    }
    *ret = (struct str){boundary, len};
    return 0;
}

static int
read_coding(struct post *p, bool *ret_gzip)
{
    struct str header = http_header(p->x, "Content-Encoding");
    enum coding coding = content_coding(header);

    *ret_gzip = coding == CODING_GZIP;
    if (coding != CODING_NONE)
        return 0;
    files_fail(&p->request, p->x, 400,
               "error decompressing request body: unsupported "
               "Content-Encoding: %.*s, supported: [gzip]",
               (int)header.len, header.data);
    return -1;
}

/* What the worker needs, as its own. */
static int
prepare_upload(struct post *p, const struct media_type *type, bool gzip)
{
    struct upload *u = &p->upload;
    struct str boundary;
    int r;

    if (read_boundary(p, type, &boundary) < 0)
        return -1;
    if (!u->multipart && p->request.path.data == NULL) {
        files_fail(&p->request, p->x, 400,
                   "path query parameter is required for raw body upload");
        return -1;
    }
    u->path = p->request.path;
    u->user = p->request.user.name;
    u->home = p->request.user.home;
    u->workdir = p->request.workdir;
    u->uid = p->request.user.uid;
    u->gid = p->request.user.gid;
    u->content_length = http_request(p->x)->content_length;
    r = upload_init(u, boundary, gzip);
    /* That of a form changes with its parts. */
    p->job.path = u->multipart ? NULL : u->target;
    p->job.writes = true;
    free((char *)(uintptr_t)boundary.data);
    if (r < 0)
        files_fail(&p->request, p->x, u->http_status, "%s",
                   status_message(&u->st));
    return r;
}

static int
read_headers(struct post *p)
{
    SCOPE(status_done) struct status st = {0};
    int http_status;

    arena_init(&p->upload.arena, LIMIT_UPLOAD_NAMES_BYTES);
    if (upload_read_headers(&p->upload, http_request(p->x), &st) == 0)
        return 0;
    http_status = files_http_status(st.code);
    files_fail(&p->request, p->x, http_status, "%s", status_message(&st));
    return -1;
}

/* All that is checked before the disk is looked at. */
static int
prepare(struct post *p)
{
    SCOPE(media_type_done) struct media_type type = {0};
    bool gzip;

    if (files_request_begin(&p->request, p->envd, p->x, /* write= */ true) <
            0 ||
        read_coding(p, &gzip) < 0 ||
        files_request_user(&p->request, p->envd, p->x) < 0 ||
        read_headers(p) < 0 || read_content_type(p, &type) < 0)
        return -1;
    return prepare_upload(p, &type, gzip);
}

void
api_files_post(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_cancel = on_cancel,
    };
    struct post *p = xcalloc(1, sizeof(*p));

    e->uploads++;
    p->envd = e;
    p->x = x;
    p->retry_ms = RETRY_FIRST_MS;
    loop_timer_init(e->loop, &p->retry, on_retry);
    if (prepare(p) < 0) {
        post_free(p);
        return;
    }
    http_accept(x, &handler, p);
    set_slice(p);
    /* A large file is opened first, so that a refusal needs no body. */
    if (!p->upload.multipart && p->upload.gzip == NULL &&
        p->upload.content_length > LIMIT_TRANSFER_SLICE_BYTES) {
        p->paused = true;
        start(p, run_open);
    } else {
        http_body_resume(x);
    }
}
