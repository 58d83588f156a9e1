/*
 * The fixed words of HTTP, as tables; and dates without the C library's time
 * zones, which would be read from a disk.
 */
#include "http/message.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/rfc3339.h"
#include "base/scope.h"

#define DAY_SECONDS 86400

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {200, "OK"},
    {204, "No Content"},
    {206, "Partial Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Request Entity Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Requested Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *
http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Unknown";
}

static const struct {
    const char *name;
    enum http_method method;
} methods[] = {
    {"GET", HTTP_GET},         {"POST", HTTP_POST},   {"HEAD", HTTP_HEAD},
    {"PUT", HTTP_PUT},         {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
    {"OPTIONS", HTTP_OPTIONS},
};

enum http_method
http_method_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(name, methods[i].name))
            return methods[i].method;
    return HTTP_OTHER;
}

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Two decimal digits. */
static void
put_two(char *at, int64_t value)
{
    at[0] = (char)('0' + value / 10 % 10);
    at[1] = (char)('0' + value % 10);
}

void
http_date_format(int64_t seconds, char out[static HTTP_DATE_SIZE])
{
    static const char week[] = "MonTueWedThuFriSatSun";
    char date[RFC3339_SIZE];
    int64_t day;

    seconds = MAX(seconds, RFC3339_SECONDS_MIN); /* a Monday's first */
    seconds = MIN(seconds, RFC3339_SECONDS_MAX);
    day = (seconds - RFC3339_SECONDS_MIN) / DAY_SECONDS;
    (void)rfc3339_format(date, seconds, 0); /* 1970-01-01T00:00:00Z */
    memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", HTTP_DATE_SIZE);
    memcpy(out, week + day % 7 * 3, 3);
    memcpy(out + 5, date + 8, 2);
    memcpy(out + 8, months + ((date[5] - '0') * 10 + date[6] - '1') * 3, 3);
    memcpy(out + 12, date, 4);
    memcpy(out + 17, date + 11, 8);
}

/* Where the pieces of a date stand in one of its forms. */
struct date_form {
    const char *separators; /* `_` is of a piece, or the name of a day */
    uint8_t day, month, year, clock;
    bool short_year;
};

static const struct date_form date_forms[] = {
    {"___, __ ___ ____ __:__:__ GMT", 5, 8, 12, 17, false},
    {"__-___-__ __:__:__ GMT", 0, 3, 7, 10, true}, /* behind the comma */
    {"___ ___ __ __:__:__ ____", 8, 4, 20, 11, false},
};

/* Read a date that has a form, by way of the one that computers prefer. */
static int
read_date(const struct date_form *f, const char *s, int64_t *ret)
{
    char text[] = "2000-00-00T00:00:00Z";
    int32_t nanos;

    for (int64_t i = 0; i < 12; i++)
        if (memcmp(s + f->month, months + 3 * i, 3) == 0)
            put_two(text + 5, i + 1);
    if (f->short_year) {
        memcpy(text, s[f->year] >= '7' ? "19" : "20", 2);
        memcpy(text + 2, s + f->year, 2);
    } else {
        memcpy(text, s + f->year, 4);
    }
    memcpy(text + 8, s + f->day, 2);
    if (text[8] == ' ')
        text[8] = '0';
    memcpy(text + 11, s + f->clock, 8);
    return rfc3339_parse(str_from(text), ret, &nanos);
}

static bool
has_form(struct str s, const char *separators)
{
    if (s.len != strlen(separators))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (separators[i] != '_' && separators[i] != s.data[i])
            return false;
    return true;
}

int
http_date_parse(struct str s, int64_t *ret_seconds)
{
    const char *comma = s.len > 0 ? memchr(s.data, ',', s.len) : NULL;
    struct str rest = s;

    if (comma != NULL && comma + 2 <= s.data + s.len)
        rest = (struct str){comma + 2, s.len - (size_t)(comma + 2 - s.data)};
    for (size_t i = 0; i < ARRAY_LEN(date_forms); i++) {
        const struct date_form *f = &date_forms[i];
        struct str at = f->short_year ? rest : s;

        if (has_form(at, f->separators))
            return read_date(f, at.data, ret_seconds);
    }
    return -EINVAL;
}

const char *
http_clock_text(struct http_clock *clock)
{
    int64_t now = (int64_t)time(NULL);

    if (now != clock->second || clock->text[0] == '\0') {
        clock->second = now;
        http_date_format(now, clock->text);
    }
    return clock->text;
}
