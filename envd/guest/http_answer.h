/*
 * The answer to a request of our own, as it comes in: status line, headers,
 * and a bounded body with a length, in chunks, or up to the end.
 *
 * Rule: RFC 9112, without what a client may do without: obsolete line folding
 * and line feeds alone are refused.
 */
#ifndef ENVD_GUEST_HTTP_ANSWER_H
#define ENVD_GUEST_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum http_answer_state {
    ANSWER_STATUS,
    ANSWER_HEADERS,
    ANSWER_BODY, /* `left` bytes */
    ANSWER_CHUNK_SIZE,
    ANSWER_CHUNK, /* `left` bytes */
    ANSWER_CHUNK_END,
    ANSWER_TRAILERS,
    ANSWER_REST, /* up to the end of the connection */
    ANSWER_COMPLETE,
};

struct http_answer {
    unsigned int status; /* 0 until it is known */
    bool keep;           /* complete, and another request may follow */
    struct buf body;     /* the last one that was asked for */

    /* Its own. */
    enum http_answer_state state;
    size_t body_max;
    size_t head_bytes;
    uint64_t left;
    bool has_length;
    bool chunked;
};

/*
 * Begin to read an answer; zero-initialise the struct before the first.
 * body_max  bytes; a longer body is -EMSGSIZE
 */
void http_answer_begin(struct http_answer *a, size_t body_max);

/*
 * Take what has come out of `in`, no more than belongs to this answer.
 *
 * Returns 1 when the answer is complete, 0 when more is needed, -EPROTO for
 * what is no answer, -EMSGSIZE or -ENOMEM.  Context: any.
 */
int http_answer_feed(struct http_answer *a, struct buf *in);

/* The connection has ended: 1 when that completes the answer, else -EPIPE. */
int http_answer_end(struct http_answer *a);

void http_answer_done(struct http_answer *a);

#endif
