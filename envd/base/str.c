/*
 * Byte ranges and strict number parsing.
 */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/scope.h"

struct str
str_from(const char *s)
{
    return (struct str){s, s != NULL ? strlen(s) : 0};
}

bool
str_eq(struct str a, const char *b)
{
    return a.data != NULL && strlen(b) == a.len &&
           memcmp(a.data, b, a.len) == 0;
}

bool
str_eq_nocase(struct str a, const char *b)
{
    return a.data != NULL && strlen(b) == a.len &&
           strncasecmp(a.data, b, a.len) == 0;
}

bool
str_starts(struct str s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.data != NULL && s.len >= len && memcmp(s.data, prefix, len) == 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str
str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct str
str_take_line(struct str *rest)
{
    const char *newline = memchr(rest->data, '\n', rest->len);
    size_t len = newline != NULL ? (size_t)(newline - rest->data) : rest->len;
    size_t taken = len + (newline != NULL ? 1 : 0);
    struct str line = {rest->data, len};

    rest->data += taken;
    rest->len -= taken;
    return line;
}

char *
str_dup(struct str s)
{
    char *copy = malloc(s.len + 1);

    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

int
str_to_u64(struct str s, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (s.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return -EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        uint64_t digit = (uint64_t)(s.data[i] - '0');

        if (ckd_mul(&value, value, 10U) || ckd_add(&value, value, digit) ||
            value > max) {
            *ret = max;
            return -ERANGE;
        }
    }
    *ret = value;
    return 0;
}

int
str_to_i64(struct str s, int64_t *ret)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    uint64_t max = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t magnitude;
    int r;

    if (s.len > 0 && (s.data[0] == '-' || s.data[0] == '+')) {
        s.data++;
        s.len--;
    }
    r = str_to_u64(s, max, &magnitude);
    if (r == -EINVAL)
        return r;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return r;
}
