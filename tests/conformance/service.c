/*
 * The service of the suite.
 *
 * The first request of a call says what to answer: headers, one or several
 * data items with a delay before each, an error, trailers.  The answer tells
 * what was seen of the request.
 */
#include "service.h"

#include <connectrpc/conformance/v1/service.pb-c.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_any.h"
#include "http/exchange.h"
#include "http/query.h"
#include "loop/loop.h"

#define TYPE_URL_PREFIX "type.googleapis.com/"

typedef Connectrpc__Conformance__V1__ConformancePayload Payload;
typedef Connectrpc__Conformance__V1__ConformancePayload__RequestInfo
    RequestInfo;
typedef Connectrpc__Conformance__V1__ConformancePayload__ConnectGetInfo GetInfo;
typedef Connectrpc__Conformance__V1__Error Error;
typedef Connectrpc__Conformance__V1__Header Header;
typedef Connectrpc__Conformance__V1__StreamResponseDefinition StreamDefinition;
typedef Connectrpc__Conformance__V1__UnaryResponseDefinition UnaryDefinition;

/* All responses have this shape. */
struct response {
    ProtobufCMessage base;
    Payload *payload;
};

/* What to answer, whichever definition it came in; borrowed. */
struct plan {
    size_t header_count;
    Header **headers;
    size_t trailer_count;
    Header **trailers;
    size_t data_count;
    const ProtobufCBinaryData *data;
    const Error *error;
    uint32_t delay_ms;
};

/* One call being answered. */
struct work {
    struct call *call;
    struct arena arena; /* requests, and what the answers tell of them */
    struct plan plan;
    ProtobufCMessage *first; /* the first request; the plan points into it */
    Google__Protobuf__Any **requests;
    size_t request_count;
    size_t sent; /* data items */
    struct loop_timer timer;
};

static void *
take(struct work *w, size_t size)
{
    void *p = arena_alloc(&w->arena, size);

    if (p == NULL)
        abort();
    return memset(p, 0, size);
}

static char *
take_text(struct work *w, struct str s)
{
    char *copy = take(w, s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    return copy;
}

static void
work_free(struct work *w)
{
    loop_timer_cancel(&w->timer);
    if (w->first != NULL)
        protobuf_c_message_free_unpacked(w->first, NULL);
    free(w->requests);
    arena_done(&w->arena);
    free(w);
}

/* Keep a request, packed, to tell it back. */
static void
keep_request(struct work *w, const ProtobufCMessage *m)
{
    Google__Protobuf__Any *any = take(w, sizeof(*any));
    size_t prefix = sizeof(TYPE_URL_PREFIX) - 1;
    size_t name = strlen(m->descriptor->name);

    google__protobuf__any__init(any);
    any->type_url = take(w, prefix + name + 1);
    memcpy(any->type_url, TYPE_URL_PREFIX, prefix);
    memcpy(any->type_url + prefix, m->descriptor->name, name);
    any->value.data = take(w, protobuf_c_message_get_packed_size(m) + 1);
    any->value.len = protobuf_c_message_pack(m, any->value.data);
    w->requests =
        realloc(w->requests, (w->request_count + 1) * sizeof(*w->requests));
    if (w->requests == NULL)
        abort();
    w->requests[w->request_count++] = any;
    if (w->first == NULL)
        w->first = protobuf_c_message_unpack(m->descriptor, NULL,
                                             any->value.len, any->value.data);
}

/* The definition in the first request: always its field 1. */
static void
make_plan(struct work *w)
{
    const ProtobufCMessage *definition = NULL;

    if (w->first != NULL)
        definition =
            *(ProtobufCMessage *const
                  *)(const void *)((const char *)w->first +
                                   w->first->descriptor->fields[0].offset);
    if (definition == NULL)
        return;
    if (definition->descriptor ==
        &connectrpc__conformance__v1__stream_response_definition__descriptor) {
        const StreamDefinition *d = (const StreamDefinition *)definition;

        w->plan = (struct plan){
            .header_count = d->n_response_headers,
            .headers = d->response_headers,
            .trailer_count = d->n_response_trailers,
            .trailers = d->response_trailers,
            .data_count = d->n_response_data,
            .data = d->response_data,
            .error = d->error,
            .delay_ms = d->response_delay_ms,
        };
    } else {
        const UnaryDefinition *d = (const UnaryDefinition *)definition;

        w->plan = (struct plan){
            .header_count = d->n_response_headers,
            .headers = d->response_headers,
            .trailer_count = d->n_response_trailers,
            .trailers = d->response_trailers,
            .delay_ms = d->response_delay_ms,
        };
        if (d->response_case ==
            CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_ERROR)
            w->plan.error = d->error;
        if (d->response_case ==
            CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_RESPONSE_DATA)
            w->plan.data = &d->response_data;
    }
}

static Header *
make_header(struct work *w, struct str name, size_t values_max)
{
    Header *h = take(w, sizeof(*h));

    connectrpc__conformance__v1__header__init(h);
    h->name = take_text(w, name);
    h->value = take(w, values_max * sizeof(*h->value));
    return h;
}

/* All request headers, each name once. */
static void
tell_headers(struct work *w, RequestInfo *info)
{
    const struct http_request *r = http_request(call_exchange(w->call));

    info->request_headers =
        take(w, r->header_count * sizeof(*info->request_headers));
    for (size_t i = 0; i < r->header_count; i++) {
        const struct http_header *from = &r->headers[i];
        Header *to = NULL;

        for (size_t j = 0; j < info->n_request_headers; j++)
            if (str_eq_nocase(from->name, info->request_headers[j]->name))
                to = info->request_headers[j];
        if (to == NULL) {
            to = make_header(w, from->name, r->header_count);
            info->request_headers[info->n_request_headers++] = to;
        }
        to->value[to->n_value++] = take_text(w, from->value);
    }
}

/* The parameters of a GET. */
static void
tell_query(struct work *w, RequestInfo *info)
{
    struct query_param params[] = {
        {.name = "base64"},   {.name = "compression"}, {.name = "connect"},
        {.name = "encoding"}, {.name = "message"},
    };
    SCOPE(status_done) struct status repeated = {0};
    struct str query = http_request(call_exchange(w->call))->query;
    GetInfo *get = take(w, sizeof(*get));

    connectrpc__conformance__v1__conformance_payload__connect_get_info__init(
        get);
    get->query_params = take(w, ARRAY_LEN(params) * sizeof(*get->query_params));
    (void)query_bind(take_text(w, query), query.len, params, ARRAY_LEN(params),
                     &repeated);
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        Header *h;

        if (params[i].times == 0)
            continue;
        h = make_header(w, str_from(params[i].name), 1);
        h->value[h->n_value++] = take_text(w, params[i].value);
        get->query_params[get->n_query_params++] = h;
    }
    info->connect_get_info = get;
}

