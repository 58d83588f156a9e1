/*
 * One file of an upload: its target, its bytes, its place among the others.
 */
#include "api/upload_file.h"

#include <stdlib.h>
#include <string.h>

#include "api/files.h"
#include "base/scope.h"
#include "filesystem/caller.h"
#include "filesystem/path.h"
#include "limits.h"

enum upload_result
upload_fail(struct upload *u, int http_status)
{
    u->http_status = http_status;
    return UPLOAD_FAILED;
}

/* As the code of `st` says. */
static enum upload_result
fail_file(struct upload *u)
{
    caller_judge(&u->st);
    return upload_fail(u, files_http_status(u->st.code));
}

enum upload_result
upload_fail_memory(struct upload *u)
{
    (void)status_set(&u->st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    return fail_file(u);
}

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
    return upload_fail(u, 400);
}

/* Resolve the path of the next file. */
enum upload_result
upload_set_target(struct upload *u, struct str path)
{
    SCOPE(status_done) struct status inner = {0};

    free(TAKE_PTR(u->target));
    if (u->checked && u->file_count > 0) {
        (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                         "X-Envd-Sha256 is for uploads of one file");
        return upload_fail(u, 400);
    }
    if (path_resolve(path, u->user, u->home, u->workdir, &u->target, &inner) <
        0) {
        (void)status_set(&u->st, inner.code, "error resolving path: %s",
                         status_message(&inner));
        return upload_fail(u, 400);
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
        .metadata = u->metadata,
        .metadata_count = u->metadata_count,
    };
    return file_writer_open(&u->writer, whole, &u->st) < 0 ? fail_file(u)
                                                           : UPLOAD_MORE;
}

enum upload_result
upload_open_file(struct upload *u, int64_t size)
{
    return open_file(u, size, /* whole= */ false);
}

static enum upload_result
write_file(struct upload *u, struct str data)
{
    return file_writer_write(&u->writer, data.data, data.len, &u->st) < 0
               ? fail_file(u)
               : UPLOAD_MORE;
}

static void
add_to_digest(struct upload *u, struct str data)
{
    if (u->checked && data.len > 0)
        SHA256Update(&u->digest, (const uint8_t *)data.data, data.len);
}

/* Whether what was added is what the client meant to send. */
static enum upload_result
check_digest(struct upload *u)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    if (!u->checked)
        return UPLOAD_MORE;
    SHA256Final(digest, &u->digest);
    if (memcmp(digest, u->wanted, sizeof(digest)) == 0)
        return UPLOAD_MORE;
    (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                     "the content does not match X-Envd-Sha256");
    return upload_fail(u, 400);
}

/* The bytes that wait are about to go: open the file for them. */
enum upload_result
upload_flush_pending(struct upload *u)
{
    bool raw = !u->multipart && u->gzip == NULL;
    struct str data = u->pending;

    if (data.data == NULL)
        return UPLOAD_MORE;
    u->pending = (struct str){0};
    add_to_digest(u, data);
    if (open_file(u, raw ? u->content_length : -1, false) == UPLOAD_FAILED)
        return UPLOAD_FAILED;
    return write_file(u, data);
}

/*
 * Content of the present file.  The first range only waits: if it turns out to
 * be the last as well, the file is written in one go.
 */
enum upload_result
upload_take_content(struct upload *u, struct str data)
{
    if (data.len == 0)
        return UPLOAD_MORE;
    if (u->writer.mode == FILE_WRITER_CLOSED && u->pending.data == NULL) {
        u->pending = data;
        return UPLOAD_MORE;
    }
    if (upload_flush_pending(u) == UPLOAD_FAILED)
        return UPLOAD_FAILED;
    add_to_digest(u, data);
    return write_file(u, data);
}

static enum upload_result
note_file(struct upload *u)
{
    size_t size = strlen(u->target) + 1;
    char *path = arena_alloc(&u->arena, size);
    struct upload_file *file;

    if (u->file_count == u->file_room) {
        size_t room = MAX(u->file_room * 2, (size_t)4);
        void *files = realloc(u->files, room * sizeof(*u->files));

        if (files == NULL)
            return upload_fail_memory(u);
        u->files = files;
        u->file_room = room;
    }
    if (path == NULL)
        return upload_fail_memory(u);
    memcpy(path, u->target, size);
    file = &u->files[u->file_count++];
    *file = (struct upload_file){.path = path, .hash = hash_of(path)};
    /* What the file has now: it may be on a file system without. */
    if (u->metadata_count > 0)
        file->metadata_count = metadata_read(path, &u->arena, &file->metadata);
    return UPLOAD_MORE;
}

enum upload_result
upload_commit_file(struct upload *u)
{
    int r = file_writer_commit(&u->writer, &u->st);

    u->committing = r == FILE_WRITER_BUSY;
    if (u->committing)
        return UPLOAD_BUSY;
    u->metadata_unsupported |= u->writer.metadata_unsupported;
    return r < 0 ? fail_file(u) : note_file(u);
}

/* The content of the present file is complete. */
enum upload_result
upload_end_file(struct upload *u)
{
    struct str data = u->pending;

    if (u->file_count >= LIMIT_UPLOAD_FILES) {
        (void)status_set(&u->st, RPC_INVALID_ARGUMENT,
                         "more than %d files in one upload request",
                         LIMIT_UPLOAD_FILES);
        return upload_fail(u, 400);
    }
    if (u->writer.mode != FILE_WRITER_CLOSED)
        return check_digest(u) == UPLOAD_FAILED ? UPLOAD_FAILED
                                                : upload_commit_file(u);
    u->pending = (struct str){0};
    add_to_digest(u, data);
    if (check_digest(u) == UPLOAD_FAILED ||
        open_file(u, (int64_t)data.len,
                  data.len <= LIMIT_TRANSFER_SLICE_BYTES) == UPLOAD_FAILED ||
        write_file(u, data) == UPLOAD_FAILED)
        return UPLOAD_FAILED;
    return upload_commit_file(u);
}
