/*
 * Parts of a file by byte: what a Range header asks for, and the framing of
 * several parts in one answer.
 *
 * Rule: RFC 9110, 14.1 and 14.6.  Context: any.
 */
#ifndef ENVD_HTTP_RANGE_H
#define ENVD_HTTP_RANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct byte_range {
    int64_t first;
    int64_t len; /* bytes; 0 for the last 0 ones */
};

/* The ranges asked for, in their order; end it with byte_ranges_done(). */
struct byte_ranges {
    struct byte_range *list; /* owned */
    size_t count;
};

enum byte_ranges_kind {
    BYTE_RANGES_WHOLE,         /* send all: none given, or more than all */
    BYTE_RANGES_SOME,          /* one or more */
    BYTE_RANGES_MALFORMED,     /* 416 */
    BYTE_RANGES_UNSATISFIABLE, /* 416: all lie behind the end */
};

/*
 * Read a Range header for a content of `size` bytes.  Ranges behind its end
 * are dropped while there are others; those that together are longer than the
 * content, or more than LIMIT_HTTP_RANGES, mean all of it.
 *
 * ret  filled for BYTE_RANGES_SOME only
 */
enum byte_ranges_kind byte_ranges_parse(struct str header, int64_t size,
                                        struct byte_ranges *ret);
void byte_ranges_done(struct byte_ranges *r);

/* Bytes for the value of a Content-Range header, with its NUL. */
#define CONTENT_RANGE_SIZE 72

/* `bytes 0-4/20`, or `bytes *` and the size when `range` is NULL. */
void content_range_format(const struct byte_range *range, int64_t size,
                          char out[CONTENT_RANGE_SIZE]);

/* Bytes of a boundary, with its NUL. */
#define BYTE_RANGES_BOUNDARY_SIZE 33

/* An answer with several parts. */
struct byte_parts {
    struct byte_ranges ranges;
    char boundary[BYTE_RANGES_BOUNDARY_SIZE];
    const char *type; /* of the content, borrowed */
    int64_t size;     /* of the content */
};

/* Choose a boundary. */
void byte_parts_init(struct byte_parts *p);

/*
 * Append what comes before part `i`, or, when there is no such part, what
 * comes behind the last.
 */
void byte_parts_frame(const struct byte_parts *p, size_t i, struct buf *out);

/* Bytes of the whole body; -1 when there is no such number. */
int64_t byte_parts_length(const struct byte_parts *p);

#endif
