/*
 * One download on its way: who works on it, and how its answer is sent.
 *
 * A file as it is goes from workers straight into the socket, a slice at a
 * time; what has to be compressed, framed or read to its end is made by them in
 * pieces and handed on.
 *
 * Context: loop.
 */
#ifndef ENVD_API_DOWNLOAD_H
#define ENVD_API_DOWNLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/download_body.h"
#include "api/files.h"
#include "base/scope.h"
#include "http/accept.h"
#include "http/exchange.h"
#include "loop/worker.h"

struct envd;
struct mime_types;

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

static inline struct download *
download_of(struct job *job)
{
    return container_of(job, struct download, job);
}

/* The callbacks of the exchange, which get the download. */
extern const struct http_handler download_handler;

/* A download of `x`, which is yet to be filled in. */
struct download *download_new(struct envd *e, struct http_exchange *x);

/* Free one that nothing was started for. */
void download_free(struct download *d);

/*
 * Have a worker do something for it.  When none can be had the request is
 * answered, and the download over.
 */
void download_start(struct download *d, void (*run)(struct job *job),
                    void (*done)(struct job *job));

/* Nobody waits for it any more: free it, now or when its job is over. */
void download_drop(struct download *d);

/* The request has been answered: note that, and free it. */
void download_end(struct download *d);

/* Answer with a failure, and free it. */
void download_fail(struct download *d, int http_status, const char *text);

/*
 * Answer with what is left of the file, by sendfile(2); it then goes on, and
 * ends, by itself.
 */
void download_send(struct download *d, int http_status);

/*
 * Answer with what workers make, beginning with what they have made; it then
 * goes on, and ends, by itself.
 *
 * len  bytes of the body, -1 when unknown
 */
void download_make(struct download *d, int http_status, int64_t len);

#endif
