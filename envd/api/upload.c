/*
 * The stages of an upload, from the outside in: gzip, multipart, one file.
 */
#include "api/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/upload_file.h"
#include "base/scope.h"
#include "connect/json_write.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "http/encoding.h"
#include "limits.h"
#include "loop/worker.h"

#define INFLATED_BYTES ((size_t)128 * 1024)

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
        return u->skipped == NULL ? upload_fail_memory(u) : UPLOAD_MORE;
    }
    if (u->path.data != NULL)
        return upload_set_target(u, u->path);
    if (part->filename != NULL)
        return upload_set_target(
            u, (struct str){part->filename, part->filename_len});
    (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                     "error getting multipart custom part file name: filename "
                     "not found in Content-Disposition header");
    return upload_fail(u, 400);
}

static enum upload_result
fail_quoted(struct upload *u, int err)
{
    if (err == -ENOMEM)
        return upload_fail_memory(u);
    (void)status_set(&u->st, RPC_INTERNAL,
                     "error writing file: quotedprintable: invalid content");
    return upload_fail(u, 500);
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
    r = upload_take_content(
        u, (struct str){(const char *)buf_data(&u->unquoted), u->unquoted.len});
    if (r == UPLOAD_MORE)
        r = upload_flush_pending(u);
    buf_reset(&u->unquoted, LIMIT_TRANSFER_SLICE_BYTES);
    return r;
}

static enum upload_result
take_part(struct upload *u, struct str data)
{
    if (!u->in_part)
        return UPLOAD_MORE;
    if (!u->parser.part.quoted_printable)
        return upload_take_content(u, data);
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
    return upload_end_file(u);
}

static enum upload_result
fail_form(struct upload *u)
{
    (void)status_set(&u->st, RPC_INTERNAL, "%s: %s",
                     u->in_part ? "error writing file" : "error reading form",
                     multipart_error(&u->parser));
    return upload_fail(u, 500);
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
        return upload_take_content(u, block);
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
        return upload_fail_memory(u);
    if (gzip_fault_in_head(fault)) {
        (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                         "error decompressing request body: failed to create "
                         "gzip reader: %s",
                         gzip_fault_text(fault));
        return upload_fail(u, 400);
    }
    (void)status_set(&u->st, RPC_INTERNAL, "error writing file: %s",
                     gzip_fault_text(fault));
    return upload_fail(u, 500);
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
    if (upload_flush_pending(u) == UPLOAD_FAILED)
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
            r = upload_end_file(u);
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
    return upload_fail(u, 400);
}

enum upload_result
upload_enter(struct upload *u, struct caller *caller)
{
    return caller_enter(caller, &u->st) < 0 ? upload_fail(u, 500) : UPLOAD_MORE;
}

static enum upload_result
run(struct upload *u, struct buf *slice, bool last, struct job *job)
{
    enum upload_result r = u->committing ? upload_commit_file(u) : UPLOAD_MORE;

    while (r == UPLOAD_MORE) {
        worker_pause_point();
        if (u->block.len == 0)
            r = next_block(u, slice, last);
        if (r != UPLOAD_MORE || u->block.len == 0)
            break;
        r = take_block(u);
        if (job_cancelled(job))
            return upload_fail(u, 0);
    }
    if (r == UPLOAD_MORE)
        r = last ? finish(u) : upload_flush_pending(u);
    return r;
}

enum upload_result
upload_run(struct upload *u, struct buf *slice, bool last, struct job *job)
{
    enum upload_result r = run(u, slice, last, job);

    if (r == UPLOAD_FAILED)
        upload_abort(u);
    return r;
}

enum upload_result
upload_open(struct upload *u)
{
    return upload_open_file(u, u->content_length);
}

/* ---- begin and end ------------------------------------------------------- */

int
upload_init(struct upload *u, struct str boundary, bool gzip)
{
    if (gzip) {
        u->gzip = gzip_inflate_new();
        u->inflated = malloc(INFLATED_BYTES);
        if (u->gzip == NULL || u->inflated == NULL) {
            (void)upload_fail_memory(u);
            return -1;
        }
    }
    if (u->multipart && multipart_init(&u->parser, boundary) < 0) {
        (void)status_set(&u->st, RPC_INTERNAL,
                         "error reading form: multipart: boundary is empty");
        (void)upload_fail(u, 500);
        return -1;
    }
    if (u->checked)
        SHA256Init(&u->digest);
    return !u->multipart && upload_set_target(u, u->path) == UPLOAD_FAILED ? -1
                                                                           : 0;
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

const char *
upload_lost(const struct upload *u)
{
    return u->writer.lost ? u->target : NULL;
}

static void
answer_metadata(const struct upload_file *file, struct buf *out)
{
    if (file->metadata_count == 0)
        return;
    buf_append_str(out, "\"metadata\":");
    for (size_t i = 0; i < file->metadata_count; i++) {
        const struct metadata *m = &file->metadata[i];

        buf_append_byte(out, i > 0 ? ',' : '{');
        json_write_string(out, m->key, strlen(m->key));
        buf_append_byte(out, ':');
        json_write_string(out, m->value, m->len);
    }
    buf_append_str(out, "},");
}

void
upload_answer(const struct upload *u, struct buf *out)
{
    buf_append_byte(out, '[');
    for (size_t i = 0; i < u->file_count; i++) {
        const char *path = u->files[i].path;
        SCOPE(scope_free) char *name = path_base(path);

        buf_append_str(out, i > 0 ? ",{" : "{");
        answer_metadata(&u->files[i], out);
        buf_append_str(out, "\"name\":");
        json_write_string(out, name != NULL ? name : "",
                          name != NULL ? strlen(name) : 0);
        buf_append_str(out, ",\"path\":");
        json_write_string(out, path, strlen(path));
        buf_append_str(out, ",\"type\":\"file\"}");
    }
    buf_append_byte(out, ']');
}
