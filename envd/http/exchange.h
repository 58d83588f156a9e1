/*
 * One request and its answer: the contract between a connection and whoever
 * handles the request.
 *
 * Nothing is pushed that was not asked for.  The body of a request stays in
 * the socket until the handler calls http_body_resume(), and is delivered in
 * pieces until it calls http_body_pause().  A handler that streams an answer
 * produces while http_has_room(), then waits for `on_room`.
 *
 * A handler ends the exchange by exactly one of http_reply() and
 * http_reply_end(), or aborts it by http_abort(), or is told `on_cancel`.
 * After any of these the exchange is not to be touched again.  Calls back only
 * from the loop, never from inside a call of the handler's.
 *
 * Rule: RFC 9110, RFC 9112.  Context: loop.
 */
#ifndef ENVD_HTTP_EXCHANGE_H
#define ENVD_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "http/header.h"

struct http_exchange;

enum http_method {
    HTTP_OTHER, /* a method nobody here answers, a valid token or not */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
};

/* The head of a request; borrowed, valid until the exchange ends. */
struct http_request {
    enum http_method method;
    struct str method_name;
    struct str path;  /* as sent, without query; of an absolute URL its path */
    struct str query; /* as sent, without `?`; absent differs from empty */
    const struct http_header *headers;
    size_t header_count;
    bool has_body;
    int64_t content_length; /* -1 when chunked; 0 without a body */
};

struct http_handler {
    /*
     * A piece of the body, borrowed for the call; all of it is consumed.  Not
     * called while paused.
     */
    void (*on_body)(struct http_exchange *x, void *ctx, const uint8_t *data,
                    size_t len);
    /*
     * The body is complete (err 0), or will never be: -ECONNRESET when the
     * peer stopped inside it, -EBADMSG for bad chunk framing, -ETIMEDOUT for
     * a stalled peer.  An answer can be given in each case; after an error
     * the connection closes behind it.
     */
    void (*on_body_end)(struct http_exchange *x, void *ctx, int err);
    /* http_has_room() became true again after it was false; may be NULL. */
    void (*on_room)(struct http_exchange *x, void *ctx);
    /*
     * The peer ended its sending side behind a complete request; may be NULL:
     * then the request is answered as if nothing had happened.
     */
    void (*on_half_close)(struct http_exchange *x, void *ctx);
    /* The peer is gone: drop everything, the answer is of no use. */
    void (*on_cancel)(struct http_exchange *x, void *ctx);
};

/* The head; never NULL. */
const struct http_request *http_request(const struct http_exchange *x);

/*
 * The value of the first header of that name (case-insensitive); absent
 * (data NULL) when there is none.
 */
struct str http_header(const struct http_exchange *x, const char *name);

/*
 * Take the request over: from now on the callbacks of `h` (borrowed, static)
 * are called with `ctx`.  Called at most once; a request that is answered at
 * once needs no handler.
 */
void http_accept(struct http_exchange *x, const struct http_handler *h,
                 void *ctx);

/*
 * Let the body flow, or hold it.  It begins held; the first resume also sends
 * `100 Continue` to a client that waits for it.  A request without a body
 * gives on_body_end at the first resume.
 */
void http_body_resume(struct http_exchange *x);
void http_body_pause(struct http_exchange *x);

/*
 * Have the body gathered in `into` (borrowed, until the exchange ends), where
 * it is received without a copy if its framing allows that: on_body is then
 * called with `data` NULL behind each `len` bytes that were appended, and with
 * `data` for those that the handler has to append itself.  No more is received
 * into it than makes `max` bytes.
 */
void http_body_into(struct http_exchange *x, struct buf *into, size_t max);

/*
 * The body may be silent for as long as it likes (the input of a terminal):
 * no -ETIMEDOUT while it is awaited.
 */
void http_body_allow_silence(struct http_exchange *x);

/*
 * Which kind of request this is, for http_server_stats(): below HTTP_KINDS; 0
 * when nothing is said.  What kinds there are is the handler's to decide.
 */
void http_set_kind(struct http_exchange *x, unsigned int kind);

