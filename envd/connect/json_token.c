/*
 * JSON text, token by token, without a tree and without recursion.
 */
#include "connect/json_token.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "connect/json_number.h"
#include "connect/json_scan.h"
#include "limits.h"

#define ERROR_TEXT_SIZE 512

/* ---- errors ---- */

__attribute__((format(printf, 4, 0))) static int
fail(struct json_cursor *c, const char *prefix, size_t offset,
     const char *format, va_list args)
{
    char text[ERROR_TEXT_SIZE];

    (void)vsnprintf(text, sizeof(text), format, args);
    text[utf8_floor(text, strlen(text))] = '\0';
    return status_set(c->st, RPC_INVALID_ARGUMENT, "%s(offset %zu): %s", prefix,
                      offset, text);
}

int
json_syntax_error(struct json_cursor *c, size_t offset, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail(c, "syntax error ", offset, format, args);
    va_end(args);
    return -1;
}

int
json_value_error(struct json_cursor *c, size_t offset, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail(c, "", offset, format, args);
    va_end(args);
    return -1;
}

static void
skip_blanks(struct json_cursor *c)
{
    while (c->pos < c->len) {
        char ch = c->text[c->pos];

        if (ch != ' ' && ch != '\n' && ch != '\r' && ch != '\t')
            return;
        c->pos++;
    }
}

int
json_unexpected(struct json_cursor *c)
{
    unsigned char ch;

    skip_blanks(c);
    if (c->pos == c->len)
        return json_syntax_error(c, c->pos, "unexpected EOF");
    ch = (unsigned char)c->text[c->pos];
    if (ch < 0x20 || ch >= 0x7f)
        return json_syntax_error(c, c->pos, "unexpected byte 0x%02x", ch);
    return json_syntax_error(c, c->pos, "unexpected token %c", ch);
}

/* ---- structure ---- */

enum json_kind
json_peek(struct json_cursor *c)
{
    char ch;

    skip_blanks(c);
    if (c->pos == c->len)
        return JSON_NO_VALUE;
    ch = c->text[c->pos];
    switch (ch) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return ch == '-' || (ch >= '0' && ch <= '9') ? JSON_NUMBER
                                                     : JSON_NO_VALUE;
    }
}

int
json_enter(struct json_cursor *c)
{
    if (c->depth == LIMIT_RPC_NESTING)
        return status_set(c->st, RPC_INVALID_ARGUMENT,
                          "(offset %zu): nested deeper than %d levels", c->pos,
                          LIMIT_RPC_NESTING);
    c->depth++;
    c->pos++;
    return 0;
}

/* Whether the next byte that is not blank is `ch`; if so, go past it. */
static bool
take(struct json_cursor *c, char ch)
{
    skip_blanks(c);
    if (c->pos == c->len || c->text[c->pos] != ch)
        return false;
    c->pos++;
    return true;
}

/* Past the comma, or out at `close`: 1, 0, or -1. */
static int
next_item(struct json_cursor *c, bool *first, char close)
{
    bool at_first = *first;

    *first = false;
    if (take(c, close)) {
        c->depth--;
        return 0;
    }
    if (!at_first && !take(c, ','))
        return json_unexpected(c);
    return 1;
}

int
json_next_member(struct json_cursor *c, bool *first, struct str *ret_key)
{
    int r = next_item(c, first, '}');

    if (r <= 0)
        return r;
    if (json_peek(c) != JSON_STRING)
        return json_unexpected(c);
    if (json_string(c, ret_key) < 0)
        return -1;
    return take(c, ':') ? 1 : json_unexpected(c);
}

int
json_next_element(struct json_cursor *c, bool *first)
{
    return next_item(c, first, ']');
}

int
json_end(struct json_cursor *c)
{
    skip_blanks(c);
    return c->pos == c->len ? 0 : json_unexpected(c);
}

/* ---- strings ---- */

/* Four hex digits at `at`; -1 if they are none. */
static int32_t
hex4(const struct json_cursor *c, size_t at)
{
    int32_t value = 0;

    if (c->len - at < 4)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        char ch = c->text[i];
        int digit;

        if (ch >= '0' && ch <= '9')
            digit = ch - '0';
        else if (ch >= 'a' && ch <= 'f')
            digit = ch - 'a' + 10;
        else if (ch >= 'A' && ch <= 'F')
            digit = ch - 'A' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* A `\u` escape, or two that make one character; the position goes past. */
static int
unicode_escape(struct json_cursor *c, uint32_t *ret)
{
    size_t start = c->pos - 2;
    int32_t high = hex4(c, c->pos);
    int32_t low;

    if (high < 0)
        return json_syntax_error(c, start, "invalid escape in string");
    c->pos += 4;
    *ret = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return 0;
    low = -1;
    if (c->len - c->pos >= 2 && memcmp(c->text + c->pos, "\\u", 2) == 0)
        low = hex4(c, c->pos + 2);
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return json_syntax_error(c, start, "lone surrogate in string");
    c->pos += 6;
    *ret = 0x10000U + (((uint32_t)high - 0xd800U) << 10) +
           ((uint32_t)low - 0xdc00U);
    return 0;
}

/* The escape whose backslash is at the position. */
static int
escape(struct json_cursor *c, uint32_t *ret)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *found;
    char ch;

    if (c->len - c->pos < 2)
        return json_syntax_error(c, c->len, "unexpected EOF");
    ch = c->text[c->pos + 1];
    c->pos += 2;
    if (ch == 'u')
        return unicode_escape(c, ret);
    found = ch != '\0' ? strchr(letters, ch) : NULL;
    if (found == NULL)
        return json_syntax_error(c, c->pos - 2, "invalid escape in string");
    *ret = (unsigned char)meanings[found - letters];
    return 0;
}

