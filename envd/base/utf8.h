/*
 * UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms, nothing
 * above U+10FFFF.
 */
#ifndef ENVD_BASE_UTF8_H
#define ENVD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How a NUL inside a C string is written: overlong, so that no valid text has
 * it, and a reader that does not know it sees a longer name, never a shorter
 * one.  Codecs give and take it for the character U+0000.
 */
#define UTF8_NUL "\xc0\x80"

/* Whether `len` bytes are valid UTF-8; NUL bytes are.  Context: any. */
bool utf8_valid(const char *s, size_t len);

/*
 * The length of the character at the front of `s`: 1 to 4, or 0 when the
 * bytes there begin no valid character.
 */
size_t utf8_char_len(const char *s, size_t len);

/* The largest n <= len such that s[0..n) does not end inside a character. */
size_t utf8_floor(const char *s, size_t len);

/*
 * A copy of `s` (NUL-terminated) in which each byte that belongs to no valid
 * character is replaced by U+FFFD.  NULL when memory is exhausted.  The
 * caller frees it.
 */
char *utf8_sanitize(const char *s);

/* Write the encoding of `code` (a valid scalar value); returns its length. */
size_t utf8_encode(uint32_t code, char out[4]);

#endif
