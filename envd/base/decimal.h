/*
 * Decimal fractions as binary ones, and back.
 */
#ifndef ENVD_BASE_DECIMAL_H
#define ENVD_BASE_DECIMAL_H

#include <stdbool.h>

#include "base/str.h"

/*
 * The double nearest to a decimal number, ties to even: a sign, digits with or
 * without a point, an exponent; the whole of `s`.
 *
 * single  the nearest float instead, as a double
 *
 * Returns 0 (tiny numbers are then a subnormal or zero), -EINVAL when it is no
 * number, -ERANGE with an infinite *ret when it is too large.
 * Context: any.  Rule: IEEE 754, roundTiesToEven.
 */
int decimal_read(struct str s, bool single, double *ret);

/*
 * The digits of a double, rounded to so many, ties to even: what printf("%.*e")
 * prints without point and exponent.
 *
 * value         finite, not negative
 * digits        1 to 17
 * ret           that many characters, without a NUL
 * ret_exponent  ten's exponent of the first digit
 *
 * Context: any.
 */
void decimal_write(double value, int digits, char *ret, int *ret_exponent);

#endif
