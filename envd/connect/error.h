/*
 * Failures in the forms of the three protocols: error JSON, end-of-stream
 * JSON, gRPC status and trailers; and the code's HTTP status.
 *
 * Rule: the Connect protocol's error and end-of-stream JSON; gRPC's
 * `Grpc-Status`, `Grpc-Message`, `Grpc-Status-Details-Bin`.  Context: any.
 */
#ifndef ENVD_CONNECT_ERROR_H
#define ENVD_CONNECT_ERROR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/status.h"

/* One detail of a failure: a packed message. */
struct error_detail {
    STAILQ_ENTRY(error_detail) link;
    char *type; /* `package.Message` */
    size_t len;
    uint8_t data[];
};

/* One trailer of an answer. */
struct error_trailer {
    STAILQ_ENTRY(error_trailer) link;
    char *name;
    char *value;
};

/*
 * How an answer ends, but for its status.  Initialise with error_end_init(),
 * end with error_end_done().
 */
struct error_end {
    STAILQ_HEAD(, error_detail) details;
    STAILQ_HEAD(, error_trailer) trailers;
};

void error_end_init(struct error_end *end);
void error_end_done(struct error_end *end);

/*
 * The arguments are copied.  A detail for which there is no memory is left
 * out: the failure itself is what counts.
 */
void error_end_add_detail(struct error_end *end, const char *type,
                          const void *data, size_t len);
void error_end_add_trailer(struct error_end *end, const char *name,
                           const char *value);

/* The HTTP status of a unary failure. */
int error_http_status(enum rpc_code code);

/* Append `{"code":…,"message":…,"details":…}`.  end  may be NULL */
void error_json(struct buf *out, const struct status *st,
                const struct error_end *end);

/*
 * Append `{"error":…,"metadata":…}`; `{}` for nothing to tell.
 * st   NULL for success
 * end  may be NULL
 */
void error_end_stream_json(struct buf *out, const struct status *st,
                           const struct error_end *end);

typedef void (*error_field_fn)(void *ctx, const char *name, const char *value);

/*
 * Call `each` for every trailer of a gRPC answer: the status first, then what
 * was added.  Values hold no control characters.
 *
 * st   NULL for success
 * end  may be NULL
 */
void error_grpc_trailers(const struct status *st, const struct error_end *end,
                         error_field_fn each, void *ctx);

#endif
