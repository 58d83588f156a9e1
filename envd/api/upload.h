/*
 * The worker's side of an upload: bytes of a body in, files out.
 *
 * The body is inflated if need be, cut into parts if it is multipart, and each
 * file written.  All of it blocks, and belongs to one job at a time.
 */
#ifndef ENVD_API_UPLOAD_H
#define ENVD_API_UPLOAD_H

#include <sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "filesystem/transfer.h"
#include "http/multipart.h"
#include "http/quoted_printable.h"

struct caller;
struct gzip_inflate;
struct http_request;
struct job;

/* A file that was stored. */
struct upload_file {
    const char *path;          /* resolved; in the arena */
    uint64_t hash;             /* of the path */
    struct metadata *metadata; /* as it has it now; in the arena */
    size_t metadata_count;
};

/* An upload; set the first group, zero the rest. */
struct upload {
    struct str path;  /* of the query, absent when the parts name theirs */
    const char *user; /* these are borrowed */
    const char *home;
    const char *workdir;
    uid_t uid;
    gid_t gid;
    int64_t content_length; /* of the request; -1 when it is chunked */
    bool multipart;
    struct arena arena;        /* limited; of the metadata and what is stored */
    struct metadata *metadata; /* for each file; upload_read_headers() */
    size_t metadata_count;
    bool checked; /* the content shall have a SHA-256, `wanted` */
    uint8_t wanted[SHA256_DIGEST_LENGTH];

    struct gzip_inflate *gzip; /* NULL: the body is as it is */
    uint8_t *inflated;         /* what came out of it last */
    bool inflated_all;         /* and nothing follows */
    struct str block;          /* decoded bytes not yet taken */

    struct multipart parser;
    struct quoted_printable quoted;
    struct buf unquoted;
    bool in_part;  /* a part that is stored, not skipped */
    char *skipped; /* name of the first part that was not */

    char *target;       /* resolved path of the file being written */
    struct str pending; /* its first bytes, while it is not open */
    bool committing;    /* it is complete, but another upload has it */
    bool raw_done;      /* the file of a raw body is stored */
    struct file_writer writer;
    SHA2_CTX digest;           /* of the content so far, where it is checked */
    bool metadata_unsupported; /* some file's file system left it out */

    struct upload_file *files;
    size_t file_count;
    size_t file_room;

    int http_status; /* of a failure, with `st` */
    struct status st;
};

/*
 * Begin; the first group of fields is set, the rest is zero.
 *
 * boundary  of a multipart body
 * gzip      the body is compressed
 *
 * Returns 0; -1 with http_status and st.  Context: loop.
 */
int upload_init(struct upload *u, struct str boundary, bool gzip);

/*
 * Read the headers that say what each file gets: X-Metadata-* and
 * X-Envd-Sha256.  Returns 0, or -1 with `st` for an answer of 400.
 * Context: loop.
 */
int upload_read_headers(struct upload *u, const struct http_request *r,
                        struct status *st);

/* How far an upload got. */
enum upload_result {
    UPLOAD_MORE,   /* all of the slice is taken */
    UPLOAD_DONE,   /* the body is complete and stored */
    UPLOAD_BUSY,   /* another upload has the file: call again later */
    UPLOAD_FAILED, /* and given up, as by upload_abort() */
};

/*
 * Become the caller for what follows on this thread, up to caller_leave().
 * Returns UPLOAD_MORE or UPLOAD_FAILED.  Context: worker.
 */
enum upload_result upload_enter(struct upload *u, struct caller *caller);

/*
 * Take a slice of the body.
 *
 * slice  consumed as it is taken; the next call goes on with what is left
 * last   nothing follows the slice
 * job    polled for cancellation; the result is then UPLOAD_FAILED
 *
 * Context: worker.
 */
enum upload_result upload_run(struct upload *u, struct buf *slice, bool last,
                              struct job *job);

/* Open the target of a raw body that comes in several slices.  Context: worker.
 */
enum upload_result upload_open(struct upload *u);

/* Give up what is being written.  Context: worker. */
void upload_abort(struct upload *u);

/* The file whose old content went with a failed upload, or NULL. */
const char *upload_lost(const struct upload *u);

/* Free; after upload_abort() or UPLOAD_DONE.  Context: loop. */
void upload_done(struct upload *u);

/* Append the JSON answer.  Context: loop. */
void upload_answer(const struct upload *u, struct buf *out);

#endif
