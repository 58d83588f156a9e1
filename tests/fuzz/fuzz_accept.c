/*
 * Accept, Accept-Encoding and Content-Encoding: nothing is found to be
 * acceptable that was not named.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "http/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str header = {(const char *)data, size};
    struct accept_coding accepts = accept_coding(header);

    assert(accepts.best != CODING_GZIP || memchr(data, '*', size) != NULL ||
           memchr(data, 'z', size) != NULL || memchr(data, 'Z', size) != NULL);
    assert(accepts.best != CODING_NONE || accepts.identity_refused);
    (void)content_coding(header);
    assert(size == 0 || memchr(data, '/', size) != NULL ||
           accept_media(header, "text/plain", "0.0.4") < 0);
    return 0;
}
