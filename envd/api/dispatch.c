/*
 * The gates in front of every handler, in the order of the contract: CORS,
 * access token, Basic user, route.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/api.h"
#include "api/init.h"
#include "api/request.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/scope.h"
#include "connect/call.h"
#include "connect/json_write.h"
#include "envd.h"
#include "filesystem/caller.h"
#include "guest/settings.h"
#include "http/exchange.h"
#include "http/query.h"
#include "security/access.h"
#include "security/user.h"

#define EXPOSED_HEADERS                                              \
    "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Location, " \
    "Cache-Control, X-Content-Type-Options"

#define PREFLIGHT_VARY \
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"

struct rest_route {
    const char *path;
    const char *method_name;
    void (*handle)(struct envd *e, struct http_exchange *x);
    enum http_method method;
    bool own_auth; /* the handler checks the token itself, or needs none */
};

static const struct rest_route rest_routes[] = {
    {"/health", "GET", api_health, HTTP_GET, true},
    {"/health", "HEAD", api_health, HTTP_HEAD, true},
    {"/metrics", "GET", api_metrics, HTTP_GET, false},
    {"/metrics", "HEAD", api_metrics, HTTP_HEAD, false},
    {"/envs", "GET", api_envs, HTTP_GET, false},
    {"/envs", "HEAD", api_envs, HTTP_HEAD, false},
    {"/ports", "GET", api_ports, HTTP_GET, false},
    {"/ports", "HEAD", api_ports, HTTP_HEAD, false},
    {"/init", "POST", api_init, HTTP_POST, true},
    {"/upgrade", "POST", api_upgrade, HTTP_POST, false},
    {"/freeze", "POST", api_freeze, HTTP_POST, false},
    {"/unfreeze", "POST", api_unfreeze, HTTP_POST, false},
    {"/fsfreeze", "POST", api_fsfreeze, HTTP_POST, false},
    {"/fsthaw", "POST", api_fsthaw, HTTP_POST, false},
    {"/collapse", "POST", api_collapse, HTTP_POST, false},
    {"/files", "GET", api_files_get, HTTP_GET, true},
    {"/files", "HEAD", api_files_get, HTTP_HEAD, true},
    {"/files", "POST", api_files_post, HTTP_POST, true},
    {"/files/compose", "POST", api_files_compose, HTTP_POST, false},
    {"/files/attributes", "POST", api_files_attributes, HTTP_POST, false},
    {"/files/copy", "POST", api_files_copy, HTTP_POST, false},
    {"/files/tar", "GET", api_tar_get, HTTP_GET, false},
    {"/files/tar", "HEAD", api_tar_get, HTTP_HEAD, false},
    {"/files/tar", "POST", api_tar_post, HTTP_POST, false},
};

/* Paths whose unknown Basic user is refused, known method or not. */
static const char *const basic_prefixes[] = {
    "/process.Process/",
    "/filesystem.Filesystem/",
};

void
api_error(struct http_exchange *x, int status, const char *format, ...)
{
    struct buf body = {0};
    char text[4096] = "";
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_appendf(&body, "{\"code\":%d,\"message\":", status);
    json_write_string(&body, text, strlen(text));
    buf_append_str(&body, "}\n");
    http_add_header(x, "Content-Type", "application/json; charset=utf-8");
    http_add_header(x, "X-Content-Type-Options", "nosniff");
    http_reply_buf(x, status, &body);
    buf_done(&body);
}

/* Add a header whose value came from the client; long ones are cut. */
static void
add_echo(struct http_exchange *x, const char *name, struct str value)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "%.*s", (int)MIN(value.len, 1000U),
                   value.data);
    http_add_header(x, name, text);
}

static bool
cors_knows(struct str method)
{
    static const char *const known[] = {"HEAD",  "GET",    "POST",   "PUT",
                                        "PATCH", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(method, known[i]))
            return true;
    return false;
}

