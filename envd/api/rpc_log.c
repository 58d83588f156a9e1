/*
 * The log line of an RPC: method, outcome, never payloads.
 */
#include "api/rpc_log.h"

#include <stdio.h>

#include "api/api.h"
#include "base/log.h"
#include "base/status.h"
#include "connect/call.h"
#include "http/exchange.h"

void
rpc_log_done(struct call *c, const char *logger, const char *what,
             const struct status *st)
{
    struct log_line line;
    struct str path;
    char method[128];

    if (!log_begin(&line, st != NULL ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                   logger))
        return;
    path = http_request(call_exchange(c))->path;
    (void)snprintf(method, sizeof(method), "POST %.*s", (int)path.len,
                   path.data);
    log_str(&line, "method", method);
    log_operation(&line, log_operation_id());
    api_log_request(&line, call_exchange(c));
    if (st != NULL) {
        char text[1024];

        (void)snprintf(text, sizeof(text), "%s: %s", rpc_code_name(st->code),
                       status_message(st));
        log_str(&line, "error", text);
        log_u64(&line, "error_code", (uint64_t)st->code);
    }
    log_end(&line, "%s", what);
}
