/*
 * From messages and failures to the answer, in each of the protocols.
 *
 * Messages are encoded in place, into the buffer of the connection.
 */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/scope.h"
#include "connect/call_internal.h"
#include "http/encoding.h"
#include "http/exchange.h"
#include "limits.h"

/* What every answer of the protocol begins with. */
static void
add_protocol_headers(struct call *c)
{
    static const struct {
        const char *accept, *sent;
    } names[] = {
        [PROTOCOL_CONNECT_UNARY] = {"Accept-Encoding", "Content-Encoding"},
        [PROTOCOL_CONNECT_STREAM] = {"Connect-Accept-Encoding",
                                     "Connect-Content-Encoding"},
        [PROTOCOL_GRPC] = {"Grpc-Accept-Encoding", "Grpc-Encoding"},
        [PROTOCOL_GRPC_WEB] = {"Grpc-Accept-Encoding", "Grpc-Encoding"},
    };
    enum rpc_protocol p = c->type->protocol;

    /* Who knows how much of a body that nobody wants is still to come. */
    if (c->input == INPUT_OPEN && http_request(c->x)->content_length < 0)
        http_close_after(c->x);
    http_add_header(c->x, names[p].accept, "gzip");
    /* A bare body is marked only when it is compressed indeed. */
    if (p != PROTOCOL_CONNECT_UNARY && c->compression.reply_gzip)
        http_add_header(c->x, names[p].sent, "gzip");
}

/* Begin the answer of a stream, once. */
static void
answer_begin(struct call *c)
{
    if (http_reply_begun(c->x))
        return;
    add_protocol_headers(c);
    http_add_header(c->x, "Content-Type", c->type->name);
    http_reply_begin(c->x, 200, -1);
}

/*
 * Whether a message of so many bytes is sent compressed.  Large ones are not:
 * deflating them would hold up everybody else, and plain is always valid.
 */
static bool
is_deflated(const struct call *c, size_t len)
{
    return c->compression.reply_gzip && len <= LIMIT_RPC_DEFLATE_BYTES;
}

/* Append an envelope around the bytes of `payload`. */
static int
put_payload(struct call *c, struct buf *out, uint8_t flags,
            const struct buf *payload, struct status *st)
{
    size_t at = envelope_open(out);

    if (is_deflated(c, payload->len)) {
        (void)gzip_deflate_all(buf_data(payload), payload->len, out);
        flags |= ENVELOPE_COMPRESSED;
    } else {
        buf_append(out, buf_data(payload), payload->len);
    }
    return envelope_close(out, at, flags, st);
}

static int
put_message(struct call *c, struct buf *out, const ProtobufCMessage *message,
            struct status *st)
{
    size_t at;

    if (c->compression.reply_gzip) {
        buf_reset(&c->scratch, LIMIT_RPC_DEFLATE_BYTES);
        if (codec_encode(c->type->codec, message, &c->scratch, st) < 0)
            return -1;
        return put_payload(c, out, 0, &c->scratch, st);
    }
    at = envelope_open(out);
    if (codec_encode(c->type->codec, message, out, st) < 0)
        return -1;
    return envelope_close(out, at, 0, st);
}

/* Send one message as a piece of its own; -1 with `st` set: nothing was. */
static int
send_message(struct call *c, const ProtobufCMessage *message, struct status *st)
{
    struct buf *out;
    size_t before;
    int err;

    answer_begin(c);
    out = http_piece_open(c->x);
    before = out->len;
    err = put_message(c, out, message, st);
    if (err < 0)
        buf_truncate(out, before);
    http_piece_close(c->x);
    return err;
}

/* Send the last envelope of a stream: as send_message(). */
static void
send_end(struct call *c, uint8_t flags, const struct buf *payload)
{
    struct status st = {0};
    struct buf *out = http_piece_open(c->x);
    size_t before = out->len;
    bool failed = payload->failed;

    if (!failed && put_payload(c, out, flags, payload, &st) < 0)
        failed = true;
    if (failed)
        buf_truncate(out, before);
    status_done(&st);
    http_piece_close(c->x);
    if (failed)
        http_abort(c->x);
    else
        http_reply_end(c->x, NULL);
}

static void
append_trailer(void *ctx, const char *name, const char *value)
{
    struct buf *out = ctx;

    buf_append_str(out, name);
    buf_append_str(out, ": ");
    buf_append_str(out, value);
    buf_append_str(out, "\r\n");
}

