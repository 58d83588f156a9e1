/*
 * The metadata service and the log exporter, as parts of the agent.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "api/api.h"
#include "base/mem.h"
#include "base/status.h"
#include "connect/json_read.h"
#include "envd.h"
#include "guest/fsfreeze.h"
#include "guest/log_export.h"
#include "guest/mmds.h"
#include "guest/route_heal.h"
#include "guest/run_files.h"
#include "limits.h"
#include "rest.pb-c.h"

int
api_mmds_decode(char *text, size_t len, struct mmds_document *ret)
{
    struct arena arena = {0};
    struct status st = {0};
    const Rest__MmdsDocument *d;

    arena_init(&arena, LIMIT_MMDS_DOCUMENT_BYTES);
    d = (const Rest__MmdsDocument *)json_read(&rest__mmds_document__descriptor,
                                              text, len, JSON_RULES_REST,
                                              &arena, &st);
    if (d != NULL)
        *ret = (struct mmds_document){
            .instance_id = d->instance_id,
            .env_id = d->env_id,
            .address = d->address,
            .access_token_hash = d->access_token_hash,
        };
    arena_done(&arena); /* the texts stand in `text` */
    status_done(&st);
    return d != NULL ? 0 : -EINVAL;
}

int
api_mmds_init(struct envd *e)
{
    struct mmds_config config = {
        .run_dir = RUN_DIR,
        .decode = api_mmds_decode,
        .settings = e->settings,
        .workers = e->workers,
        .heal = route_heal,
    };
    /* While the disk is frozen they are there, and may be on it. */
    int r = fsfreeze_frozen(e->fsfreeze)
                ? 0
                : run_files_init(RUN_DIR, !e->options.not_firecracker);

    if (e->options.not_firecracker)
        return 0;
    if (r < 0)
        (void)fprintf(stderr, "%s: %s\n", RUN_DIR, errno_text(-r));
    r = mmds_parse_address(e->options.mmds_address, &config.address);
    if (r < 0) {
        (void)fprintf(stderr, "-mmds-address: %s is no ADDRESS:PORT\n",
                      e->options.mmds_address);
        return r;
    }
    config.exporter = e->exporter;
    e->mmds = mmds_new(e->loop, &config);
    return 0;
}
