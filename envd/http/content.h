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

/* Bytes of the longest extension that is looked up, with a NUL. */
#define CONTENT_EXTENSION_SIZE 32

/*
 * What follows the last dot of the last component of a path.  Returns false
 * when that has none, or one that is too long or holds a NUL.
 */
bool content_extension(struct str path, char ret[CONTENT_EXTENSION_SIZE]);

/* The type that belongs to a lower-case extension; NULL when not known. */
const char *content_type_by_extension(const char *extension);

/* Whether what has this type is packed already. */
bool content_is_compressed(const char *type);

/*
 * The type by the first bytes of the content; never NULL.  Rule: WHATWG MIME
 * sniffing, as far as the contract lists it.
 */
const char *content_sniff(const uint8_t *data, size_t len);

/* Append `inline; filename=…`, quoted or percent-encoded where need be. */
void content_disposition(struct buf *out, const char *filename);

#endif