/* Returns true when the request was a preflight, which is answered. */
static bool
cors(struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    struct str asked = http_header(x, "Access-Control-Request-Method");
    struct str headers = http_header(x, "Access-Control-Request-Headers");
    bool origin = http_header(x, "Origin").len > 0;

    if (r->method != HTTP_OPTIONS || asked.len == 0) {
        http_add_header(x, "Vary", "Origin");
        if (origin && cors_knows(r->method_name)) {
            http_add_header(x, "Access-Control-Allow-Origin", "*");
            http_add_header(x, "Access-Control-Expose-Headers",
                            EXPOSED_HEADERS);
        }
        return false;
    }
    http_add_header(x, "Vary", PREFLIGHT_VARY);
    if (origin && cors_knows(asked)) {
        http_add_header(x, "Access-Control-Allow-Origin", "*");
        add_echo(x, "Access-Control-Allow-Methods", asked);
        if (headers.len > 0)
            add_echo(x, "Access-Control-Allow-Headers", headers);
        http_add_header(x, "Access-Control-Max-Age", "7200");
    }
    http_reply(x, 204, NULL, 0);
    return true;
}

/*
 * Whether the token gate lets this request pass unseen.  The path is compared
 * decoded, as the gate is about what a path means; the router compares it as
 * sent, so that no escaped spelling reaches a handler.
 */
static bool
has_own_auth(const struct http_request *r)
{
    char decoded[64];
    size_t len;

    if (r->path.len > sizeof(decoded) * 3)
        return false;
    if (!query_unescape(r->path, decoded, sizeof(decoded), &len))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(rest_routes); i++) {
        const struct rest_route *route = &rest_routes[i];

        if (route->own_auth && route->method == r->method &&
            str_eq((struct str){decoded, len}, route->path))
            return true;
    }
    return false;
}

/* Whether it says nothing of the sandbox, or is to bring the token. */
static bool
needs_no_token(const struct http_request *r)
{
    return str_eq(r->path, "/health") ||
           (str_eq(r->path, "/init") && r->method == HTTP_POST);
}

/*
 * The token is only in our memory, and gone with it.  Until the host sets it
 * again, the one whose hash the metadata service has is the token; nobody is
 * let in as long as a service that is known to be there has not said.
 */
static bool
passes_hash(struct envd *e, struct http_exchange *x)
{
    struct str token = http_header(x, "X-Access-Token");
    const struct mmds_document *d;
    struct str hash;

    if (e->mmds == NULL || init_was_done(e->init))
        return true;
    d = mmds_document(e->mmds);
    if (d == NULL)
        return !mmds_answered_before(e->mmds);
    hash = str_from(d->access_token_hash);
    if (hash.len == 0 || access_hash_matches(hash, (struct str){0}))
        return true;
    return token.len > 0 && access_hash_matches(hash, token) &&
           access_token_set(e->token, token) == 0;
}

bool
api_lacks_token(struct envd *e, struct http_exchange *x)
{
    static struct log_quota quota = LOG_QUOTA(10, 10000);
    struct log_line line;

    if (access_token_is_set(e->token)
            ? access_token_equals(e->token, http_header(x, "X-Access-Token"))
            : passes_hash(e, x))
        return false;
    if (log_begin_limited(&line, LOG_LEVEL_ERROR, "envd", &quota))
        log_end(&line, "Trying to access secured envd without correct access "
                       "token");
    api_error(x, 401,
              "unauthorized access, please provide a valid access token or "
              "method signing if supported");
    return true;
}

/* Returns true when the request was refused. */
static bool
token_gate(struct envd *e, struct http_exchange *x)
{
    const struct http_request *r = http_request(x);

    if (access_token_is_set(e->token) ? has_own_auth(r) : needs_no_token(r))
        return false;
    return api_lacks_token(e, x);
}

