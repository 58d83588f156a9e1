/*
 * Header lines and chunked bodies, by llhttp: bytes in, facts out.
 *
 * Rule: RFC 9112.  Context: loop.
 */
#ifndef ENVD_HTTP_PARSER_H
#define ENVD_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "http/header.h"

/* What all requests of a server share: prepared states of llhttp. */
struct http_parser;

struct http_parser *http_parser_new(void);
void http_parser_free(struct http_parser *p);

/* The header lines of one request. */
struct http_fields {
    struct http_header *items; /* filled by http_parse_fields() */
    size_t max;                /* room in items */
    size_t count;
    bool keep_alive;        /* as version and `Connection` say */
    bool chunked;           /* the last coding of the body is chunked */
    int64_t content_length; /* -1 without one */
};

/*
 * Read the header lines of a request, from behind the request line up to and
 * with the empty line.
 *
 * minor  of the version: 0 or 1
 * ret    `items` and `max` are given, the rest is filled; strings point into
 *        `lines`
 *
 * Returns 0, or -EBADMSG for anything but well-formed lines with at most one
 * way to frame the body.  `chunked` and `Content-Length` together pass: the
 * former wins.
 */
int http_parse_fields(const struct http_parser *p, struct str lines, int minor,
                      struct http_fields *ret);

/* The state of one chunked body. */
struct http_chunks;

/* NULL when memory is exhausted. */
struct http_chunks *http_chunks_new(const struct http_parser *p);
void http_chunks_free(struct http_chunks *chunks);

/*
 * Take input up to the end of one piece of the body, or of the input.
 *
 * ret_piece  the piece, inside `data`; may be empty
 *
 * Returns the bytes taken, or -EBADMSG for bad framing, also when more than
 * LIMIT_HTTP_HEAD_BYTES come between two bytes of body (extensions, trailers).
 */
ptrdiff_t http_chunks_next(struct http_chunks *chunks, const uint8_t *data,
                           size_t len, struct str *ret_piece);

/* Whether the last chunk and the trailers behind it were taken. */
bool http_chunks_done(const struct http_chunks *chunks);

#endif
