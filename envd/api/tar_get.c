/*
 * GET /files/tar: a worker packs a slice of the directory while the client has
 * room for one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/files.h"
#include "api/files_path.h"
#include "api/filesystem_entry.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "filesystem/path.h"
#include "filesystem/tar_create.h"
#include "http/accept.h"
#include "http/content.h"
#include "http/encoding.h"
#include "http/exchange.h"
#include "limits.h"
#include "loop/worker.h"

/* One archive on its way.  While a job runs, it alone uses what is (job). */
struct tar_get {
    struct job job;
    struct envd *envd;
    struct http_exchange *x; /* NULL when the client is gone */
    struct files_request request;
    struct user_names *names;
    char *path;   /* resolved; owned */
    bool running; /* a job is under way */

    struct tar_create tar;     /* (job) */
    struct gzip_deflate *gzip; /* (job) NULL: not compressed */
    struct buf raw;            /* (job) the slice before it is compressed */
    struct buf slice;          /* (job) */
    struct status st;          /* (job) */
    int more;                  /* (job) of tar_create_run() */
};

static struct tar_get *
tar_get_of(struct job *job)
{
    return container_of(job, struct tar_get, job);
}

static void
tar_get_free(struct tar_get *g)
{
    g->envd->archives--;
    gzip_deflate_free(g->gzip);
    buf_done(&g->raw);
    buf_done(&g->slice);
    status_done(&g->st);
    user_names_unref(g->names);
    files_request_done(&g->request);
    free(g->path);
    free(g);
}

/* ---- jobs ---------------------------------------------------------------- */

static void
pack_slice(struct tar_get *g)
{
    struct buf *to = g->gzip != NULL ? &g->raw : &g->slice;

    g->more = tar_create_run(&g->tar, LIMIT_TRANSFER_SLICE_BYTES,
                             &g->job.cancelled, to);
    if (g->more < 0 || g->gzip == NULL)
        return;
    if (gzip_deflate_run(g->gzip, buf_data(to), to->len, g->more == 0,
                         &g->slice) < 0)
        g->more = -ENOMEM;
    buf_truncate(to, 0);
}

static void
run_open(struct job *job)
{
    struct tar_get *g = tar_get_of(job);
    const struct entry_names names = entry_names_of(g->names);

    if (caller_enter(&g->request.caller, &g->st) == 0 &&
        tar_create_open(&g->tar, g->path, &names, &g->st) == 0)
        pack_slice(g);
    caller_judge(&g->st);
    caller_leave();
}

static void
run_slice(struct job *job)
{
    struct tar_get *g = tar_get_of(job);

    if (caller_enter(&g->request.caller, &g->st) == 0)
        pack_slice(g);
    caller_leave();
}

/* Closing may wait for whoever serves the file system. */
static void
run_close(struct job *job)
{
    tar_create_done(&tar_get_of(job)->tar);
}

static void
on_closed(struct job *job)
{
    struct tar_get *g = tar_get_of(job);

    if (job_cancelled(job)) /* the agent ends: it was not run */
        tar_create_done(&g->tar);
    tar_get_free(g);
}

/* ---- answers ------------------------------------------------------------- */

/* Nobody needs it any more. */
static void
tar_get_end(struct tar_get *g)
{
    g->x = NULL;
    if (g->running)
        return; /* its `done` comes here again */
    g->job.run = run_close;
    g->job.path = NULL; /* not to be held back */
    g->job.done = on_closed;
    if (worker_submit(g->envd->workers, &g->job) < 0) {
        tar_create_done(&g->tar);
        tar_get_free(g);
    }
}

static void on_slice(struct job *job);

static void
start(struct tar_get *g, void (*run)(struct job *job))
{
    g->job.run = run;
    g->job.done = on_slice;
    g->job.path = g->path;
    g->running = worker_submit(g->envd->workers, &g->job) == 0;
    if (g->running)
        return;
    if (http_reply_begun(g->x))
        http_abort(g->x);
    else
        files_fail(&g->request, g->x, 503, "too many file operations");
    tar_get_end(g);
}

static void
begin_reply(struct tar_get *g)
{
    SCOPE(buf_done) struct buf disposition = {0};
    SCOPE(scope_free) char *base = path_base(g->path);
    SCOPE(scope_free) char *name = NULL;

    if (base != NULL && asprintf(&name, "%s.tar", base) < 0)
        name = NULL;
    content_disposition(&disposition, name != NULL ? name : "");
    buf_append_byte(&disposition, '\0');
    if (!disposition.failed)
        http_add_header(g->x, "Content-Disposition",
                        (const char *)buf_data(&disposition));
    http_add_header(g->x, "Content-Type", "application/x-tar");
    if (g->gzip != NULL)
        http_add_header(g->x, "Content-Encoding", "gzip");
    http_add_header(g->x, "Trailer", "X-Envd-Incomplete");
    http_reply_begin(g->x, 200, -1);
}

