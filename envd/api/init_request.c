/*
 * The body of POST /init.
 */
#include "api/init_request.h"

#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/now.h"
#include "base/rfc3339.h"
#include "base/scope.h"
#include "connect/json_read.h"
#include "connect/message.h"
#include "limits.h"
#include "security/access.h"

int64_t
init_request_host_ns(const struct init_request *r)
{
    int64_t host_ns;

    if (ckd_add(&host_ns, r->timestamp_ns,
                clock_now_ns(CLOCK_MONOTONIC) - r->received_ns))
        return r->timestamp_ns;
    return host_ns;
}

void
init_body_done(struct buf *body)
{
    if (body->mem != NULL)
        explicit_bzero(body->mem, body->cap);
    buf_done(body);
}

static int
check_timestamp(struct init_request *r)
{
    const Rest__InitRequest *m = r->message;
    int64_t seconds;
    int32_t nanos;

    r->has_timestamp =
        m->_timestamp_case == REST__INIT_REQUEST___TIMESTAMP_TIMESTAMP;
    if (!r->has_timestamp)
        return 0;
    if (rfc3339_parse(str_from(m->timestamp), &seconds, &nanos) < 0)
        return -1;
    if (ckd_mul(&r->timestamp_ns, seconds, 1000000000) ||
        ckd_add(&r->timestamp_ns, r->timestamp_ns, nanos))
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
check_token(struct init_request *r, const char *original)
{
    const Rest__InitRequest *m = r->message;
    size_t at;

    if (m->_access_token_case != REST__INIT_REQUEST___ACCESS_TOKEN_ACCESS_TOKEN)
        return 0;
    r->token = str_from(m->access_token);
    if (r->token.len == 0 || r->token.len > ACCESS_TOKEN_MAX)
        return -1;
    at = (size_t)(r->token.data - (const char *)buf_data(&r->body));
    if (at + r->token.len >= r->body.len ||
        memcmp(original + at, r->token.data, r->token.len) != 0 ||
        original[at + r->token.len] != '"')
        return -1;
    return 0;
}

/* ---- the digest ---------------------------------------------------------- */

static void
hash_size(SHA2_CTX *hash, size_t size)
{
    uint64_t number = size;

    SHA256Update(hash, (const uint8_t *)&number, sizeof(number));
}

/* A string with its length before it, so that none runs into the next. */
static void
hash_text(SHA2_CTX *hash, const char *text)
{
    size_t len = strlen(text);

    hash_size(hash, len);
    SHA256Update(hash, (const uint8_t *)text, len);
}

static void
make_digest(struct init_request *r)
{
    const Rest__InitRequest *m = r->message;
    SHA2_CTX hash;

    SHA256Init(&hash);
    hash_size(&hash, r->token.len);
    if (r->token.len > 0)
        SHA256Update(&hash, (const uint8_t *)r->token.data, r->token.len);
    hash_size(&hash, m->env_vars != NULL);
    hash_size(&hash, m->n_env_vars);
    for (size_t i = 0; m->env_vars != NULL && i < m->n_env_vars; i++) {
        hash_text(&hash, m->env_vars[i]->key);
        hash_text(&hash, m->env_vars[i]->value);
    }
    hash_text(&hash, m->default_user);
    hash_text(&hash, m->default_workdir);
    hash_text(&hash, m->hyperloop_ip);
    hash_text(&hash, m->ca_bundle);
    hash_text(&hash, m->lifecycle_id);
    hash_size(&hash, m->n_volume_mounts);
    for (size_t i = 0; i < m->n_volume_mounts; i++) {
        hash_text(&hash, m->volume_mounts[i]->nfs_target);
        hash_text(&hash, m->volume_mounts[i]->path);
    }
    SHA256Final(r->digest, &hash);
    explicit_bzero(&hash, sizeof(hash));
}

bool
init_request_same(const struct init_request *a, const struct init_request *b)
{
    return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* ---- all of it ----------------------------------------------------------- */

/* Returns 0, or -1 when the body is not what it should be. */
static int
decode(struct init_request *r, const char *original)
{
    struct status st = {0};

    if (r->body.len == 0)
        r->message = (const Rest__InitRequest *)message_new(
            &rest__init_request__descriptor, &r->arena);
    else
        r->message = (const Rest__InitRequest *)json_read(
            &rest__init_request__descriptor, (char *)buf_data(&r->body),
            r->body.len, JSON_RULES_REST, &r->arena, &st);
    status_done(&st);
    if (r->message == NULL || check_timestamp(r) < 0)
        return -1;
    return check_token(r, original);
}

struct init_request *
init_request_new(struct buf *body, bool *ret_memory)
{
    struct init_request *r = xcalloc(1, sizeof(*r));
    size_t len = body->len;
    char *original = malloc(len + 1);
    int result = -1;

    /* Small things may take many times their text. */
    arena_init(&r->arena, LIMIT_REST_DECODED_BYTES);
    r->received_ns = clock_now_ns(CLOCK_MONOTONIC);
    r->body = *body;
    *body = (struct buf){0};
    *ret_memory = original == NULL;
    if (original != NULL) {
        if (len > 0)
            memcpy(original, buf_data(&r->body), len);
        result = decode(r, original);
        explicit_bzero(original, len);
        free(original);
    }
    if (result < 0) {
        init_request_free(r);
        return NULL;
    }
    make_digest(r);
    return r;
}

void
init_request_free(struct init_request *r)
{
    if (r == NULL)
        return;
    init_body_done(&r->body);
    arena_done(&r->arena);
    free(r);
}
