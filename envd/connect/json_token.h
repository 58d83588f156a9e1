/*
 * A strict pull reader of JSON text: the caller asks for what it expects next,
 * nothing is kept but the position.
 *
 * Every function that fails sets the status: invalid_argument with the byte
 * offset, or resource_exhausted for nesting beyond LIMIT_RPC_NESTING.
 *
 * Rule: RFC 8259, with valid UTF-8 and whole surrogate pairs.  Context: any.
 */
#ifndef ENVD_CONNECT_JSON_TOKEN_H
#define ENVD_CONNECT_JSON_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/str.h"

struct json_cursor {
    char *text; /* strings are unescaped in place */
    size_t len;
    size_t pos;
    unsigned depth; /* arrays and objects around `pos` */
    struct status *st;
    /*
     * Look, but do not touch: strings are checked and given as they stand,
     * escapes and all, so that the text can be read once more.
     */
    bool untouched;
};

enum json_kind {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_NO_VALUE, /* the end, or something that begins no value */
};

/* Skip blanks and say by its first byte what the next value is. */
enum json_kind json_peek(struct json_cursor *c);

/*
 * Begin an object or array: JSON_OBJECT or JSON_ARRAY, which json_peek() has
 * seen.  Returns 0 or -1.
 */
int json_enter(struct json_cursor *c);

/*
 * Go to the next member: read its key and the colon.
 * first  true before the first call for an object, which sets it to false
 *
 * Returns 1 with *ret_key set (in the text); 0 when the object ended, which is
 * then left; -1.
 */
int json_next_member(struct json_cursor *c, bool *first, struct str *ret_key);

/* Go to the next element of an array; as json_next_member(). */
int json_next_element(struct json_cursor *c, bool *first);

/*
 * Read a string.  It lies in the text, NUL-terminated unless `untouched`, and
 * holds UTF8_NUL for \u0000.  Returns 0 or -1.
 */
int json_string(struct json_cursor *c, struct str *ret);

/* Read a number as it stands.  Returns 0 or -1. */
int json_number(struct json_cursor *c, struct str *ret);

/* Read `true`, `false` or `null`, as json_peek() announced.  0 or -1. */
int json_literal(struct json_cursor *c, enum json_kind kind);

/* Read over one value, whatever it is.  Returns 0 or -1. */
int json_skip(struct json_cursor *c);

/* Check that nothing but blanks follows.  Returns 0 or -1. */
int json_end(struct json_cursor *c);

/*
 * Fail at `offset`: the status becomes `syntax error (offset N): …` for what
 * is not JSON, `(offset N): …` for JSON that is not what was expected.
 * Both return -1.
 */
int json_syntax_error(struct json_cursor *c, size_t offset, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));
int json_value_error(struct json_cursor *c, size_t offset, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));

/* Fail at the current position, naming what stands there.  Returns -1. */
int json_unexpected(struct json_cursor *c);

#endif
