/*
 * The headers of an upload: what is accepted is within the limits, its keys are
 * different and in lower case.  The input is lines `name: value`.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/upload.h"
#include "base/scope.h"
#include "http/exchange.h"
#include "limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cut the text into headers, as the parser of heads gives them. */
static size_t
cut(char *text, size_t size, struct http_header *headers)
{
    size_t count = 0;

    for (char *p = text, *end = text + size; p < end && count < 128;) {
        char *next = memchr(p, '\n', (size_t)(end - p));
        char *colon;

        next = next != NULL ? next : end;
        colon = memchr(p, ':', (size_t)(next - p));
        if (colon != NULL)
            headers[count++] = (struct http_header){
                .name = {p, (size_t)(colon - p)},
                .value = {colon + 1, (size_t)(next - colon) - 1},
            };
        p = next + 1;
    }
    return count;
}

static bool
is_key(const char *key)
{
    while (*key >= ' ' && *key <= '~' && (*key < 'A' || *key > 'Z'))
        key++;
    return *key == '\0';
}

static void
judge(const struct upload *u)
{
    size_t total = 0;

    for (size_t i = 0; i < u->metadata_count; i++) {
        const struct metadata *m = &u->metadata[i];

        assert(strlen(m->value) == m->len);
        assert(is_key(m->key));
        for (size_t j = 0; j < i; j++)
            assert(strcmp(u->metadata[j].key, m->key) != 0);
        total += 9 + strlen(m->key) + m->len;
    }
    assert(total <= METADATA_TOTAL_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_header headers[128];
    SCOPE(status_done) struct status st = {0};
    struct http_request r = {.headers = headers};
    struct upload u = {0};
    char *text = malloc(size + 1);

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    r.header_count = cut(text, size, headers);
    arena_init(&u.arena, LIMIT_UPLOAD_NAMES_BYTES);
    if (upload_read_headers(&u, &r, &st) == 0)
        judge(&u);
    else
        assert(st.code == RPC_INVALID_ARGUMENT);
    upload_done(&u);
    free(text);
    return 0;
}