/* Bytes of the text at the position that go into the string unchanged. */
static size_t
verbatim_len(const struct json_cursor *c)
{
    const char *s = c->text + c->pos;
    size_t left = c->len - c->pos;
    size_t len = json_scan_plain(s, left);

    while (len < left && (unsigned char)s[len] >= 0x80) {
        size_t n = utf8_char_len(s + len, left - len);

        if (n == 0)
            break;
        len += n;
    }
    return len;
}

/* What an escape stands for; never longer than it. */
static size_t
put_code(uint32_t code, char out[4])
{
    if (code != 0)
        return utf8_encode(code, out);
    memcpy(out, UTF8_NUL, 2);
    return 2;
}

int
json_string(struct json_cursor *c, struct str *ret)
{
    size_t start = ++c->pos;
    char *out = c->text + start;

    for (;;) {
        size_t len = verbatim_len(c);
        uint32_t code = 0;

        if (out != c->text + c->pos && !c->untouched)
            memmove(out, c->text + c->pos, len);
        out += len;
        c->pos += len;
        if (c->pos == c->len)
            return json_syntax_error(c, c->pos, "unexpected EOF");
        switch (c->text[c->pos]) {
        case '"':
            break;
        case '\\':
            if (escape(c, &code) < 0)
                return -1;
            if (!c->untouched)
                out += put_code(code, out);
            continue;
        default:
            if ((unsigned char)c->text[c->pos] < 0x20)
                return json_syntax_error(c, c->pos,
                                         "control character in string");
            if ((unsigned char)c->text[c->pos] < 0x80)
                continue;
            return json_syntax_error(c, c->pos, "invalid UTF-8 in string");
        }
        break;
    }
    ret->data = c->text + start;
    ret->len = c->untouched ? c->pos - start : (size_t)(out - ret->data);
    c->pos++;
    if (!c->untouched)
        *out = '\0';
    return 0;
}

/* ---- other values ---- */

int
json_number(struct json_cursor *c, struct str *ret)
{
    size_t len = json_number_len(c->text + c->pos, c->len - c->pos);

    if (len == 0)
        return json_syntax_error(c, c->pos, "invalid number");
    *ret = (struct str){c->text + c->pos, len};
    c->pos += len;
    return 0;
}

int
json_literal(struct json_cursor *c, enum json_kind kind)
{
    const char *word = kind == JSON_TRUE    ? "true"
                       : kind == JSON_FALSE ? "false"
                                            : "null";
    size_t len = strlen(word);

    if (c->len - c->pos < len || memcmp(c->text + c->pos, word, len) != 0)
        return json_unexpected(c);
    c->pos += len;
    return 0;
}

/* Read over a value that holds no others, or into one that does. */
static int
skip_one(struct json_cursor *c, enum json_kind kind)
{
    struct str ignored;

    switch (kind) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return json_enter(c);
    case JSON_STRING:
        return json_string(c, &ignored);
    case JSON_NUMBER:
        return json_number(c, &ignored);
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        return json_literal(c, kind);
    case JSON_NO_VALUE:
        break;
    }
    return json_unexpected(c);
}

/*
 * Read over the rest of an object or array that was just entered, and out of
 * it, to the level `base`.
 */
static int
skip_inside(struct json_cursor *c, unsigned base, bool object)
{
    /* One bit for each open level above `base`: it is an object. */
    uint8_t is_object[LIMIT_RPC_NESTING / 8 + 1] = {object ? 1 : 0};
    bool first = true;

    while (c->depth > base) {
        unsigned level = c->depth - base - 1;
        struct str key;
        uint8_t bit;
        enum json_kind kind;
        int r = ((unsigned)is_object[level / 8] >> level % 8 & 1U) != 0
                    ? json_next_member(c, &first, &key)
                    : json_next_element(c, &first);

        if (r < 0)
            return -1;
        if (r == 0)
            continue;
        kind = json_peek(c);
        if (skip_one(c, kind) < 0)
            return -1;
        if (kind != JSON_OBJECT && kind != JSON_ARRAY)
            continue;
        first = true;
        level++;
        bit = (uint8_t)(1U << level % 8);
        is_object[level / 8] &= (uint8_t)~bit;
        if (kind == JSON_OBJECT)
            is_object[level / 8] |= bit;
    }
    return 0;
}

int
json_skip(struct json_cursor *c)
{
    const unsigned base = c->depth;
    enum json_kind kind = json_peek(c);

    if (skip_one(c, kind) < 0)
        return -1;
    if (c->depth == base)
        return 0;
    return skip_inside(c, base, kind == JSON_OBJECT);
}