struct str
api_basic_user(struct http_exchange *x, char *buf, size_t size)
{
    struct str value = http_header(x, "Authorization");
    const char *colon;
    ptrdiff_t len;

    if (value.len < 6 || strncasecmp(value.data, "Basic ", 6) != 0)
        return (struct str){0};
    value.data += 6;
    value.len -= 6;
    if (base64_decoded_max(value.len) > size)
        return (struct str){0};
    len = base64_decode((uint8_t *)buf, value.data, value.len);
    if (len <= 0)
        return (struct str){0};
    colon = memchr(buf, ':', (size_t)len);
    if (colon == NULL)
        return (struct str){0};
    return (struct str){buf, (size_t)(colon - buf)};
}

/* Find a user; a name with a NUL byte is nobody's. */
static int
find_user(struct envd *e, struct str name, struct user *ret)
{
    char text[256];

    if (name.len >= sizeof(text) || memchr(name.data, '\0', name.len) != NULL)
        return -1;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return user_find(e->users, text, ret);
}

/* Returns true when the request was refused. */
static bool
basic_gate(struct envd *e, struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    struct status st = {0};
    struct user user;
    char buf[512];
    struct str name;
    bool below = false;

    for (size_t i = 0; i < ARRAY_LEN(basic_prefixes); i++)
        below = below || str_starts(r->path, basic_prefixes[i]);
    if (!below)
        return false;
    name = api_basic_user(x, buf, sizeof(buf));
    if (name.data == NULL)
        return false;
    if (find_user(e, name, &user) == 0) {
        user_done(&user);
        return false;
    }
    (void)status_set(&st, RPC_UNAUTHENTICATED, "invalid username: '%.*s'",
                     (int)name.len, name.data);
    rpc_refuse(x, &st);
    status_done(&st);
    return true;
}

int
api_call_user(const struct call *c, struct user *ret, struct status *st)
{
    struct envd *e = call_server_ctx(c);
    const char *fallback;
    char buf[512];
    struct str name = api_basic_user(call_exchange(c), buf, sizeof(buf));

    if (name.data != NULL) {
        if (find_user(e, name, ret) == 0)
            return 0;
        return status_set(st, RPC_UNAUTHENTICATED, "invalid username: '%.*s'",
                          (int)name.len, name.data);
    }
    fallback = guest_default_user(e->settings);
    if (*fallback == '\0')
        return status_set(st, RPC_UNAUTHENTICATED, "no user specified");
    if (user_find(e->users, fallback, ret) == 0)
        return 0;
    return status_set(st, RPC_UNAUTHENTICATED, "invalid default user: '%s'",
                      fallback);
}

void
api_caller_init(const struct envd *e, struct user *user, struct caller *ret)
{
    caller_init(ret, user->uid, user->gid, TAKE_PTR(user->groups),
                user->group_count,
                e->options.file_access == FILE_ACCESS_COMPAT);
    user->group_count = 0;
}

struct envd *
api_envd(const struct call *c)
{
    return call_server_ctx(c);
}

static void
route_rest(struct envd *e, struct http_exchange *x,
           const struct request_path *path)
{
    const struct http_request *r = http_request(x);
    bool admitted = request_admit(e, x, path);
    bool found = false;

    for (size_t i = 0; i < ARRAY_LEN(rest_routes); i++) {
        const struct rest_route *route = &rest_routes[i];

        if (!str_eq(r->path, route->path))
            continue;
        if (route->method == r->method && admitted) {
            route->handle(e, x);
            return;
        }
        found = true;
    }
    if (!found || !admitted) {
        http_reply_text(x, 404, "404 page not found\n");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(rest_routes); i++)
        if (str_eq(r->path, rest_routes[i].path))
            http_add_header(x, "Allow", rest_routes[i].method_name);
    http_reply(x, 405, NULL, 0);
}

void
api_dispatch(struct http_exchange *x, void *ctx)
{
    struct envd *e = ctx;
    const struct rpc_service *service;
    const struct rpc_method *method;
    const struct request_path *path;

    path = request_begin(e, x);
    if (cors(x) || token_gate(e, x) || basic_gate(e, x))
        return;
    method = rpc_find(&e->rpc, http_request(x)->path, &service);
    if (method != NULL)
        rpc_serve(&e->rpc, service, method, x);
    else
        route_rest(e, x, path);
}
