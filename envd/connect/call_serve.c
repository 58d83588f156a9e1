/*
 * The way in: route, then the gates in the order of the contract.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/scope.h"
#include "connect/call.h"
#include "connect/call_internal.h"
#include "http/exchange.h"
#include "http/query.h"

/* The parameters of a GET. */
enum {
    GET_BASE64,
    GET_COMPRESSION,
    GET_CONNECT,
    GET_ENCODING,
    GET_MESSAGE,
    GET_PARAMS,
};

/* A request by GET: its query, decoded. */
struct get_query {
    char *mem; /* what the parameters point into; owned */
    struct query_param params[GET_PARAMS];
};

const struct rpc_method *
rpc_find(const struct rpc_server *s, struct str path,
         const struct rpc_service **ret_service)
{
    const char *slash;
    struct str service, method;

    *ret_service = NULL;
    if (path.len < 2 || path.data[0] != '/')
        return NULL;
    path.data++;
    path.len--;
    slash = memchr(path.data, '/', path.len);
    if (slash == NULL)
        return NULL;
    service = (struct str){path.data, (size_t)(slash - path.data)};
    method = (struct str){slash + 1, path.len - service.len - 1};
    for (size_t i = 0; i < s->service_count; i++) {
        const struct rpc_service *found = s->services[i];

        if (!str_eq(service, found->name))
            continue;
        *ret_service = found;
        for (size_t j = 0; j < found->method_count; j++)
            if (str_eq(method, found->methods[j].name))
                return &found->methods[j];
    }
    return NULL;
}

static void
get_query_done(struct get_query *q)
{
    free(q->mem);
}

static void
get_query_parse(struct http_exchange *x, struct get_query *q)
{
    SCOPE(status_done) struct status repeated = {0};
    const struct http_request *r = http_request(x);

    *q = (struct get_query){
        .params =
            {
                [GET_BASE64].name = "base64",
                [GET_COMPRESSION].name = "compression",
                [GET_CONNECT].name = "connect",
                [GET_ENCODING].name = "encoding",
                [GET_MESSAGE].name = "message",
            },
    };
    if (r->query.len == 0 || (q->mem = str_dup(r->query)) == NULL)
        return;
    /* Of a repeated parameter the first counts. */
    (void)query_bind(q->mem, r->query.len, q->params, GET_PARAMS, &repeated);
}

/* The message of a GET to the input buffer; unpadded base64url or text. */
static int
get_query_message(struct call *c, const struct get_query *q, struct status *st)
{
    struct str message = q->params[GET_MESSAGE].value;
    ptrdiff_t len = (ptrdiff_t)message.len;
    uint8_t *to;

    if (q->params[GET_MESSAGE].times == 0)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "missing message parameter");
    to = buf_reserve(&c->in, base64_decoded_max(message.len));
    if (to == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    if (str_eq(q->params[GET_BASE64].value, "1"))
        len = base64_decode(to, message.data, message.len);
    else
        memcpy(to, message.data, message.len);
    if (len < 0)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "read message: illegal base64 data");
    buf_commit(&c->in, (size_t)len);
    return 0;
}

/* Timeout, compression, protocol version: in this order. */
static int
pass_gates(struct call *c, const struct get_query *q, struct status *st)
{
    static const struct {
        const char *timeout, *sent, *accept;
    } names[] = {
        [PROTOCOL_CONNECT_UNARY] = {"Connect-Timeout-Ms", "Content-Encoding",
                                    "Accept-Encoding"},
        [PROTOCOL_CONNECT_STREAM] = {"Connect-Timeout-Ms",
                                     "Connect-Content-Encoding",
                                     "Connect-Accept-Encoding"},
        [PROTOCOL_GRPC] = {"Grpc-Timeout", "Grpc-Encoding",
                           "Grpc-Accept-Encoding"},
        [PROTOCOL_GRPC_WEB] = {"Grpc-Timeout", "Grpc-Encoding",
                               "Grpc-Accept-Encoding"},
    };
    enum rpc_protocol p = c->type->protocol;
    struct str sent = q != NULL ? q->params[GET_COMPRESSION].value
                                : http_header(c->x, names[p].sent);

    if (rpc_timeout_parse(p, http_header(c->x, names[p].timeout), &c->timeout,
                          st) < 0 ||
        rpc_compression_choose(sent, http_header(c->x, names[p].accept),
                               &c->compression, st) < 0)
        return -1;
    if (q != NULL && rpc_version_check("connect", "v1",
                                       q->params[GET_CONNECT].value, st) < 0)
        return -1;
    if (q == NULL &&
        (p == PROTOCOL_CONNECT_UNARY || p == PROTOCOL_CONNECT_STREAM) &&
        rpc_version_check("Connect-Protocol-Version", "1",
                          http_header(c->x, "Connect-Protocol-Version"),
                          st) < 0)
        return -1;
    if (c->timeout.given && c->timeout.ms <= 0)
        return status_set(st, RPC_DEADLINE_EXCEEDED,
                          "context deadline exceeded");
    return 0;
}

