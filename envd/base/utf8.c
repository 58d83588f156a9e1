/*
 * UTF-8 checking, with a fast path for plain ASCII.
 */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd"

static bool
is_tail(unsigned char c)
{
    return (c & 0xc0U) == 0x80U;
}

size_t
utf8_char_len(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;

    if (len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2)
        return 0;
    if (p[0] < 0xe0)
        return len >= 2 && is_tail(p[1]) ? 2 : 0;
    if (p[0] < 0xf0) {
        if (len < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
            return 0;
        return 3;
    }
    if (p[0] > 0xf4 || len < 4)
        return 0;
    if (!is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
        return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return 4;
}

bool
utf8_valid(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint64_t word;
        size_t n;

        while (len - i >= sizeof(word)) {
            memcpy(&word, s + i, sizeof(word));
            if ((word & 0x8080808080808080U) != 0)
                break;
            i += sizeof(word);
        }
        if (i == len)
            return true;
        n = utf8_char_len(s + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t
utf8_floor(const char *s, size_t len)
{
    size_t back = 0;

    while (back < 3 && back < len && is_tail((unsigned char)s[len - 1 - back]))
        back++;
    if (back == len)
        return len;
    return utf8_char_len(s + len - 1 - back, back + 1) == back + 1
               ? len
               : len - 1 - back;
}

char *
utf8_sanitize(const char *s)
{
    size_t len = strlen(s);
    char *copy = malloc(len * 3 + 1);
    char *out = copy;
    size_t i = 0;

    if (copy == NULL)
        return NULL;
    while (i < len) {
        size_t n = utf8_char_len(s + i, len - i);
        const char *from = n != 0 ? s + i : UTF8_REPLACEMENT;
        size_t size = n != 0 ? n : strlen(UTF8_REPLACEMENT);

        memcpy(out, from, size);
        out += size;
        i += n != 0 ? n : 1;
    }
    *out = '\0';
    return copy;
}

size_t
utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0U | (code >> 6));
        out[1] = (char)(0x80U | (code & 0x3fU));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0U | (code >> 12));
        out[1] = (char)(0x80U | ((code >> 6) & 0x3fU));
        out[2] = (char)(0x80U | (code & 0x3fU));
        return 3;
    }
    out[0] = (char)(0xf0U | (code >> 18));
    out[1] = (char)(0x80U | ((code >> 12) & 0x3fU));
    out[2] = (char)(0x80U | ((code >> 6) & 0x3fU));
    out[3] = (char)(0x80U | (code & 0x3fU));
    return 4;
}
