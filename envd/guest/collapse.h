/*
 * Our own memory in huge pages: a cold resume fetches the memory of the machine
 * in units of 2 MiB, and we should lie in as few as possible.
 *
 * Rule: guest.md 11, 18.4.
 */
#ifndef ENVD_GUEST_COLLAPSE_H
#define ENVD_GUEST_COLLAPSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLAPSE_WINDOW ((uintptr_t)2 * 1024 * 1024)

struct collapse_counts {
    uint64_t regions;      /* mappings that are ours to collapse */
    uint64_t chunks;       /* whole windows in them */
    uint64_t collapsed;    /* of those: huge pages now that were none */
    uint64_t already_huge; /* had been before */
    uint64_t skipped;      /* the kernel refused */
    int64_t elapsed_ms;
};

/*
 * Have the heap go on where a window begins, so that what it will have lies in
 * as few as can be.  Takes room, no memory.
 *
 * Context: at the begin of main(), before anything is allocated.
 */
void collapse_prepare(void);

/*
 * Collapse what can be, after having filled up the heap's last window.
 *
 * cancel    polled between windows
 * ret_what  on failure what failed, static
 *
 * Returns 0, -ECANCELED or -errno.  Context: worker; takes up to a second.
 */
int collapse_run(const atomic_bool *cancel, struct collapse_counts *ret,
                 const char **ret_what);

/* ---- for tests ----------------------------------------------------------- */

/*
 * Divide successful calls into new huge pages and those that were huge before,
 * by the count of huge pages before and after; -1: it could not be read.
 */
void collapse_split(uint64_t successes, int64_t before, int64_t after,
                    struct collapse_counts *c);

/*
 * Whether a line of /proc/self/maps is anonymous memory that we write to: one
 * without a name, or the heap.  Sets its bounds.
 */
bool collapse_region(const char *line, uintptr_t *ret_start,
                     uintptr_t *ret_end);

/* Huge anonymous pages by the text of smaps_rollup; -1: it does not say. */
int64_t collapse_huge_pages(const char *text);

#endif
