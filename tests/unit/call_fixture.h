/*
 * A small RPC service behind a real server, and answers taken apart, for tests
 * of connect/.  Header only, as each test program is one file.
 */
#ifndef ENVD_TESTS_CALL_FIXTURE_H
#define ENVD_TESTS_CALL_FIXTURE_H

#include "connect/call.h"

/* No program uses all of it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "http_fixture.h"
#pragma GCC diagnostic pop

#include "process.pb-c.h"

#define MESSAGE_MAX 100000

/* What `flood` sends: so many messages with so many bytes each. */
#define FLOOD_MESSAGES 2000
#define FLOOD_BYTES    8192

/* A literal that may hold NUL bytes, and its length. */
#define BYTES(literal) (literal), sizeof(literal) - 1

/* ---- the service --------------------------------------------------------- */

/* Of the one call that is held back or floods; on the loop only. */
static struct {
    struct call *call;
    const Process__ProcessConfig *message; /* held by Collect */
    unsigned int sent;                     /* by flood */
    unsigned int collected;
} now;

static const Process__ProcessConfig *
config_of(const ProtobufCMessage *m)
{
    return (const Process__ProcessConfig *)m;
}

static void
send_text(struct call *c, char *text)
{
    Process__ProcessConfig m;

    process__process_config__init(&m);
    m.cmd = text;
    call_send(c, &m.base);
}

static void
on_cancel(struct call *c, enum call_cancel why)
{
    static const char *const words[] = {
        [CALL_PEER_GONE] = "gone",
        [CALL_DEADLINE] = "deadline",
        [CALL_HALF_CLOSED] = "half-closed",
        [CALL_BAD_INPUT] = "bad-input",
    };

    /* A cancelled call takes nothing more, and harms nobody. */
    call_pause(c);
    call_resume(c);
    send_text(c, NULL);
    call_end(c);
    note("%s", words[why]);
}

static void
echo(struct call *c, const ProtobufCMessage *request)
{
    call_reply(c, request);
}

/* Fail with all there is: headers, trailers, details. */
static void
fail_call(struct call *c, const ProtobufCMessage *request)
{
    struct status st = {0};

    call_add_metadata(c, /* trailer= */ false, "X-Head", "h");
    call_add_metadata(c, /* trailer= */ true, "X-Tail", "t");
    call_add_error_detail(c, "a.B", "\1", 1);
    (void)status_set(&st, RPC_NOT_FOUND, "no '%s'", config_of(request)->cmd);
    call_fail(c, &st);
}

static void
hang(struct call *c, const ProtobufCMessage *request)
{
    (void)request;
    (void)c;
    note("started");
}

static void
flood(struct call *c)
{
    static char text[FLOOD_BYTES + 1];

    while (now.sent < FLOOD_MESSAGES && call_has_room(c)) {
        memset(text, 'a' + (int)(now.sent % 26), FLOOD_BYTES);
        send_text(c, text);
        now.sent++;
    }
    if (now.sent == FLOOD_MESSAGES)
        call_end(c);
}

static void
follow(struct call *c, const ProtobufCMessage *request)
{
    static char first[] = "first", bad[] = "\xff";
    const char *what = config_of(request)->cmd;
    struct status st = {0};

    if (strcmp(what, "fail") == 0) {
        (void)status_set(&st, RPC_NOT_FOUND, "none");
        call_fail(c, &st);
        return;
    }
    if (strcmp(what, "flood") == 0) {
        now.call = c;
        now.sent = 0;
        flood(c);
        return;
    }
    call_add_metadata(c, /* trailer= */ true, "X-Tail", "t");
    send_text(c, first);
    if (strcmp(what, "bad") == 0) {
        send_text(c, bad);
        assert_false(call_has_room(c));
        send_text(c, first);
    } else if (strcmp(what, "bad-end") == 0) {
        send_text(c, bad);
        call_end(c);
    } else if (strcmp(what, "hang") != 0) {
        call_end(c);
        return;
    }
    note("started");
}

static void
collect(struct call *c, const ProtobufCMessage *request)
{
    assert_null(request);
    now.collected = 0;
    now.call = c;
}

static void
on_message(struct call *c, const ProtobufCMessage *message)
{
    const char *what = config_of(message)->cmd;
    struct status st = {0};

    now.collected++;
    if (strcmp(what, "hold") == 0) {
        now.message = config_of(message);
        call_pause(c);
        note("held");
    } else if (strcmp(what, "blink") == 0) {
        call_pause(c);
        call_resume(c);
    } else if (strcmp(what, "fail") == 0) {
        (void)status_set(&st, RPC_ABORTED, "enough");
        call_fail(c, &st);
    }
}

static void
on_messages_end(struct call *c)
{
    Process__ProcessConfig m;
    char text[32];

    process__process_config__init(&m);
    (void)snprintf(text, sizeof(text), "%u", now.collected);
    m.cmd = text;
    if (call_method(c)->kind == RPC_CLIENT_STREAM) {
        call_reply(c, &m.base);
        return;
    }
    call_send(c, &m.base);
    call_send(c, &m.base);
    call_end(c);
}

#define CONFIG_IN_AND_OUT                          \
    .input = &process__process_config__descriptor, \
    .output = &process__process_config__descriptor

