/*
 * From the bytes of a body to messages.
 *
 * Bytes are gathered in one buffer; a message is decoded where it lies there
 * and stays valid until the handler is through with it.  Nothing is appended
 * meanwhile, as the body is then paused or complete.
 */
#include <assert.h>
#include <errno.h>

#include "connect/call_internal.h"
#include "connect/json_read.h"
#include "http/exchange.h"

/* Memory of the input buffer that is kept between messages. */
#define INPUT_KEEP_BYTES (2UL * 1024 * 1024)

/* Bytes behind the end of a stream that are counted before giving up. */
#define INPUT_EXTRA_MAX (4UL * 1024 * 1024)

/* Fail because of the input; empties `st`. */
static void
input_fail(struct call *c, struct status *st)
{
    struct status told = {0};

    if (c->method->input_error_prefix != NULL) {
        (void)status_set(&told, RPC_UNKNOWN, "%s: %s: %s",
                         c->method->input_error_prefix, rpc_code_name(st->code),
                         status_message(st));
        status_move(st, &told);
    }
    call_cancel(c, CALL_BAD_INPUT, st);
}

/*
 * The bytes of one message: inflated when it was compressed.  Returns -1 with
 * `st` set.
 */
static int
input_inflate(struct call *c, bool compressed, uint8_t **data, size_t *len,
              struct status *st)
{
    if (!compressed || *len == 0)
        return 0;
    buf_reset(&c->inflated, INPUT_KEEP_BYTES);
    if (envelope_inflate(*data, *len, c->rules.max, &c->inflated, st) < 0)
        return -1;
    *data = buf_data(&c->inflated);
    *len = c->inflated.len;
    return 0;
}

/* Decode the message of an envelope; NULL with `st` set. */
static const ProtobufCMessage *
input_decode(struct call *c, const struct envelope *e, struct status *st)
{
    uint8_t *data = e->data;
    size_t len = e->len;

    /* No bytes are the empty message, in JSON too. */
    if (len == 0)
        return codec_decode(CODEC_PROTO, c->method->input, data, 0, &c->arena,
                            st);
    if (input_inflate(c, (e->flags & ENVELOPE_COMPRESSED) != 0, &data, &len,
                      st) < 0)
        return NULL;
    return codec_decode(c->type->codec, c->method->input, data, len, &c->arena,
                        st);
}

static void init_end_stream(ProtobufCMessage *m);

/* An object of which no field is known. */
static const ProtobufCMessageDescriptor end_stream_descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "connect.EndStream",
    .short_name = "EndStream",
    .c_name = "EndStream",
    .package_name = "connect",
    .sizeof_message = sizeof(ProtobufCMessage),
    .message_init = init_end_stream,
};

static void
init_end_stream(ProtobufCMessage *m)
{
    *m = (ProtobufCMessage){.descriptor = &end_stream_descriptor};
}

/*
 * A client's end-of-stream envelope: in Connect a JSON object, of which
 * nothing is used.  Returns -1 with `st` set.
 */
static int
input_check_end(struct call *c, const struct envelope *e, struct status *st)
{
    struct status why = {0};
    struct arena arena = {0};
    uint8_t *data = e->data;
    size_t len = e->len;

    if (c->type->protocol != PROTOCOL_CONNECT_STREAM)
        return 0;
    if (input_inflate(c, (e->flags & ENVELOPE_COMPRESSED) != 0, &data, &len,
                      st) < 0)
        return -1;
    if (json_read(&end_stream_descriptor, (char *)data, len, JSON_RULES_PROTO,
                  &arena, &why) == NULL)
        (void)status_set(st, RPC_INTERNAL, "unmarshal end stream message: %s",
                         status_message(&why));
    arena_done(&arena);
    status_done(&why);
    return st->code == RPC_OK ? 0 : -1;
}

/* Count what stands behind the end of the stream; it is dropped. */
static int
input_count_extra(struct call *c, size_t len, struct status *st)
{
    c->extra_bytes += len;
    if (c->extra_bytes > 0 &&
        (c->input != INPUT_OPEN || c->extra_bytes >= INPUT_EXTRA_MAX))
        return status_set(st, RPC_INTERNAL,
                          "corrupt response: %llu extra bytes after end of "
                          "stream",
                          (unsigned long long)c->extra_bytes);
    return 0;
}

/*
 * The next envelope behind the one held: ENVELOPE_MORE also when the stream
 * has ended.
 */
static enum envelope_step
input_next(struct call *c, struct envelope *e, struct status *st)
{
    enum envelope_step step;
    size_t rest = c->in.len - c->held_bytes;

    if (!c->end_stream) {
        if (rest == 0)
            return ENVELOPE_MORE;
        step = envelope_read(&c->rules, buf_data(&c->in) + c->held_bytes, rest,
                             e, st);
        if (step != ENVELOPE_ONE || (e->flags & c->rules.end_flag) == 0)
            return step;
        if (input_check_end(c, e, st) < 0)
            return ENVELOPE_BAD;
        c->end_stream = true;
        rest -= ENVELOPE_PREFIX_LEN + e->len;
    }
    buf_truncate(&c->in, c->held_bytes);
    return input_count_extra(c, rest, st) < 0 ? ENVELOPE_BAD : ENVELOPE_MORE;
}

