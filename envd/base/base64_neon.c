/*
 * Wide steps of base64 for aarch64: NEON loads and stores that take 3 or 4
 * interleaved vectors put the bits next to each other, a look-up in 64 bytes
 * applies the alphabet.
 */
#include "base/base64_steps.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define BAD 0x80

static const uint8_t alphabet[64] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"};

static uint8x16x4_t
load_table(const uint8_t table[64])
{
    return vld1q_u8_x4(table);
}

/* 48 bytes, 64 characters at a time. */
static size_t
encode_neon(char *out, const uint8_t *in, size_t len)
{
    const uint8x16x4_t table = load_table(alphabet);
    const uint8x16_t six = vdupq_n_u8(0x3f);
    size_t i = 0;

    for (; len - i >= 48; i += 48, out += 64) {
        uint8x16x3_t v = vld3q_u8(in + i);
        uint8x16x4_t c;

        c.val[0] = vshrq_n_u8(v.val[0], 2);
        c.val[1] =
            vandq_u8(vsliq_n_u8(vshrq_n_u8(v.val[1], 4), v.val[0], 4), six);
        c.val[2] =
            vandq_u8(vsliq_n_u8(vshrq_n_u8(v.val[2], 6), v.val[1], 2), six);
        c.val[3] = vandq_u8(v.val[2], six);
        for (int k = 0; k < 4; k++)
            c.val[k] = vqtbl4q_u8(table, c.val[k]);
        vst4q_u8((uint8_t *)out, c);
    }
    return i;
}

/* The value of each of the ASCII characters, BAD for those without one. */
static void
fill_values(uint8_t values[128], bool url)
{
    for (size_t i = 0; i < 128; i++)
        values[i] = BAD;
    for (size_t i = 0; i < 64; i++)
        values[alphabet[i]] = (uint8_t)i;
    if (url) {
        values['+'] = BAD;
        values['/'] = BAD;
        values['-'] = 62;
        values['_'] = 63;
    }
}

/* 64 characters, 48 bytes at a time. */
static size_t
decode_neon(uint8_t *out, const char *in, size_t len, bool url, bool *special)
{
    uint8x16_t seen = vdupq_n_u8(0);
    uint8x16x4_t below, above;
    uint8_t values[128];
    size_t i = 0;

    if (len < 64)
        return 0;
    fill_values(values, url);
    below = load_table(values);
    above = load_table(values + 64);
    for (; len - i >= 64; i += 64, out += 48) {
        uint8x16x4_t c = vld4q_u8((const uint8_t *)in + i);
        uint8x16_t bad = vdupq_n_u8(0);
        uint8x16_t top = vdupq_n_u8(0);
        uint8x16x3_t v;

        for (int k = 0; k < 4; k++) {
            /* A look-up outside of the 64 yields 0. */
            uint8x16_t value = vorrq_u8(
                vqtbl4q_u8(below, c.val[k]),
                vqtbl4q_u8(above, veorq_u8(c.val[k], vdupq_n_u8(0x40))));

            bad = vorrq_u8(bad, vorrq_u8(value, c.val[k]));
            top = vmaxq_u8(top, value);
            c.val[k] = value;
        }
        if (vmaxvq_u8(bad) >= BAD)
            break;
        seen = vmaxq_u8(seen, top);
        v.val[0] = vsliq_n_u8(vshrq_n_u8(c.val[1], 4), c.val[0], 2);
        v.val[1] = vsliq_n_u8(vshrq_n_u8(c.val[2], 2), c.val[1], 4);
        v.val[2] = vsliq_n_u8(c.val[3], c.val[2], 6);
        vst3q_u8(out, v);
    }
    if (vmaxvq_u8(seen) > 61)
        *special = true;
    return i;
}

static const struct base64_steps neon = {"neon", encode_neon, decode_neon};

const struct base64_steps *
base64_steps(size_t index)
{
    return index == 0 ? &neon : NULL;
}

#endif
