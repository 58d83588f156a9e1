/*
 * Points in time as text.
 */
#ifndef ENVD_BASE_RFC3339_H
#define ENVD_BASE_RFC3339_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Seconds of 0001-01-01T00:00:00Z and of 9999-12-31T23:59:59Z. */
#define RFC3339_SECONDS_MIN (-62135596800LL)
#define RFC3339_SECONDS_MAX 253402300799LL

#define RFC3339_SIZE 32 /* bytes that rfc3339_format() may write */

/*
 * Read a point in time: years 0001 to 9999, a zone, up to 9 digits of
 * fraction.  Leap seconds are refused.
 *
 * ret_seconds  since 1970-01-01T00:00:00Z, may be negative
 * ret_nanos    0 to 999,999,999, counted forward
 *
 * Returns 0, or -EINVAL.  Context: any.  Rule: RFC 3339, 5.6, with upper-case
 * letters.
 */
int rfc3339_parse(struct str text, int64_t *ret_seconds, int32_t *ret_nanos);

/*
 * Write a point in time in UTC with 0, 3, 6 or 9 digits of fraction, the
 * fewest that hold it; no NUL is added.
 *
 * Returns the characters written, or -ERANGE outside the range above.
 * Context: any.
 */
int rfc3339_format(char out[static RFC3339_SIZE], int64_t seconds,
                   int32_t nanos);

#endif
