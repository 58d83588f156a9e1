/*
 * The server under test: told by a message on stdin how to listen, says on
 * stdout where it does, and serves until SIGTERM.
 */
#include <connectrpc/conformance/v1/server_compat.pb-c.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/scope.h"
#include "connect/call.h"
#include "http/exchange.h"
#include "http/server.h"
#include "limits.h"
#include "loop/loop.h"
#include "service.h"

#define START_MESSAGE_MAX 65536

struct server {
    struct loop *loop;
    struct loop_signal term;
    struct loop_deferred last;
    struct rpc_server rpc;
};

static void
on_request(struct http_exchange *x, void *ctx)
{
    struct server *s = ctx;
    const struct rpc_service *service;
    const struct rpc_method *method =
        rpc_find(&s->rpc, http_request(x)->path, &service);

    if (method != NULL)
        rpc_serve(&s->rpc, service, method, x);
    else
        http_reply_text(x, 404, "404 page not found\n");
}

static void
on_term(struct loop_signal *signal)
{
    struct server *s = container_of(signal, struct server, term);

    loop_stop(s->loop);
}

/* Messages on stdin and stdout have their length before them, big-endian. */
static Connectrpc__Conformance__V1__ServerCompatRequest *
read_start(void)
{
    uint8_t prefix[4];
    uint8_t message[START_MESSAGE_MAX];
    size_t len;

    if (fread(prefix, 1, sizeof(prefix), stdin) != sizeof(prefix))
        return NULL;
    len = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 |
          (size_t)prefix[2] << 8 | (size_t)prefix[3];
    if (len > sizeof(message) || fread(message, 1, len, stdin) != len)
        return NULL;
    return connectrpc__conformance__v1__server_compat_request__unpack(NULL, len,
                                                                      message);
}

static bool
write_started(uint16_t port)
{
    static char host[] = "127.0.0.1";
    Connectrpc__Conformance__V1__ServerCompatResponse r;
    uint8_t message[64] = {0};
    size_t len;

    connectrpc__conformance__v1__server_compat_response__init(&r);
    r.host = host;
    r.port = port;
    len = connectrpc__conformance__v1__server_compat_response__pack(
        &r, message + 4);
    message[3] = (uint8_t)len;
    return fwrite(message, 1, len + 4, stdout) == len + 4 &&
           fflush(stdout) == 0;
}

static void
on_last(struct loop_deferred *d)
{
    loop_stop(container_of(d, struct server, last)->loop);
}

static int
serve(struct server *s)
{
    struct http_server *http = http_server_new(s->loop, on_request, s);
    uint16_t port = 0;
    int status = EXIT_FAILURE;

    loop_signal_init(s->loop, &s->term, SIGTERM, on_term);
    if (http_server_listen(http, "127.0.0.1", 0, &port) == 0 &&
        write_started(port) && loop_run(s->loop) == 0)
        status = EXIT_SUCCESS;
    loop_signal_done(&s->term);
    /* One more turn, for what is freed at the end of it. */
    http_server_close(http);
    s->last.run = on_last;
    loop_defer(s->loop, &s->last);
    (void)loop_run(s->loop);
    http_server_free(http);
    return status;
}

int
main(void)
{
    static const struct rpc_service *const services[] = {&conformance_service};
    Connectrpc__Conformance__V1__ServerCompatRequest *start = read_start();
    struct server s = {
        .rpc =
            {
                .services = services,
                .service_count = ARRAY_LEN(services),
                .message_max = LIMIT_RPC_MESSAGE_BYTES,
            },
    };
    int status;

    if (start == NULL)
        return EXIT_FAILURE;
    if (start->message_receive_limit != 0)
        s.rpc.message_max = start->message_receive_limit;
    connectrpc__conformance__v1__server_compat_request__free_unpacked(start,
                                                                      NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    conformance_declare_types();
    s.loop = loop_new();
    if (s.loop == NULL)
        return EXIT_FAILURE;
    s.rpc.loop = s.loop;
    status = serve(&s);
    loop_free(s.loop);
    return status;
}
