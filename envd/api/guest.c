/*
 * The host's small questions: is it alive, how loaded is it, which variables
 * does it have.
 */
#include <inttypes.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/log.h"
#include "connect/json_write.h"
#include "envd.h"
#include "guest/metrics.h"
#include "guest/settings.h"
#include "http/exchange.h"

void
api_health(struct envd *e, struct http_exchange *x)
{
    (void)e;
    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, 204, NULL, 0);
}

static void
reply_json(struct http_exchange *x, struct buf *body)
{
    buf_append_byte(body, '\n');
    http_add_header(x, "Cache-Control", "no-store");
    http_add_header(x, "Content-Type", "application/json");
    http_reply_buf(x, 200, body);
}

/* Two decimals at most, without trailing zeros. */
static void
append_percent(struct buf *out, double value)
{
    unsigned int hundredths = (unsigned int)(value * 100 + 0.5);

    buf_append_u64(out, hundredths / 100);
    hundredths %= 100;
    if (hundredths == 0)
        return;
    buf_append_byte(out, '.');
    buf_append_byte(out, (uint8_t)('0' + hundredths / 10));
    if (hundredths % 10 != 0)
        buf_append_byte(out, (uint8_t)('0' + hundredths % 10));
}

void
api_metrics(struct envd *e, struct http_exchange *x)
{
    struct guest_metrics m;
    struct buf body = {0};

    if (guest_metrics_read(e->cpu, "/proc", "/", &m) < 0) {
        http_add_header(x, "Cache-Control", "no-store");
        http_add_header(x, "Content-Type", "application/json");
        http_reply(x, 500, NULL, 0);
        return;
    }
    buf_appendf(&body, "{\"ts\":%" PRId64 ",\"cpu_count\":%u", m.ts,
                m.cpu_count);
    buf_append_str(&body, ",\"cpu_used_pct\":");
    append_percent(&body, m.cpu_used_pct);
    buf_appendf(&body,
                ",\"mem_total_mib\":%" PRIu64 ",\"mem_used_mib\":%" PRIu64
                ",\"mem_total\":%" PRIu64 ",\"mem_used\":%" PRIu64
                ",\"mem_cache\":%" PRIu64 ",\"disk_used\":%" PRIu64
                ",\"disk_total\":%" PRIu64 "}",
                m.mem_total >> 20, m.mem_used >> 20, m.mem_total, m.mem_used,
                m.mem_cache, m.disk_used, m.disk_total);
    reply_json(x, &body);
    buf_done(&body);
}

void
api_envs(struct envd *e, struct http_exchange *x)
{
    size_t count;
    const struct guest_var *vars = guest_vars(e->settings, &count);
    struct log_line line;
    struct buf body = {0};

    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd")) {
        log_operation(&line, log_operation_id());
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
    reply_json(x, &body);
    buf_done(&body);
}
