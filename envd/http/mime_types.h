/*
 * Content types by extension as the system's own files tell them, beside those
 * that everybody knows (http/content.h).
 */
#ifndef ENVD_HTTP_MIME_TYPES_H
#define ENVD_HTTP_MIME_TYPES_H

#include <stdbool.h>

#include "base/str.h"

/* What was read; constant once it is made. */
struct mime_types;

/*
 * Read a table.
 *
 * lists  lines of a type and its extensions, of which the last one counts that
 *        names an extension, and which override what everybody knows; else
 *        lines of a weight, a type and a pattern, the first one counts
 *
 * Malformed lines add nothing.  Returns NULL when memory is exhausted.
 * Context: any.
 */
struct mime_types *mime_types_parse(struct str text, bool lists);

/*
 * Read the first of the system's tables of patterns that is there (globs2),
 * else all its lists (mime.types).  What cannot be read adds nothing.
 *
 * root  put before each path; "" for the system's own
 *
 * Returns NULL when memory is exhausted.  Context: worker.
 */
struct mime_types *mime_types_read(const char *root);
void mime_types_free(struct mime_types *t);

/*
 * The type of a file by its extension, exact case first, then lower case; NULL
 * when it has none or is not known.
 *
 * t  owns the result; may be NULL
 *
 * Context: any.
 */
const char *mime_types_find(const struct mime_types *t, struct str path);

#endif
