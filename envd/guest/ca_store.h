/*
 * The blocking half of ca_bundle.h: the bundle and the copy, on a worker.
 */
#ifndef ENVD_GUEST_CA_STORE_H
#define ENVD_GUEST_CA_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "guest/pem.h"
#include "loop/worker.h"

/*
 * Append text to the bundle, which must exist, and have it reach the disk; on
 * a line of its own.  What was written in part is taken back.
 *
 * Returns 0, or -1 with `st` set to the words for the client.  Context: worker.
 */
int ca_store_append(const char *bundle, const char *text, size_t len,
                    struct status *st);

/* What is to be done in the background; the job owns it all. */
struct ca_tidy {
    struct job job;
    char *bundle;
    char *copy; /* path of the copy */
    char *pem;  /* what it shall hold */
    size_t pem_len;
    bool first; /* the copy that is there is an earlier agent's */
    struct pem_block *blocks;
    size_t count;

    /* Out. */
    bool tidied; /* `added` of the blocks is as the bundle is now */
    int copy_error;
    int bundle_error;
};

/*
 * Tidy the bundle, then write the copy; stops between the steps when the job is
 * cancelled.  Context: worker.
 */
void ca_store_tidy(struct ca_tidy *t);

#endif
