/*
 * Header lines and chunked bodies, by llhttp; the only file that knows it.
 *
 * llhttp never sees the request line, whose forms depend on methods that are
 * none of our business: it starts behind one of our own.  That state, and the
 * one behind a head with a chunked body, are made once and copied.
 */
#include "http/parser.h"

#include <errno.h>
#include <llhttp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

#if LLHTTP_VERSION_MAJOR < 9
_Static_assert(LLHTTP_STRICT_MODE == 1,
               "without it llhttp takes chunks that do not end in CR LF");
#endif

struct http_parser {
    llhttp_settings_t field_callbacks;
    llhttp_settings_t chunk_callbacks;
    llhttp_t fields; /* behind a request line */
    llhttp_t chunks; /* behind a head that announces chunks */
};

struct http_chunks {
    llhttp_t state;
    struct str piece;
    size_t framing; /* bytes since the last one of body */
    bool trailers;  /* behind the last chunk */
    char last;      /* byte seen there, CR or not decides on the next */
    bool done;
};

/* A reading of header lines. */
struct field_reader {
    struct http_fields *fields;
    bool done;
};

static int
on_field_name(llhttp_t *state, const char *at, size_t len)
{
    struct http_fields *fields = ((struct field_reader *)state->data)->fields;

    if (fields->count == fields->max || len == 0)
        return -1;
    fields->items[fields->count++] =
        (struct http_header){{at, len}, {at + len, 0}};
    return 0;
}

static int
on_field_value(llhttp_t *state, const char *at, size_t len)
{
    struct http_fields *fields = ((struct field_reader *)state->data)->fields;

    fields->items[fields->count - 1].value = str_trim((struct str){at, len});
    return 0;
}

static int
on_fields_end(llhttp_t *state)
{
    struct field_reader *reader = state->data;
    struct http_fields *fields = reader->fields;

    reader->done = true;
    state->upgrade = 0; /* offers to speak something else are ignored */
    fields->keep_alive = llhttp_should_keep_alive(state) != 0;
    fields->chunked = (state->flags & F_CHUNKED) != 0;
    if ((state->flags & F_CONTENT_LENGTH) == 0)
        return 0;
    if (state->content_length > INT64_MAX)
        return -1;
    fields->content_length = (int64_t)state->content_length;
    return 0;
}

/* Stop at each piece, so that they are handed out one by one. */
static int
on_chunk_data(llhttp_t *state, const char *at, size_t len)
{
    struct http_chunks *chunks = state->data;

    chunks->piece = (struct str){at, len};
    return HPE_PAUSED;
}

/* Stop behind the line of the last chunk. */
static int
on_chunk_size(llhttp_t *state)
{
    struct http_chunks *chunks = state->data;

    chunks->trailers = state->content_length == 0;
    return chunks->trailers ? HPE_PAUSED : HPE_OK;
}

static int
on_chunks_end(llhttp_t *state)
{
    struct http_chunks *chunks = state->data;

    chunks->done = true;
    return HPE_PAUSED;
}

/* A state that has read `text`; nothing in it points to the text. */
static llhttp_t
state_behind(llhttp_settings_t *callbacks, struct str text)
{
    static const llhttp_settings_t no_callbacks;
    llhttp_settings_t none = no_callbacks;
    llhttp_t state;

    llhttp_init(&state, HTTP_REQUEST, &none);
    llhttp_set_lenient_chunked_length(&state, 1);
    (void)llhttp_execute(&state, text.data, text.len);
    state.settings = callbacks;
    return state;
}

struct http_parser *
http_parser_new(void)
{
    struct http_parser *p = xcalloc(1, sizeof(*p));

    p->field_callbacks.on_header_field = on_field_name;
    p->field_callbacks.on_header_value = on_field_value;
    p->field_callbacks.on_headers_complete = on_fields_end;
    p->chunk_callbacks.on_chunk_header = on_chunk_size;
    p->chunk_callbacks.on_body = on_chunk_data;
    p->chunk_callbacks.on_message_complete = on_chunks_end;
    p->fields = state_behind(&p->field_callbacks, STR("POST / HTTP/1.1\r\n"));
    p->chunks = state_behind(&p->chunk_callbacks,
                             STR("POST / HTTP/1.1\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n"));
    return p;
}

void
http_parser_free(struct http_parser *p)
{
    free(p);
}

int
http_parse_fields(const struct http_parser *p, struct str lines, int minor,
                  struct http_fields *ret)
{
    struct field_reader reader = {.fields = ret};
    llhttp_t state = p->fields;

    ret->count = 0;
    ret->content_length = -1;
    state.http_minor = (uint8_t)minor;
    state.data = &reader;
    if (llhttp_execute(&state, lines.data, lines.len) != HPE_OK || !reader.done)
        return -EBADMSG;
    return 0;
}

struct http_chunks *
http_chunks_new(const struct http_parser *p)
{
    struct http_chunks *chunks = calloc(1, sizeof(*chunks));

    if (chunks == NULL)
        return NULL;
    chunks->state = p->chunks;
    chunks->state.data = chunks;
    return chunks;
}

void
http_chunks_free(struct http_chunks *chunks)
{
    free(chunks);
}

/* Whether CR and LF come in pairs only: llhttp 8 ends trailers with an LF. */
static bool
trailers_are_lines(struct http_chunks *chunks, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((text[i] == '\n') != (chunks->last == '\r'))
            return false;
        chunks->last = text[i];
    }
    return true;
}

ptrdiff_t
http_chunks_next(struct http_chunks *chunks, const uint8_t *data, size_t len,
                 struct str *ret_piece)
{
    const char *text = (const char *)data;
    bool trailers = chunks->trailers;
    size_t taken = len;
    llhttp_errno_t err;

    chunks->piece = (struct str){text, 0};
    err = llhttp_execute(&chunks->state, text, len);
    if (err == HPE_PAUSED) {
        taken = (size_t)(llhttp_get_error_pos(&chunks->state) - text);
        llhttp_resume(&chunks->state);
    } else if (err != HPE_OK) {
        return -EBADMSG;
    }
    if (trailers && !trailers_are_lines(chunks, text, taken))
        return -EBADMSG;
    chunks->framing = chunks->piece.len > 0 ? 0 : chunks->framing + taken;
    if (chunks->framing > LIMIT_HTTP_HEAD_BYTES)
        return -EBADMSG;
    *ret_piece = chunks->piece;
    return (ptrdiff_t)taken;
}

bool
http_chunks_done(const struct http_chunks *chunks)
{
    return chunks->done;
}