/* As append_trailer(), the name in lower case. */
static void
append_web_trailer(void *ctx, const char *name, const char *value)
{
    struct buf *out = ctx;
    size_t at = out->len;

    append_trailer(ctx, name, value);
    if (out->failed)
        return;
    for (size_t i = 0; i < strlen(name); i++) {
        uint8_t *p = buf_data(out) + at + i;

        *p = (uint8_t)tolower(*p);
    }
}

static void
add_trailer_as_header(void *ctx, const char *name, const char *value)
{
    http_add_header(ctx, name, value);
}

static void
end_connect_unary(struct call *c, const struct status *st)
{
    struct buf body = {0};

    error_json(&body, st, &c->end);
    add_protocol_headers(c);
    http_add_header(c->x, "Content-Type", "application/json");
    http_reply_buf(c->x, error_http_status(st->code), &body);
    buf_done(&body);
}

static void
end_connect_stream(struct call *c, const struct status *st)
{
    SCOPE(buf_done) struct buf payload = {0};

    answer_begin(c);
    error_end_stream_json(&payload, st, &c->end);
    send_end(c, ENVELOPE_END_STREAM, &payload);
}

static void
end_grpc(struct call *c, const struct status *st)
{
    SCOPE(buf_done) struct buf lines = {0};

    answer_begin(c);
    error_grpc_trailers(st, &c->end, append_trailer, &lines);
    buf_append_byte(&lines, '\0');
    if (lines.failed)
        http_abort(c->x);
    else
        http_reply_end(c->x, (const char *)buf_data(&lines));
}

static void
end_grpc_web(struct call *c, const struct status *st)
{
    SCOPE(buf_done) struct buf lines = {0};

    /* Nothing was sent: the trailers are headers. */
    if (!http_reply_begun(c->x) && !c->has_headers) {
        add_protocol_headers(c);
        http_add_header(c->x, "Content-Type", c->type->name);
        error_grpc_trailers(st, &c->end, add_trailer_as_header, c->x);
        http_reply(c->x, 200, NULL, 0);
        return;
    }
    answer_begin(c);
    error_grpc_trailers(st, &c->end, append_web_trailer, &lines);
    send_end(c, ENVELOPE_TRAILERS, &lines);
}

void
call_answer_end(struct call *c, const struct status *st)
{
    switch (c->type->protocol) {
    case PROTOCOL_CONNECT_UNARY:
        assert(st != NULL && "a unary call ends well by its message");
        end_connect_unary(c, st);
        return;
    case PROTOCOL_CONNECT_STREAM:
        end_connect_stream(c, st);
        return;
    case PROTOCOL_GRPC:
        end_grpc(c, st);
        return;
    case PROTOCOL_GRPC_WEB:
        end_grpc_web(c, st);
        return;
    }
}

/* Answer with a bare message, encoded; -1 with `st` set when nothing was. */
static int
reply_bare(struct call *c, struct buf *body, struct status *st)
{
    SCOPE(buf_done) struct buf packed = {0};

    if (is_deflated(c, body->len)) {
        if (gzip_deflate_all(buf_data(body), body->len, &packed) < 0)
            return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
        http_add_header(c->x, "Content-Encoding", "gzip");
        body = &packed;
    }
    add_protocol_headers(c);
    http_add_header(c->x, "Content-Type", c->type->name);
    http_reply_buf(c->x, 200, body);
    return 0;
}

/* As send_message(), of a message that is encoded. */
static int
send_encoded(struct call *c, const struct buf *encoded, struct status *st)
{
    struct buf *out;
    size_t before;
    int err;

    answer_begin(c);
    out = http_piece_open(c->x);
    before = out->len;
    err = put_payload(c, out, 0, encoded, st);
    if (err < 0)
        buf_truncate(out, before);
    http_piece_close(c->x);
    return err;
}

/*
 * End the call: by what a broken one failed with, else by `st`, or well.
 */
static void
finish(struct call *c, const struct status *st)
{
    if (c->state == CALL_BROKEN)
        st = &c->failure;
    call_answer_end(c, st);
    call_close(c);
}

enum codec
call_codec(const struct call *c)
{
    return c->type->codec;
}

void
call_reply_encoded(struct call *c, struct buf *encoded)
{
    struct status st = {0};
    bool bare = c->type->protocol == PROTOCOL_CONNECT_UNARY;
    int err;

    if (c->state != CALL_RUNNING)
        return;
    err = bare ? reply_bare(c, encoded, &st) : send_encoded(c, encoded, &st);
    if (bare && err == 0)
        call_close(c);
    else
        finish(c, err < 0 ? &st : NULL);
    status_done(&st);
}

