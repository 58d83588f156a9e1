/*
 * What one POST /init asks for: decoded, checked, and wiped when it goes.
 */
#ifndef ENVD_API_INIT_REQUEST_H
#define ENVD_API_INIT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "rest.pb-c.h"

#define INIT_DIGEST_BYTES 32

struct init_request {
    struct buf body; /* what the message points into */
    struct arena arena;
    const Rest__InitRequest *message;
    struct str token; /* absent when none was given */
    bool has_timestamp;
    int64_t timestamp_ns; /* since the epoch */
    int64_t received_ns;  /* CLOCK_MONOTONIC */
    /* SHA-256 of all but the timestamp: what the request wants. */
    uint8_t digest[INIT_DIGEST_BYTES];
};

/*
 * Decode a body.
 *
 * body  taken over, empty afterwards; a body of no bytes is the empty object
 *
 * Returns NULL when it is not what it should be, or memory is exhausted
 * (*ret_memory).  init_request_free() wipes and frees it.  Context: loop.
 */
struct init_request *init_request_new(struct buf *body, bool *ret_memory);
void init_request_free(struct init_request *r); /* NULL is fine */

/* Wipe and free a body that has secrets in it. */
void init_body_done(struct buf *body);

/* Whether `b` wants what `a` wants, whenever each was sent. */
bool init_request_same(const struct init_request *a,
                       const struct init_request *b);

/*
 * The host's time now, by a timestamp that came a while ago: ns since the
 * epoch.
 */
int64_t init_request_host_ns(const struct init_request *r);

#endif
