/*
 * What every request has, before its route is looked at: its kind, its id, and
 * whether its peer may know of its path.
 */
#ifndef ENVD_API_REQUEST_H
#define ENVD_API_REQUEST_H

#include <stdbool.h>

struct envd;
struct http_exchange;

/* What is known of a path that we serve, or of all below it. */
struct request_path;

/*
 * Its kind for figures, its name for stalls, its id for logs.  Returns what is
 * known of its path; NULL: nothing.
 */
const struct request_path *request_begin(struct envd *e,
                                         struct http_exchange *x);

/*
 * Whether the peer may know of the path: those that steer the machine are for
 * who is outside of it, and say in their answers which agent it is.
 */
bool request_admit(struct envd *e, struct http_exchange *x,
                   const struct request_path *path);

#endif
