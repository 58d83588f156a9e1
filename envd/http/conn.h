/*
 * What the files of http/ share about a connection; nobody else includes it.
 *
 * All work on a connection is done in conn_work(), from the loop: readiness,
 * timers and the end of the turn record facts and lead there.  The functions
 * a handler calls record facts too and wake the connection; so a handler is
 * never called from inside its own calls.
 */
#ifndef ENVD_HTTP_CONN_H
#define ENVD_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/scope.h"
#include "base/str.h"
#include "http/exchange.h"
#include "http/head.h"
#include "http/message.h"
#include "http/parser.h"
#include "http/pool.h"
#include "http/server.h"
#include "loop/loop.h"

struct http_listener;

TAILQ_HEAD(http_conn_list, http_conn);
TAILQ_HEAD(http_listener_list, http_listener);

enum {
    HTTP_RECEIVE_BYTES = 128 * 1024, /* one read of a body */
    HTTP_RECEIVE_HEAD = 16 * 1024,   /* one read where a head is awaited */
};

struct http_server {
    struct loop *loop;
    http_request_fn on_request;
    void *ctx;
    struct http_limits limits;
    struct http_stats stats;
    struct http_listener_list listeners;
    struct http_conn_list conns;
    size_t conn_count;
    struct http_parser *parser;
    struct http_clock clock;
    struct http_pool pool;
    uint8_t *scratch;           /* HTTP_RECEIVE_BYTES; one reader at a time */
    struct http_conn_list busy; /* go on in the next turn */
    struct loop_timer next_turn;
    int reserve_fd; /* given up to say 503 when there are no others */
};

enum conn_phase {
    CONN_HEAD,     /* between requests, or inside a head */
    CONN_EXCHANGE, /* a request is being served */
    CONN_DRAIN,    /* answered; the rest of its body is read and dropped */
    CONN_CLOSING,  /* the last answer is on its way */
    CONN_LINGER,   /* the sending side is shut; what comes is dropped */
    CONN_DEAD,     /* closed, freed at the end of the turn */
};

struct http_exchange {
    struct http_request request;
    struct buf head;  /* the head, then its array of headers */
    struct buf added; /* header lines for the answer */
    const struct http_handler *handler;
    void *ctx;
    int64_t answer_left; /* bytes of the answer's body to come; -1 unknown */
    size_t piece_at;     /* where the open piece begins in the output */
    int body_err;        /* why the body will never be complete, 0 */
    struct buf *into;    /* the handler's, for the body; NULL: it has none */
    size_t into_max;     /* bytes */
    size_t into_news;    /* appended and not yet told */
    uint8_t kind;        /* below HTTP_KINDS */

    bool http_1_0;
    bool expect_continue; /* the client waits for 100 */
    bool close_after;     /* asked for by the handler */

    bool body_wanted; /* resumed */
    bool body_told;   /* on_body_end was called */
    bool silence_ok;
    bool secret; /* the body */
    bool half_close_told;

    bool begun;         /* the answer */
    bool chunked;       /* its framing */
    bool bodiless;      /* its body is dropped */
    bool ends_by_close; /* its framing: the end of the connection */
    bool ended;
    bool aborted;
    bool was_full;       /* on_room is owed */
    bool await_writable; /* on_room is owed when the socket takes more */
};

struct http_conn {
    TAILQ_ENTRY(http_conn) link;
    TAILQ_ENTRY(http_conn) busy_link;
    struct http_server *server;
    int fd;
    enum conn_phase phase;
    struct loop_io io;       /* input and the peer's close, edges */
    struct loop_io writable; /* armed from the first full socket on */
    struct loop_timer timer;
    struct loop_deferred end_of_turn;

    /* Times in ms of loop_now_ms(). */
    int64_t now;        /* of this work */
    int64_t timer_at;   /* when the timer fires, 0: it is not set */
    int64_t since;      /* phase begun, or a byte of an awaited body came */
    int64_t head_since; /* first byte of an incomplete head, else 0 */
    int64_t check_at;   /* when to ask what became of output, 0: no need */