static RequestInfo *
make_info(struct work *w)
{
    RequestInfo *info = take(w, sizeof(*info));
    int64_t timeout_ms = call_timeout_ms(w->call, /* connect_only= */ false);

    connectrpc__conformance__v1__conformance_payload__request_info__init(info);
    tell_headers(w, info);
    if (http_request(call_exchange(w->call))->method == HTTP_GET)
        tell_query(w, info);
    if (timeout_ms > 0) {
        info->_timeout_ms_case =
            CONNECTRPC__CONFORMANCE__V1__CONFORMANCE_PAYLOAD__REQUEST_INFO___TIMEOUT_MS_TIMEOUT_MS;
        info->timeout_ms = timeout_ms;
    }
    info->requests = w->requests;
    info->n_requests = w->request_count;
    return info;
}

/* The first answer tells what was seen of the request. */
static Payload *
make_payload(struct work *w, const ProtobufCBinaryData *data)
{
    Payload *payload = take(w, sizeof(*payload));

    connectrpc__conformance__v1__conformance_payload__init(payload);
    if (data != NULL)
        payload->data = *data;
    if (w->sent++ == 0)
        payload->request_info = make_info(w);
    return payload;
}

static void
fail(struct work *w)
{
    const Error *error = w->plan.error;
    struct call *c = w->call;
    struct status st = {0};

    for (size_t i = 0; i < error->n_details; i++) {
        const Google__Protobuf__Any *d = error->details[i];
        const char *slash = strrchr(d->type_url, '/');

        call_add_error_detail(c, slash != NULL ? slash + 1 : d->type_url,
                              d->value.data, d->value.len);
    }
    if (w->sent == 0) {
        const RequestInfo *info = make_info(w);
        size_t size = protobuf_c_message_get_packed_size(&info->base);
        uint8_t *packed = take(w, size + 1);

        (void)protobuf_c_message_pack(&info->base, packed);
        call_add_error_detail(c, info->base.descriptor->name, packed, size);
    }
    (void)status_set(
        &st, (enum rpc_code)error->code, "%s",
        error->_message_case ==
                CONNECTRPC__CONFORMANCE__V1__ERROR___MESSAGE_MESSAGE
            ? error->message
            : "");
    work_free(w);
    call_fail(c, &st);
}

