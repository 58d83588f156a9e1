/*
 * GET /files: a worker opens the file and reads it when it is small; a large
 * one is sent by workers straight into the socket, a slice at a time, and what
 * has no size is read and handed on in pieces.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "api/files.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "filesystem/path.h"
#include "filesystem/transfer.h"
#include "http/accept.h"
#include "http/content.h"
#include "http/exchange.h"
#include "limits.h"
#include "loop/worker.h"

/* Up to this size a file is read by the job that opens it. */
#define WHOLE_BYTES (64 * 1024)

/* One job sends no more than this: so few workers serve many downloads. */
#define SEND_BYTES (2 * 1024 * 1024)

/* One download.  While a job runs, it alone uses what is marked (job). */
struct download {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when the client is gone */
    struct files_request request;
    char *path;       /* resolved; owned */
    const char *type; /* (job) static */
    struct accept_coding accepts;
    bool conditional; /* asks for a range, or under a condition */
    bool running;     /* a job is under way */

    struct file_reader file; /* (job) */
    struct buf content;      /* (job) what was read */
    bool at_end;             /* (job) nothing is left to read */
    struct status st;        /* (job) */
    int socket_fd;           /* (job) our own, -1 until it is needed */
    off_t offset;            /* (job) */
    struct file_sent sent;   /* (job) */
};

static void
download_free(struct download *d)
{
    file_reader_done(&d->file);
    fd_close(&d->socket_fd);
    buf_done(&d->content);
    status_done(&d->st);
    files_request_done(&d->request);
    free(d->path);
    free(d);
}

/* ---- jobs ---------------------------------------------------------------- */

static struct download *
download_of(struct job *job)
{
    return container_of(job, struct download, job);
}

static void
read_some(struct download *d, size_t max)
{
    ssize_t n = file_reader_read(&d->file, &d->content, max);

    if (n < 0)
        (void)status_errno(&d->st, RPC_INTERNAL, (int)-n,
                           "error reading file '%s': read %s", d->path,
                           d->path);
    d->at_end = d->file.size >= 0 || n < (ssize_t)max;
    if (d->at_end)
        file_reader_done(&d->file);
}

/* Open it, as the caller; whatever follows needs no rights. */
static int
open_file(struct download *d)
{
    int r = caller_enter(&d->request.caller, &d->st);

    if (r == 0)
        r = file_reader_open(&d->file, d->path, &d->st);
    caller_judge(&d->st);
    caller_leave();
    return r;
}

static void
run_open(struct job *job)
{
    struct download *d = download_of(job);
    uint8_t head[CONTENT_SNIFF_BYTES];
    ssize_t len;

    if (open_file(d) < 0)
        return;
    if (d->file.size > WHOLE_BYTES) {
        if (d->type == NULL) {
            len = file_reader_peek(&d->file, 0, head, sizeof(head));
            d->type = content_sniff(head, len > 0 ? (size_t)len : 0);
        }
        return;
    }
    read_some(d, d->file.size < 0 ? WHOLE_BYTES : (size_t)d->file.size);
    if (d->type == NULL)
        d->type = content_sniff(buf_data(&d->content), d->content.len);
}

static void
run_read(struct job *job)
{
    read_some(download_of(job), LIMIT_TRANSFER_SLICE_BYTES);
}

static void
run_send(struct job *job)
{
    struct download *d = download_of(job);
    off_t left = (off_t)d->file.size - d->offset;

    d->sent = file_reader_send(&d->file, d->socket_fd, &d->offset,
                               (size_t)MIN(left, (off_t)SEND_BYTES));
    if (d->offset == (off_t)d->file.size ||
        (d->sent.err != 0 && d->sent.err != -EAGAIN))
        file_reader_done(&d->file);
}

/* Closing may wait for whoever serves the file system. */
static void
run_close(struct job *job)
{
    file_reader_done(&download_of(job)->file);
}

static void
on_closed(struct job *job)
{
    download_free(download_of(job));
}

/* ---- answers ------------------------------------------------------------- */

/* Nobody needs it any more. */
static void
download_end(struct download *d)
{
    d->x = NULL;
    if (d->running)
        return; /* its `done` comes here again */
    d->job.run = run_close;
    d->job.path = NULL; /* not to be held back */
    d->job.done = on_closed;
    if (d->file.fd < 0 || worker_submit(d->envd->workers, &d->job) < 0)
        download_free(d);
}

static void
start(struct download *d, void (*run)(struct job *job),
      void (*done)(struct job *job))
{
    struct http_exchange *x = d->x;

    d->job.run = run;
    d->job.done = done;
    d->job.path = d->path;
    d->running = worker_submit(d->envd->workers, &d->job) == 0;
    if (d->running)
        return;
    if (http_reply_begun(x))
        http_abort(x);
    else
        files_fail(&d->request, x, 503, "too many file operations");
    download_end(d);
}

static void
answer_failure(struct download *d, int http_status, const char *text)
{
    files_fail(&d->request, d->x, http_status, "%s", text);
    download_end(d);
}

static void
cut_off(struct download *d, const char *why)
{
    files_log(&d->request, 500, why);
    http_abort(d->x);
    download_end(d);
}

