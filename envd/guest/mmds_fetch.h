/*
 * The two requests of one metadata lookup.
 *
 * Rule: Firecracker's MMDS, version 2.
 */
#ifndef ENVD_GUEST_MMDS_FETCH_H
#define ENVD_GUEST_MMDS_FETCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/http_client.h"

/* Embed it. */
struct mmds_fetch {
    /*
     * The end: the text of the document, which may be modified and is valid
     * during the call, or NULL and why.  Another one may be begun from inside.
     */
    void (*done)(struct mmds_fetch *f, char *text, size_t len,
                 const char *error);

    struct http_client client;
    int64_t until_ms;
    bool has_token; /* this is the second request */
};

void mmds_fetch_init(struct mmds_fetch *f, struct loop *loop,
                     const struct sockaddr_in *address,
                     void (*done)(struct mmds_fetch *f, char *text, size_t len,
                                  const char *error));

/* What is under way ends without `done`. */
void mmds_fetch_done(struct mmds_fetch *f);

/* End what is under way, without `done`; it can be started again. */
void mmds_fetch_abort(struct mmds_fetch *f);

/* Begin; `done` is called later, after LIMIT_MMDS_LOOKUP_MS at the latest. */
void mmds_fetch_start(struct mmds_fetch *f);

#endif
