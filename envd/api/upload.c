/*
 * The stages of an upload, from the outside in: gzip, multipart, one file.
 */
#include "api/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/files.h"
#include "base/scope.h"
#include "connect/json_write.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "http/encoding.h"
#include "limits.h"
#include "loop/worker.h"

#define INFLATED_BYTES ((size_t)128 * 1024)

static enum upload_result
fail(struct upload *u, int http_status)
{
    u->http_status = http_status;
    return UPLOAD_FAILED;
}

/* As the code of `st` says. */
static enum upload_result
fail_file(struct upload *u)
{
    caller_judge(&u->st);
    return fail(u, files_http_status(u->st.code));
}

static enum upload_result
fail_memory(struct upload *u)
{
    (void)status_set(&u->st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return fail_file(u);
}

/* ---- one file ------------------------------------------------------------ */

static uint64_t
hash_of(const char *s)
{
    uint64_t hash = 0xcbf29ce484222325U;

    while (*s != '\0')
        hash = (hash ^ (uint8_t)*s++) * 0x100000001b3U;
    return hash;
}

static bool
is_stored(const struct upload *u, const char *path)
{
    uint64_t hash = hash_of(path);

    for (size_t i = 0; i < u->file_count; i++)
        if (u->files[i].hash == hash && strcmp(u->files[i].path, path) == 0)
            return true;
    return false;
}

static enum upload_result
fail_twice(struct upload *u)
{
    SCOPE(buf_done) struct buf others = {0};

    if (u->file_count > 2) {
        buf_append_str(&others, ", also the following files were uploaded: ");
        for (size_t i = 0, n = 0; i < u->file_count; i++) {
            if (strcmp(u->files[i].path, u->target) == 0)
                continue;
            buf_append_str(&others, n++ > 0 ? ", " : "");
            buf_append_str(&others, u->files[i].path);
        }
    }
    (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                     "you cannot upload multiple files to the same path '%s' "
                     "in one upload request, only the first specified file was "
                     "uploaded%.*s",
                     u->target, (int)others.len,
                     others.len > 0 ? (const char *)buf_data(&others) : "");
    return fail(u, 400);
}

/* Resolve the path of the next file. */
static enum upload_result
set_target(struct upload *u, struct str path)
{
    SCOPE(status_done) struct status inner = {0};

    free(TAKE_PTR(u->target));
    if (path_resolve(path, u->user, u->home, u->workdir, &u->target, &inner) <
        0) {
        (void)status_set(&u->st, inner.code, "error resolving path: %s",
                         status_message(&inner));
        return fail(u, 400);
    }
    return is_stored(u, u->target) ? fail_twice(u) : UPLOAD_MORE;
}

static enum upload_result
open_file(struct upload *u, int64_t size, bool whole)
{
    u->writer = (struct file_writer){
        .path = u->target,
        .uid = u->uid,
        .gid = u->gid,
        .size_expected = size,
        .size_told = u->content_length,
    };
    return file_writer_open(&u->writer, whole, &u->st) < 0 ? fail_file(u)
                                                           : UPLOAD_MORE;
}

static enum upload_result
write_file(struct upload *u, struct str data)
{
    return file_writer_write(&u->writer, data.data, data.len, &u->st) < 0
               ? fail_file(u)
               : UPLOAD_MORE;
}

/* The bytes that wait are about to go: open the file for them. */
static enum upload_result
flush_pending(struct upload *u)
{
    bool raw = !u->multipart && u->gzip == NULL;
    struct str data = u->pending;

    if (data.data == NULL)
        return UPLOAD_MORE;
    u->pending = (struct str){0};
    if (open_file(u, raw ? u->content_length : -1, false) == UPLOAD_FAILED)
        return UPLOAD_FAILED;
    return write_file(u, data);
}

/*
 * Content of the present file.  The first range only waits: if it turns out to
 * be the last as well, the file is written in one go.
 */
static enum upload_result
take_content(struct upload *u, struct str data)
{
    if (data.len == 0)
        return UPLOAD_MORE;
    if (u->writer.mode == FILE_WRITER_CLOSED && u->pending.data == NULL) {
        u->pending = data;
        return UPLOAD_MORE;
    }
    if (flush_pending(u) == UPLOAD_FAILED)
        return UPLOAD_FAILED;
    return write_file(u, data);
}

static enum upload_result
note_file(struct upload *u)
{
    size_t size = strlen(u->target) + 1;
    char *path = arena_alloc(&u->arena, size);

    if (u->file_count == u->file_room) {
        size_t room = MAX(u->file_room * 2, (size_t)4);
        void *files = realloc(u->files, room * sizeof(*u->files));

        if (files == NULL)
            return fail_memory(u);
        u->files = files;
        u->file_room = room;
    }
    if (path == NULL)
        return fail_memory(u);
    memcpy(path, u->target, size);
    u->files[u->file_count++] = (struct upload_file){path, hash_of(path)};
    return UPLOAD_MORE;
}

static enum upload_result
commit_file(struct upload *u)
{
    int r = file_writer_commit(&u->writer, &u->st);

    u->committing = r == FILE_WRITER_BUSY;
    if (u->committing)
        return UPLOAD_BUSY;
    return r < 0 ? fail_file(u) : note_file(u);
}

/* The content of the present file is complete. */
static enum upload_result
end_file(struct upload *u)
{
    struct str data = u->pending;

    if (u->file_count >= LIMIT_UPLOAD_FILES) {
        (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                         "more than %d files in one upload request",
                         LIMIT_UPLOAD_FILES);
        return fail(u, 400);
    }
    if (u->writer.mode == FILE_WRITER_CLOSED) {
        u->pending = (struct str){0};
        if (open_file(u, (int64_t)data.len,
                      data.len <= LIMIT_TRANSFER_SLICE_BYTES) ==
                UPLOAD_FAILED ||
            write_file(u, data) == UPLOAD_FAILED)
            return UPLOAD_FAILED;
    }
    return commit_file(u);
}

/* ---- parts --------------------------------------------------------------- */

static enum upload_result
begin_part(struct upload *u)
{
    const struct multipart_part *part = &u->parser.part;

    u->in_part = part->form_data && part->name != NULL &&
                 strcmp(part->name, "file") == 0;
    u->quoted = (struct quoted_printable){0};
    if (!u->in_part) {
        if (u->skipped == NULL)
            u->skipped = strdup(part->name != NULL ? part->name : "");
        return u->skipped == NULL ? fail_memory(u) : UPLOAD_MORE;
    }
    if (u->path.data != NULL)
        return set_target(u, u->path);
    if (part->filename != NULL)
        return set_target(u, (struct str){part->filename, part->filename_len});
    (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                     "error getting multipart custom part file name: filename "
                     "not found in Content-Disposition header");
    return fail(u, 400);
}

static enum upload_result
fail_quoted(struct upload *u, int err)
{
    if (err == -ENOMEM)
        return fail_memory(u);
    (void)status_set(&u->st, RPC_INTERNAL,
                     "error writing file: quotedprintable: invalid content");
    return fail(u, 500);
}

/* Content that was decoded into memory of ours, which is used again. */
static enum upload_result
take_unquoted(struct upload *u, int err)
{
    enum upload_result r;

    if (err < 0)
        return fail_quoted(u, err);
    if (u->unquoted.len == 0)
        return UPLOAD_MORE;
    r = take_content(
        u, (struct str){(const char *)buf_data(&u->unquoted), u->unquoted.len});
    if (r == UPLOAD_MORE)
        r = flush_pending(u);
    buf_reset(&u->unquoted, LIMIT_TRANSFER_SLICE_BYTES);
    return r;
}

static enum upload_result
take_part(struct upload *u, struct str data)
{
    if (!u->in_part)
        return UPLOAD_MORE;
    if (!u->parser.part.quoted_printable)
        return take_content(u, data);
    return take_unquoted(
        u, quoted_printable_decode(&u->quoted, data, &u->unquoted));
}

static enum upload_result
end_part(struct upload *u)
{
    if (!u->in_part)
        return UPLOAD_MORE;
    if (u->parser.part.quoted_printable &&
        take_unquoted(u, quoted_printable_finish(&u->quoted, &u->unquoted)) ==
            UPLOAD_FAILED)
        return UPLOAD_FAILED;
    u->in_part = false;
    return end_file(u);
}

static enum upload_result
fail_form(struct upload *u)
{
    (void)status_set(&u->st, RPC_INTERNAL, "%s: %s",
                     u->in_part ? "error writing file" : "error reading form",
                     multipart_error(&u->parser));
    return fail(u, 500);
}

static enum upload_result
take_event(struct upload *u, enum multipart_event event)
{
    switch (event) {
    case MULTIPART_PART:
        return begin_part(u);
    case MULTIPART_DATA:
        return take_part(u, u->parser.data);
    case MULTIPART_PART_END:
        return end_part(u);
    case MULTIPART_FAILED:
        return fail_form(u);
    case MULTIPART_MORE:
    case MULTIPART_END:
        break;
    }
    return UPLOAD_MORE;
}

/* ---- the body ------------------------------------------------------------ */

/* Take what is decoded, as far as it goes. */
static enum upload_result
take_block(struct upload *u)
{
    enum upload_result r = UPLOAD_MORE;

    if (!u->multipart) {
        struct str block = u->block;

        u->block.len = 0;
        return take_content(u, block);
    }
    while (u->block.len > 0 && r == UPLOAD_MORE) {
        const uint8_t *in = (const uint8_t *)u->block.data;
        enum multipart_event event =
            multipart_next(&u->parser, &in, &u->block.len);

        u->block.data = (const char *)in;
        r = take_event(u, event);
    }
    return r;
}

static enum upload_result
fail_gzip(struct upload *u, enum gzip_fault fault)
{
    if (fault == GZIP_NO_MEMORY)
        return fail_memory(u);
    if (gzip_fault_in_head(fault)) {
        (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                         "error decompressing request body: failed to create "
                         "gzip reader: %s",
                         gzip_fault_text(fault));
        return fail(u, 400);
    }
    (void)status_set(&u->st, RPC_INTERNAL, "error writing file: %s",
                     gzip_fault_text(fault));
    return fail(u, 500);
}

/*
 * Decode the next block into u->block, which stays empty when there is no more
 * input.  A body as it is is one block.
 */
static enum upload_result
next_block(struct upload *u, struct buf *slice, bool last)
{
    const uint8_t *in = buf_data(slice);
    size_t left = slice->len;
    enum gzip_fault fault;
    size_t len = 0;

    if (u->gzip == NULL) {
        /* Consumed without moving: the memory stays where it is. */
        u->block = (struct str){(const char *)in, left};
        slice->off += left;
        slice->len = 0;
        return UPLOAD_MORE;
    }
    if (u->inflated_all)
        return UPLOAD_MORE;
    /* Content that waits lies in the memory that is written next. */
    if (flush_pending(u) == UPLOAD_FAILED)
        return UPLOAD_FAILED;
    fault = gzip_inflate_run(u->gzip, &in, &left, u->inflated, INFLATED_BYTES,
                             &len);
    buf_consume(slice, slice->len - left);
    u->block = (struct str){(const char *)u->inflated, len};
    u->inflated_all = last && slice->len == 0 && len < INFLATED_BYTES;
    if (fault == GZIP_FINE && u->inflated_all)
        fault = gzip_inflate_end(u->gzip);
    return fault == GZIP_FINE ? UPLOAD_MORE : fail_gzip(u, fault);
}

/* The body is complete. */
static enum upload_result
finish(struct upload *u)
{
    enum upload_result r = UPLOAD_MORE;
    enum multipart_event event = MULTIPART_MORE;

    if (!u->multipart) {
        if (!u->raw_done) {
            u->raw_done = true;
            r = end_file(u);
        }
        return r == UPLOAD_MORE ? UPLOAD_DONE : r;
    }
    while (event != MULTIPART_END && r == UPLOAD_MORE) {
        event = multipart_finish(&u->parser);
        r = take_event(u, event);
    }
    if (r != UPLOAD_MORE)
        return r;
    if (u->file_count > 0 || u->skipped == NULL)
        return UPLOAD_DONE;
    (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                     "no file was uploaded: part '%s' is not a form-data part "
                     "named 'file'",
                     u->skipped);
    return fail(u, 400);
}

enum upload_result
upload_enter(struct upload *u, struct caller *caller)
{
    return caller_enter(caller, &u->st) < 0 ? fail_file(u) : UPLOAD_MORE;
}

enum upload_result
upload_run(struct upload *u, struct buf *slice, bool last, struct job *job)
{
    enum upload_result r = u->committing ? commit_file(u) : UPLOAD_MORE;

    while (r == UPLOAD_MORE) {
        if (u->block.len == 0)
            r = next_block(u, slice, last);
        if (r != UPLOAD_MORE || u->block.len == 0)
            break;
        r = take_block(u);
        if (job_cancelled(job))
            return fail(u, 0);
    }
    if (r == UPLOAD_MORE)
        r = last ? finish(u) : flush_pending(u);
    return r;
}

enum upload_result
upload_open(struct upload *u)
{
    return open_file(u, u->content_length, false);
}

/* ---- begin and end ------------------------------------------------------- */

int
upload_init(struct upload *u, struct str boundary, bool gzip)
{
    arena_init(&u->arena, LIMIT_UPLOAD_NAMES_BYTES);
    if (gzip) {
        u->gzip = gzip_inflate_new();
        u->inflated = malloc(INFLATED_BYTES);
        if (u->gzip == NULL || u->inflated == NULL) {
            (void)fail_memory(u);
            return -1;
        }
    }
    if (u->multipart && multipart_init(&u->parser, boundary) < 0) {
        (void)status_set(&u->st, RPC_INTERNAL,
                         "error reading form: multipart: boundary is empty");
        (void)fail(u, 500);
        return -1;
    }
    return !u->multipart && set_target(u, u->path) == UPLOAD_FAILED ? -1 : 0;
}

void
upload_abort(struct upload *u)
{
    if (u->writer.mode != FILE_WRITER_CLOSED)
        file_writer_abort(&u->writer);
}

void
upload_done(struct upload *u)
{
    gzip_inflate_free(u->gzip);
    free(u->inflated);
    multipart_done(&u->parser);
    buf_done(&u->unquoted);
    free(u->skipped);
    free(u->target);
    free(u->files);
    arena_done(&u->arena);
    status_done(&u->st);
}

void
upload_answer(const struct upload *u, struct buf *out)
{
    buf_append_byte(out, '[');
    for (size_t i = 0; i < u->file_count; i++) {
        const char *path = u->files[i].path;
        SCOPE(scope_free) char *name = path_base(path);

        buf_append_str(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_write_string(out, name != NULL ? name : "",
                          name != NULL ? strlen(name) : 0);
        buf_append_str(out, ",\"path\":");
        json_write_string(out, path, strlen(path));
        buf_append_str(out, ",\"type\":\"file\"}");
    }
    buf_append_byte(out, ']');
}
