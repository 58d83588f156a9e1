/*
 * Records of pax headers: `LENGTH KEY=VALUE\n`, the length counting all of it.
 */
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "filesystem/tar.h"

#define NANOS_DIGITS 9

/* ---- reading ------------------------------------------------------------- */

/* Seconds with an optional fraction, of which digits beyond nine are cut. */
static bool
parse_time(struct str s, struct timespec *ret)
{
    const char *dot = memchr(s.data, '.', s.len);
    struct str whole = {s.data, dot != NULL ? (size_t)(dot - s.data) : s.len};
    bool negative = s.len > 0 && s.data[0] == '-';
    int64_t seconds;
    long nanos = 0;

    if (str_to_i64(whole, &seconds) < 0)
        return false;
    for (size_t i = 0; dot != NULL && i < NANOS_DIGITS; i++) {
        size_t at = whole.len + 1 + i;
        int c = at < s.len ? s.data[at] : '0';

        if (c < '0' || c > '9')
            return false;
        nanos = nanos * 10 + (c - '0');
    }
    if (negative && nanos > 0) {
        if (ckd_sub(&seconds, seconds, 1))
            return false;
        nanos = 1000000000 - nanos;
    }
    *ret = (struct timespec){.tv_sec = seconds, .tv_nsec = nanos};
    return true;
}

/* An empty value takes back what was said before. */
static const char *
take_string(struct str value, struct str *ret)
{
    if (memchr(value.data, '\0', value.len) != NULL)
        return "a pax record holds a NUL byte";
    *ret = value.len > 0 ? value : (struct str){0};
    return NULL;
}

static const char *
take_number(struct str value, uint64_t max, bool *ret_has, uint64_t *ret)
{
    *ret_has = value.len > 0;
    if (value.len > 0 && str_to_u64(value, max, ret) < 0)
        return "a pax record holds a bad number";
    return NULL;
}

static const char *
take_record(struct str key, struct str value, struct tar_pax *pax)
{
    if (str_eq(key, "path"))
        return take_string(value, &pax->path);
    if (str_eq(key, "linkpath"))
        return take_string(value, &pax->link);
    if (str_eq(key, "uid"))
        return take_number(value, UINT64_MAX, &pax->has_uid, &pax->uid);
    if (str_eq(key, "gid"))
        return take_number(value, UINT64_MAX, &pax->has_gid, &pax->gid);
    if (str_eq(key, "size")) {
        uint64_t size = 0;
        const char *fault =
            take_number(value, INT64_MAX, &pax->has_size, &size);

        pax->size = (int64_t)size;
        return fault;
    }
    if (str_eq(key, "mtime")) {
        pax->has_mtime = value.len > 0;
        return value.len == 0 || parse_time(value, &pax->mtime)
                   ? NULL
                   : "a pax record holds a bad time";
    }
    /* Their content is not what is to be written. */
    if (str_starts(key, "GNU.sparse."))
        return "sparse members are not supported";
    return NULL;
}

const char *
tar_pax_read(struct str records, struct tar_pax *pax)
{
    static const char malformed[] = "malformed pax records";

    while (records.len > 0) {
        const char *blank = memchr(records.data, ' ', records.len);
        const char *equals;
        const char *fault;
        const char *end;
        struct str length = {records.data, 0};
        uint64_t len;

        if (blank == NULL)
            return malformed;
        length.len = (size_t)(blank - records.data);
        if (str_to_u64(length, records.len, &len) < 0 || len < length.len + 3)
            return malformed;
        end = records.data + len - 1;
        equals = memchr(blank, '=', (size_t)(end - blank));
        if (*end != '\n' || equals == NULL)
            return malformed;
        fault = take_record(
            (struct str){blank + 1, (size_t)(equals - blank - 1)},
            (struct str){equals + 1, (size_t)(end - equals - 1)}, pax);
        if (fault != NULL)
            return fault;
        records.data += len;
        records.len -= len;
    }
    return NULL;
}

/* ---- writing ------------------------------------------------------------- */

static size_t
digits_of(size_t value)
{
    size_t digits = 1;

    while (value >= 10) {
        value /= 10;
        digits++;
    }
    return digits;
}

void
tar_pax_append(struct buf *out, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3; /* ` `, `=`, `\n` */
    size_t len = rest + digits_of(rest);

    /* The length may be one digit longer with itself. */
    len = rest + digits_of(len);
    buf_append_u64(out, len);
    buf_append_byte(out, ' ');
    buf_append_str(out, key);
    buf_append_byte(out, '=');
    buf_append_str(out, value);
    buf_append_byte(out, '\n');
}
