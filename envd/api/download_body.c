/*
 * The worker's side of a download: read, compress, frame.
 */
#include "api/download_body.h"

#include <errno.h>
#include <stdlib.h>

#include "base/scope.h"
#include "http/content.h"
#include "http/encoding.h"
#include "limits.h"

/* Up to this size a file is made by the job that opens it. */
#define WHOLE_BYTES      (64 * 1024)
#define WHOLE_GZIP_BYTES LIMIT_TRANSFER_SLICE_BYTES

static void
fail_read(struct download_body *b, const char *path, int err)
{
    b->at_end = true;
    (void)status_errno(&b->st, RPC_INTERNAL, err,
                       "error reading file '%s': read %s", path, path);
}

/* Read once. */
static void
read_some(struct download_body *b, const char *path, size_t max)
{
    ssize_t wanted = (ssize_t)MIN((int64_t)max, b->file.left);
    ssize_t n = file_reader_read(&b->file, &b->content, max);

    if (n < 0)
        fail_read(b, path, (int)-n);
    b->changing = b->file.size >= 0 && n < wanted;
    b->at_end = n < wanted || b->file.left == 0;
}

/* What was read, by what it becomes. */
static void
compress(struct download_body *b, const char *path)
{
    SCOPE(buf_done) struct buf plain = b->content;

    b->content = (struct buf){0};
    if (gzip_deflate_run(b->gzip, plain.len > 0 ? buf_data(&plain) : NULL,
                         plain.len, b->at_end, &b->content) < 0)
        fail_read(b, path, ENOMEM);
}

/* The type by what the file begins with. */
static const char *
sniff(const struct download_body *b)
{
    uint8_t front[CONTENT_SNIFF_BYTES];
    ssize_t len;

    if (b->file.size < 0)
        return content_sniff(buf_data(&b->content), b->content.len);
    len = file_reader_peek(&b->file, front, sizeof(front));
    return content_sniff(front, len > 0 ? (size_t)len : 0);
}

static bool
gzip_pays(const struct download_body *b)
{
    return b->file.size != 0 && !content_is_compressed(b->type);
}

void
download_body_open(struct download_body *b, const char *path,
                   enum download_coding coding, bool whole)
{
    int64_t whole_max = WHOLE_BYTES;

    if (file_reader_open(&b->file, path, &b->st) < 0)
        return;
    if (b->file.size < 0)
        read_some(b, path, WHOLE_BYTES);
    if (b->type == NULL)
        b->type = sniff(b);
    if (coding == DOWNLOAD_GZIP_ONLY ||
        (coding == DOWNLOAD_GZIP && gzip_pays(b))) {
        b->gzip = gzip_deflate_new(b->file.size < 0 ? SIZE_MAX
                                                    : (size_t)b->file.size);
        if (b->gzip == NULL)
            fail_read(b, path, ENOMEM);
        whole_max = WHOLE_GZIP_BYTES;
    }
    if (whole && b->file.size >= 0 && b->file.size <= whole_max) {
        read_some(b, path, (size_t)b->file.size);
        b->file.size = (int64_t)b->content.len; /* as it is by now */
    }
    if (b->gzip != NULL && (b->at_end || b->content.len > 0))
        compress(b, path);
    if (b->at_end)
        download_body_close(b);
}

void
download_body_split(struct download_body *b)
{
    file_reader_seek(&b->file, 0, 0);
}

/* Read on, from part to part, until there is enough for one piece. */
static void
make_parts(struct download_body *b, const char *path)
{
    const struct byte_ranges *ranges = &b->parts.ranges;

    b->at_end = false;
    while (!b->at_end && b->content.len < LIMIT_TRANSFER_SLICE_BYTES) {
        if (b->file.left > 0) {
            read_some(b, path, LIMIT_TRANSFER_SLICE_BYTES);
            b->at_end = b->changing;
            continue;
        }
        byte_parts_frame(&b->parts, b->part, &b->content);
        b->at_end = b->part == ranges->count || b->content.failed;
        if (!b->at_end)
            file_reader_seek(&b->file, ranges->list[b->part].first,
                             ranges->list[b->part].len);
        b->part++;
    }
}

void
download_body_make(struct download_body *b, const char *path)
{
    if (b->parts.ranges.count > 0)
        make_parts(b, path);
    else
        read_some(b, path, LIMIT_TRANSFER_SLICE_BYTES);
    if (b->changing)
        (void)status_set(&b->st, RPC_INTERNAL, "the file became shorter");
    if (b->gzip != NULL)
        compress(b, path);
    if (b->at_end)
        download_body_close(b);
}

void
download_body_close(struct download_body *b)
{
    file_reader_done(&b->file);
}

void
download_body_done(struct download_body *b)
{
    download_body_close(b);
    gzip_deflate_free(b->gzip);
    byte_ranges_done(&b->parts.ranges);
    buf_done(&b->content);
    status_done(&b->st);
}
