/*
 * POST /files/tar: the loop gathers the body in slices, workers inflate and
 * unpack them.  While one is unpacked the next is received.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/files.h"
#include "api/files_path.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_write.h"
#include "envd.h"
#include "filesystem/tar_extract.h"
#include "http/accept.h"
#include "http/encoding.h"
#include "http/exchange.h"
#include "limits.h"
#include "loop/loop.h"
#include "loop/worker.h"

#define INFLATED_BYTES ((size_t)128 * 1024)

/* Before one more try to find a worker for what is unfinished. */
#define RETRY_MS 100

/* One archive coming in.  While a job runs, it alone uses what is (job). */
struct tar_post {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when it is answered or the client gone */
    struct files_request request;
    char *path;         /* resolved; owned */
    struct buf filling; /* what is received */
    bool paused;
    bool body_ended;
    bool running; /* a job is under way */
    bool last;    /* the slice of that job is the last one */
    struct loop_timer retry;

    struct tar_extract tar;    /* (job) */
    struct gzip_inflate *gzip; /* (job) NULL: not compressed */
    uint8_t *inflated;         /* (job) INFLATED_BYTES */
    struct buf slice;          /* (job) */
    struct status st;          /* (job) */
};

static struct tar_post *
tar_post_of(struct job *job)
{
    return container_of(job, struct tar_post, job);
}

static void
tar_post_free(struct tar_post *p)
{
    p->envd->archives--;
    loop_timer_cancel(&p->retry);
    gzip_inflate_free(p->gzip);
    free(p->inflated);
    buf_done(&p->filling);
    buf_done(&p->slice);
    status_done(&p->st);
    files_request_done(&p->request);
    free(p->path);
    free(p);
}

/* ---- jobs ---------------------------------------------------------------- */