static const struct rpc_method test_methods[] = {
    {.name = "Echo",
     .kind = RPC_UNARY,
     .idempotent = true,
     CONFIG_IN_AND_OUT,
     .start = echo},
    {.name = "Fail", .kind = RPC_UNARY, CONFIG_IN_AND_OUT, .start = fail_call},
    {.name = "Hang",
     .kind = RPC_UNARY,
     CONFIG_IN_AND_OUT,
     .start = hang,
     .on_cancel = on_cancel},
    {.name = "Follow",
     .kind = RPC_SERVER_STREAM,
     CONFIG_IN_AND_OUT,
     .start = follow,
     .on_room = flood,
     .on_cancel = on_cancel},
    {.name = "Collect",
     .kind = RPC_CLIENT_STREAM,
     CONFIG_IN_AND_OUT,
     .input_error_prefix = "error collecting",
     .start = collect,
     .on_message = on_message,
     .on_messages_end = on_messages_end,
     .on_cancel = on_cancel},
    {.name = "Talk",
     .kind = RPC_BIDI_STREAM,
     CONFIG_IN_AND_OUT,
     .start = collect,
     .on_message = on_message,
     .on_messages_end = on_messages_end,
     .on_cancel = on_cancel},
};

static const struct rpc_service test_service = {
    .name = "test.Test",
    .methods = test_methods,
    .method_count = ARRAY_LEN(test_methods),
};

static const struct rpc_service *const test_services[] = {&test_service};

static struct rpc_server rpc = {
    .services = test_services,
    .service_count = ARRAY_LEN(test_services),
    .message_max = MESSAGE_MAX,
};

/* A request with X-Refuse is one that a gate before the route turns down. */
static void
on_request(struct http_exchange *x, void *ctx)
{
    const struct rpc_service *service;
    const struct rpc_method *method =
        rpc_find(&rpc, http_request(x)->path, &service);
    struct status refuse = {0};

    (void)ctx;
    rpc.loop = fixture.loop;
    if (http_header(x, "X-Refuse").data != NULL) {
        (void)status_set(&refuse, RPC_UNAUTHENTICATED, "invalid username: 'x'");
        rpc_refuse(x, &refuse);
    } else if (method != NULL) {
        rpc_serve(&rpc, service, method, x);
    } else {
        http_reply_text(x, 404, "404 page not found\n");
    }
}

/* ---- answers ------------------------------------------------------------- */

struct answer {
    char head[4096]; /* status line and headers, each with its CRLF */
    struct buf body; /* without the framing */
    char tail[1024]; /* lines behind the last chunk */
    bool complete;   /* the framing came to its end */
};

static void
answer_unchunk(struct answer *a, const char *at, size_t len)
{
    const char *end = at + len;

    while (at < end) {
        char *payload;
        size_t size = strtoul(at, &payload, 16);

        payload += 2;
        if (size == 0) {
            len = (size_t)(end - payload);
            assert_true(len >= 2 && len - 2 < sizeof(a->tail));
            memcpy(a->tail, payload, len - 2);
            a->complete = true;
            return;
        }
        assert_true(payload + size + 2 <= end);
        buf_append(&a->body, payload, size);
        at = payload + size + 2;
    }
}

/* Hear one answer to its end, on a connection that the server then closes. */
static void
hear(int fd, struct answer *a)
{
    SCOPE(buf_done) struct buf all = {0};
    char *body;
    ssize_t n;

    *a = (struct answer){0};
    while ((n = recv(fd, buf_reserve(&all, 65536), 65536, 0)) > 0)
        buf_commit(&all, (size_t)n);
    (void)close(fd);
    buf_append_byte(&all, '\0');
    body = strstr((char *)buf_data(&all), "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    n = body - 2 - (char *)buf_data(&all);
    assert_true((size_t)n < sizeof(a->head));
    memcpy(a->head, buf_data(&all), (size_t)n);
    n = (char *)buf_data(&all) + all.len - 1 - body;
    if (strstr(a->head, "Transfer-Encoding: chunked\r\n") != NULL) {
        answer_unchunk(a, body, (size_t)n);
        return;
    }
    buf_append(&a->body, body, (size_t)n);
    a->complete = true;
}

static void
answer_done(struct answer *a)
{
    buf_done(&a->body);
}

/* A request that ends its connection; the body is not sent yet. */
static int
begin(const char *method, const char *headers)
{
    char head[4096];
    int fd = dial();

    (void)snprintf(head, sizeof(head),
                   "POST /test.Test/%s HTTP/1.1\r\nHost: t\r\n"
                   "Connection: close\r\n%s\r\n",
                   method, headers);
    say(fd, head);
    return fd;
}

/* A whole request; body  `len` bytes */
static int
post(const char *method, const char *headers, const void *body, size_t len)
{
    char all[2048];
    int fd;

    (void)snprintf(all, sizeof(all), "%sContent-Length: %zu\r\n", headers, len);
    fd = begin(method, all);
    say_bytes(fd, body, len);
    return fd;
}

static void
expect_answer(struct answer *a, const char *in_head, const void *body,
              size_t len)
{
    if (strstr(a->head, in_head) == NULL)
        fail_msg("no %s in %s", in_head, a->head);
    assert_true(a->complete);
    if (a->body.len != len ||
        (len > 0 && memcmp(buf_data(&a->body), body, len) != 0))
        fail_msg("%zu bytes: %.*s\nfor %zu bytes: %.*s", a->body.len,
                 (int)a->body.len, (const char *)buf_data(&a->body), len,
                 (int)len, (const char *)body);
}

static int
fixture_setup(void **state)
{
    (void)state;
    fixture_start(on_request, NULL);
    return 0;
}

static int
fixture_teardown(void **state)
{
    (void)state;
    fixture_stop();
    return 0;
}

#endif
