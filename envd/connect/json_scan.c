/*
 * Plain text in wide steps: vectors for bulk data, words for names.
 */
#include "connect/json_scan.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 64

typedef int8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words16 __attribute__((vector_size(16)));

/* All bits of each byte that is not plain; as signed, non-ASCII is < 0x20. */
static inline bytes16
special_bytes(const char *s)
{
    bytes16 v;

    memcpy(&v, s, sizeof(v));
    return (v < 0x20) | (v == '"') | (v == '\\');
}

/*
 * The top bit of each byte that is not plain.  Borrows make bytes above the
 * first such byte unreliable.
 */
static inline uint64_t
special_bits(uint64_t word)
{
    const uint64_t each = 0x0101010101010101U;
    uint64_t quote = word ^ (each * '"');
    uint64_t backslash = word ^ (each * '\\');

    return (((word - each * 0x20) & ~word) | ((quote - each) & ~quote) |
            ((backslash - each) & ~backslash) | word) &
           (each * 0x80);
}

size_t
json_scan_plain(const char *s, size_t len)
{
    size_t i = 0;

    for (; len - i >= BLOCK; i += BLOCK) {
        bytes16 any = special_bytes(s + i) | special_bytes(s + i + 16) |
                      special_bytes(s + i + 32) | special_bytes(s + i + 48);
        words16 words = (words16)any;

        if ((words[0] | words[1]) != 0)
            break;
    }
    for (; len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
        uint64_t word, bits;

        memcpy(&word, s + i, sizeof(word));
        bits = special_bits(le64toh(word));
        if (bits != 0)
            return i + (size_t)__builtin_ctzll(bits) / 8;
    }
    for (; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return i;
}
