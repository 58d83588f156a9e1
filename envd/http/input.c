/*
 * Bytes in: received into one scratch buffer that all connections share, and
 * taken from there.  Only what is left over when a connection's work ends, an
 * unfinished head or a pipelined request, is copied into its own buffer.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/scope.h"
#include "http/conn.h"

void
conn_input_open(struct http_conn *c)
{
    c->at = (struct str){0};
    if (c->kept.len > 0)
        c->at = (struct str){(const char *)buf_data(&c->kept), c->kept.len};
}

bool
conn_input_keep(struct http_conn *c)
{
    if (c->kept.len > 0) {
        buf_consume(&c->kept, c->kept.len - c->at.len);
    } else if (c->at.len > 0) {
        http_pool_take(&c->server->pool, &c->kept, false);
        buf_append(&c->kept, c->at.data, c->at.len);
    }
    if (c->kept.failed)
        return false;
    if (c->kept.len == 0)
        http_pool_give(&c->server->pool, &c->kept);
    conn_input_open(c);
    return true;
}

/* Room in the handler's own buffer, when all that comes next is body. */
static size_t
room_of_handler(const struct http_conn *c)
{
    const struct http_exchange *x = &c->x;

    if (c->phase != CONN_EXCHANGE || x->into == NULL || c->chunks != NULL ||
        c->at.len > 0 || c->body_left <= 0 || x->into->len >= x->into_max)
        return 0;
    return MIN(x->into_max - x->into->len, (uint64_t)c->body_left);
}

/* Bytes for the handler have been received into its buffer. */
static void
give_handler(struct http_conn *c, size_t len)
{
    buf_commit(c->x.into, len);
    c->x.into_news += len;
    conn_answers(c)->received += len;
    c->body_left -= (int64_t)len;
    c->body_done = c->body_left == 0;
}

int
conn_receive(struct http_conn *c)
{
    size_t room = room_of_handler(c);
    uint8_t *scratch =
        room > 0 ? buf_reserve(c->x.into, room) : c->server->scratch;
    size_t size =
        c->phase == CONN_HEAD ? HTTP_RECEIVE_HEAD : HTTP_RECEIVE_BYTES;
    ssize_t n;

    if (scratch == NULL || !conn_input_keep(c))
        return -ENOMEM;
    if (room > 0)
        size = room;
    do
        n = recv(c->fd, scratch, size, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN)
        return -errno;
    if (n <= 0) {
        c->readable = false;
        c->eof = n == 0;
        c->peer_shut |= c->eof;
        return 0;
    }

    /*
     * Less than asked for: the next byte will be an event.  Not so the end of
     * the stream, if it has been told already.
     */
    if ((size_t)n < size && !c->peer_shut)
        c->readable = false;
    if (c->phase == CONN_EXCHANGE || c->phase == CONN_DRAIN)
        c->since = c->now;
    if (room > 0) {
        give_handler(c, (size_t)n);
        return 0;
    }
    if (c->kept.len == 0) {
        c->at = (struct str){(const char *)scratch, (size_t)n};
        return 0;
    }
    buf_append(&c->kept, scratch, (size_t)n);
    conn_input_open(c);
    return c->kept.failed ? -ENOMEM : 0;
}

void
conn_consume(struct http_conn *c, size_t len)
{
    c->at.data += len;
    c->at.len -= len;
}

int
conn_body_next(struct http_conn *c, struct str *ret_piece)
{
    ptrdiff_t taken;

    if (c->at.len == 0)
        return 0;
    if (c->chunks == NULL) {
        *ret_piece = c->at;
        if ((uint64_t)c->body_left < ret_piece->len)
            ret_piece->len = (size_t)c->body_left;
        conn_answers(c)->received += ret_piece->len;
        c->body_left -= (int64_t)ret_piece->len;
        c->body_done = c->body_left == 0;
        conn_consume(c, ret_piece->len);
        return 1;
    }
    taken = http_chunks_next(c->chunks, (const uint8_t *)c->at.data, c->at.len,
                             ret_piece);
    if (taken < 0)
        return (int)taken;
    conn_answers(c)->received += ret_piece->len;
    conn_consume(c, (size_t)taken);
    c->body_done = http_chunks_done(c->chunks);
    return 1;
}
