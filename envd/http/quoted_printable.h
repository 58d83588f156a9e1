/*
 * Quoted-printable content, incrementally.
 */
#ifndef ENVD_HTTP_QUOTED_PRINTABLE_H
#define ENVD_HTTP_QUOTED_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* A decoder; zero-initialise it. */
struct quoted_printable {
    char escape[2];     /* a `=` that is open, and the digit behind it */
    uint8_t escape_len; /* of these, how many */
    uint8_t blanks_len;
    char blanks[254]; /* white space that is dropped if its line ends */
};

/*
 * Decode `in`, appending to `out`, which grows by at most the length of `in`
 * and 256 bytes.
 *
 * White space at the end of a line is dropped, `=` there joins lines, `=`
 * before anything but two digits is itself, line ends are kept as they are.
 *
 * Returns 0; -EBADMSG for a control character or a longer run of white space
 * than `blanks` holds; -ENOMEM.  Rule: RFC 2045, 6.7.  Context: any.
 */
int quoted_printable_decode(struct quoted_printable *q, struct str in,
                            struct buf *out);

/* There is no more input: append what is held.  Returns 0 or -ENOMEM. */
int quoted_printable_finish(struct quoted_printable *q, struct buf *out);

#endif
