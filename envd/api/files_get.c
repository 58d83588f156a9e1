/*
 * GET and HEAD /files: what is answered.  A worker opens the file, and reads it
 * when it is small; what follows from its state and the headers of the request
 * is decided here.
 */
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "api/download.h"
#include "api/files.h"
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

static void
run_open(struct job *job)
{
    struct download *d = download_of(job);
    char extension[CONTENT_EXTENSION_SIZE];

    if (d->types == NULL && content_extension(d->request.path, extension))
        d->types = d->types_read = mime_types_read("");
    d->body.type = mime_types_find(d->types, d->request.path);
    /* As the caller; whatever follows needs no rights. */
    if (caller_enter(&d->request.caller, &d->body.st) == 0)
        download_body_open(&d->body, d->path, d->coding, !d->has_range);
    caller_judge(&d->body.st);
    caller_leave();
}

/* ---- answers ------------------------------------------------------------- */

/* An answer without a body. */
static void
answer_empty(struct download *d, int http_status)
{
    http_reply(d->x, http_status, NULL, 0);
    download_end(d);
}

static void
answer_whole(struct download *d)
{
    if (d->body.at_end) {
        http_reply_buf(d->x, 200, &d->body.content);
        download_end(d);
    } else if (d->body.gzip != NULL || d->body.file.size < 0) {
        download_make(d, 200, -1);
    } else {
        download_send(d, 200);
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
    download_send(d, 206);
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
    download_make(d, 206, byte_parts_length(parts));
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
    download_drop(d);
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
        download_fail(d, 406,
                      "error parsing Accept-Encoding: no acceptable encoding "
                      "found, supported: [gzip]");
        return true;
    }
    http_drop_header(d->x, "Vary");
    http_add_header(d->x, "Vary", "Origin, Accept-Encoding");
    if (d->accepts.identity_refused && d->conditional) {
        download_fail(d, 406,
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
        download_drop(d);
        return;
    }
    if (d->body.st.message != NULL) {
        download_fail(d, files_http_status(d->body.st.code),
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
    struct download *d = download_new(e, x);

    if (prepare(d) < 0) {
        download_free(d);
        return;
    }
    http_accept(x, &download_handler, d);
    download_start(d, run_open, on_opened);
}