static int
make_inflater(struct tar_post *p, struct status *st)
{
    p->gzip = gzip_inflate_new();
    p->inflated = malloc(INFLATED_BYTES);
    if (p->gzip == NULL || p->inflated == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return 0;
}

static int
fail_gzip(enum gzip_fault fault, struct status *st)
{
    return status_set(
        st,
        fault == GZIP_NO_MEMORY ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT,
        "error decompressing request body: %s", gzip_fault_text(fault));
}

static int
extract_inflated(struct tar_post *p, struct status *st)
{
    const uint8_t *in = buf_data(&p->slice);
    size_t left = p->slice.len;
    size_t len = INFLATED_BYTES;
    enum gzip_fault fault;

    while (left > 0 || len == INFLATED_BYTES) {
        fault = gzip_inflate_run(p->gzip, &in, &left, p->inflated,
                                 INFLATED_BYTES, &len);
        if (fault != GZIP_FINE)
            return fail_gzip(fault, st);
        if (tar_extract_run(&p->tar, p->inflated, len, &p->job.cancelled, st) <
            0)
            return -1;
    }
    return 0;
}

/* No archive begins with the bytes that every gzip file begins with. */
static bool
is_gzip(const struct buf *b)
{
    return b->len >= 2 && buf_data(b)[0] == 0x1f && buf_data(b)[1] == 0x8b;
}

static int
extract_slice(struct tar_post *p, struct status *st)
{
    int r = 0;

    if (p->tar.root_fd < 0) {
        if (p->gzip == NULL && is_gzip(&p->slice))
            r = make_inflater(p, st);
        if (r == 0)
            r = tar_extract_open(&p->tar, p->path, st);
    }
    if (r == 0 && p->slice.len > 0 && p->gzip != NULL)
        r = extract_inflated(p, st);
    else if (r == 0 && p->slice.len > 0)
        r = tar_extract_run(&p->tar, buf_data(&p->slice), p->slice.len,
                            &p->job.cancelled, st);
    if (r == 0 && p->last && p->gzip != NULL &&
        gzip_inflate_end(p->gzip) != GZIP_FINE)
        r = fail_gzip(gzip_inflate_end(p->gzip), st);
    if (r == 0 && p->last)
        r = tar_extract_finish(&p->tar, st);
    return r;
}

static void
run_slice(struct job *job)
{
    struct tar_post *p = tar_post_of(job);

    int r = caller_enter(&p->request.caller, &p->st);

    if (r == 0)
        r = extract_slice(p, &p->st);
    caller_judge(&p->st);
    if (r < 0) {
        /* Before the answer: who is told of it finds no half file. */
        tar_extract_done(&p->tar);
        p->tar = TAR_EXTRACT_INIT;
    }
    caller_leave();
}

/* A file that is unfinished vanishes. */
static void
run_close(struct job *job)
{
    struct tar_post *p = tar_post_of(job);

    (void)caller_enter(&p->request.caller, &p->st);
    tar_extract_done(&p->tar);
    caller_leave();
}

static void
on_closed(struct job *job)
{
    struct tar_post *p = tar_post_of(job);

    if (job_cancelled(job)) /* the agent ends: it was not run */
        tar_extract_done(&p->tar);
    tar_post_free(p);
}

/* ---- the end ------------------------------------------------------------- */

static void
tar_post_end(struct tar_post *p)
{
    p->x = NULL;
    if (p->running)
        return; /* its `done` comes here again */
    p->job.run = run_close;
    p->job.path = NULL; /* not to be held back */
    p->job.done = on_closed;
    p->job.writes = true;
    if (worker_submit(p->envd->workers, &p->job) < 0)
        loop_timer_set(&p->retry, RETRY_MS);
}

static void
on_retry(struct loop_timer *t)
{
    tar_post_end(container_of(t, struct tar_post, retry));
}

static void
fail(struct tar_post *p, int http_status, const char *text)
{
    files_fail(&p->request, p->x, http_status, "%s", text);
    tar_post_end(p);
}

static void
answer(struct tar_post *p)
{
    SCOPE(buf_done) struct buf out = {0};

    buf_append_str(&out, "{\"path\":");
    json_write_string(&out, p->path, strlen(p->path));
    buf_append_str(&out, ",\"files\":");
    buf_append_u64(&out, p->tar.files);
    buf_append_str(&out, ",\"directories\":");
    buf_append_u64(&out, p->tar.folders);
    buf_append_str(&out, ",\"links\":");
    buf_append_u64(&out, p->tar.links);
    buf_append_str(&out, ",\"bytes\":");
    buf_append_u64(&out, p->tar.bytes);
    buf_append_byte(&out, '}');
    http_add_header(p->x, "Content-Type", "application/json");
    http_reply_buf(p->x, 200, &out);
    files_log(&p->request, 200, NULL);
    tar_post_end(p);
}

/* ---- slices -------------------------------------------------------------- */

static void on_slice(struct job *job);

/* Give a worker what was received, if it is enough. */
static void
start_slice(struct tar_post *p)
{
    struct buf empty = p->slice;

    if (p->running ||
        (p->filling.len < LIMIT_TRANSFER_SLICE_BYTES && !p->body_ended))
        return;
    p->slice = p->filling;
    p->filling = empty;
    p->last = p->body_ended;
    if (p->paused && !p->body_ended) {
        p->paused = false;
        http_body_resume(p->x);
    }
    p->job.run = run_slice;
    p->job.done = on_slice;
    p->job.path = p->path;
    p->job.writes = true;
    p->running = worker_submit(p->envd->workers, &p->job) == 0;
    if (!p->running)
        fail(p, 503, "too many file operations");
}

static void
on_slice(struct job *job)
{
    struct tar_post *p = tar_post_of(job);

    p->running = false;
    if (p->x == NULL) {
        tar_post_end(p);
    } else if (p->st.code != RPC_OK) {
        fail(p, files_http_status(p->st.code), status_message(&p->st));
    } else if (p->last) {
        answer(p);
    } else {
        buf_reset(&p->slice, LIMIT_TRANSFER_SLICE_BYTES * 2);
        start_slice(p);
    }
}

/* ---- the body ------------------------------------------------------------ */

static void
on_body(struct http_exchange *x, void *ctx, const uint8_t *data, size_t len)
{
    struct tar_post *p = ctx;

    buf_append(&p->filling, data, len);
    if (p->filling.failed) {
        fail(p, 507, "out of memory");
        return;
    }
    if (p->filling.len < LIMIT_TRANSFER_SLICE_BYTES)
        return;
    if (p->running) {
        p->paused = true;
        http_body_pause(x);
    } else {
        start_slice(p);
    }
}

static void
on_body_end(struct http_exchange *x, void *ctx, int err)
{
    struct tar_post *p = ctx;

    (void)x;
    if (err == -ETIMEDOUT) {
        fail(p, 408, "error reading archive: the body stalled");
    } else if (err != 0) {
        fail(p, 400,
             err == -EBADMSG
                 ? "error reading archive: malformed chunked encoding"
                 : "error reading archive: unexpected EOF");
    } else {
        p->body_ended = true;
        start_slice(p);
    }
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct tar_post *p = ctx;

    (void)x;
    /* A body that is complete is unpacked, whether or not its sender waits. */
    if (p->running && !p->last)
        job_cancel(&p->job);
    tar_post_end(p);
}

/* ---- the request --------------------------------------------------------- */

static int
read_coding(struct tar_post *p)
{
    struct str header = http_header(p->x, "Content-Encoding");
    SCOPE(status_done) struct status st = {0};

    switch (content_coding(header)) {
    case CODING_IDENTITY:
        return 0;
    case CODING_GZIP:
        if (make_inflater(p, &st) == 0)
            return 0;
        files_fail(&p->request, p->x, 507, "%s", status_message(&st));
        return -1;
    case CODING_NONE:
        break;
    }
    files_fail(&p->request, p->x, 400,
               "error decompressing request body: unsupported "
               "Content-Encoding: %.*s, supported: [gzip]",
               (int)header.len, header.data);
    return -1;
}

/* All that is checked before the disk is looked at. */
static int
prepare(struct tar_post *p)
{
    struct files_request *r = &p->request;

    if (files_request_begin(r, p->envd, p->x, /* write= */ true) < 0)
        return -1;
    r->method = "POST /files/tar";
    if (files_request_user(r, p->envd, p->x) < 0)
        return -1;
    if (r->path.data == NULL) {
        files_fail(r, p->x, 400, "path query parameter is required");
        return -1;
    }
    if (files_path(r, p->x, r->path, &p->path) < 0 || read_coding(p) < 0)
        return -1;
    if (p->envd->archives > LIMIT_TAR_STREAMS) {
        files_fail(r, p->x, 503, "more than %d archives at once",
                   LIMIT_TAR_STREAMS);
        return -1;
    }
    p->tar.uid = r->user.uid;
    p->tar.gid = r->user.gid;
    return 0;
}

void
api_tar_post(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_body = on_body,
        .on_body_end = on_body_end,
        .on_cancel = on_cancel,
    };
    struct tar_post *p = xcalloc(1, sizeof(*p));

    p->envd = e;
    p->x = x;
    p->tar = TAR_EXTRACT_INIT;
    loop_timer_init(e->loop, &p->retry, on_retry);
    e->archives++;
    if (prepare(p) < 0) {
        tar_post_free(p);
        return;
    }
    http_accept(x, &handler, p);
    http_body_resume(x);
}
