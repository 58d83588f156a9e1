/*
 * Content types by extension as the system's own files tell them, beside those
 * that everybody knows (http/content.h).
 */
#ifndef ENVD_HTTP_MIME_TYPES_H
#define ENVD_HTTP_MIME_TYPES_H

#include "base/str.h"

/* What was read; constant once it is made. */
struct mime_types;

/*
 * Read the first of the system's tables of patterns that is there (globs2),
 * else all its lists of types (mime.types).  What cannot be read adds nothing.
 *
 * root  put before each path; "" for the system's own
 *
 * Returns NULL when memory is exhausted.  Context: worker.
 */
struct mime_types *mime_types_read(const char *root);
void mime_types_free(struct mime_types *t);

/*
 * The type of a file by its extension, exact case first, then lower case; NULL
 * when it has none or is not known.  Patterns never override what everybody
 * knows, lists do.
 *
 * t  owns the result; may be NULL
 *
 * Context: any.
 */
const char *mime_types_find(const struct mime_types *t, struct str path);

#endif
