/*
 * Points in time as text, by the proleptic Gregorian calendar.
 */
#include "base/rfc3339.h"

#include <errno.h>

#define DAY_SECONDS  86400
#define NANOS        1000000000
#define FRACTION_MAX 9
#define ERA_DAYS     146097 /* 400 years */
#define EPOCH_DAYS   719468 /* from 0000-03-01 to 1970-01-01 */

struct civil {
    int64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;   /* 1 to 31 */
};

/*
 * Days since the epoch; years begin in March here, so that the leap day is
 * the last of its year.
 */
static int64_t
days_from_civil(struct civil c)
{
    int64_t year = c.month <= 2 ? c.year - 1 : c.year;
    int64_t era = year / 400; /* years are positive */
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year =
        (153 * ((int64_t)c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;

    return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 -
           year_of_era / 100 + day_of_year - EPOCH_DAYS;
}

static struct civil
civil_from_days(int64_t days)
{
    int64_t shifted = days + EPOCH_DAYS; /* positive from year 1 on */
    int64_t era = shifted / ERA_DAYS;
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                           day_of_era / 146096) /
                          365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* March is 0 */
    int64_t year = year_of_era + era * 400 + (month >= 10 ? 1 : 0);

    return (struct civil){
        .year = year,
        .month = (unsigned)(month >= 10 ? month - 9 : month + 3),
        .day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1),
    };
}

static unsigned
days_in_month(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                         31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

/* Take `count` digits from the front, at most `max`; -1 if they are none. */
static int
take_number(struct str *s, size_t count, int max)
{
    int value = 0;

    if (s->len < count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (s->data[i] < '0' || s->data[i] > '9')
            return -1;
        value = value * 10 + (s->data[i] - '0');
    }
    s->data += count;
    s->len -= count;
    return value <= max ? value : -1;
}

static bool
take_char(struct str *s, char c)
{
    if (s->len == 0 || s->data[0] != c)
        return false;
    s->data++;
    s->len--;
    return true;
}

/* Take HH:MM and give minutes, or -1. */
static int
take_clock(struct str *s)
{
    int hour = take_number(s, 2, 23);
    int minute = take_char(s, ':') ? take_number(s, 2, 59) : -1;

    return hour < 0 || minute < 0 ? -1 : hour * 60 + minute;
}

/* Take an optional fraction and give nanoseconds, or -1. */
static int32_t
take_fraction(struct str *s)
{
    int32_t nanos = 0;
    int digits = 0;

    if (!take_char(s, '.'))
        return 0;
    while (s->len > 0 && s->data[0] >= '0' && s->data[0] <= '9') {
        if (++digits > FRACTION_MAX)
            return -1;
        nanos = nanos * 10 + (s->data[0] - '0');
        s->data++;
        s->len--;
    }
    if (digits == 0)
        return -1;
    while (digits++ < FRACTION_MAX)
        nanos *= 10;
    return nanos;
}

/* Take Z or ±HH:MM, the last of the text; false if it is neither. */
static bool
take_zone(struct str *s, int *ret_minutes)
{
    bool west = s->len > 0 && s->data[0] == '-';

    *ret_minutes = 0;
    if (take_char(s, 'Z'))
        return s->len == 0;
    if (!take_char(s, '+') && !take_char(s, '-'))
        return false;
    *ret_minutes = take_clock(s);
    if (*ret_minutes < 0 || s->len != 0)
        return false;
    if (west)
        *ret_minutes = -*ret_minutes;
    return true;
}

int
rfc3339_parse(struct str text, int64_t *ret_seconds, int32_t *ret_nanos)
{
    int year = take_number(&text, 4, 9999);
    int month = take_char(&text, '-') ? take_number(&text, 2, 12) : -1;
    int day = take_char(&text, '-') ? take_number(&text, 2, 31) : -1;
    int minutes = take_char(&text, 'T') ? take_clock(&text) : -1;
    int second = take_char(&text, ':') ? take_number(&text, 2, 59) : -1;
    int32_t nanos = take_fraction(&text);
    int64_t seconds;
    int zone;

    if (year < 1 || month < 1 || day < 1 || minutes < 0 || second < 0 ||
        nanos < 0 || !take_zone(&text, &zone) ||
        (unsigned)day > days_in_month(year, (unsigned)month))
        return -EINVAL;
    seconds =
        days_from_civil((struct civil){
            .year = year, .month = (unsigned)month, .day = (unsigned)day}) *
            DAY_SECONDS +
        ((int64_t)minutes - zone) * 60 + second;
    if (seconds < RFC3339_SECONDS_MIN || seconds > RFC3339_SECONDS_MAX)
        return -EINVAL;
    *ret_seconds = seconds;
    *ret_nanos = nanos;
    return 0;
}

static char *
put_number(char *p, int64_t value, size_t digits)
{
    for (size_t i = digits; i > 0; i--) {
        p[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return p + digits;
}

int
rfc3339_format(char out[static RFC3339_SIZE], int64_t seconds, int32_t nanos)
{
    int64_t days, clock;
    struct civil c;
    char *p = out;

    if (seconds < RFC3339_SECONDS_MIN || seconds > RFC3339_SECONDS_MAX ||
        nanos < 0 || nanos >= NANOS)
        return -ERANGE;
    clock = seconds % DAY_SECONDS;
    if (clock < 0)
        clock += DAY_SECONDS;
    days = (seconds - clock) / DAY_SECONDS;
    c = civil_from_days(days);

    p = put_number(p, c.year, 4);
    *p++ = '-';
    p = put_number(p, c.month, 2);
    *p++ = '-';
    p = put_number(p, c.day, 2);
    *p++ = 'T';
    p = put_number(p, clock / 3600, 2);
    *p++ = ':';
    p = put_number(p, clock / 60 % 60, 2);
    *p++ = ':';
    p = put_number(p, clock % 60, 2);
    if (nanos != 0) {
        size_t digits = FRACTION_MAX;

        while (nanos % 1000 == 0) {
            nanos /= 1000;
            digits -= 3;
        }
        *p++ = '.';
        p = put_number(p, nanos, digits);
    }
    *p++ = 'Z';
    return (int)(p - out);
}
