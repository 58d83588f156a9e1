/*
 * POST /upgrade: refused, with the words that the host knows.  The program is
 * replaced while the sandbox is off, or by the service manager.
 */
#include "api/api.h"
#include "api/init.h"
#include "envd.h"
#include "http/exchange.h"

#define TARGET "/usr/bin/envd.next"

void
api_upgrade(struct envd *e, struct http_exchange *x)
{
    struct str target = http_header(x, "X-Envd-Upgrade-Bin");

    if (!init_was_done(e->init))
        http_reply_text(x, 409, "envd not initialized\n");
    else if (target.len > 0 && !str_eq(target, TARGET))
        http_reply_text(x, 400, "unsupported upgrade target\n");
    else
        http_reply_text(x, 500, "live upgrade is not supported\n");
}
