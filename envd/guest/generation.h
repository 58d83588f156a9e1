/*
 * A number that user programs can watch to notice that they were cloned.
 */
#ifndef ENVD_GUEST_GENERATION_H
#define ENVD_GUEST_GENERATION_H

#include <stdint.h>

#define GENERATION_FILE ".E2B_GENERATION"

/*
 * Replace the file GENERATION_FILE atomically by `N LIFECYCLE`, without a
 * newline: a counter that begins with 1 and goes on from what the file holds,
 * and the identity of this run.
 *
 * run_dir       as "/run/e2b"; must exist
 * lifecycle_id  cut at 128 bytes, what is not printable becomes `?`; may be
 *               NULL
 * ret           the new count; may be NULL
 *
 * Returns 0 or -errno; the old file is whole then.  Context: worker.
 */
int generation_bump(const char *run_dir, const char *lifecycle_id,
                    uint64_t *ret);

#endif
