/*
 * Base64: the portable coder, the edges of a text, and the choice of the wide
 * steps in between.
 */
#include "base/base64.h"

#include "base/base64_steps.h"

#define STD        0x40U /* a character of the standard alphabet */
#define URL        0x80U /* a character of the URL alphabet */
#define VALUE_BITS 0x3fU

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* Value and alphabets of each character; 0 belongs to none. */
static const uint8_t values[256] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7e, 0x00, 0xbe, 0x00, 0x7f,
    0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6,
    0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf, 0xd0, 0xd1, 0xd2,
    0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0x00, 0x00, 0x00, 0x00, 0xbf,
    0x00, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xe1, 0xe2, 0xe3, 0xe4,
    0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf0,
    0xf1, 0xf2, 0xf3, 0x00, 0x00, 0x00, 0x00, 0x00,
};

size_t
base64_encode_by(const struct base64_steps *steps, char *out, const uint8_t *in,
                 size_t len)
{
    size_t i = steps != NULL ? steps->encode(out, in, len) : 0;
    char *p = out + i / 3 * 4;
    uint32_t bits;

    for (; len - i >= 3; i += 3, p += 4) {
        bits = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        p[0] = alphabet[bits >> 18];
        p[1] = alphabet[bits >> 12 & VALUE_BITS];
        p[2] = alphabet[bits >> 6 & VALUE_BITS];
        p[3] = alphabet[bits & VALUE_BITS];
    }
    if (i < len) {
        bits = (uint32_t)in[i] << 16;
        if (len - i == 2)
            bits |= (uint32_t)in[i + 1] << 8;
        p[0] = alphabet[bits >> 18];
        p[1] = alphabet[bits >> 12 & VALUE_BITS];
        p[2] = '=';
        if (len - i == 2)
            p[2] = alphabet[bits >> 6 & VALUE_BITS];
        p[3] = '=';
        p += 4;
    }
    return (size_t)(p - out);
}

size_t
base64_encode(char *out, const uint8_t *in, size_t len)
{
    return base64_encode_by(base64_steps(0), out, in, len);
}

/*
 * Decode what the wide steps left.  `allowed` has the alphabets that the text
 * can still be of: each character takes away those that it does not belong to.
 */
static ptrdiff_t
decode_rest(uint8_t *out, const char *in, size_t len, unsigned allowed)
{
    uint8_t *p = out;
    uint32_t v[4];
    size_t i;

    for (i = 0; len - i >= 4; i += 4, p += 3) {
        uint32_t bits = 0;

        for (size_t k = 0; k < 4; k++) {
            v[k] = values[(unsigned char)in[i + k]];
            allowed &= v[k];
            bits = bits << 6 | (v[k] & VALUE_BITS);
        }
        if (allowed == 0)
            return -1;
        p[0] = (uint8_t)(bits >> 16);
        p[1] = (uint8_t)(bits >> 8);
        p[2] = (uint8_t)bits;
    }
    if (len - i == 1)
        return -1;
    if (i < len) {
        v[0] = values[(unsigned char)in[i]];
        v[1] = values[(unsigned char)in[i + 1]];
        v[2] = len - i == 3 ? values[(unsigned char)in[i + 2]] : STD | URL;
        if ((allowed & v[0] & v[1] & v[2]) == 0)
            return -1;
        *p++ = (uint8_t)(v[0] << 2 | (v[1] & VALUE_BITS) >> 4);
        if (len - i == 3)
            *p++ = (uint8_t)(v[1] << 4 | (v[2] & VALUE_BITS) >> 2);
    }
    return p - out;
}

ptrdiff_t
base64_decode_by(const struct base64_steps *steps, uint8_t *out, const char *in,
                 size_t len)
{
    unsigned allowed = STD | URL;
    ptrdiff_t rest;
    size_t done = 0;

    /* A text of whole quads may be padded; any other `=` is a fault. */
    if (len > 0 && len % 4 == 0 && in[len - 1] == '=')
        len -= in[len - 2] == '=' ? 2 : 1;

    if (steps != NULL) {
        bool special = false;

        done = steps->decode(out, in, len, false, &special);
        if (special) {
            allowed = STD;
        } else {
            /* The first special character may be one of the other alphabet. */
            done += steps->decode(out + done / 4 * 3, in + done, len - done,
                                  true, &special);
            if (special)
                allowed = URL;
        }
    }
    out += done / 4 * 3;
    rest = decode_rest(out, in + done, len - done, allowed);
    return rest < 0 ? -1 : (ptrdiff_t)(done / 4 * 3) + rest;
}

ptrdiff_t
base64_decode(uint8_t *out, const char *in, size_t len)
{
    return base64_decode_by(base64_steps(0), out, in, len);
}

#if !defined(__x86_64__) && !defined(__aarch64__)
const struct base64_steps *
base64_steps(size_t index)
{
    (void)index;
    return NULL;
}
#endif