static void
add_last_modified(struct http_exchange *x, const struct timespec *mtime)
{
    struct tm tm;
    char text[64];

    if ((mtime->tv_sec == 0 && mtime->tv_nsec == 0) ||
        gmtime_r(&mtime->tv_sec, &tm) == NULL ||
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        return;
    http_add_header(x, "Last-Modified", text);
}

static void
add_headers(const struct download *d)
{
    SCOPE(buf_done) struct buf disposition = {0};
    SCOPE(scope_free) char *name = path_base(d->path);

    content_disposition(&disposition, name != NULL ? name : "");
    buf_append_byte(&disposition, '\0');
    if (!disposition.failed)
        http_add_header(d->x, "Content-Disposition",
                        (const char *)buf_data(&disposition));
    http_add_header(d->x, "Content-Type", d->type);
    add_last_modified(d->x, &d->file.mtime);
}

static void
on_sent(struct job *job)
{
    struct download *d = download_of(job);

    d->running = false;
    if (d->x == NULL) {
        download_end(d);
        return;
    }
    http_sent(d->x, d->sent.len);
    if (d->offset == (off_t)d->file.size) {
        http_reply_end(d->x, NULL);
        files_log(&d->request, 200, NULL);
        download_end(d);
    } else if (d->sent.err == 0 || d->sent.err == -EAGAIN) {
        http_await_writable(d->x);
    } else {
        cut_off(d, d->sent.err == -ENODATA ? "the file became shorter"
                                           : errno_text(-d->sent.err));
    }
}

/* Hand on what was read; ask for more when there is room. */
static void on_read(struct job *job);

static void
pass_on(struct download *d)
{
    struct buf *out = http_piece_open(d->x);

    buf_append(out, buf_data(&d->content), d->content.len);
    http_piece_close(d->x);
    buf_reset(&d->content, LIMIT_TRANSFER_SLICE_BYTES);
    if (d->st.message != NULL) {
        cut_off(d, status_message(&d->st));
    } else if (d->at_end) {
        http_reply_end(d->x, NULL);
        files_log(&d->request, 200, NULL);
        download_end(d);
    } else if (http_has_room(d->x)) {
        start(d, run_read, on_read);
    }
}

static void
on_read(struct job *job)
{
    struct download *d = download_of(job);

    d->running = false;
    if (d->x == NULL)
        download_end(d);
    else
        pass_on(d);
}

static void
on_room(struct http_exchange *x, void *ctx)
{
    struct download *d = ctx;

    if (d->running)
        return;
    if (d->file.size < 0) {
        start(d, run_read, on_read);
        return;
    }
    if (d->socket_fd < 0)
        d->socket_fd = http_socket_dup(x);
    if (d->socket_fd >= 0) {
        start(d, run_send, on_sent);
    } else {
        int err = -d->socket_fd;

        d->socket_fd = -1;
        cut_off(d, errno_text(err));
    }
}

/* Whether the coding was refused, which is then answered. */
static bool
refuse_coding(struct download *d)
{
    if (d->accepts.best == CODING_NONE ||
        (d->accepts.identity_refused && !d->conditional)) {
        answer_failure(d, 406,
                       "error parsing Accept-Encoding: no acceptable encoding "
                       "found, supported: [gzip]");
        return true;
    }
    http_drop_header(d->x, "Vary");
    http_add_header(d->x, "Vary", "Origin, Accept-Encoding");
    if (d->accepts.identity_refused) {
        answer_failure(d, 406,
                       "identity encoding not acceptable for Range or "
                       "conditional request");
        return true;
    }
    return false;
}

static void
on_opened(struct job *job)
{
    struct download *d = download_of(job);

    d->running = false;
    if (d->x == NULL) {
        download_end(d);
        return;
    }
    if (d->st.message != NULL) {
        answer_failure(d, files_http_status(d->st.code),
                       status_message(&d->st));
        return;
    }
    if (refuse_coding(d))
        return;
    add_headers(d);
    if (d->at_end) {
        http_reply_buf(d->x, 200, &d->content);
        files_log(&d->request, 200, NULL);
        download_end(d);
    } else if (d->file.size < 0) {
        http_reply_begin(d->x, 200, -1);
        pass_on(d);
    } else {
        http_reply_begin(d->x, 200, d->file.size);
        http_await_writable(d->x);
    }
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct download *d = ctx;

    (void)x;
    if (d->running)
        job_cancel(&d->job);
    download_end(d);
}

/* ---- the request --------------------------------------------------------- */

static bool
is_conditional(const struct http_exchange *x)
{
    static const char *const names[] = {"Range", "If-Modified-Since",
                                        "If-None-Match", "If-Range"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (http_header(x, names[i]).len > 0)
            return true;
    return false;
}

/* All that is checked before the disk is looked at. */
static int
prepare(struct download *d)
{
    struct files_request *r = &d->request;
    SCOPE(status_done) struct status st = {0};
    struct str sent;

    if (files_request_begin(r, d->envd, d->x, /* write= */ false) < 0 ||
        files_request_user(r, d->envd, d->x) < 0)
        return -1;
    sent = r->path.data != NULL ? r->path : STR("");
    if (path_resolve(sent, r->user.name, r->user.home, r->workdir, &d->path,
                     &st) < 0) {
        files_fail(r, d->x, 400,
                   "error expanding and resolving path '%.*s': %s",
                   (int)sent.len, sent.data, status_message(&st));
        return -1;
    }
    d->type = content_type_by_name(sent);
    d->accepts = accept_coding(http_header(d->x, "Accept-Encoding"));
    d->conditional = is_conditional(d->x);
    return 0;
}

void
api_files_get(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_room = on_room,
        .on_cancel = on_cancel,
    };
    struct download *d = xcalloc(1, sizeof(*d));

    d->envd = e;
    d->x = x;
    d->file.fd = -1;
    d->socket_fd = -1;
    if (prepare(d) < 0) {
        download_free(d);
        return;
    }
    http_accept(x, &handler, d);
    start(d, run_open, on_opened);
}