    /* Input: `at` is what lies at hand, in the scratch or in `kept`. */
    struct buf kept;
    struct str at;
    struct http_head_scan scan;
    int64_t body_left;          /* bytes of an unchunked body to come */
    struct http_chunks *chunks; /* of a chunked body, else NULL */
    size_t drained;             /* bytes of the body dropped, in CONN_DRAIN */

    /* Output: `out`, then `tail`, an answer's body moved here whole. */
    struct buf out;
    struct buf tail;

    bool working;       /* conn_work() runs */
    bool busy;          /* on the server's list */
    bool readable;      /* the socket may hold more */
    bool events;        /* input events to be looked at */
    bool peer_shut;     /* the peer ended its sending side */
    bool eof;           /* and all before it was received */
    bool write_blocked; /* until the socket says otherwise */
    bool out_large;     /* its output was large lately */
    bool body_done;     /* all of the request was taken */
    bool keep;          /* serve another request */
    bool linger;        /* unread input is likely when it closes */
    bool shared;        /* a worker has the socket too */
    bool cut;           /* close at the next work: the server ends */

    struct http_exchange x;
};

static inline struct http_conn *
conn_of(struct http_exchange *x)
{
    return container_of(x, struct http_conn, x);
}

static inline const struct http_conn *
conn_of_const(const struct http_exchange *x)
{
    const char *at = (const char *)x - offsetof(struct http_conn, x);

    return (const void *)at;
}

static inline struct http_answers *
conn_answers(struct http_conn *c)
{
    return &c->server->stats.answers[c->x.kind];
}

/* An answer of the kind that the exchange is of begins. */
static inline void
conn_count_answer(struct http_conn *c, int status)
{
    conn_answers(c)->count[status < 600 ? status / 100 : 0]++;
}

/* conn.c */

/* Serve an accepted socket, which is taken over. */
void conn_open(struct http_server *s, int fd);

/* Do all there is to do.  Never from inside a handler. */
void conn_work(struct http_conn *c);

/* Work at the end of this turn, or go on if it runs already. */
void conn_wake(struct http_conn *c);

void conn_set_phase(struct http_conn *c, enum conn_phase phase);

/* Close the socket; the memory goes at the end of the turn. */
void conn_kill(struct http_conn *c);

/* The peer is gone: tell the handler, and close. */
void conn_gone(struct http_conn *c);

/* conn_gone() now, or when its handler has returned. */
void conn_cut(struct http_conn *c);

/* conn_cut(), dropping what waits in the socket: the peer sees a reset. */
void conn_reset(struct http_conn *c);

/* Have the close of a socket be a reset. */
void conn_close_resets(const struct http_conn *c);

/* steps.c */

/* Do one thing with what is at hand; false when nothing is to be done now. */
bool conn_step(struct http_conn *c);

/* Answer with an error of the protocol and close behind it. */
void conn_refuse(struct http_conn *c, int status, const char *why);

/* input.c */

/* Make what was kept of the input the input at hand. */
void conn_input_open(struct http_conn *c);

/* Keep what is at hand beyond this work; false when memory is exhausted. */
bool conn_input_keep(struct http_conn *c);

/* Receive once.  Returns 0 or -errno of a broken connection. */
int conn_receive(struct http_conn *c);

void conn_consume(struct http_conn *c, size_t len);

/*
 * Take the next piece of the request's body from the input at hand.
 * Returns 1 when it took something, 0 when more must be received first,
 * -EBADMSG for bad framing.  `body_done` is set behind the last piece.
 */
int conn_body_next(struct http_conn *c, struct str *ret_piece);

/* output.c */

static inline size_t
conn_pending(const struct http_conn *c)
{
    return c->out.len + c->tail.len;
}

/* Send what waits.  Returns 0, also when the socket is full, or -errno. */
int conn_flush(struct http_conn *c);

/* Whether the socket takes more now; if not, an event will tell. */
bool conn_is_writable(struct http_conn *c);

/* The output, with memory at hand. */
struct buf *conn_out(struct http_conn *c);

/* Give the output's memory back if it is empty. */
void conn_out_idle(struct http_conn *c);

/* exchange.c */

/* Do one thing for the exchange; false when nothing is to be done now. */
bool exchange_step(struct http_conn *c);

/* Free what an ended exchange holds. */
void exchange_done(struct http_conn *c);

#endif
