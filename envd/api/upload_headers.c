/*
 * What the headers of an upload ask for each file: metadata and a checksum.
 */
#include <string.h>
#include <strings.h>

#include "api/upload.h"
#include "base/scope.h"
#include "http/exchange.h"

#define METADATA_HEADER "X-Metadata-"
#define DIGEST_HEADER   "X-Envd-Sha256"

static char
lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static char *
copy_text(struct arena *arena, struct str s)
{
    char *copy = arena_alloc(arena, s.len + 1);

    if (copy != NULL) {
        memcpy(copy, s.data, s.len);
        copy[s.len] = '\0';
    }
    return copy;
}

/* Add an entry, unless there is one of that key: the first header counts. */
static int
add_metadata(struct upload *u, struct str name, struct str value,
             struct status *st)
{
    struct metadata m = {
        .key = copy_text(&u->arena, name),
        .value = copy_text(&u->arena, value),
        .len = value.len,
    };

    if (m.key == NULL || m.value == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    for (char *p = m.key; *p != '\0'; p++)
        *p = lower(*p);
    for (size_t i = 0; i < u->metadata_count; i++)
        if (strcmp(u->metadata[i].key, m.key) == 0)
            return 0;
    u->metadata[u->metadata_count++] = m;
    return 0;
}

static int
read_metadata(struct upload *u, const struct http_request *r, struct status *st)
{
    const size_t prefix = sizeof(METADATA_HEADER) - 1;
    SCOPE(status_done) struct status inner = {0};

    for (size_t i = 0; i < r->header_count; i++) {
        struct str name = r->headers[i].name;

        if (name.len <= prefix ||
            strncasecmp(name.data, METADATA_HEADER, prefix) != 0)
            continue;
        if (u->metadata == NULL)
            u->metadata = arena_alloc(&u->arena, (r->header_count - i) *
                                                     sizeof(*u->metadata));
        if (u->metadata == NULL)
            return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
        name.data += prefix;
        name.len -= prefix;
        if (add_metadata(u, name, str_trim(r->headers[i].value), st) < 0)
            return -1;
    }
    if (metadata_check(u->metadata, u->metadata_count, &inner) == 0)
        return 0;
    return status_set(st, inner.code, "invalid metadata: %s",
                      status_message(&inner));
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
read_digest(struct upload *u, struct str value, struct status *st)
{
    bool good = value.len == 2 * sizeof(u->wanted);

    if (value.data == NULL)
        return 0;
    for (size_t i = 0; good && i < sizeof(u->wanted); i++) {
        int high = hex_digit(value.data[2 * i]);
        int low = hex_digit(value.data[2 * i + 1]);

        good = high >= 0 && low >= 0;
        if (good)
            u->wanted[i] = (uint8_t)(high * 16 + low);
    }
    u->checked = good;
    return good ? 0
                : status_set(st, RPC_INVALID_ARGUMENT,
                             DIGEST_HEADER ": not 64 hexadecimal digits");
}

int
upload_read_headers(struct upload *u, const struct http_request *r,
                    struct status *st)
{
    struct str digest = {0};

    for (size_t i = 0; i < r->header_count && digest.data == NULL; i++)
        if (str_eq_nocase(r->headers[i].name, DIGEST_HEADER))
            digest = r->headers[i].value;
    return read_metadata(u, r, st) < 0 ? -1 : read_digest(u, digest, st);
}
