/*
 * Requests of our own to a server of the host: one at a time, without blocking
 * and without a resolver.  A connection is kept for the next request when both
 * sides allow it.  One that the server has closed meanwhile is replaced, and
 * the request sent again, as long as no byte of an answer has come.
 *
 * Rule: RFC 9112.  Context: loop, all of it.
 */
#ifndef ENVD_GUEST_HTTP_CLIENT_H
#define ENVD_GUEST_HTTP_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "guest/http_answer.h"
#include "loop/loop.h"

/* Where a request goes. */
struct http_target {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    char host[64]; /* as the header Host has it */
};

/*
 * Read `http://ADDRESS[:PORT][/PATH]`, with an IPv4 or a bracketed IPv6
 * address and nothing in it but visible ASCII.
 *
 * ret_path  the path with its query, in `url`; "" when there is none
 *
 * Returns 0 or -EINVAL.  Context: any.
 */
int http_target_parse(const char *url, struct http_target *ret,
                      const char **ret_path);

/* The same from an address. */
void http_target_v4(const struct sockaddr_in *address, struct http_target *ret);

/* Embed it; http_client_init() fills it in. */
struct http_client {
    struct http_answer answer; /* valid in `done` */

    /*
     * The end of a request: 0, or -errno of what has gone wrong (-ETIMEDOUT:
     * the time was up).  Another one may be sent from inside.
     */
    void (*done)(struct http_client *c, int error);

    /* Its own. */
    struct loop *loop;
    struct http_target target;
    struct loop_io readable;
    struct loop_io writable;
    struct loop_timer limit;
    struct loop_deferred failed;
    struct buf out;
    struct buf in;
    size_t sent; /* bytes of `out` */
    int fd;
    int error; /* for `failed` */
    bool busy;
    bool keep;       /* wanted by us */
    bool connecting; /* not known yet to have worked */
    bool moved;      /* the target has changed meanwhile */
    bool reused;     /* the connection has carried a request before */
    uint64_t connections;
};

/* keep  whether connections are kept */
void http_client_init(struct http_client *c, struct loop *loop, bool keep,
                      void (*done)(struct http_client *c, int error));

/* No request may be under way any more, or it ends without `done`. */
void http_client_done(struct http_client *c);

/* Where requests go from now on; a connection to another place is closed. */
void http_client_target(struct http_client *c,
                        const struct http_target *target);

/*
 * Begin a request: returns the buffer, empty, for the head and the body, which
 * the caller fills in before http_client_send().
 */
struct buf *http_client_request(struct http_client *c);

/*
 * Send it.  `done` is called later, in any case.
 *
 * limit_ms  for all of it
 * body_max  bytes of the answer's body
 */
void http_client_send(struct http_client *c, int64_t limit_ms, size_t body_max);

/* Forget a request and close the connection; `done` is not called. */
void http_client_abort(struct http_client *c);

#endif
