/*
 * The listener and its connections.
 */
#ifndef ENVD_HTTP_SERVER_H
#define ENVD_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of requests that are counted apart. */
#define HTTP_KINDS 16

struct http_exchange;
struct http_server;
struct loop;

/*
 * Called for each request when its head is complete: answer it at once or
 * http_accept() it.
 */
typedef void (*http_request_fn)(struct http_exchange *x, void *ctx);

/* loop  borrowed; must outlive the server */
struct http_server *http_server_new(struct loop *loop,
                                    http_request_fn on_request, void *ctx);

/* Bounds of one server, instead of those of limits.h. */
struct http_limits {
    size_t connections;
    int64_t head_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t body_stall_ms;
    int64_t write_stall_ms; /* of a peer that acknowledges nothing */
    int64_t linger_ms;
};

/* Before it listens. */
void http_server_set_limits(struct http_server *s,
                            const struct http_limits *limits);

/*
 * Listen on a TCP port.
 *
 * address  numeric IPv4 or IPv6; NULL is the dual-stack wildcard, or the IPv4
 *          one where the kernel has no IPv6
 * port     0 for any free one
 * ret_port the port in use; may be NULL
 *
 * Returns 0 or -errno.  May be called several times.
 */
int http_server_listen(struct http_server *s, const char *address,
                       uint16_t port, uint16_t *ret_port);

/*
 * Listen on a socket made elsewhere (taken over, also on failure).
 *
 * admits  asked about each accepted socket; false closes it without a word.
 *         NULL: all may come
 */
int http_server_listen_fd(struct http_server *s, int fd,
                          bool (*admits)(int fd));

/* The socket it began to listen on last (borrowed), -1: it does not listen. */
int http_server_listener(const struct http_server *s);

/* What was answered to requests of one kind. */
struct http_answers {
    uint64_t count[6]; /* by the first digit of the status; [0]: above 599 */
    uint64_t received; /* bytes of their bodies */
    uint64_t sent;     /* bytes of the answers' bodies */
};

/* What has happened since the server was made. */
struct http_stats {
    uint64_t accepted;  /* connections */
    uint64_t refused;   /* that found no room */
    uint64_t strangers; /* that a listener does not let in */
    uint64_t reset;     /* by http_server_cut_others() */
    struct http_answers answers[HTTP_KINDS]; /* by http_set_kind() */
};

const struct http_stats *http_server_stats(const struct http_server *s);

/* Connections open now. */
size_t http_server_connections(const struct http_server *s);

/*
 * Stop listening and cut all connections; handlers get on_cancel.  Memory of
 * connections is freed at the end of the turn.
 */
void http_server_close(struct http_server *s);

/*
 * Reset every connection but that of `keep` (NULL: every one), for peers that
 * a pause of the machine may have taken away: what waits in the sockets is
 * dropped, peers that are there see a reset, handlers get on_cancel.  Listening
 * goes on.  Also from inside a handler of `keep`.
 *
 * Returns how many were reset.
 */
size_t http_server_cut_others(struct http_server *s,
                              const struct http_exchange *keep);

/* After http_server_close() and a turn of the loop. */
void http_server_free(struct http_server *s);

#endif
