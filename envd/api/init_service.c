/*
 * The end of the service behind POST /init, and what it tells of itself.
 */
#include <stdlib.h>

#include "api/init.h"
#include "envd.h"

void
init_service_close(struct init_service *s)
{
    struct init_work *w;

    if (s == NULL)
        return;
    s->closing = true;
    TAILQ_FOREACH (w, &s->works, link) {
        loop_timer_cancel(&w->retry);
        if (w->asked)
            s->ops->ask_cancel(w);
        w->asked = false;
        if (w->identity.waiting)
            mmds_lookup_cancel(s->envd->mmds, &w->identity);
    }
}

void
init_service_free(struct init_service *s)
{
    struct init_work *w;

    if (s == NULL)
        return;
    s->closing = true;
    loop_defer_cancel(s->envd->loop, &s->pump);
    while ((w = TAILQ_FIRST(&s->works)) != NULL)
        init_work_free(w);
    init_hyperloop_free(s);
    free(s->lifecycle);
    free(s);
}

void
init_get_stats(const struct init_service *s, struct init_stats *ret)
{
    *ret = s->stats;
}

bool
init_was_done(const struct init_service *s)
{
    return s != NULL && s->initialised;
}
