/*
 * Strings that are not NUL-terminated, and numbers read strictly.
 */
#ifndef ENVD_BASE_STR_H
#define ENVD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed range of bytes; data is NULL when the thing is absent. */
struct str {
    const char *data;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_from(const char *s); /* NULL gives the absent string */

bool str_eq(struct str a, const char *b);
bool str_eq_nocase(struct str a, const char *b); /* ASCII only */
bool str_starts(struct str s, const char *prefix);

/* Without blanks and tabs at both ends. */
struct str str_trim(struct str s);

/* Take the first line off `rest`; its newline is in neither. */
struct str str_take_line(struct str *rest);

/* A NUL-terminated copy, NULL when memory is exhausted; the caller frees. */
char *str_dup(struct str s);

/*
 * A decimal integer, the whole of `s`, with an optional sign, leading zeros
 * allowed.  Returns 0, -EINVAL when it is none, -ERANGE when it does not fit
 * (*ret is then the nearest value that does).
 */
int str_to_i64(struct str s, int64_t *ret);

/* As str_to_i64(), digits only and at most `max`. */
int str_to_u64(struct str s, uint64_t max, uint64_t *ret);

#endif