static void
end_reply(struct tar_get *g)
{
    char trailer[64] = "";

    if (g->tar.incomplete > 0)
        (void)snprintf(trailer, sizeof(trailer), "X-Envd-Incomplete: %llu\r\n",
                       (unsigned long long)g->tar.incomplete);
    http_reply_end(g->x, trailer);
    files_log(&g->request, 200, NULL);
    tar_get_end(g);
}

/* Hand on what was packed; ask for more when there is room. */
static void
pass_on(struct tar_get *g)
{
    if (g->slice.len > 0) {
        buf_append(http_piece_open(g->x), buf_data(&g->slice), g->slice.len);
        http_piece_close(g->x);
    }
    buf_reset(&g->slice, 2 * LIMIT_TRANSFER_SLICE_BYTES);
    if (g->more == 0)
        end_reply(g);
    else if (http_has_room(g->x))
        start(g, run_slice);
}

static void
on_slice(struct job *job)
{
    struct tar_get *g = tar_get_of(job);

    g->running = false;
    if (g->x == NULL) {
        tar_get_end(g);
        return;
    }
    if (g->st.code == RPC_OK && g->more < 0)
        (void)status_errno(
            &g->st, g->more == -ENOMEM ? RPC_RESOURCE_EXHAUSTED : RPC_INTERNAL,
            -g->more, "error reading directory '%s'", g->path);
    if (g->st.code == RPC_OK) {
        if (!http_reply_begun(g->x))
            begin_reply(g);
        if (http_request(g->x)->method == HTTP_HEAD)
            g->more = 0; /* its answer ends with the head */
        pass_on(g);
        return;
    }
    if (http_reply_begun(g->x)) {
        files_log(&g->request, 500, status_message(&g->st));
        http_abort(g->x);
    } else {
        files_fail(&g->request, g->x, files_http_status(g->st.code), "%s",
                   status_message(&g->st));
    }
    tar_get_end(g);
}

static void
on_room(struct http_exchange *x, void *ctx)
{
    struct tar_get *g = ctx;

    (void)x;
    if (!g->running)
        start(g, run_slice);
}

static void
on_cancel(struct http_exchange *x, void *ctx)
{
    struct tar_get *g = ctx;

    (void)x;
    if (g->running)
        job_cancel(&g->job);
    tar_get_end(g);
}

/* ---- the request --------------------------------------------------------- */

static int
choose_coding(struct tar_get *g)
{
    struct accept_coding accepts =
        accept_coding(http_header(g->x, "Accept-Encoding"));

    http_drop_header(g->x, "Vary");
    http_add_header(g->x, "Vary", "Origin, Accept-Encoding");
    if (accepts.best == CODING_NONE) {
        files_fail(&g->request, g->x, 406,
                   "error parsing Accept-Encoding: no acceptable encoding "
                   "found, supported: [gzip]");
        return -1;
    }
    if (accepts.best != CODING_GZIP)
        return 0;
    g->gzip = gzip_deflate_new(SIZE_MAX);
    if (g->gzip == NULL)
        files_fail(&g->request, g->x, 507, "out of memory");
    return g->gzip != NULL ? 0 : -1;
}

/* All that is checked before the disk is looked at. */
static int
prepare(struct tar_get *g)
{
    struct files_request *r = &g->request;

    if (files_request_begin(r, g->envd, g->x, /* write= */ false) < 0)
        return -1;
    r->method = "GET /files/tar";
    if (files_request_user(r, g->envd, g->x) < 0 ||
        files_path(r, g->x, r->path, &g->path) < 0 || choose_coding(g) < 0)
        return -1;
    if (g->envd->archives > LIMIT_TAR_STREAMS) {
        files_fail(r, g->x, 503, "more than %d archives at once",
                   LIMIT_TAR_STREAMS);
        return -1;
    }
    return 0;
}

void
api_tar_get(struct envd *e, struct http_exchange *x)
{
    static const struct http_handler handler = {
        .on_room = on_room,
        .on_cancel = on_cancel,
    };
    struct tar_get *g = xcalloc(1, sizeof(*g));

    g->envd = e;
    g->x = x;
    g->tar = TAR_CREATE_INIT;
    g->names = user_names_ref(e->users);
    e->archives++;
    if (prepare(g) < 0) {
        tar_get_free(g);
        return;
    }
    http_accept(x, &handler, g);
    start(g, run_open);
}
