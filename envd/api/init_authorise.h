/*
 * Who may set the agent up: whoever knows the token that is set, or brings the
 * one whose hash the metadata service has.
 */
#ifndef ENVD_API_INIT_AUTHORISE_H
#define ENVD_API_INIT_AUTHORISE_H

#include <stdbool.h>

#include "base/str.h"

struct access_token;

enum init_verdict {
    INIT_AUTHORISED,
    INIT_ASK,           /* only the metadata service can tell */
    INIT_REFUSED_TOKEN, /* another token than the one that is set */
    INIT_REFUSED_RESET, /* none, where one is set or expected */
};

/* What the metadata service has said. */
enum init_hash {
    INIT_HASH_UNASKED,
    INIT_HASH_ABSENT, /* there is no service, or none that knows of tokens */
    INIT_HASH_HIDDEN, /* there is a service, but it cannot be reached now */
    INIT_HASH_KNOWN,
};

/*
 * Decide.
 *
 * stored  the agent's token
 * token   that of the request; absent when it has none
 * hash    of INIT_HASH_KNOWN: hexadecimal digits, empty like INIT_HASH_ABSENT
 *
 * INIT_ASK only for INIT_HASH_UNASKED.  Compares in constant time.  Rule: the
 * contract's table of authorisation.  Context: any.
 */
enum init_verdict init_authorise(const struct access_token *stored,
                                 struct str token, enum init_hash state,
                                 struct str hash);

/* The text of a refusal. */
const char *init_verdict_text(enum init_verdict verdict);

#endif
