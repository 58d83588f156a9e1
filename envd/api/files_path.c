/*
 * Paths of requests for files, resolved or refused.
 */
#include "api/files_path.h"

#include <string.h>

#include "api/api.h"
#include "api/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "filesystem/path.h"
#include "guest/settings.h"

int
files_path(const struct files_request *r, struct http_exchange *x,
           struct str sent, char **ret)
{
    SCOPE(status_done) struct status st = {0};

    if (sent.data == NULL)
        sent = STR("");
    if (path_resolve(sent, r->user.name, r->user.home, r->workdir, ret, &st) ==
        0)
        return 0;
    files_fail(r, x, 400, "error expanding and resolving path '%.*s': %s",
               (int)sent.len, sent.data, status_message(&st));
    return -1;
}

int
files_request_body(struct files_request *r, struct envd *e,
                   struct http_exchange *x, const char *method, struct str path,
                   struct str username)
{
    *r = (struct files_request){
        .method = method,
        .operation_id = log_operation_id(),
        .request_id = api_request_id(x),
        .path = path,
        .username = username.data != NULL
                        ? str_dup(username)
                        : xstrdup(guest_default_user(e->settings)),
    };
    if (r->username != NULL)
        return files_request_user(r, e, x);
    api_error(x, 507, "out of memory");
    return -1;
}
