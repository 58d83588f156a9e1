/*
 * A state machine that takes lines, and counted bytes.
 */
#include "guest/http_answer.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/scope.h"
#include "base/str.h"
#include "limits.h"

void
http_answer_begin(struct http_answer *a, size_t body_max)
{
    struct buf body = a->body;

    buf_reset(&body, 4096);
    body.failed = false;
    *a = (struct http_answer){.body = body, .body_max = body_max};
}

void
http_answer_done(struct http_answer *a)
{
    buf_done(&a->body);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP/1.1 200 OK */
static int
take_status(struct http_answer *a, struct str line)
{
    const char *p = line.data;

    if (line.len < 12 || !str_starts(line, "HTTP/1.") || !is_digit(p[7]) ||
        p[8] != ' ' || (line.len > 12 && p[12] != ' '))
        return -EPROTO;
    if (p[9] < '1' || p[9] > '5' || !is_digit(p[10]) || !is_digit(p[11]))
        return -EPROTO;
    a->status = (unsigned int)(p[9] - '0') * 100 +
                (unsigned int)(p[10] - '0') * 10 + (unsigned int)(p[11] - '0');
    a->keep = p[7] != '0';
    a->has_length = a->chunked = false;
    a->state = ANSWER_HEADERS;
    return 0;
}

/* Whether a list, as that of Connection, has the word. */
static bool
has_word(struct str list, const char *word)
{
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma != NULL ? (size_t)(comma - list.data) : list.len;

        if (str_eq_nocase(str_trim((struct str){list.data, len}), word))
            return true;
        len += comma != NULL ? 1 : 0;
        list.data += len;
        list.len -= len;
    }
    return false;
}

static int
take_header(struct http_answer *a, struct str line)
{
    const char *colon = memchr(line.data, ':', line.len);
    struct str name = {line.data, 0};
    struct str value;
    uint64_t length;

    if (colon == NULL || colon == line.data)
        return -EPROTO;
    name.len = (size_t)(colon - line.data);
    if (memchr(name.data, ' ', name.len) || memchr(name.data, '\t', name.len))
        return -EPROTO;
    value = str_trim((struct str){colon + 1, line.len - name.len - 1});
    if (str_eq_nocase(name, "Content-Length")) {
        if (str_to_u64(value, INT64_MAX, &length) < 0 || a->chunked ||
            (a->has_length && length != a->left))
            return -EPROTO;
        a->has_length = true;
        a->left = length;
    } else if (str_eq_nocase(name, "Transfer-Encoding")) {
        if (!str_eq_nocase(value, "chunked") || a->has_length || a->chunked)
            return -EPROTO;
        a->chunked = true;
    } else if (str_eq_nocase(name, "Connection") && has_word(value, "close")) {
        a->keep = false;
    }
    return 0;
}

/* The empty line behind the headers: what kind of body follows? */
static int
head_end(struct http_answer *a)
{
    if (a->status == 101)
        return -EPROTO; /* we never ask for another protocol */
    if (a->status < 200) {
        a->state = ANSWER_STATUS;
    } else if (a->status == 204 || a->status == 304 ||
               (a->has_length && a->left == 0)) {
        a->state = ANSWER_COMPLETE;
    } else if (a->chunked) {
        a->state = ANSWER_CHUNK_SIZE;
    } else if (a->has_length) {
        if (a->left > a->body_max)
            return -EMSGSIZE;
        a->state = ANSWER_BODY;
    } else {
        a->keep = false;
        a->state = ANSWER_REST;
    }
    return 0;
}

static int
hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 1f or 1f;extension */
static int
take_chunk_size(struct http_answer *a, struct str line)
{
    size_t i;

    a->left = 0;
    for (i = 0; i < line.len && hex_digit(line.data[i]) >= 0; i++) {
        if (i == 8)
            return -EPROTO;
        a->left = a->left * 16 + (uint64_t)hex_digit(line.data[i]);
    }
    if (i == 0 || (i < line.len && strchr("; \t", line.data[i]) == NULL))
        return -EPROTO;
    if (a->left > a->body_max - a->body.len)
        return -EMSGSIZE;
    a->state = a->left > 0 ? ANSWER_CHUNK : ANSWER_TRAILERS;
    return 0;
}

static int
take_line(struct http_answer *a, struct str line)
{
    switch (a->state) {
    case ANSWER_STATUS:
        return take_status(a, line);
    case ANSWER_HEADERS:
        return line.len == 0 ? head_end(a) : take_header(a, line);
    case ANSWER_CHUNK_SIZE:
        return take_chunk_size(a, line);
    case ANSWER_CHUNK_END:
        a->state = ANSWER_CHUNK_SIZE;
        return line.len == 0 ? 0 : -EPROTO;
    case ANSWER_TRAILERS:
        if (line.len == 0)
            a->state = ANSWER_COMPLETE;
        return 0;
    case ANSWER_BODY:
    case ANSWER_CHUNK:
    case ANSWER_REST:
    case ANSWER_COMPLETE:
        break;
    }
    return -EPROTO;
}

/* Take a line, if it is all there.  Returns 0 or -errno. */
static int
feed_line(struct http_answer *a, struct buf *in)
{
    const char *data = (const char *)buf_data(in);
    const char *end = memchr(data, '\n', in->len);
    size_t room = LIMIT_HTTP_ANSWER_HEAD_BYTES - a->head_bytes;
    size_t len = end != NULL ? (size_t)(end - data) + 1 : in->len;
    int r;

    if (len > room)
        return -EMSGSIZE;
    if (end == NULL)
        return 0;
    if (len < 2 || end[-1] != '\r' || memchr(data, '\0', len) != NULL ||
        memchr(data, '\r', len - 2) != NULL)
        return -EPROTO;
    /* Sizes of chunks are no head: there may be many. */
    if (a->state != ANSWER_CHUNK_SIZE && a->state != ANSWER_CHUNK_END)
        a->head_bytes += len;
    r = take_line(a, (struct str){data, len - 2});
    buf_consume(in, len);
    return r;
}

/* Take what there is, and belongs to it.  Returns 0 or -errno. */
static int
feed_bytes(struct http_answer *a, struct buf *in)
{
    size_t len = in->len;

    if (a->state != ANSWER_REST && len > a->left)
        len = (size_t)a->left;
    if (len > a->body_max - a->body.len)
        return -EMSGSIZE;
    buf_append(&a->body, buf_data(in), len);
    buf_consume(in, len);
    if (a->body.failed)
        return -ENOMEM;
    a->left -= a->state != ANSWER_REST ? len : 0;
    if (a->left == 0 && a->state == ANSWER_BODY)
        a->state = ANSWER_COMPLETE;
    else if (a->left == 0 && a->state == ANSWER_CHUNK)
        a->state = ANSWER_CHUNK_END;
    return 0;
}

static bool
wants_bytes(const struct http_answer *a)
{
    return a->state == ANSWER_BODY || a->state == ANSWER_CHUNK ||
           a->state == ANSWER_REST;
}

int
http_answer_feed(struct http_answer *a, struct buf *in)
{
    int r = 0;

    while (r >= 0 && a->state != ANSWER_COMPLETE) {
        size_t before = in->len;

        if (before == 0)
            return 0;
        r = wants_bytes(a) ? feed_bytes(a, in) : feed_line(a, in);
        if (r == 0 && in->len == before)
            return 0;
    }
    return r < 0 ? r : 1;
}

int
http_answer_end(struct http_answer *a)
{
    if (a->state != ANSWER_REST)
        return -EPIPE;
    a->state = ANSWER_COMPLETE;
    return 1;
}
