/*
 * The fixed words of HTTP: reason phrases, methods, dates.
 */
#ifndef ENVD_HTTP_MESSAGE_H
#define ENVD_HTTP_MESSAGE_H

#include <stdint.h>

#include "base/str.h"
#include "http/exchange.h"

/* The reason phrase of a status, as "Not Found"; static, never NULL. */
const char *http_status_text(int status);

/* HTTP_OTHER for names that nobody here answers. */
enum http_method http_method_find(struct str name);

/* Bytes of a date in text, with its NUL. */
#define HTTP_DATE_SIZE 30

/*
 * Write seconds since 1970 (of the years 1 to 9999, else clamped) as
 * "Sun, 06 Nov 1994 08:49:37 GMT".  Rule: RFC 9110, IMF-fixdate.
 */
void http_date_format(int64_t seconds, char out[static HTTP_DATE_SIZE]);

/*
 * Read a date in one of the three forms that clients may send; the day of the
 * week is not looked at.  Returns 0 or -EINVAL.  Rule: RFC 9110, 5.6.7.
 */
int http_date_parse(struct str s, int64_t *ret_seconds);

/* The text of the present second, formatted once in it. */
struct http_clock {
    int64_t second;
    char text[HTTP_DATE_SIZE];
};

/* Now, as http_date_format(); valid until the next call.  Context: loop. */
const char *http_clock_text(struct http_clock *clock);

#endif