/* What is wrong with how the body ended, if anything. */
static int
input_check_complete(struct call *c, struct status *st)
{
    size_t rest = c->in.len - c->held_bytes;

    if (rest == 0 && c->body_err == 0)
        return 0;
    return envelope_cut(buf_data(&c->in) + c->held_bytes, rest, c->body_err,
                        st);
}

/* Let go of the message that the handler had. */
static void
input_release(struct call *c)
{
    if (c->held_bytes == 0)
        return;
    buf_consume(&c->in, c->held_bytes);
    c->held_bytes = 0;
    arena_done(&c->arena);
    if (c->in.len == 0)
        buf_reset(&c->in, INPUT_KEEP_BYTES);
}

/* A stream of messages: one after the other to the handler. */
static void
advance_messages(struct call *c)
{
    struct status st = {0};
    struct envelope e;

    for (;;) {
        const ProtobufCMessage *message = NULL;
        enum envelope_step step;

        input_release(c);
        step = input_next(c, &e, &st);
        if (step == ENVELOPE_MORE)
            break;
        if (step == ENVELOPE_ONE)
            message = input_decode(c, &e, &st);
        if (message == NULL) {
            input_fail(c, &st);
            return;
        }
        c->held_bytes = ENVELOPE_PREFIX_LEN + e.len;
        c->method->on_message(c, message);
        if (c->state != CALL_RUNNING || c->paused)
            return;
    }
    if (c->input == INPUT_OPEN) {
        http_body_resume(c->x);
    } else if (c->input == INPUT_ENDED) {
        if (input_check_complete(c, &st) < 0) {
            input_fail(c, &st);
            return;
        }
        c->input = INPUT_TOLD;
        c->method->on_messages_end(c);
    }
}

/* A request of exactly one envelope: gathered, then decoded. */
static int
advance_request(struct call *c, struct status *st)
{
    struct envelope e;
    enum envelope_step step;

    while ((step = input_next(c, &e, st)) == ENVELOPE_ONE) {
        if (c->held_bytes > 0)
            return status_set(st, RPC_UNIMPLEMENTED,
                              "unary request has multiple messages");
        c->held_bytes = ENVELOPE_PREFIX_LEN + e.len;
    }
    if (step == ENVELOPE_BAD)
        return -1;
    if (c->input == INPUT_OPEN) {
        http_body_resume(c->x);
        return 0;
    }
    if (input_check_complete(c, st) < 0)
        return -1;
    if (c->held_bytes == 0)
        return status_set(st, RPC_UNIMPLEMENTED,
                          "unary request has zero messages");
    return 0;
}

static int
start_request(struct call *c, struct status *st)
{
    const ProtobufCMessage *request;
    struct envelope e;

    /* It was read before, so it reads again. */
    (void)envelope_read(&c->rules, buf_data(&c->in), c->held_bytes, &e, st);
    request = input_decode(c, &e, st);
    if (request == NULL)
        return -1;
    c->input = INPUT_TOLD;
    call_start(c, request);
    return 0;
}

/* A bare message. */
static int
start_bare(struct call *c, struct status *st)
{
    uint8_t *data = buf_data(&c->in);
    size_t len = c->in.len;
    const ProtobufCMessage *request;

    if (c->body_err == -ETIMEDOUT)
        return status_set(st, RPC_DEADLINE_EXCEEDED,
                          "read message: the body stalled");
    if (c->body_err != 0)
        return status_set(st, RPC_UNKNOWN, "read message: %s",
                          c->body_err == -EBADMSG ? "malformed chunked encoding"
                                                  : "unexpected EOF");
    if (input_inflate(c, c->rules.gzip, &data, &len, st) < 0)
        return -1;
    request = codec_decode(c->type->codec, c->method->input, data, len,
                           &c->arena, st);
    if (request == NULL)
        return -1;
    c->input = INPUT_TOLD;
    call_start(c, request);
    return 0;
}

/* A call whose handler gets one message: -1 with `st` set to fail it. */
static int
advance_single(struct call *c, struct status *st)
{
    if (c->type->protocol != PROTOCOL_CONNECT_UNARY) {
        if (advance_request(c, st) < 0)
            return -1;
        return c->input == INPUT_ENDED ? start_request(c, st) : 0;
    }
    if (c->in.len > c->rules.max)
        return envelope_too_large(c->in.len, c->rules.max, st);
    if (c->input == INPUT_ENDED)
        return start_bare(c, st);
    http_body_resume(c->x);
    return 0;
}

void
call_input_advance(struct call *c)
{
    struct status st = {0};

    if (call_streams_in(c))
        advance_messages(c);
    else if (advance_single(c, &st) < 0)
        input_fail(c, &st);
}

void
call_input_bytes(struct call *c, const uint8_t *data, size_t len)
{
    struct status st = {0};

    if (c->end_stream) {
        if (input_count_extra(c, len, &st) < 0)
            input_fail(c, &st);
        return;
    }
    assert(!c->paused && "nothing moves the message that the handler holds");
    buf_append(&c->in, data, len);
    if (c->in.failed) {
        (void)status_set(&st, RPC_RESOURCE_EXHAUSTED, "out of memory");
        input_fail(c, &st);
        return;
    }
    call_input_advance(c);
}

void
call_input_end(struct call *c, int err)
{
    c->input = INPUT_ENDED;
    c->body_err = err;
    if (!c->paused)
        call_input_advance(c);
}
