/*
 * The wide steps of base64, one set for each kind of vector unit.  A step
 * works off whole blocks from the front and leaves the rest to the portable
 * code of base64.c.
 */
#ifndef ENVD_BASE_BASE64_STEPS_H
#define ENVD_BASE_BASE64_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base64_steps {
    const char *name;
    /*
     * Encode from the front of `in`.  Returns the bytes done, a multiple of
     * 3; writes exactly their characters.
     */
    size_t (*encode)(char *out, const uint8_t *in, size_t len);
    /*
     * Decode from the front of `in`, which is not padded, up to the first
     * block with a character outside the alphabet.  `out` may be the memory
     * of `in`, and has room for base64_decoded_max(len).
     *
     * url      the alphabet: its last two characters are - and _, else + and /
     * special  set to true when one of these two occurred
     *
     * Returns the characters done, a multiple of 4.
     */
    size_t (*decode)(uint8_t *out, const char *in, size_t len, bool url,
                     bool *special);
};

/*
 * The sets that this machine can run, the fastest at index 0; NULL beyond the
 * last.  Context: any.
 */
const struct base64_steps *base64_steps(size_t index);

/* base64_encode() and base64_decode() with a given set, NULL for none. */
size_t base64_encode_by(const struct base64_steps *steps, char *out,
                        const uint8_t *in, size_t len);
ptrdiff_t base64_decode_by(const struct base64_steps *steps, uint8_t *out,
                           const char *in, size_t len);

#endif
