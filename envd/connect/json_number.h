/*
 * Numbers between JSON text and C.
 */
#ifndef ENVD_CONNECT_JSON_NUMBER_H
#define ENVD_CONNECT_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define JSON_NUMBER_SIZE 32 /* bytes that json_number_format() may write */

/* The length of the number at the front of `s`; 0 when there is none. */
size_t json_number_len(const char *s, size_t len);

/*
 * The exact value of a number that is an integer in whatever notation (`1.0`,
 * `10e-1`), as sign and magnitude.
 *
 * Returns 0, or -ERANGE for a fraction or a magnitude beyond 64 bits.
 */
int json_number_integer(struct str number, bool *ret_negative,
                        uint64_t *ret_magnitude);

/*
 * Write a finite number with the fewest digits that read back as the same
 * value; no NUL is added.
 *
 * single  it came from a float: digits suffice that give back that
 *
 * Returns the characters written.
 */
size_t json_number_format(char out[static JSON_NUMBER_SIZE], double value,
                          bool single);

#endif
