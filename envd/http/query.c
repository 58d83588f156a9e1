/*
 * Query strings: split at `&`, decode in place, bind what is known.
 */
#include "http/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/scope.h"
#include "base/utf8.h"

/* The value of a hexadecimal digit, or -1. */
static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Whether every `%` of a pair is followed by two digits, and no `;` occurs. */
static bool
pair_is_good(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] == ';')
            return false;
        if (s[i] != '%')
            continue;
        if (len - i < 3 || hex_value(s[i + 1]) < 0 || hex_value(s[i + 2]) < 0)
            return false;
        i += 2;
    }
    return true;
}

bool
query_unescape(struct str s, char *out, size_t size, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];

        if (c == '%') {
            int high = i + 1 < s.len ? hex_value(s.data[i + 1]) : -1;
            int low = i + 2 < s.len ? hex_value(s.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (len == size)
            return false;
        out[len++] = c;
    }
    *ret_len = len;
    return true;
}

/* Decode a key or value of a good pair in place. */
static struct str
decode(char *s, size_t len)
{
    struct str r = {s, len};

    for (size_t i = 0; i < len; i++)
        if (s[i] == '+')
            s[i] = ' ';
    (void)query_unescape(r, s, len, &r.len);
    return r;
}

static void
take_pair(char *pair, size_t len, struct query_param *params, size_t count)
{
    char *equals = memchr(pair, '=', len);
    size_t key_len = equals != NULL ? (size_t)(equals - pair) : len;
    char *value = equals != NULL ? equals + 1 : pair + len;
    struct str key = decode(pair, key_len);

    for (size_t i = 0; i < count; i++) {
        if (!str_eq(key, params[i].name))
            continue;
        if (params[i].times++ == 0)
            params[i].value = decode(value, (size_t)(pair + len - value));
        return;
    }
}

/* Append one byte or character as a quoted text of a message shows it. */
static void
append_quoted(struct buf *out, const char *s, size_t len)
{
    static const char names[] = "a\ab\bf\fn\nr\rt\tv\v\"\"\\\\";
    unsigned char c = (unsigned char)*s;

    for (size_t i = 0; len == 1 && i + 1 < sizeof(names); i += 2) {
        if (names[i + 1] == *s) {
            buf_append_byte(out, '\\');
            buf_append_byte(out, (uint8_t)names[i]);
            return;
        }
    }
    if (len == 0 || c < ' ' || c == 0x7f)
        buf_appendf(out, "\\x%02x", c);
    else
        buf_append(out, s, len);
}

static int
fail_number(const struct query_param *p, const char *why, struct status *st)
{
    SCOPE(buf_done) struct buf quoted = {0};

    for (size_t i = 0; i < p->value.len;) {
        size_t len = utf8_char_len(p->value.data + i, p->value.len - i);

        append_quoted(&quoted, p->value.data + i, len);
        i += len > 0 ? len : 1;
    }
    return status_set(st, RPC_INVALID_ARGUMENT,
                      "Invalid format for parameter %s: error binding string "
                      "parameter: strconv.ParseInt: parsing \"%.*s\": %s",
                      p->name, (int)quoted.len,
                      quoted.len > 0 ? (const char *)buf_data(&quoted) : "",
                      why);
}

static int
check(struct query_param *p, struct status *st)
{
    int r;

    if (p->times > 1)
        return status_set(st, RPC_INVALID_ARGUMENT,
                          "Invalid format for parameter %s: multiple values "
                          "for single value parameter '%s'",
                          p->name, p->name);
    if (!p->is_number || p->times == 0)
        return 0;
    r = str_to_i64(p->value, &p->number);
    if (r == 0)
        return 0;
    return fail_number(
        p, r == -ERANGE ? "value out of range" : "invalid syntax", st);
}

int
query_bind(char *text, size_t len, struct query_param *params, size_t count,
           struct status *st)
{
    char *end = text + len;

    for (char *pair = text; text != NULL && pair < end;) {
        char *next = memchr(pair, '&', (size_t)(end - pair));
        size_t pair_len = (size_t)((next != NULL ? next : end) - pair);

        if (pair_len > 0 && pair_is_good(pair, pair_len))
            take_pair(pair, pair_len, params, count);
        pair += pair_len + 1;
    }
    for (size_t i = 0; i < count; i++)
        if (check(&params[i], st) < 0)
            return -1;
    return 0;
}