/*
 * The value of a header that was added to the answer (borrowed, until another
 * is added or dropped); absent when there is none, or the answer has ended.
 */
struct str http_added_header(const struct http_exchange *x, const char *name);

/*
 * The body holds secrets: its bytes are wiped from the connection's own memory
 * as soon as on_body has had them.  Before http_body_resume().
 */
void http_body_secret(struct http_exchange *x);

/*
 * Add a header to the answer; before it begins.  `value` must hold no control
 * characters (it is cut before the first).  Added ones stay for whichever
 * answer is given.
 */
void http_add_header(struct http_exchange *x, const char *name,
                     const char *value);

/* Drop all headers of that name that were added. */
void http_drop_header(struct http_exchange *x, const char *name);

/*
 * Answer whole and end the exchange.  `Content-Length` is added where the
 * status and the method allow it; a HEAD request gets no body.
 *
 * body  borrowed, may be NULL when len is 0
 */
void http_reply(struct http_exchange *x, int status, const void *body,
                size_t len);

/* As http_reply(), with a body of text/plain and nosniff. */
void http_reply_text(struct http_exchange *x, int status, const char *text);

/* As http_reply(), consuming the content of `body` without a copy if large. */
void http_reply_buf(struct http_exchange *x, int status, struct buf *body);

/*
 * Begin an answer whose body is streamed.
 *
 * length  bytes to come, or -1 when unknown: chunked under HTTP/1.1, else
 *         ended by closing the connection
 */
void http_reply_begin(struct http_exchange *x, int status, int64_t length);

/* Whether http_reply_begin() was called. */
bool http_reply_begun(const struct http_exchange *x);

/*
 * Append one piece (one chunk) of the body in place: open, append to the
 * buffer, close.  An empty piece leaves no trace.  Each piece is on its way at
 * the end of the turn.
 */
struct buf *http_piece_open(struct http_exchange *x);
void http_piece_close(struct http_exchange *x);

/*
 * Whether the client takes more now: fewer than LIMIT_HTTP_OUTPUT_BYTES wait.
 * A producer stops at false, and goes on at on_room.
 */
bool http_has_room(const struct http_exchange *x);

/* Bytes that wait for the socket. */
size_t http_pending(const struct http_exchange *x);

/*
 * End a streamed body.  `trailers` (may be NULL) are lines `Name: value\r\n`
 * for a chunked body; they are dropped where the framing has none.
 */
void http_reply_end(struct http_exchange *x, const char *trailers);

/*
 * Cut the connection: the answer has begun and cannot be completed, so that
 * the client must see it broken.
 */
void http_abort(struct http_exchange *x);

/* Close the connection behind this answer. */
void http_close_after(struct http_exchange *x);

/*
 * Sending a file past us, by a worker, with http_reply_begin() of a known
 * length.  The loop writes nothing itself while the worker does:
 *
 *     http_await_writable(x);      on_room comes when all that was queued
 *                                  is sent and the socket takes more
 *     fd = http_socket_dup(x);     in on_room, once; the worker's own
 *     ... a job sends with sendfile(2) until EAGAIN or done ...
 *     http_sent(x, n);             in the job's `done`: body bytes it sent
 *     http_await_writable(x);      for the next round, or http_reply_end(x)
 *
 * The descriptor of http_socket_dup() (non-blocking, close-on-exec; -errno on
 * failure) belongs to the caller, who closes it when no job uses it any more,
 * also long after on_cancel.  It stays valid that long: when the exchange is
 * cancelled the connection is shut, so that a job that still sends gets EPIPE
 * (SIGPIPE must be ignored: sendfile(2) has no flag against it).
 *
 * http_sent() and http_await_writable() are not to be called after on_cancel.
 */
int http_socket_dup(struct http_exchange *x);
void http_sent(struct http_exchange *x, size_t len);
void http_await_writable(struct http_exchange *x);

/*
 * The socket itself, to ask about the peer; valid until the exchange ends and
 * only on the loop.
 */
int http_socket(const struct http_exchange *x);

#endif
