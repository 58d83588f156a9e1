/*
 * Base64, as fast as the machine allows: bulk data of processes passes here.
 *
 * Rule: RFC 4648; protobuf's JSON mapping for what is accepted.
 */
#ifndef ENVD_BASE_BASE64_H
#define ENVD_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Characters of the padded encoding of `len` bytes. */
static inline size_t
base64_encoded_len(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Bytes that base64_decode() may write for `len` characters. */
static inline size_t
base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}

/*
 * Encode with the standard alphabet and padding.
 *
 * out  room for base64_encoded_len(len) characters; no NUL is added; must not
 *      overlap `in`
 *
 * Returns the characters written.  Context: any.
 */
size_t base64_encode(char *out, const uint8_t *in, size_t len);

/*
 * Decode the standard or the URL alphabet (the latter if the text holds `-` or
 * `_`; never mixed), padded or not.
 *
 * out  room for base64_decoded_max(len) bytes; may be the memory of `in`, so
 *      that a text is decoded in place
 *
 * Returns the bytes written, or -1 for a character, length or padding that is
 * not base64 (`out` then holds rubbish).  Blanks are refused.  Context: any.
 */
ptrdiff_t base64_decode(uint8_t *out, const char *in, size_t len);

#endif
