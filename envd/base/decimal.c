/*
 * Decimal to binary and back by long division of big integers: exact, small,
 * and slower by far than the C library's strtod() and printf(), which would
 * weigh more than all of connect/json_read.c.  No message of ours has a field
 * for it to be slow at.
 */
#include "base/decimal.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "base/scope.h"

/* 767 digits tell every number from the middle between two doubles. */
#define DIGITS_MAX   800
#define EXPONENT_MAX 1000000000L
/* The values of ten's exponents beyond which all is infinite, or zero. */
#define POINT_MAX 310
#define POINT_MIN (-330)

/* Room for 10^(DIGITS_MAX - POINT_MIN), which has 3754 bits, doubled. */
#define LIMBS     120
#define LIMB_BITS 32

struct big {
    uint32_t limb[LIMBS];
    int count; /* none of it above is zero */
};

/* What a text says: digits × 10^exponent. */
struct decimal {
    struct big value;
    long exponent;
    int digits; /* in value, from the first that is not zero */
    bool negative;
};

static void
big_scale(struct big *b, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;

    for (int i = 0; i < b->count; i++) {
        carry += (uint64_t)b->limb[i] * factor;
        b->limb[i] = (uint32_t)carry;
        carry >>= LIMB_BITS;
    }
    if (carry != 0)
        b->limb[b->count++] = (uint32_t)carry;
}

static void
big_shift(struct big *b, int bits)
{
    int limbs = bits / LIMB_BITS;

    if (limbs > 0) {
        for (int i = b->count; i-- > 0;)
            b->limb[i + limbs] = b->limb[i];
        for (int i = 0; i < limbs; i++)
            b->limb[i] = 0;
        b->count += limbs;
    }
    big_scale(b, 1U << bits % LIMB_BITS, 0);
}

static int
big_bits(const struct big *b)
{
    return b->count * LIMB_BITS - __builtin_clz(b->limb[b->count - 1]);
}

static int
big_compare(const struct big *a, const struct big *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (int i = a->count; i-- > 0;)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* a -= b, which is not larger. */
static void
big_subtract(struct big *a, const struct big *b)
{
    uint32_t borrow = 0;

    for (int i = 0; i < a->count; i++) {
        uint64_t less = (uint64_t)(i < b->count ? b->limb[i] : 0) + borrow;

        borrow = a->limb[i] < less;
        a->limb[i] -= (uint32_t)less;
    }
    while (a->count > 0 && a->limb[a->count - 1] == 0)
        a->count--;
}

static size_t
read_exponent(struct str s, size_t i, long *ret)
{
    bool negative = i < s.len && s.data[i] == '-';
    long value = 0;

    if (i < s.len && (s.data[i] == '-' || s.data[i] == '+'))
        i++;
    if (i == s.len)
        return 0;
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++)
        value = MIN(value * 10 + (s.data[i] - '0'), EXPONENT_MAX);
    *ret = negative ? -value : value;
    return i;
}

/* Read digits and point; gives where they end, 0 when there is no digit. */
static size_t
read_digits(struct str s, size_t i, struct decimal *d)
{
    bool point = false;
    bool any = false;
    bool more = false; /* something was cut off that is not zero */

    for (; i < s.len; i++) {
        char c = s.data[i];

        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        any = true;
        d->exponent -= point;
        if (d->digits == DIGITS_MAX) {
            more = more || c != '0';
            d->exponent++;
        } else if (d->digits > 0 || c != '0') {
            big_scale(&d->value, 10, (uint32_t)(c - '0'));
            d->digits++;
        }
    }
    if (more)
        d->value.limb[0] |= 1; /* the last digit is beyond any tie's */
    return any ? i : 0;
}

/* numerator / denominator, rounded to `bits` bits or to 2^least. */
static double
divide(struct big *numerator, struct big *denominator, int bits, int least)
{
    int size = big_bits(numerator) - big_bits(denominator); /* or one less */
    uint64_t quotient = 0;
    int unit, shift, order;

    if (size < 0) {
        big_shift(numerator, -size);
    } else {
        big_shift(denominator, size);
    }
    if (big_compare(numerator, denominator) < 0) {
        big_scale(numerator, 2, 0);
        size--;
    }
    /* Now 2^size <= the value < 2^(size + 1); one bit comes from each turn. */
    unit = MAX(size - bits + 1, least);
    for (shift = size - unit; shift >= 0; shift--) {
        quotient *= 2;
        if (big_compare(numerator, denominator) >= 0) {
            big_subtract(numerator, denominator);
            quotient |= 1;
        }
        big_scale(numerator, 2, 0);
    }
    /* The doubled rest tells the half; far below `least` there is none. */
    order = size < unit - 1 ? -1 : big_compare(numerator, denominator);
    if (order > 0 || (order == 0 && (quotient & 1) != 0))
        quotient++;
    return ldexp((double)quotient, unit);
}

