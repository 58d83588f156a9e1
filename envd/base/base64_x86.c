/*
 * Wide steps of base64 for x86-64: AVX2, and SSSE3 where that is all there is.
 *
 * Method: Wojciech Muła and Daniel Lemire, "Faster Base64 Encoding and Decoding
 * Using AVX2 Instructions", ACM Transactions on the Web 12(3), 2018.  Bits are
 * moved by multiplications; the alphabet is applied as a difference looked up
 * by the range that a value, or the high nibble of a character, falls into.
 */
#include "base/base64_steps.h"

#if defined(__x86_64__)

#include <immintrin.h>

#include "base/scope.h"

#define AVX2  __attribute__((target("avx2")))
#define SSSE3 __attribute__((target("ssse3")))

/* One alphabet, as tables of 16 for a byte shuffle. */
struct alphabet {
    char last;       /* its character 63, */
    int8_t to;       /* and what moves that to a place of its own in `roll` */
    int8_t low[16];  /* by low nibble: the kinds of high nibble it is not of */
    int8_t high[16]; /* by high nibble: its kind, one bit */
    int8_t roll[16]; /* by high nibble: value minus character */
};

static const struct alphabet alphabets[2] = {
    {
        .last = '/',
        .to = -1,
        .low = {0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a},
        .high = {0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10,
                 0x10, 0x10, 0x10, 0x10, 0x10, 0x10},
        .roll = {0, 16, 19, 4, -65, -65, -71, -71},
    },
    {
        .last = '_',
        .to = 3,
        .low = {0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                0x13, 0x3b, 0x3b, 0x3a, 0x3b, 0x33},
        .high = {0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x20, 0x10, 0x10,
                 0x10, 0x10, 0x10, 0x10, 0x10, 0x10},
        .roll = {0, 0, 17, 4, -65, -65, -71, -71, -32},
    },
};

/* Character minus value, by the range of the value: a-z, 0-9, +, /, A-Z. */
static const int8_t encode_roll[16] = {
    'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
    '0' - 52, '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A',
};

/* ---- AVX2: 24 bytes, 32 characters ---- */

AVX2 static inline __m256i
table_avx2(const int8_t table[16])
{
    return _mm256_broadcastsi128_si256(
        _mm_loadu_si128((const __m128i *)(const void *)table));
}

AVX2 static size_t
encode_avx2(char *out, const uint8_t *in, size_t len)
{
    const __m256i order = _mm256_set_epi8(
        10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1, /* high lane */
        10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1);
    const __m256i roll = table_avx2(encode_roll);
    size_t i = 0;

    for (; len - i >= 28; i += 24, out += 32) {
        __m256i v = _mm256_inserti128_si256(
            _mm256_castsi128_si256(
                _mm_loadu_si128((const __m128i *)(const void *)(in + i))),
            _mm_loadu_si128((const __m128i *)(const void *)(in + i + 12)), 1);
        __m256i ac, bd, range;

        v = _mm256_shuffle_epi8(v, order);
        ac = _mm256_and_si256(v, _mm256_set1_epi32(0x0fc0fc00));
        bd = _mm256_and_si256(v, _mm256_set1_epi32(0x003f03f0));
        v = _mm256_or_si256(
            _mm256_mulhi_epu16(ac, _mm256_set1_epi32(0x04000040)),
            _mm256_mullo_epi16(bd, _mm256_set1_epi32(0x01000010)));

        range = _mm256_or_si256(
            _mm256_subs_epu8(v, _mm256_set1_epi8(51)),
            _mm256_and_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(26), v),
                             _mm256_set1_epi8(13)));
        v = _mm256_add_epi8(v, _mm256_shuffle_epi8(roll, range));
        _mm256_storeu_si256((__m256i *)(void *)out, v);
    }
    return i;
}

AVX2 static size_t
decode_avx2(uint8_t *out, const char *in, size_t len, bool url, bool *special)
{
    const struct alphabet *a = &alphabets[url ? 1 : 0];
    const __m256i low = table_avx2(a->low);
    const __m256i high = table_avx2(a->high);
    const __m256i roll = table_avx2(a->roll);
    const __m256i last = _mm256_set1_epi8(a->last);
    const __m256i to = _mm256_set1_epi8(a->to);
    const __m256i nibble = _mm256_set1_epi8(0x2f);
    const __m256i order = _mm256_setr_epi8(
        2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, /* low lane */
        2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    __m256i seen = _mm256_setzero_si256();
    size_t i = 0;

    /* A store of 32 bytes holds 24: it must stay inside `out`. */
    for (; len - i >= 44; i += 32, out += 24) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(in + i));
        __m256i hi = _mm256_and_si256(_mm256_srli_epi32(v, 4), nibble);
        __m256i lo = _mm256_and_si256(v, nibble);
        __m256i place;

        if (!_mm256_testz_si256(_mm256_shuffle_epi8(low, lo),
                                _mm256_shuffle_epi8(high, hi)))
            break;
        place = _mm256_and_si256(_mm256_cmpeq_epi8(v, last), to);
        v = _mm256_add_epi8(
            v, _mm256_shuffle_epi8(roll, _mm256_add_epi8(hi, place)));
        seen =
            _mm256_or_si256(seen, _mm256_cmpgt_epi8(v, _mm256_set1_epi8(61)));

        v = _mm256_maddubs_epi16(v, _mm256_set1_epi32(0x01400140));
        v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00011000));
        v = _mm256_shuffle_epi8(v, order);
        v = _mm256_permutevar8x32_epi32(
            v, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
        _mm256_storeu_si256((__m256i *)(void *)out, v);
    }
    if (!_mm256_testz_si256(seen, seen))
        *special = true;
    return i;
}