void
call_reply(struct call *c, const ProtobufCMessage *message)
{
    struct status st = {0};

    if (c->state != CALL_RUNNING)
        return;
    if (c->type->protocol == PROTOCOL_CONNECT_UNARY) {
        if (codec_encode(c->type->codec, message, &c->scratch, &st) == 0)
            call_reply_encoded(c, &c->scratch);
        else
            finish(c, &st);
    } else {
        finish(c, send_message(c, message, &st) < 0 ? &st : NULL);
    }
    status_done(&st);
}

void
call_send(struct call *c, const ProtobufCMessage *message)
{
    if (c->state != CALL_RUNNING || send_message(c, message, &c->failure) == 0)
        return;
    /* The handler is in the middle of something: tell it afterwards. */
    c->state = CALL_BROKEN;
    loop_defer(c->server->loop, &c->work);
}

bool
call_has_room(const struct call *c)
{
    return c->state == CALL_RUNNING && http_has_room(c->x);
}

void
call_end(struct call *c)
{
    if (c->state == CALL_RUNNING || c->state == CALL_BROKEN)
        finish(c, NULL);
}

void
call_fail(struct call *c, struct status *st)
{
    if (c->state == CALL_RUNNING || c->state == CALL_BROKEN)
        finish(c, st);
    status_done(st);
}

void
call_add_metadata(struct call *c, bool trailer, const char *name,
                  const char *value)
{
    if (c->x == NULL)
        return;
    if (!trailer) {
        c->has_headers = true;
        http_add_header(c->x, name, value);
    } else if (c->type->protocol == PROTOCOL_CONNECT_UNARY) {
        SCOPE(buf_done) struct buf prefixed = {0};

        buf_appendf(&prefixed, "Trailer-%s", name);
        buf_append_byte(&prefixed, '\0');
        if (!prefixed.failed)
            http_add_header(c->x, (const char *)buf_data(&prefixed), value);
    } else {
        error_end_add_trailer(&c->end, name, value);
    }
}

void
call_add_error_detail(struct call *c, const char *type_name, const void *data,
                      size_t len)
{
    error_end_add_detail(&c->end, type_name, data, len);
}

static void
refuse_grpc(struct http_exchange *x, const struct status *refuse)
{
    SCOPE(buf_done) struct buf lines = {0};

    error_grpc_trailers(refuse, NULL, append_trailer, &lines);
    buf_append_byte(&lines, '\0');
    http_add_header(x, "Trailer", "Grpc-Message, Grpc-Status");
    http_reply_begin(x, 200, -1);
    if (lines.failed)
        http_abort(x);
    else
        http_reply_end(x, (const char *)buf_data(&lines));
}

static void
refuse_connect_stream(struct http_exchange *x, const struct status *refuse)
{
    SCOPE(buf_done) struct buf body = {0};
    struct status st = {0};
    size_t at = envelope_open(&body);

    error_end_stream_json(&body, refuse, NULL);
    if (envelope_close(&body, at, ENVELOPE_END_STREAM, &st) < 0)
        buf_reset(&body, 0);
    status_done(&st);
    http_reply_buf(x, 200, &body);
}

void
rpc_refuse(struct http_exchange *x, struct status *refuse)
{
    const struct content_type *type =
        content_type_find(http_header(x, "Content-Type"));
    enum rpc_protocol protocol = PROTOCOL_CONNECT_UNARY;
    SCOPE(buf_done) struct buf body = {0};

    if (type != NULL)
        protocol = type->protocol;
    http_add_header(x, "Content-Type",
                    protocol == PROTOCOL_CONNECT_UNARY ? "application/json"
                                                       : type->name);
    switch (protocol) {
    case PROTOCOL_CONNECT_UNARY:
        error_json(&body, refuse, NULL);
        http_reply_buf(x, error_http_status(refuse->code), &body);
        break;
    case PROTOCOL_CONNECT_STREAM:
        refuse_connect_stream(x, refuse);
        break;
    case PROTOCOL_GRPC:
        refuse_grpc(x, refuse);
        break;
    case PROTOCOL_GRPC_WEB:
        error_grpc_trailers(refuse, NULL, add_trailer_as_header, x);
        http_reply(x, 200, NULL, 0);
        break;
    }
    status_done(refuse);
}
