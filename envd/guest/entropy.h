/*
 * The kernel's random pool after a resume: two machines made of one snapshot
 * must not go on with the same numbers.
 */
#ifndef ENVD_GUEST_ENTROPY_H
#define ENVD_GUEST_ENTROPY_H

#include <stddef.h>

/*
 * Mix in what differs between two resumes, and have the kernel take new keys
 * at once: bytes of the processor's generator, where there is one (credited),
 * then `seed` (never credited), then RNDRESEEDCRNG.
 *
 * seed  such as time stamp and lifecycle id; borrowed for the call
 *
 * Returns 0, or -errno of the first step that failed; the others were done all
 * the same.  Context: worker.  Rule: random(4).
 */
int entropy_reseed(const void *seed, size_t len);

#endif
