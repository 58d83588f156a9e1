/*
 * Base64: every set of wide steps gives what the portable code gives, and
 * encoding is undone by decoding.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/base64_steps.h"
#include "base/mem.h"
#include "base/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_decode(const struct base64_steps *steps, const uint8_t *data, size_t size)
{
    size_t room = base64_decoded_max(size);
    SCOPE(scope_free) uint8_t *want = malloc(room);
    SCOPE(scope_free) uint8_t *got = malloc(room);
    SCOPE(scope_free) char *in_place = malloc(size > 0 ? size : 1);
    ptrdiff_t len = base64_decode_by(NULL, want, (const char *)data, size);

    assert(base64_decode_by(steps, got, (const char *)data, size) == len);
    assert(len <= 0 || memcmp(got, want, (size_t)len) == 0);
    if (size > 0)
        memcpy(in_place, data, size);
    assert(base64_decode_by(steps, (uint8_t *)in_place, in_place, size) == len);
    assert(len <= 0 || memcmp(in_place, want, (size_t)len) == 0);
}

static void
check_encode(const struct base64_steps *steps, const uint8_t *data, size_t size)
{
    size_t len = base64_encoded_len(size);
    SCOPE(scope_free) char *want = malloc(len + 1);
    SCOPE(scope_free) char *got = malloc(len > 0 ? len : 1);
    SCOPE(scope_free) uint8_t *back = malloc(base64_decoded_max(len));

    assert(base64_encode_by(NULL, want, data, size) == len);
    assert(base64_encode_by(steps, got, data, size) == len);
    assert(memcmp(got, want, len) == 0);
    assert(base64_decode_by(steps, back, got, len) == (ptrdiff_t)size);
    assert(size == 0 || memcmp(back, data, size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct base64_steps *steps;

    for (size_t i = 0; (steps = base64_steps(i)) != NULL; i++) {
        check_decode(steps, data, size);
        check_encode(steps, data, size);
    }
    check_encode(NULL, data, size);
    return 0;
}
