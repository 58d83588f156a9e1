/*
 * The beginning of every request for files, in the order of the contract.
 */
#include "api/files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/settings.h"
#include "http/exchange.h"
#include "http/query.h"
#include "limits.h"
#include "security/access.h"

int
files_http_status(enum rpc_code code)
{
    /* Only these tell a client more than that it failed. */
    if (code == RPC_NOT_FOUND)
        return 404;
    if (code == RPC_INVALID_ARGUMENT)
        return 400;
    if (code == RPC_PERMISSION_DENIED)
        return 403;
    return code == RPC_RESOURCE_EXHAUSTED ? 507 : 500;
}

/* The path as it was sent, for a line of the log. */
static void
log_path(struct log_line *line, const struct files_request *r)
{
    SCOPE(scope_free)
    char *path = r->path.data != NULL ? str_dup(r->path) : NULL;

    log_str(line, "path", path != NULL ? path : "");
}

void
files_log(const struct files_request *r, int http_status, const char *error)
{
    enum log_level level = error != NULL ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    struct log_line line;

    if (!log_begin(&line, level, "envd"))
        return;
    if (error != NULL)
        log_str(&line, "error", error);
    log_str(&line, "method", r->method);
    log_operation(&line, r->operation_id);
    if (r->request_id != NULL)
        log_str(&line, "request_id", r->request_id);
    log_path(&line, r);
    log_str(&line, "username", r->username);
    if (error != NULL)
        log_i64(&line, "error_code", http_status);
    log_end(&line, *r->method == 'P' ? "File write" : "File read");
}

void
files_fail(const struct files_request *r, struct http_exchange *x,
           int http_status, const char *format, ...)
{
    char text[LIMIT_RPC_ERROR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    files_log(r, http_status, text);
    api_error(x, http_status, "%s", text);
}

static int
fail_proof(const struct files_request *r, struct http_exchange *x,
           const struct status *st)
{
    static struct log_quota quota = LOG_QUOTA(10, 10000);
    struct log_line line;

    if (log_begin_limited(&line, LOG_LEVEL_ERROR, "envd", &quota)) {
        log_str(&line, "error", status_message(st));
        log_operation(&line, r->operation_id);
        api_log_request(&line, x);
        log_end(&line, "error during auth validation");
    }
    api_error(x, 401, "%s", status_message(st));
    return -1;
}

static int
fail_query(struct http_exchange *x, const struct status *st)
{
    SCOPE(scope_free) char *text = NULL;

    if (asprintf(&text, "%s\n", status_message(st)) < 0)
        text = NULL;
    http_reply_text(x, 400, text != NULL ? text : "");
    return -1;
}

int
files_request_begin(struct files_request *r, struct envd *e,
                    struct http_exchange *x, bool write)
{
    bool head = http_request(x)->method == HTTP_HEAD;
    struct str query = http_request(x)->query;
    struct query_param params[] = {
        {.name = "path"},
        {.name = "username"},
        {.name = "signature"},
        {.name = "signature_expiration", .is_number = true},
    };
    SCOPE(status_done) struct status st = {0};
    struct access_signature proof = {.write = write};

    *r = (struct files_request){
        .method = write  ? "POST /files"
                  : head ? "HEAD /files"
                         : "GET /files",
        .query = str_dup(query),
    };
    if (r->query == NULL) {
        api_error(x, 507, "out of memory");
        return -1;
    }
    if (query_bind(r->query, query.len, params, ARRAY_LEN(params), &st) < 0)
        return fail_query(x, &st);
    r->operation_id = log_operation_id();
    r->request_id = api_request_id(x);
    r->path = params[0].value;
    proof.path = params[0].value;
    proof.username = params[1].value;
    proof.signature = params[2].value;
    proof.has_expiration = params[3].times > 0;
    proof.expiration = params[3].number;
    if (access_check_file(e->token, http_header(x, "X-Access-Token"), &proof,
                          time(NULL), &st) < 0)
        return fail_proof(r, x, &st);
    r->username = params[1].value.data != NULL
                      ? str_dup(params[1].value)
                      : xstrdup(guest_default_user(e->settings));
    if (r->username == NULL) {
        api_error(x, 507, "out of memory");
        return -1;
    }
    if (params[1].value.data != NULL &&
        strlen(r->username) != params[1].value.len)
        r->username[0] = '\0'; /* a NUL byte makes it nobody's name */
    return 0;
}

int
files_request_user(struct files_request *r, struct envd *e,
                   struct http_exchange *x)
{
    const char *workdir = guest_default_workdir(e->settings);

    if (user_find(e->users, r->username, &r->user) < 0) {
        files_fail(r, x, 401,
                   "error looking up user '%s': user: unknown user %s",
                   r->username, r->username);
        return -1;
    }
    r->workdir = workdir != NULL ? xstrdup(workdir) : NULL;
    api_caller_init(e, &r->user, &r->caller);
    return 0;
}

void
files_request_done(struct files_request *r)
{
    free(r->request_id);
    free(r->query);
    free(r->username);
    free(r->workdir);
    user_done(&r->user);
    caller_done(&r->caller);
}
