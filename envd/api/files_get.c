/*
 * GET and HEAD /files: a worker opens the file and reads it when it is small;
 * a large one is sent by workers straight into the socket, a slice at a time;
 * what has to be compressed, framed or read to its end is made by them in
 * pieces and handed on.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "api/download.h"
#include "api/files.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "filesystem/path.h"
#include "http/accept.h"
#include "http/condition.h"
#include "http/content.h"
#include "http/exchange.h"
#include "http/message.h"
#include "http/mime_types.h"
#include "limits.h"
#include "loop/worker.h"

/* One job sends no more than this: so few workers serve many downloads. */
#define SEND_BYTES (4 * 1024 * 1024)

/* A job waits this long for a client that keeps up; only so many do at once. */
#define SEND_WAIT_MS 10
#define SEND_WAITERS (LIMIT_WORKER_THREADS / 2)

/* One download.  While a job runs, it alone uses what is marked (job). */
struct download {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when the client is gone */
    struct files_request request;
    char *path; /* resolved; owned */
    struct accept_coding accepts;
    enum download_coding coding; /* wanted */
    bool conditional;            /* needs the file as it is */
    bool has_range;
    bool counted; /* among those that compress */
    bool running; /* a job is under way */
    bool direct;  /* a worker sends it */

    const struct mime_types *types; /* NULL until they are read */
    struct mime_types *types_read;  /* (job) by our job; owned */
    struct download_body body;      /* (job) */
    int socket_fd;                  /* (job) our own, -1 until it is needed */
    struct file_sent sent;          /* (job) */
};

