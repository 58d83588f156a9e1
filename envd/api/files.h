/*
 * What GET and POST /files have in common: their query, proof, user and path.
 */
#ifndef ENVD_API_FILES_H
#define ENVD_API_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"
#include "filesystem/caller.h"
#include "security/user.h"

struct envd;
struct http_exchange;

/* One request for files; end it with files_request_done(). */
struct files_request {
    const char *method; /* `GET /files`, for the log */
    uint64_t operation_id;
    char *request_id;     /* owned; NULL: none */
    char *query;          /* owned, decoded: what path points into */
    struct str path;      /* of the query; absent differs from empty */
    char *username;       /* owned: of the query, else the default one */
    struct user user;     /* once looked up */
    struct caller caller; /* the same, for jobs */
    char *workdir;        /* owned; the default one, NULL when there is none */
};

/*
 * Bind the query and check the proof.  Returns 0, or -1 after having answered.
 * Context: loop, as all here.
 */
int files_request_begin(struct files_request *r, struct envd *e,
                        struct http_exchange *x, bool write);

/* Look the user up.  Returns 0, or -1 after having answered. */
int files_request_user(struct files_request *r, struct envd *e,
                       struct http_exchange *x);

void files_request_done(struct files_request *r);

/* Answer with a failure and note it in the log. */
void files_fail(const struct files_request *r, struct http_exchange *x,
                int http_status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Note what came of a request; `error` is NULL when it went well. */
void files_log(const struct files_request *r, int http_status,
               const char *error);

/* The HTTP status for the code of a file operation's failure. */
int files_http_status(enum rpc_code code);

#endif
