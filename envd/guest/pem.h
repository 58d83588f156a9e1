/*
 * PEM blocks in a text: `-----BEGIN L-----` to `-----END L-----`, each at the
 * beginning of a line.
 */
#ifndef ENVD_GUEST_PEM_H
#define ENVD_GUEST_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * Take the next whole block off a text.
 *
 * rest       what is left of the text, behind the block; must begin at the
 *            beginning of a line
 * ret_block  without the end of its last line
 *
 * Returns 1, 0 when there is none any more, -EINVAL when one has begun that
 * does not end before the next one, or the text.  Context: any.
 */
int pem_next(struct str *rest, struct str *ret_block);

/* What is known of one block in a trust store. */
struct pem_block {
    struct str text;
    unsigned int added; /* how often we have put it there; afterwards: how many
                           of those are still there */
    bool wanted;        /* it stays, once; otherwise ours are removed */
    unsigned int found; /* scratch */
    unsigned int seen;
    unsigned int keep;
};

/*
 * Tidy a trust store: blocks that are not wanted any more go, as often as we
 * have put them there; of those that are wanted one stays.  What we have added
 * stands behind what was there before.  Nothing else is changed.
 *
 * out  an empty buffer; on 1 the new text
 *
 * Returns 1, 0 when there is nothing to tidy, -ENOMEM.  Context: any.
 */
int pem_tidy(struct str store, struct pem_block *blocks, size_t count,
             struct buf *out);

#endif
