/*
 * What a file is called and what is in it, for the headers of a download.
 */
#ifndef ENVD_HTTP_CONTENT_H
#define ENVD_HTTP_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Bytes at the front of a file that content_sniff() looks at. */
#define CONTENT_SNIFF_BYTES 512

/* Whether a character may stand in a token, or separates tokens (tspecials).
 * Rule: RFC 2045, 5.1. */
bool content_is_token(char c);
bool content_is_separator(char c);

/*
 * The type of a file by what follows the last dot of its name; NULL when it
 * has none or is not known.  Exact case first, then lower case.
 */
const char *content_type_by_name(struct str path);

/*
 * The type by the first bytes of the content; never NULL.  Rule: WHATWG MIME
 * sniffing, as far as the contract lists it.
 */
const char *content_sniff(const uint8_t *data, size_t len);

/* Append `inline; filename=…`, quoted or percent-encoded where need be. */
void content_disposition(struct buf *out, const char *filename);

#endif