static uint8_t
end_flag(enum rpc_protocol p)
{
    switch (p) {
    case PROTOCOL_CONNECT_STREAM:
        return ENVELOPE_END_STREAM;
    case PROTOCOL_GRPC_WEB:
        return ENVELOPE_TRAILERS;
    case PROTOCOL_CONNECT_UNARY:
    case PROTOCOL_GRPC:
        break;
    }
    return 0;
}

/* What is wrong with the size that the head declares, if anything. */
static int
check_declared_size(const struct call *c, struct status *st)
{
    int64_t declared = http_request(c->x)->content_length;

    if (c->type->protocol == PROTOCOL_CONNECT_UNARY && declared > 0 &&
        (uint64_t)declared > c->server->message_max)
        return envelope_too_large((uint64_t)declared, c->server->message_max,
                                  st);
    return 0;
}

static void
serve(struct call *c, const struct get_query *q)
{
    struct status st = {0};

    if (pass_gates(c, q, &st) < 0 || check_declared_size(c, &st) < 0 ||
        (q != NULL && get_query_message(c, q, &st) < 0)) {
        call_cancel(c, CALL_BAD_INPUT, &st);
        return;
    }
    c->rules = (struct envelope_rules){
        .gzip = c->compression.request_gzip,
        .end_flag = end_flag(c->type->protocol),
        .max = c->server->message_max,
    };
    if (c->timeout.given)
        loop_timer_set(&c->deadline, c->timeout.ms);
    if (q != NULL) {
        call_input_end(c, 0);
        return;
    }
    if (call_streams_in(c))
        call_start(c, NULL);
    if (c->state == CALL_READING || c->state == CALL_RUNNING)
        call_input_advance(c);
}

static void
serve_get(const struct rpc_server *s, const struct rpc_method *method,
          struct http_exchange *x)
{
    SCOPE(get_query_done) struct get_query q;
    const struct content_type *type;

    get_query_parse(x, &q);
    type = content_type_of_get(q.params[GET_ENCODING].value);
    if (type == NULL || http_request(x)->has_body) {
        http_add_header(x, "Accept-Post", content_type_accepted(true));
        http_reply(x, 415, NULL, 0);
        return;
    }
    http_add_header(x, "Vary", "Accept-Encoding");
    serve(call_new(s, method, x, type), &q);
}

void
rpc_serve(const struct rpc_server *s, const struct rpc_service *service,
          const struct rpc_method *method, struct http_exchange *x)
{
    const bool unary = method->kind == RPC_UNARY;
    const bool by_get = method->idempotent && unary;
    const struct content_type *type;

    (void)service;
    if (by_get && http_request(x)->method == HTTP_GET) {
        serve_get(s, method, x);
        return;
    }
    if (http_request(x)->method != HTTP_POST) {
        http_add_header(x, "Allow", by_get ? "GET, POST" : "POST");
        http_reply(x, 405, NULL, 0);
        return;
    }
    type = content_type_find(http_header(x, "Content-Type"));
    if (type == NULL || type->protocol == (unary ? PROTOCOL_CONNECT_STREAM
                                                 : PROTOCOL_CONNECT_UNARY)) {
        http_add_header(x, "Accept-Post", content_type_accepted(unary));
        http_reply(x, 415, NULL, 0);
        return;
    }
    serve(call_new(s, method, x, type), NULL);
}
