/*
 * POST /init: the host sets token, variables, default user and directory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/body.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/scope.h"
#include "connect/json_read.h"
#include "connect/message.h"
#include "envd.h"
#include "guest/settings.h"
#include "http/exchange.h"
#include "limits.h"
#include "rest.pb-c.h"
#include "security/access.h"

/* What one request holds, checked. */
struct init_data {
    const Rest__InitRequest *request;
    struct str token; /* absent when none was given */
    bool has_timestamp;
    int64_t timestamp_ns;
};

static int
check_timestamp(const Rest__InitRequest *r, struct init_data *d)
{
    int64_t seconds;
    int32_t nanos;

    d->has_timestamp =
        r->_timestamp_case == REST__INIT_REQUEST___TIMESTAMP_TIMESTAMP;
    if (!d->has_timestamp)
        return 0;
    if (rfc3339_parse(str_from(r->timestamp), &seconds, &nanos) < 0)
        return -1;
    if (ckd_mul(&d->timestamp_ns, seconds, 1000000000) ||
        ckd_add(&d->timestamp_ns, d->timestamp_ns, nanos))
        return -1;
    return 0;
}

/*
 * A token must be a plain string: neither empty nor very long, and written
 * without escapes.
 * Strings are decoded in place, so one without escapes still stands, with its
 * closing quote, where it stood in the body.
 */
static int
check_token(const Rest__InitRequest *r, const struct buf *body,
            const char *original, struct init_data *d)
{
    size_t at;

    if (r->_access_token_case != REST__INIT_REQUEST___ACCESS_TOKEN_ACCESS_TOKEN)
        return 0;
    d->token = str_from(r->access_token);
    if (d->token.len == 0 || d->token.len > ACCESS_TOKEN_MAX)
        return -1;
    at = (size_t)(d->token.data - (const char *)buf_data(body));
    if (at + d->token.len >= body->len ||
        memcmp(original + at, d->token.data, d->token.len) != 0 ||
        original[at + d->token.len] != '"')
        return -1;
    return 0;
}

/* Returns 0, or -1 when the body is not what it should be. */
static int
decode(struct buf *body, const char *original, struct arena *arena,
       struct init_data *d)
{
    struct status st = {0};

    *d = (struct init_data){0};
    if (body->len == 0)
        d->request = (const Rest__InitRequest *)message_new(
            &rest__init_request__descriptor, arena);
    else
        d->request = (const Rest__InitRequest *)json_read(
            &rest__init_request__descriptor, (char *)buf_data(body), body->len,
            JSON_RULES_REST, arena, &st);
    status_done(&st);
    if (d->request == NULL)
        return -1;
    if (check_timestamp(d->request, d) < 0)
        return -1;
    return check_token(d->request, body, original, d);
}

/* The text of a refusal, or NULL when the request may change the agent. */
static const char *
authorise(const struct envd *e, const struct init_data *d)
{
    if (!access_token_is_set(e->token))
        return NULL;
    if (d->token.data == NULL)
        return "access token reset not authorized";
    if (!access_token_equals(e->token, d->token))
        return "access token validation failed";
    return NULL;
}

static void
log_debug(const char *text, const char *value)
{
    struct log_line line;

    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd"))
        log_end(&line, "%s%s", text, value);
}

static int
apply_vars(struct envd *e, const Rest__InitRequest *r)
{
    const char **names;
    const char **values;
    struct log_line line;
    int result;

    /* An array, even of length zero, says that the key was there. */
    if (r->env_vars == NULL)
        return 0;
    names = xcalloc(r->n_env_vars + 1, sizeof(*names));
    values = xcalloc(r->n_env_vars + 1, sizeof(*values));
    for (size_t i = 0; i < r->n_env_vars; i++) {
        names[i] = r->env_vars[i]->key;
        values[i] = r->env_vars[i]->value;
    }
    result = guest_replace_vars(e->settings, names, values, r->n_env_vars);
    free(names);
    free(values);
    if (log_begin(&line, LOG_LEVEL_DEBUG, "envd"))
        log_end(&line, "Setting %zu env vars", r->n_env_vars);
    return result;
}

/* Returns 0 or -ENOMEM; what could be applied then is. */
static int
apply(struct envd *e, const struct init_data *d)
{
    const Rest__InitRequest *r = d->request;
    int result = apply_vars(e, r);

    if (d->token.data != NULL) {
        log_debug("Setting access token", "");
        (void)access_token_set(e->token, d->token); /* its length is checked */
    } else if (access_token_is_set(e->token)) {
        log_debug("Clearing access token", "");
        access_token_clear(e->token);
    }
    if (*r->default_user != '\0') {
        log_debug("Setting default user to: ", r->default_user);
        if (guest_set_default_user(e->settings, r->default_user) < 0)
            result = -ENOMEM;
    }
    if (*r->default_workdir != '\0') {
        log_debug("Setting default workdir to: ", r->default_workdir);
        if (guest_set_default_workdir(e->settings, r->default_workdir) < 0)
            result = -ENOMEM;
    }
    return result;
}

static void
serve(struct envd *e, struct http_exchange *x, const struct init_data *d)
{
    const char *refusal = authorise(e, d);

    if (refusal != NULL) {
        struct log_line line;

        if (log_begin(&line, LOG_LEVEL_ERROR, "envd"))
            log_end(&line, "init refused: %s", refusal);
        http_add_header(x, "Content-Type", "text/plain; charset=utf-8");
        http_reply(x, 401, refusal, strlen(refusal));
        return;
    }
    /* A stale request changes nothing, and is answered like a fresh one. */
    if ((!d->has_timestamp ||
         guest_accept_timestamp(e->settings, d->timestamp_ns)) &&
        apply(e, d) < 0) {
        http_reply(x, 503, NULL, 0);
        return;
    }
    http_add_header(x, "Cache-Control", "no-store");
    http_reply(x, 204, NULL, 0);
}

static void
on_init_body(struct http_exchange *x, void *ctx, struct buf *body)
{
    struct envd *e = ctx;
    struct arena arena = {0};
    struct init_data d;
    char *original = malloc(body->len + 1);

    if (original == NULL) {
        http_reply(x, 503, NULL, 0);
        return;
    }
    if (body->len > 0)
        memcpy(original, buf_data(body), body->len);
    if (decode(body, original, &arena, &d) < 0)
        http_reply(x, 400, NULL, 0);
    else
        serve(e, x, &d);
    explicit_bzero(original, body->len);
    free(original);
    arena_done(&arena);
}

void
api_init(struct envd *e, struct http_exchange *x)
{
    http_add_header(x, "X-Envd-Version", ENVD_VERSION);
    body_collect(x, LIMIT_REST_JSON_BYTES, on_init_body, e);
}
