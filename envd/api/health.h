/*
 * How the agent is, in some detail, for people.
 */
#ifndef ENVD_API_HEALTH_H
#define ENVD_API_HEALTH_H

#include "base/buf.h"

struct envd;

/*
 * A word on one matter, to be added to the table in health.c; the text is
 * static, NULL leaves it out.
 */
typedef const char *(*health_word_fn)(struct envd *e);

/* All of it as a JSON object, a line for each matter. */
void health_append(struct buf *out, struct envd *e);

/* The same as a log line, or on stderr where there is no log. */
void health_log(struct envd *e);

#endif
