/*
 * Where events go: a name in the hosts file, then a variable for commands.
 * The answer to POST /init does not wait for either.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/init.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"
#include "envd.h"
#include "guest/hosts.h"
#include "guest/settings.h"

#define ADDRESS_BYTES 48 /* an IPv6 address, NUL, and some */

struct init_event {
    LIST_ENTRY(init_event) link;
    struct init_service *service;
    char address[ADDRESS_BYTES];
};

static void
log_failure(const char *address, int r)
{
    struct log_line line;

    if (log_begin(&line, LOG_LEVEL_ERROR, "envd"))
        log_end(&line, "cannot map " HOSTS_EVENT_NAME " to %.47s: %s", address,
                errno_text(-r));
}

static void
set_variable(struct init_service *s, const char *address)
{
    bool brackets = hosts_family(address) == 6;
    char url[ADDRESS_BYTES + 16];

    (void)snprintf(url, sizeof(url), brackets ? "http://[%s]" : "http://%s",
                   address);
    guest_set_internal_var(s->envd->settings, "E2B_EVENTS_ADDRESS", url);
}

static void
on_mapped(void *ctx, int r)
{
    struct init_event *event = ctx;

    LIST_REMOVE(event, link);
    if (r >= 0)
        set_variable(event->service, event->address);
    else if (r != -ECANCELED) /* there is a newer one */
        log_failure(event->address, r);
    free(event);
}

void
init_hyperloop(struct init_service *s, const char *address)
{
    struct init_event *event;
    int r;

    if (hosts_family(address) == 0) {
        log_failure(address, -EINVAL);
        return;
    }
    if (s->envd->hosts == NULL)
        return;
    event = xcalloc(1, sizeof(*event));
    event->service = s;
    (void)snprintf(event->address, sizeof(event->address), "%s", address);
    LIST_INSERT_HEAD(&s->events, event, link);
    r = hosts_set_event_address(s->envd->hosts, address, on_mapped, event);
    if (r < 0)
        on_mapped(event, r);
}

void
init_hyperloop_free(struct init_service *s)
{
    struct init_event *event;

    while ((event = LIST_FIRST(&s->events)) != NULL) {
        LIST_REMOVE(event, link);
        free(event);
    }
}