int
decimal_read(struct str s, bool single, double *ret)
{
    struct decimal d = {0};
    struct big ten = {.limb = {1}, .count = 1};
    long exponent = 0;
    size_t i = s.len > 0 && (s.data[0] == '-' || s.data[0] == '+') ? 1 : 0;
    double value = 0;

    d.negative = i == 1 && s.data[0] == '-';
    i = read_digits(s, i, &d);
    if (i == 0)
        return -EINVAL;
    if (i < s.len && (s.data[i] | 32) == 'e')
        i = read_exponent(s, i + 1, &exponent);
    if (i != s.len)
        return -EINVAL;
    d.exponent += exponent;

    if (d.digits > 0 && d.digits + d.exponent > POINT_MAX) {
        value = INFINITY;
    } else if (d.digits > 0 && d.digits + d.exponent > POINT_MIN) {
        for (; d.exponent > 0; d.exponent--)
            big_scale(&d.value, 10, 0);
        for (; d.exponent < 0; d.exponent++)
            big_scale(&ten, 10, 0);
        value = single ? divide(&d.value, &ten, FLT_MANT_DIG,
                                FLT_MIN_EXP - FLT_MANT_DIG)
                       : divide(&d.value, &ten, DBL_MANT_DIG,
                                DBL_MIN_EXP - DBL_MANT_DIG);
        if (single && value > (double)FLT_MAX)
            value = INFINITY;
    }
    *ret = d.negative ? -value : value;
    return isinf(value) ? -ERANGE : 0;
}

/* Which of ten's digits numerator / denominator, below ten, has; and the rest.
 */
static int
take_digit(struct big *numerator, const struct big *denominator)
{
    int digit = 0;

    while (big_compare(numerator, denominator) >= 0) {
        big_subtract(numerator, denominator);
        digit++;
    }
    return digit;
}

/* Add one to the last digit.  Returns whether it became a power of ten. */
static bool
round_up(char *text, int digits)
{
    int i = digits - 1;

    while (i >= 0 && text[i] == '9')
        text[i--] = '0';
    if (i >= 0)
        text[i]++;
    else
        text[0] = '1';
    return i < 0;
}

void
decimal_write(double value, int digits, char *ret, int *ret_exponent)
{
    struct big numerator = {.count = 2};
    struct big denominator = {.limb = {1}, .count = 1};
    int two, ten, order;
    uint64_t mantissa = (uint64_t)ldexp(frexp(value, &two), DBL_MANT_DIG);

    if (mantissa == 0) {
        for (int i = 0; i < digits; i++)
            ret[i] = '0';
        *ret_exponent = 0;
        return;
    }
    /* Ten's exponent, to one: 1233 / 4096 is the logarithm of two. */
    ten = (two - 1) * 1233 >> 12;
    numerator.limb[0] = (uint32_t)mantissa;
    numerator.limb[1] = (uint32_t)(mantissa >> LIMB_BITS);
    two -= DBL_MANT_DIG;
    big_shift(two > 0 ? &numerator : &denominator, two > 0 ? two : -two);
    for (int i = 0; i < ten; i++)
        big_scale(&denominator, 10, 0);
    for (int i = ten; i < 0; i++)
        big_scale(&numerator, 10, 0);
    if (big_compare(&numerator, &denominator) < 0) {
        big_scale(&numerator, 10, 0);
        ten--;
    }
    big_scale(&denominator, 10, 0);
    if (big_compare(&numerator, &denominator) < 0)
        big_scale(&numerator, 10, 0);
    else
        ten++;

    for (int i = 0; i < digits; i++) {
        ret[i] = (char)('0' + take_digit(&numerator, &denominator));
        big_scale(&numerator, 10, 0);
    }
    /* Ten times the rest against five times the whole. */
    big_scale(&denominator, 5, 0);
    order = big_compare(&numerator, &denominator);
    if (order > 0 || (order == 0 && (ret[digits - 1] & 1) != 0))
        ten += round_up(ret, digits);
    *ret_exponent = ten;
}
