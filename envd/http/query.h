/*
 * Query strings: form decoding and the parameters a route knows.
 */
#ifndef ENVD_HTTP_QUERY_H
#define ENVD_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

/* One known parameter; `name` and `is_number` are set by the caller. */
struct query_param {
    const char *name;
    bool is_number;
    struct str value; /* decoded; absent differs from empty */
    int64_t number;   /* of a number that is present */
    unsigned int times;
};

/*
 * Decode a query and bind the known parameters in the order of `params`.
 *
 * text    the query without `?`, len bytes; it is decoded in place, and the
 *         values point into it.  NULL when there is none
 * params  zero-initialised but for name and is_number
 *
 * `+` is a blank, `%XX` a byte, in keys too.  A pair with `;` or a bad escape
 * is dropped, unknown parameters are ignored.
 *
 * Returns 0, or -1 with `st` invalid_argument and the text of the answer
 * (without a newline) when a parameter comes twice or is not a number.
 * Context: any.
 */
int query_bind(char *text, size_t len, struct query_param *params, size_t count,
               struct status *st);

/*
 * Percent-decode a path or another text in which `+` is itself.
 *
 * out  room for `size` bytes, of which at most s.len are used; no NUL is added
 *
 * Returns false, with nothing to be relied on in `out`, for a bad escape or
 * when it does not fit.  Context: any.
 */
bool query_unescape(struct str s, char *out, size_t size, size_t *ret_len);

#endif
