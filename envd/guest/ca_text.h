/*
 * The text of a caBundle.
 */
#ifndef ENVD_GUEST_CA_TEXT_H
#define ENVD_GUEST_CA_TEXT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/* Without blanks and newlines at both ends.  Context: any. */
struct str ca_text_trim(const char *pem, size_t len);

/*
 * Append each of its blocks, once, on lines of its own; at most
 * LIMIT_CA_BLOCKS.  Context: any.
 */
void ca_text_blocks(struct buf *out, struct str text);

#endif
