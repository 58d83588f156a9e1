/*
 * The head of a request: where it ends, and what it says.
 *
 * Rule: RFC 9112, read strictly: lines end in CR LF, nothing is folded, one
 * blank stands between the words of the request line.  Context: any.
 */
#ifndef ENVD_HTTP_HEAD_H
#define ENVD_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "http/exchange.h"
#include "http/parser.h"

/* How far the search for the end of a head has come; zero-initialise it. */
struct http_head_scan {
    size_t line;  /* where the first line begins that is not complete */
    size_t lines; /* complete ones, with the request line */
};

/*
 * Look for the empty line.  `data` holds the head from its beginning; call
 * again with the same scan when more of it has come.
 *
 * Returns the length of the head with its empty line, 0 when it is not yet
 * there, -EBADMSG for what cannot become a head: a CR or LF alone, a line that
 * begins with a blank, a first byte that begins no method.
 */
ptrdiff_t http_head_scan(struct http_head_scan *scan, const char *data,
                         size_t len);

struct http_head {
    struct http_request request;
    bool http_1_0;
    bool keep_alive; /* what the client wants */
    bool chunked;
    bool expect_continue;
};

/*
 * Read a complete head.
 *
 * head    as found by http_head_scan(); the result points into it
 * items   room for the headers: one for each line
 * ret_why what is wrong in words, NULL when the status says all
 *
 * Returns 0 or the HTTP status to refuse it with.
 */
int http_head_parse(const struct http_parser *p, struct str head,
                    struct http_header *items, size_t max,
                    struct http_head *ret, const char **ret_why);

#endif
