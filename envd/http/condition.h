/*
 * Conditions of a request: is what the client has, or expects, what there is?
 *
 * Rule: RFC 9110, 8.8 and 13.  Context: any.
 */
#ifndef ENVD_HTTP_CONDITION_H
#define ENVD_HTTP_CONDITION_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"

#define ENTITY_TAG_SIZE 64

/* What tells one state of a file from another; all zero when nothing does. */
struct validators {
    char tag[ENTITY_TAG_SIZE]; /* as in a header; empty when there is none */
    bool weak;                 /* it may change without them: it is too young */
    bool has_date;    /* unless it was changed at the epoch, as nothing is */
    int64_t modified; /* seconds since the epoch */
};

/*
 * The validators of a file: strong, unless it was modified within the last
 * second, in which two changes may leave the same time.
 */
void validators_of_file(struct validators *v, uint64_t inode, int64_t size,
                        struct timespec modified, struct timespec now);

/* The headers with conditions; absent and empty ones set none. */
struct conditions {
    struct str if_match;
    struct str if_unmodified_since;
    struct str if_none_match;
    struct str if_modified_since;
    struct str if_range;
};

enum condition_result {
    CONDITIONS_MET,
    CONDITIONS_NOT_MODIFIED, /* 304 */
    CONDITIONS_FAILED,       /* 412 */
};

/* Judge all but If-Range, in the order of the rule, for GET and HEAD. */
enum condition_result conditions_check(const struct conditions *c,
                                       const struct validators *v);

/* Whether If-Range lets a Range header count. */
bool conditions_allow_range(const struct conditions *c,
                            const struct validators *v);

#endif