/* ---- SSSE3: 12 bytes, 16 characters ---- */

SSSE3 static inline __m128i
table_ssse3(const int8_t table[16])
{
    return _mm_loadu_si128((const __m128i *)(const void *)table);
}

SSSE3 static size_t
encode_ssse3(char *out, const uint8_t *in, size_t len)
{
    const __m128i order =
        _mm_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1);
    const __m128i roll = table_ssse3(encode_roll);
    size_t i = 0;

    for (; len - i >= 16; i += 12, out += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
        __m128i ac, bd, range;

        v = _mm_shuffle_epi8(v, order);
        ac = _mm_and_si128(v, _mm_set1_epi32(0x0fc0fc00));
        bd = _mm_and_si128(v, _mm_set1_epi32(0x003f03f0));
        v = _mm_or_si128(_mm_mulhi_epu16(ac, _mm_set1_epi32(0x04000040)),
                         _mm_mullo_epi16(bd, _mm_set1_epi32(0x01000010)));

        range = _mm_or_si128(_mm_subs_epu8(v, _mm_set1_epi8(51)),
                             _mm_and_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(26)),
                                           _mm_set1_epi8(13)));
        v = _mm_add_epi8(v, _mm_shuffle_epi8(roll, range));
        _mm_storeu_si128((__m128i *)(void *)out, v);
    }
    return i;
}

SSSE3 static size_t
decode_ssse3(uint8_t *out, const char *in, size_t len, bool url, bool *special)
{
    const struct alphabet *a = &alphabets[url ? 1 : 0];
    const __m128i low = table_ssse3(a->low);
    const __m128i high = table_ssse3(a->high);
    const __m128i roll = table_ssse3(a->roll);
    const __m128i last = _mm_set1_epi8(a->last);
    const __m128i to = _mm_set1_epi8(a->to);
    const __m128i nibble = _mm_set1_epi8(0x2f);
    const __m128i order =
        _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    __m128i seen = _mm_setzero_si128();
    size_t i = 0;

    /* A store of 16 bytes holds 12: it must stay inside `out`. */
    for (; len - i >= 22; i += 16, out += 12) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
        __m128i hi = _mm_and_si128(_mm_srli_epi32(v, 4), nibble);
        __m128i lo = _mm_and_si128(v, nibble);
        __m128i bad = _mm_and_si128(_mm_shuffle_epi8(low, lo),
                                    _mm_shuffle_epi8(high, hi));
        __m128i place;

        if (_mm_movemask_epi8(_mm_cmpgt_epi8(bad, _mm_setzero_si128())) != 0)
            break;
        place = _mm_and_si128(_mm_cmpeq_epi8(v, last), to);
        v = _mm_add_epi8(v, _mm_shuffle_epi8(roll, _mm_add_epi8(hi, place)));
        seen = _mm_or_si128(seen, _mm_cmpgt_epi8(v, _mm_set1_epi8(61)));

        v = _mm_maddubs_epi16(v, _mm_set1_epi32(0x01400140));
        v = _mm_madd_epi16(v, _mm_set1_epi32(0x00011000));
        _mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(v, order));
    }
    if (_mm_movemask_epi8(seen) != 0)
        *special = true;
    return i;
}

/* ---- choice ---- */

static const struct base64_steps sets[] = {
    {"avx2", encode_avx2, decode_avx2},
    {"ssse3", encode_ssse3, decode_ssse3},
};

/* The compiler's run time has asked the processor before main(). */
const struct base64_steps *
base64_steps(size_t index)
{
    const bool usable[ARRAY_LEN(sets)] = {
        __builtin_cpu_supports("avx2") != 0,
        __builtin_cpu_supports("ssse3") != 0,
    };

    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        if (usable[i] && index-- == 0)
            return &sets[i];
    return NULL;
}

#endif
