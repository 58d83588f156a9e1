/*
 * The clock was set, and not by POST /init.
 */
#include "api/clock_moved.h"

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"
#include "envd.h"
#include "guest/entropy.h"
#include "guest/ports.h"
#include "loop/worker.h"

/* Less is a clock that was a little off. */
#define PAUSE_MS 1000

static void
run_reseed(struct job *job)
{
    struct timespec now;

    (void)job;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)entropy_reseed(&now, sizeof(now));
}

static void
on_reseeded(struct job *job)
{
    free(job);
}

static void
reseed(struct envd *e)
{
    struct job *job = xcalloc(1, sizeof(*job));

    *job = (struct job){
        .run = run_reseed, .done = on_reseeded, .quick = true, .urgent = true};
    if (worker_submit(e->workers, job) < 0)
        free(job);
}

void
clock_moved(void *ctx, int64_t moved_ms)
{
    struct envd *e = ctx;
    struct log_line line;

    if (log_begin(&line, LOG_LEVEL_INFO, "envd")) {
        log_i64(&line, "moved_ms", moved_ms);
        log_end(&line, "The clock was set");
    }
    if (moved_ms < PAUSE_MS)
        return;
    reseed(e);
    if (e->ports != NULL)
        ports_look_anew(e->ports);
}
