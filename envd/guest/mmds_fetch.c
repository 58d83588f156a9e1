/*
 * A token, then the document, each on a connection of its own.
 */
#include "guest/mmds_fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "base/status.h"
#include "base/str.h"
#include "guest/mmds.h"
#include "limits.h"

#define TOKEN_TTL_S "60"

int
mmds_parse_address(const char *text, struct sockaddr_in *ret)
{
    const char *colon = strchr(text, ':');
    char ip[INET_ADDRSTRLEN];
    uint64_t port;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(ip))
        return -EINVAL;
    memcpy(ip, text, (size_t)(colon - text));
    ip[colon - text] = '\0';
    *ret = (struct sockaddr_in){.sin_family = AF_INET};
    if (inet_pton(AF_INET, ip, &ret->sin_addr) != 1 ||
        str_to_u64(str_from(colon + 1), UINT16_MAX, &port) < 0 || port == 0)
        return -EINVAL;
    ret->sin_port = htons((in_port_t)port);
    return 0;
}

static void
request_token(struct mmds_fetch *f)
{
    f->has_token = false;
    buf_appendf(http_client_request(&f->client),
                "PUT /latest/api/token HTTP/1.1\r\n"
                "Host: %s\r\n"
                "X-metadata-token-ttl-seconds: " TOKEN_TTL_S "\r\n"
                "Content-Length: 0\r\n"
                "Connection: close\r\n\r\n",
                f->client.target.host);
    http_client_send(&f->client, f->until_ms - loop_now_ms(),
                     LIMIT_MMDS_TOKEN_BYTES);
}

static void
request_document(struct mmds_fetch *f, const struct buf *token)
{
    f->has_token = true;
    buf_appendf(http_client_request(&f->client),
                "GET / HTTP/1.1\r\n"
                "Host: %s\r\n"
                "Accept: application/json\r\n"
                "X-metadata-token: %.*s\r\n"
                "Connection: close\r\n\r\n",
                f->client.target.host, (int)token->len,
                (const char *)buf_data(token));
    http_client_send(&f->client, f->until_ms - loop_now_ms(),
                     LIMIT_MMDS_DOCUMENT_BYTES);
}

/* Whether it can stand in a header. */
static bool
token_is_sound(const struct buf *token)
{
    for (size_t i = 0; i < token->len; i++)
        if (buf_data(token)[i] < ' ' || buf_data(token)[i] > '~')
            return false;
    return token->len > 0;
}

static void
on_answer(struct http_client *c, int error)
{
    struct mmds_fetch *f = container_of(c, struct mmds_fetch, client);
    const char *what = f->has_token ? "document" : "token";
    const struct buf *body = &c->answer.body;
    char text[128];

    if (error < 0)
        (void)snprintf(text, sizeof(text), "%s: %s", what, errno_text(-error));
    else if (c->answer.status / 100 != 2)
        (void)snprintf(text, sizeof(text), "%s: status %u", what,
                       c->answer.status);
    else if (!f->has_token && !token_is_sound(body))
        (void)snprintf(text, sizeof(text), "token: empty or not a text");
    else if (body->len == 0)
        (void)snprintf(text, sizeof(text), "document: empty");
    else if (!f->has_token) {
        request_document(f, body);
        return;
    } else {
        f->done(f, (char *)buf_data(body), body->len, NULL);
        return;
    }
    f->done(f, NULL, 0, text);
}

void
mmds_fetch_init(struct mmds_fetch *f, struct loop *loop,
                const struct sockaddr_in *address,
                void (*done)(struct mmds_fetch *f, char *text, size_t len,
                             const char *error))
{
    struct http_target target;

    *f = (struct mmds_fetch){.done = done};
    http_client_init(&f->client, loop, false, on_answer);
    http_target_v4(address, &target);
    http_client_target(&f->client, &target);
}

void
mmds_fetch_done(struct mmds_fetch *f)
{
    http_client_done(&f->client);
}

void
mmds_fetch_abort(struct mmds_fetch *f)
{
    http_client_abort(&f->client);
    f->has_token = false;
}

void
mmds_fetch_start(struct mmds_fetch *f)
{
    f->until_ms = loop_now_ms() + LIMIT_MMDS_LOOKUP_MS;
    request_token(f);
}
