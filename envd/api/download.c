/*
 * The sending of a download: jobs, one after the other, until all is sent or
 * nobody wants it any more.
 */
#include "api/download.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "http/mime_types.h"
#include "limits.h"

/* One job sends no more than this: so few workers serve many downloads. */
#define SEND_BYTES (4 * 1024 * 1024)

/* A job waits this long for a client that keeps up; only so many do at once. */
#define SEND_WAIT_MS 10
#define SEND_WAITERS (LIMIT_WORKER_THREADS / 2)

/* ---- its life ------------------------------------------------------------ */

struct download *
download_new(struct envd *e, struct http_exchange *x)
{
    struct download *d = xcalloc(1, sizeof(*d));

    d->envd = e;
    d->x = x;
    d->body.file.fd = -1;
    d->socket_fd = -1;
    return d;
}

void
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

void
download_drop(struct download *d)
{
    d->x = NULL;
    if (d->running)
        return; /* its `done` comes here again */
    d->job.run = run_close;
    d->job.done = on_closed;
    d->job.quick = false;
    d->job.path = NULL; /* not to be held back */
    if (d->body.file.fd < 0 || worker_submit(d->envd->workers, &d->job) < 0)
        download_free(d);
}

void
download_end(struct download *d)
{
    files_log(&d->request, 200, NULL);
    download_drop(d);
}

void
download_fail(struct download *d, int http_status, const char *text)
{
    files_fail(&d->request, d->x, http_status, "%s", text);
    download_drop(d);
}

/* What was promised will not come. */
static void
cut_off(struct download *d, const char *why)
{
    files_log(&d->request, 500, why);
    http_abort(d->x);
    download_drop(d);
}

void
download_start(struct download *d, void (*run)(struct job *job),
               void (*done)(struct job *job))
{
    static const char busy[] = "too many file operations";

    d->job.run = run;
    d->job.done = done;
    d->job.path = d->path;
    d->job.quick = !http_reply_begun(d->x) && d->coding == DOWNLOAD_PLAIN;
    d->running = worker_submit(d->envd->workers, &d->job) == 0;
    if (d->running)
        return;
    if (http_reply_begun(d->x))
        cut_off(d, busy);
    else
        download_fail(d, 503, busy);
}

/* ---- straight into the socket -------------------------------------------- */

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
on_sent(struct job *job)
{
    struct download *d = download_of(job);

    d->running = false;
    if (d->x == NULL) {
        download_drop(d);
        return;
    }
    http_sent(d->x, d->sent.len);
    if (d->body.file.left == 0) {
        http_reply_end(d->x, NULL);
        download_end(d);
    } else if (d->sent.err == 0 || d->sent.err == -EAGAIN) {
        http_await_writable(d->x);
    } else {
        cut_off(d, d->sent.err == -ENODATA ? "the file became shorter"
                                           : errno_text(-d->sent.err));
    }
}

/* Have a worker send more, as there is room for it. */
static void
send_on(struct download *d)
{
    int fd = d->socket_fd >= 0 ? d->socket_fd : http_socket_dup(d->x);

    if (fd < 0) {
        cut_off(d, errno_text(-fd));
        return;
    }
    d->socket_fd = fd;
    download_start(d, run_send, on_sent);
}

void
download_send(struct download *d, int http_status)
{
    int64_t len = d->body.file.left;

    http_reply_begin(d->x, http_status, len);
    if (len == 0 || http_request(d->x)->method == HTTP_HEAD) {
        http_reply_end(d->x, NULL);
        download_end(d);
        return;
    }
    d->direct = true;
    http_await_writable(d->x);
}

/* ---- in pieces ----------------------------------------------------------- */

static void
run_make(struct job *job)
{
    struct download *d = download_of(job);

    download_body_make(&d->body, d->path);
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
        download_end(d);
    } else if (http_has_room(d->x)) {
        download_start(d, run_make, on_made);
    }
}

static void
on_made(struct job *job)
{
    struct download *d = download_of(job);

    d->running = false;
    if (d->x == NULL)
        download_drop(d);
    else
        pass_on(d);
}

void
download_make(struct download *d, int http_status, int64_t len)
{
    http_reply_begin(d->x, http_status, len);
    if (http_request(d->x)->method == HTTP_HEAD) {
        http_reply_end(d->x, NULL);
        download_end(d);
    } else {
        pass_on(d);
    }
}

/* ---- the exchange -------------------------------------------------------- */

static void
on_room(struct http_exchange *x, void *ctx)
{
    struct download *d = ctx;

    (void)x;
    if (d->running)
        return;
    if (d->direct)
        send_on(d);
    else
        download_start(d, run_make, on_made);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct download *d = ctx;

    (void)x;
    if (d->running)
        job_cancel(&d->job);
    download_drop(d);
}

const struct http_handler download_handler = {
    .on_room = on_room,
    .on_cancel = on_cancel,
};