static void
download_free(struct download *d)
{
    if (d->counted)
        d->envd->downloads_gzip--;
    download_body_done(&d->body);
    fd_close(&d->socket_fd);
    mime_types_free(d->types_read);
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
run_open(struct job *job)
{
    struct download *d = download_of(job);
    char extension[CONTENT_EXTENSION_SIZE];

    if (d->types == NULL && content_extension(d->request.path, extension))
        d->types = d->types_read = mime_types_read("");
    d->body.type = mime_types_find(d->types, d->request.path);
    download_body_open(&d->body, d->path, d->coding, !d->has_range);
}

static void
run_make(struct job *job)
{
    struct download *d = download_of(job);

    download_body_make(&d->body, d->path);
}

/*
 * Wait for a client that will soon take more: a round over the loop costs more
 * than that.  Most workers stay free, whatever clients do.
 */
static bool
is_soon_writable(int fd)
{
    static atomic_int waiters;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    bool soon = atomic_fetch_add(&waiters, 1) < SEND_WAITERS &&
                poll(&p, 1, SEND_WAIT_MS) > 0;

    (void)atomic_fetch_sub(&waiters, 1);
    return soon;
}

static void
run_send(struct job *job)
{
    struct download *d = download_of(job);
    struct file_sent sent = {.err = -EAGAIN};
    size_t total = 0;

    while (sent.err == -EAGAIN && total < SEND_BYTES) {
        sent =
            file_reader_send(&d->body.file, d->socket_fd, SEND_BYTES - total);
        total += sent.len;
        if (job_cancelled(job) ||
            (sent.err == -EAGAIN && !is_soon_writable(d->socket_fd)))
            break;
    }
    d->sent = (struct file_sent){.len = total, .err = sent.err};
    if (d->body.file.left == 0 || (sent.err != 0 && sent.err != -EAGAIN))
        download_body_close(&d->body);
}

static void
run_close(struct job *job)
{
    download_body_close(&download_of(job)->body);
}

static void
on_closed(struct job *job)
{
    download_free(download_of(job));
}

/* ---- how it goes on ------------------------------------------------------ */

/* Nobody needs it any more. */
static void
download_end(struct download *d)
{
    d->x = NULL;
    if (d->running)
        return; /* its `done` comes here again */
    d->job.run = run_close;
    d->job.done = on_closed;
    d->job.quick = false;
    if (d->body.file.fd < 0 || worker_submit(d->envd->workers, &d->job) < 0)
        download_free(d);
}

static void
start(struct download *d, void (*run)(struct job *job),
      void (*done)(struct job *job))
{
    struct http_exchange *x = d->x;

    d->job.run = run;
    d->job.done = done;
    d->job.quick = run == run_open;
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

/* The answer is on its way, or the rest of it. */
static void
finish(struct download *d)
{
    files_log(&d->request, 200, NULL);
    download_end(d);
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
    if (d->body.file.left == 0) {
        http_reply_end(d->x, NULL);
        finish(d);
    } else if (d->sent.err == 0 || d->sent.err == -EAGAIN) {
        http_await_writable(d->x);
    } else {
        cut_off(d, d->sent.err == -ENODATA ? "the file became shorter"
                                           : errno_text(-d->sent.err));
    }
}

/* Hand on what was made; ask for more when there is room. */
static void on_made(struct job *job);

static void
pass_on(struct download *d)
{
    struct buf *out = http_piece_open(d->x);

    if (d->body.content.len > 0)
        buf_append(out, buf_data(&d->body.content), d->body.content.len);
    http_piece_close(d->x);
    buf_done(&d->body.content);
    if (d->body.st.message != NULL) {
        cut_off(d, status_message(&d->body.st));
    } else if (d->body.at_end) {
        http_reply_end(d->x, NULL);
        finish(d);
    } else if (http_has_room(d->x)) {
        start(d, run_make, on_made);
    }
}

static void
on_made(struct job *job)
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
    if (!d->direct) {
        start(d, run_make, on_made);
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

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct download *d = ctx;

    (void)x;
    if (d->running)
        job_cancel(&d->job);
    download_end(d);
}

/* ---- answers ------------------------------------------------------------- */

/* An answer without a body. */
static void
answer_empty(struct download *d, int http_status)
{
    http_reply(d->x, http_status, NULL, 0);
    finish(d);
}

/* The `left` bytes that the file reader stands at, by sendfile(2). */
static void
answer_direct(struct download *d, int http_status)
{
    int64_t len = d->body.file.left;

    http_reply_begin(d->x, http_status, len);
    if (len == 0 || http_request(d->x)->method == HTTP_HEAD) {
        http_reply_end(d->x, NULL);
        finish(d);
        return;
    }
    d->direct = true;
    http_await_writable(d->x);
}

/* What workers make, beginning with what they have made. */
static void
answer_made(struct download *d, int http_status, int64_t len)
{
    http_reply_begin(d->x, http_status, len);
    if (http_request(d->x)->method == HTTP_HEAD) {
        http_reply_end(d->x, NULL);
        finish(d);
    } else {
        pass_on(d);
    }
}

static void
answer_whole(struct download *d)
{
    if (d->body.at_end) {
        http_reply_buf(d->x, 200, &d->body.content);
        finish(d);
    } else if (d->body.gzip != NULL || d->body.file.size < 0) {
        answer_made(d, 200, -1);
    } else {
        answer_direct(d, 200);
    }
}

static void
answer_one_range(struct download *d, struct byte_ranges *ranges)
{
    char text[CONTENT_RANGE_SIZE];

    content_range_format(&ranges->list[0], d->body.file.size, text);
    http_add_header(d->x, "Content-Type", d->body.type);
    http_add_header(d->x, "Content-Range", text);
    file_reader_seek(&d->body.file, ranges->list[0].first, ranges->list[0].len);
    byte_ranges_done(ranges);
    answer_direct(d, 206);
}

/* Takes the ranges. */
static void
answer_ranges(struct download *d, const struct byte_ranges *ranges)
{
    static const char multipart[] = "multipart/byteranges; boundary=";
    char type[sizeof(multipart) + BYTE_RANGES_BOUNDARY_SIZE];
    struct byte_parts *parts = &d->body.parts;

    *parts = (struct byte_parts){
        .ranges = *ranges, .type = d->body.type, .size = d->body.file.size};
    byte_parts_init(parts);
    download_body_split(&d->body);
    (void)stpcpy(stpcpy(type, multipart), parts->boundary);
    http_add_header(d->x, "Content-Type", type);
    answer_made(d, 206, byte_parts_length(parts));
}

static void
answer_bad_range(struct download *d, bool behind)
{
    char text[CONTENT_RANGE_SIZE];

    http_drop_header(d->x, "Accept-Ranges");
    http_drop_header(d->x, "ETag");
    http_drop_header(d->x, "Last-Modified");
    if (behind) {
        content_range_format(NULL, d->body.file.size, text);
        http_add_header(d->x, "Content-Range", text);
    }
    http_reply_text(d->x, 416,
                    behind ? "invalid range: failed to overlap\n"
                           : "invalid range\n");
    files_log(&d->request, 416, "invalid range");
    download_end(d);
}

/* The whole file or the part of it that is asked for. */
static void
answer_content(struct download *d, bool range_counts)
{
    struct str range = http_header(d->x, "Range");
    struct byte_ranges ranges = {0};
    enum byte_ranges_kind kind = BYTE_RANGES_WHOLE;

    if (d->body.gzip != NULL)
        http_add_header(d->x, "Content-Encoding", "gzip");
    else if (d->body.file.size >= 0)
        http_add_header(d->x, "Accept-Ranges", "bytes");
    if (range_counts && d->body.file.size >= 0)
        kind = byte_ranges_parse(range, d->body.file.size, &ranges);
    switch (kind) {
    case BYTE_RANGES_WHOLE:
        http_add_header(d->x, "Content-Type", d->body.type);
        answer_whole(d);
        break;
    case BYTE_RANGES_SOME:
        if (ranges.count == 1)
            answer_one_range(d, &ranges);
        else
            answer_ranges(d, &ranges);
        break;
    case BYTE_RANGES_MALFORMED:
    case BYTE_RANGES_UNSATISFIABLE:
        answer_bad_range(d, kind == BYTE_RANGES_UNSATISFIABLE);
        break;
    }
}

/* ---- what is known of the file ------------------------------------------- */

/* What has no size of its own has no state that could be told from others. */
static struct validators
validators_of(const struct download *d)
{
    const struct file_reader *file = &d->body.file;
    struct validators v = {0};
    struct timespec now;

    if (file->size < 0 || d->body.changing)
        return v;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    validators_of_file(&v, file->inode, file->size, file->mtime, now);
    return v;
}

static void
add_headers(const struct download *d, const struct validators *v)
{
    SCOPE(buf_done) struct buf disposition = {0};
    SCOPE(scope_free) char *name = path_base(d->path);
    char date[HTTP_DATE_SIZE];

    content_disposition(&disposition, name != NULL ? name : "");
    buf_append_byte(&disposition, '\0');
    if (!disposition.failed)
        http_add_header(d->x, "Content-Disposition",
                        (const char *)buf_data(&disposition));
    if (d->body.gzip != NULL)
        return;
    if (*v->tag != '\0')
        http_add_header(d->x, "ETag", v->tag);
    if (v->has_date) {
        http_date_format(v->modified, date);
        http_add_header(d->x, "Last-Modified", date);
    }
}

/* Whether the coding was refused, which is then answered. */
static bool
refuse_coding(struct download *d)
{
    if (d->accepts.best == CODING_NONE) {
        answer_failure(d, 406,
                       "error parsing Accept-Encoding: no acceptable encoding "
                       "found, supported: [gzip]");
        return true;
    }
    http_drop_header(d->x, "Vary");
    http_add_header(d->x, "Vary", "Origin, Accept-Encoding");
    if (d->accepts.identity_refused && d->conditional) {
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
    struct conditions c;
    struct validators v;

    d->running = false;
    if (d->envd->types == NULL)
        d->envd->types = TAKE_PTR(d->types_read);
    if (d->x == NULL) {
        download_end(d);
        return;
    }
    if (d->body.st.message != NULL) {
        answer_failure(d, files_http_status(d->body.st.code),
                       status_message(&d->body.st));
        return;
    }
    if (refuse_coding(d))
        return;
    c = (struct conditions){
        .if_match = http_header(d->x, "If-Match"),
        .if_unmodified_since = http_header(d->x, "If-Unmodified-Since"),
        .if_none_match = http_header(d->x, "If-None-Match"),
        .if_modified_since = http_header(d->x, "If-Modified-Since"),
        .if_range = http_header(d->x, "If-Range"),
    };
    v = validators_of(d);
    add_headers(d, &v);
    switch (conditions_check(&c, &v)) {
    case CONDITIONS_MET:
        answer_content(d, conditions_allow_range(&c, &v));
        break;
    case CONDITIONS_NOT_MODIFIED:
        answer_empty(d, 304);
        break;
    case CONDITIONS_FAILED:
        answer_empty(d, 412);
        break;
    }
}

/* ---- the request --------------------------------------------------------- */

/* Whether a header is there that only the file as it is can answer. */
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

/*
 * Choose the coding.  Each that compresses holds memory while it lasts, so
 * there are only so many.  Returns -1 after having answered.
 */
static int
choose_coding(struct download *d)
{
    struct envd *e = d->envd;

    d->accepts = accept_coding(http_header(d->x, "Accept-Encoding"));
    d->conditional = is_conditional(d->x);
    d->has_range = http_header(d->x, "Range").len > 0;
    if (d->accepts.best != CODING_GZIP || d->conditional)
        return 0;
    if (e->downloads_gzip < LIMIT_DOWNLOADS_GZIP) {
        e->downloads_gzip++;
        d->counted = true;
        d->coding =
            d->accepts.identity_refused ? DOWNLOAD_GZIP_ONLY : DOWNLOAD_GZIP;
    } else if (d->accepts.identity_refused) {
        files_fail(&d->request, d->x, 503, "too many compressed downloads");
        return -1;
    }
    return 0;
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
    d->types = d->envd->types;
    return choose_coding(d);
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
    d->body.file.fd = -1;
    d->socket_fd = -1;
    if (prepare(d) < 0) {
        download_free(d);
        return;
    }
    http_accept(x, &handler, d);
    start(d, run_open, on_opened);
}
