/*
 * Paths of requests for files, and requests that hold them in a JSON body.
 */
#ifndef ENVD_API_FILES_PATH_H
#define ENVD_API_FILES_PATH_H

#include "base/str.h"

struct envd;
struct files_request;
struct http_exchange;

/*
 * Resolve a path as the user of the request means it.
 *
 * sent  absent counts as empty
 * ret   on success the path; the caller frees it
 *
 * Returns 0, or -1 after having answered with 400.  Context: loop.
 */
int files_path(const struct files_request *r, struct http_exchange *x,
               struct str sent, char **ret);

/*
 * Begin a request whose parameters come in its body, behind the token gate, and
 * look its user up.
 *
 * method    `POST /files/copy`; static
 * path      for the log; borrowed as long as the request
 * username  absent means the default user
 *
 * Returns 0, or -1 after having answered; files_request_done() in any case.
 */
int files_request_body(struct files_request *r, struct envd *e,
                       struct http_exchange *x, const char *method,
                       struct str path, struct str username);

#endif
