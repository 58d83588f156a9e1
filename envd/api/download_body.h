/*
 * What a download sends, made by workers: a file as it is, parts of it, or all
 * of it compressed.
 *
 * Context: worker, one job at a time, unless said otherwise.
 */
#ifndef ENVD_API_DOWNLOAD_BODY_H
#define ENVD_API_DOWNLOAD_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "filesystem/reader.h"
#include "http/range.h"

struct gzip_deflate;

/* What a client would like to get. */
enum download_coding {
    DOWNLOAD_PLAIN,
    DOWNLOAD_GZIP,      /* where it makes the file smaller */
    DOWNLOAD_GZIP_ONLY, /* in any case */
};

/* Zero-initialise it but for file.fd; end it with download_body_done(). */
struct download_body {
    struct file_reader file;
    const char *type;          /* borrowed; NULL until it is known */
    struct gzip_deflate *gzip; /* NULL: sent as it is */
    struct byte_parts parts;   /* none: all that is left of the file */
    size_t part;               /* the next one to begin */

    struct buf content; /* made, for whoever sends it to take */
    bool at_end;        /* nothing more will be made */
    bool changing;      /* it became shorter meanwhile */
    struct status st;   /* why it ended early */
};

/*
 * Open the file and find out its type.  What is small is made whole at once,
 * what has no size as far as a first piece goes; else `content` stays empty.
 *
 * whole  all of it is wanted: not only its head, or a range
 */
void download_body_open(struct download_body *b, const char *path,
                        enum download_coding coding, bool whole);

/* Begin with the several parts of `parts`, which is filled in. */
void download_body_split(struct download_body *b);

/* Make the next piece. */
void download_body_make(struct download_body *b, const char *path);

/* Close the file, which may wait for whoever serves its file system. */
void download_body_close(struct download_body *b);

/* Context: any, when the file is closed. */
void download_body_done(struct download_body *b);

#endif
