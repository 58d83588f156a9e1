/*
 * Which variables commands get.
 */
#include "api/api.h"
#include "base/buf.h"
#include "base/log.h"
#include "connect/json_write.h"
#include "envd.h"
#include "guest/settings.h"
#include "http/exchange.h"

void
api_envs(struct envd *e, struct http_exchange *x)
{
    size_t count;
    const struct guest_var *vars = guest_vars(e->settings, &count);
    struct log_line line;
    struct buf body = {0};

    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd")) {
        log_operation(&line, log_operation_id());
        api_log_request(&line, x);
        log_end(&line, "Getting env vars");
    }
    buf_append_byte(&body, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(&body, ',');
        json_write_string(&body, vars[i].name, strlen(vars[i].name));
        buf_append_byte(&body, ':');
        json_write_string(&body, vars[i].value, strlen(vars[i].value));
    }
    buf_append_byte(&body, '}');
    buf_append_byte(&body, '\n');
    http_add_header(x, "Cache-Control", "no-store");
    http_add_header(x, "Content-Type", "application/json");
    http_reply_buf(x, 200, &body);
    buf_done(&body);
}