/* Do the next thing the plan says. */
static void
advance(struct work *w)
{
    struct call *c = w->call;
    const struct rpc_method *method = call_method(c);
    struct response r;
    bool streams =
        method->kind == RPC_SERVER_STREAM || method->kind == RPC_BIDI_STREAM;

    if (w->plan.error != NULL && w->sent == w->plan.data_count) {
        fail(w);
        return;
    }
    if (streams && w->sent == w->plan.data_count) {
        work_free(w);
        call_end(c);
        return;
    }
    protobuf_c_message_init(method->output, &r.base);
    r.payload =
        make_payload(w, w->plan.data != NULL ? &w->plan.data[w->sent] : NULL);
    if (streams) {
        call_send(c, &r.base);
        loop_timer_set(&w->timer,
                       w->sent < w->plan.data_count ? w->plan.delay_ms : 0);
    } else {
        call_reply(c, &r.base);
        work_free(w);
    }
}

static void
on_time(struct loop_timer *t)
{
    advance(container_of(t, struct work, timer));
}

static void
add_metadata(struct work *w, bool trailer, Header **headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < headers[i]->n_value; j++)
            call_add_metadata(w->call, trailer, headers[i]->name,
                              headers[i]->value[j]);
}

/* All requests are there. */
static void
begin_answer(struct work *w)
{
    make_plan(w);
    add_metadata(w, /* trailer= */ false, w->plan.headers,
                 w->plan.header_count);
    add_metadata(w, /* trailer= */ true, w->plan.trailers,
                 w->plan.trailer_count);
    loop_timer_set(&w->timer, w->plan.delay_ms);
}

static void
start(struct call *c, const ProtobufCMessage *request)
{
    struct work *w = xcalloc(1, sizeof(*w));

    w->call = c;
    call_set_ctx(c, w);
    loop_timer_init(call_loop(c), &w->timer, on_time);
    if (request == NULL)
        return;
    keep_request(w, request);
    begin_answer(w);
}

static void
on_message(struct call *c, const ProtobufCMessage *message)
{
    keep_request(call_ctx(c), message);
}

static void
on_messages_end(struct call *c)
{
    begin_answer(call_ctx(c));
}

static void
on_cancel(struct call *c, enum call_cancel why)
{
    (void)why;
    work_free(call_ctx(c));
}

static void
unimplemented(struct call *c, const ProtobufCMessage *request)
{
    struct status st = {0};

    (void)request;
    (void)status_set(&st, RPC_UNIMPLEMENTED,
                     "Unimplemented is not implemented");
    call_fail(c, &st);
}

#define DESCRIPTOR(name) &connectrpc__conformance__v1__##name##__descriptor

static const struct rpc_method methods[] = {
    {
        .name = "Unary",
        .kind = RPC_UNARY,
        .input = DESCRIPTOR(unary_request),
        .output = DESCRIPTOR(unary_response),
        .start = start,
        .on_cancel = on_cancel,
    },
    {
        .name = "IdempotentUnary",
        .kind = RPC_UNARY,
        .idempotent = true,
        .input = DESCRIPTOR(idempotent_unary_request),
        .output = DESCRIPTOR(idempotent_unary_response),
        .start = start,
        .on_cancel = on_cancel,
    },
    {
        .name = "Unimplemented",
        .kind = RPC_UNARY,
        .input = DESCRIPTOR(unimplemented_request),
        .output = DESCRIPTOR(unimplemented_response),
        .start = unimplemented,
    },
    {
        .name = "ServerStream",
        .kind = RPC_SERVER_STREAM,
        .input = DESCRIPTOR(server_stream_request),
        .output = DESCRIPTOR(server_stream_response),
        .start = start,
        .on_cancel = on_cancel,
    },
    {
        .name = "ClientStream",
        .kind = RPC_CLIENT_STREAM,
        .input = DESCRIPTOR(client_stream_request),
        .output = DESCRIPTOR(client_stream_response),
        .start = start,
        .on_message = on_message,
        .on_messages_end = on_messages_end,
        .on_cancel = on_cancel,
    },
    {
        .name = "BidiStream",
        .kind = RPC_BIDI_STREAM,
        .input = DESCRIPTOR(bidi_stream_request),
        .output = DESCRIPTOR(bidi_stream_response),
        .start = start,
        .on_message = on_message,
        .on_messages_end = on_messages_end,
        .on_cancel = on_cancel,
    },
};

const struct rpc_service conformance_service = {
    .name = "connectrpc.conformance.v1.ConformanceService",
    .methods = methods,
    .method_count = ARRAY_LEN(methods),
};

void
conformance_declare_types(void)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        DESCRIPTOR(unary_request),
        DESCRIPTOR(idempotent_unary_request),
        DESCRIPTOR(server_stream_request),
        DESCRIPTOR(client_stream_request),
        DESCRIPTOR(bidi_stream_request),
        DESCRIPTOR(conformance_payload__request_info),
        DESCRIPTOR(header),
    };

    json_any_declare(types, ARRAY_LEN(types));
}
