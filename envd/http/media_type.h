/*
 * Values of Content-Type and Content-Disposition: a type and its parameters.
 */
#ifndef ENVD_HTTP_MEDIA_TYPE_H
#define ENVD_HTTP_MEDIA_TYPE_H

#include <stddef.h>

#include "base/str.h"

/* More parameters than this in one value are refused. */
#define MEDIA_PARAMS_MAX 32

struct media_param {
    struct str name;  /* lower case, with its `*` and `*0` as sent */
    struct str value; /* unquoted, not yet percent-decoded */
};

/* A parsed value; zero-initialise it, end it with media_type_done(). */
struct media_type {
    char *mem;       /* owned; what all strings point into */
    struct str type; /* lower case, as `text/html` or `form-data` */
    struct media_param params[MEDIA_PARAMS_MAX];
    size_t param_count;
};

/*
 * Parse a value as clients send it.  In a quoted string a backslash escapes
 * only a separator that follows, so that `C:\dir\f` keeps its meaning.
 *
 * Returns 0; -EBADMSG when the parameters are malformed (`type` is set, there
 * are no parameters); -EINVAL when there is no type or a parameter comes twice
 * with different values; -ENOMEM.  Rule: RFC 2045, RFC 2183.  Context: any.
 */
int media_type_parse(struct str text, struct media_type *ret);

/*
 * The value of a parameter: `name*` (UTF-8 or US-ASCII) or `name*0`, `name*1*`
 * and so on joined come before plain `name`.
 *
 * ret_len  bytes without the NUL behind them; the value may hold others
 *
 * Returns 0, -ENOENT or -ENOMEM; the caller frees *ret.  Rule: RFC 2231.
 */
int media_type_param(const struct media_type *m, const char *name, char **ret,
                     size_t *ret_len);

void media_type_done(struct media_type *m);

#endif
