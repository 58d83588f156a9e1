/*
 * Which content coding a client wants, and which one it sends.
 */
#ifndef ENVD_HTTP_ACCEPT_H
#define ENVD_HTTP_ACCEPT_H

#include <stdbool.h>

#include "base/str.h"

enum coding {
    CODING_IDENTITY,
    CODING_GZIP,
    CODING_NONE, /* none that we have */
};

/* What an Accept-Encoding header asks for. */
struct accept_coding {
    enum coding best;
    bool identity_refused;
};

/*
 * Read an Accept-Encoding header; absent and empty mean identity.  Equal
 * weights go to the earlier item; a weight that is no number counts as 1.
 * Rule: RFC 9110, 12.5.3, as the contract has it.  Context: any.
 */
struct accept_coding accept_coding(struct str header);

/*
 * How much an Accept header likes a media type: the weight of the most precise
 * item that it falls under; -1 when there is none.  Absent and empty accept
 * everything.
 *
 * type     as `text/plain`
 * version  an item with another parameter `version` is about something else
 *
 * Rule: RFC 9110, 12.5.1.  Context: any.
 */
double accept_media(struct str header, const char *type, const char *version);

/* The coding that a Content-Encoding header names.  Context: any. */
enum coding content_coding(struct str header);

#endif
