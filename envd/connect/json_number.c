/*
 * Numbers: the grammar of JSON, integers without rounding, shortest digits.
 */
#include "connect/json_number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "base/scope.h"

#define EXPONENT_MAX 1000000 /* beyond what any text needs that fits */
#define FIXED_MIN    (-6)    /* exponents of ten written without an exponent */
#define FIXED_MAX    20

static size_t
digits_len(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len && s[i] >= '0' && s[i] <= '9')
        i++;
    return i;
}

size_t
json_number_len(const char *s, size_t len)
{
    size_t i = len > 0 && s[0] == '-' ? 1 : 0;
    size_t whole = digits_len(s + i, len - i);

    if (whole == 0)
        return 0;
    i += s[i] == '0' ? 1 : whole;
    if (i < len && s[i] == '.') {
        size_t fraction = digits_len(s + i + 1, len - i - 1);

        if (fraction == 0)
            return 0;
        i += 1 + fraction;
    }
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        size_t sign = i + 1 < len && (s[i + 1] == '+' || s[i + 1] == '-');
        size_t exponent = digits_len(s + i + 1 + sign, len - i - 1 - sign);

        if (exponent == 0)
            return 0;
        i += 1 + sign + exponent;
    }
    return i;
}

/* What follows the `e`, cut to a range in which sums do not overflow. */
static long
parse_exponent(const char *s, size_t len)
{
    bool negative = len > 0 && s[0] == '-';
    long value = 0;

    for (size_t i = 0; i < len; i++)
        if (s[i] >= '0' && s[i] <= '9' && value < EXPONENT_MAX)
            value = value * 10 + (s[i] - '0');
    return negative ? -value : value;
}

int
json_number_integer(struct str number, bool *ret_negative,
                    uint64_t *ret_magnitude)
{
    uint64_t value = 0;
    size_t zeros = 0; /* read, but not yet part of value */
    long exponent = 0;
    bool fraction = false;
    size_t i;

    for (i = number.data[0] == '-' ? 1 : 0; i < number.len; i++) {
        char c = number.data[i];

        if (c == 'e' || c == 'E') {
            exponent += parse_exponent(number.data + i + 1, number.len - i - 1);
            break;
        }
        if (c == '.') {
            fraction = true;
            continue;
        }
        if (fraction)
            exponent--;
        zeros++;
        if (c == '0')
            continue;
        for (; zeros > 0; zeros--)
            if (ckd_mul(&value, value, 10U))
                return -ERANGE;
        if (ckd_add(&value, value, (uint64_t)(c - '0')))
            return -ERANGE;
    }
    *ret_negative = number.data[0] == '-';
    *ret_magnitude = value;
    if (value == 0)
        return 0;
    exponent += (long)zeros;
    if (exponent < 0)
        return -ERANGE;
    for (; exponent > 0; exponent--)
        if (ckd_mul(&value, value, 10U))
            return -ERANGE;
    *ret_magnitude = value;
    return 0;
}

/*
 * The fewest digits that are read back as the same number; gives how many.
 *
 * value  not negative
 */
static int
shortest(char digits[static DBL_DECIMAL_DIG], double value, bool single,
         int *ret_exponent)
{
    /* All numbers of so many digits are kept apart, but for tiny ones. */
    int least = single ? FLT_DIG : DBL_DIG;
    int most = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    char text[JSON_NUMBER_SIZE];
    double back;
    int count;

    if (value < (single ? (double)FLT_MIN : DBL_MIN))
        least = 1;
    for (count = least; count < most; count++) {
        decimal_write(value, count, digits, ret_exponent);
        (void)snprintf(text, sizeof(text), "%.*se%d", count, digits,
                       *ret_exponent - count + 1);
        if (decimal_read(str_from(text), single, &back) == 0 && back == value)
            return count;
    }
    decimal_write(value, count, digits, ret_exponent);
    return count;
}

size_t
json_number_format(char out[static JSON_NUMBER_SIZE], double value, bool single)
{
    char digits[DBL_DECIMAL_DIG];
    int exponent;
    int count = shortest(digits, fabs(value), single, &exponent);
    char *p = out;

    if (signbit(value))
        *p++ = '-';
    while (count > 1 && digits[count - 1] == '0')
        count--;

    if (exponent < FIXED_MIN || exponent > FIXED_MAX) {
        *p++ = digits[0];
        if (count > 1) {
            *p++ = '.';
            p = mempcpy(p, digits + 1, (size_t)count - 1);
        }
        p += snprintf(p, 8, "e%+d", exponent);
    } else if (exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = exponent; i < -1; i++)
            *p++ = '0';
        p = mempcpy(p, digits, (size_t)count);
    } else {
        for (int i = 0; i < count || i <= exponent; i++) {
            if (i == exponent + 1)
                *p++ = '.';
            *p++ = (char)(i < count ? digits[i] : '0');
        }
    }
    return (size_t)(p - out);
}
