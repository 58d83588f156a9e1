/*
 * A type with parameters, as tolerant as the clients of the contract need:
 * duplicates that agree, a trailing semicolon, continuations and charsets.
 */
#include "http/media_type.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "http/content.h"
#include "http/query.h"

static struct str
skip_space(struct str s)
{
    while (s.len > 0 && strchr(" \t\n\v\f\r", *s.data) != NULL &&
           *s.data != '\0') {
        s.data++;
        s.len--;
    }
    return s;
}

static struct str
advance(struct str s, size_t len)
{
    return (struct str){s.data + len, s.len - len};
}

static size_t
token_len(struct str s)
{
    size_t len = 0;

    while (len < s.len && content_is_token(s.data[len]))
        len++;
    return len;
}

/* Append the lower-case form of `len` bytes to the memory at *out. */
static struct str
put_lower(char **out, const char *s, size_t len)
{
    struct str r = {*out, len};

    for (size_t i = 0; i < len; i++)
        *(*out)++ = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
    return r;
}

/* `token` or `token/token`, and blanks up to the first `;` or the end. */
static int
take_type(struct str *s, char **out, struct str *ret)
{
    const char *semicolon = memchr(s->data, ';', s->len);
    struct str base = {
        s->data, semicolon != NULL ? (size_t)(semicolon - s->data) : s->len};
    size_t len;

    *s = advance(*s, base.len);
    base = skip_space(base);
    len = token_len(base);
    if (len == 0)
        return -EINVAL;
    if (len < base.len && base.data[len] == '/') {
        size_t sub_len = token_len(advance(base, len + 1));

        if (sub_len == 0)
            return -EINVAL;
        len += 1 + sub_len;
    }
    if (skip_space(advance(base, len)).len > 0)
        return -EINVAL;
    *ret = put_lower(out, base.data, len);
    return 0;
}

/* Unquote the quoted string at the front of *s; false when it has no end. */
static bool
take_quoted(struct str *s, char **out, struct str *ret)
{
    char *begin = *out;

    for (size_t i = 1; i < s->len; i++) {
        char c = s->data[i];

        if (c == '"') {
            *ret = (struct str){begin, (size_t)(*out - begin)};
            *s = advance(*s, i + 1);
            return true;
        }
        if (c == '\r' || c == '\n')
            break;
        if (c == '\\' && i + 1 < s->len && content_is_separator(s->data[i + 1]))
            c = s->data[++i];
        *(*out)++ = c;
    }
    return false;
}

/* `; name = value`; false when it is malformed. */
static bool
take_param(struct str *s, char **out, struct media_param *ret)
{
    size_t len;

    *s = skip_space(*s);
    if (s->len == 0 || *s->data != ';')
        return false;
    *s = skip_space(advance(*s, 1));
    len = token_len(*s);
    if (len == 0)
        return false;
    ret->name = put_lower(out, s->data, len);
    *s = skip_space(advance(*s, len));
    if (s->len == 0 || *s->data != '=')
        return false;
    *s = skip_space(advance(*s, 1));
    if (s->len > 0 && *s->data == '"')
        return take_quoted(s, out, &ret->value);
    len = token_len(*s);
    if (len == 0)
        return false;
    memcpy(*out, s->data, len);
    ret->value = (struct str){*out, len};
    *out += len;
    *s = advance(*s, len);
    return true;
}

static bool
same(struct str a, struct str b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Keep a parameter; one that came before with the same value is dropped. */
static int
add_param(struct media_type *m, const struct media_param *p)
{
    for (size_t i = 0; i < m->param_count; i++)
        if (same(m->params[i].name, p->name))
            return same(m->params[i].value, p->value) ? 0 : -EINVAL;
    if (m->param_count == MEDIA_PARAMS_MAX)
        return -EBADMSG;
    m->params[m->param_count++] = *p;
    return 0;
}

int
media_type_parse(struct str text, struct media_type *ret)
{
    char *out;
    int r;

    *ret = (struct media_type){0};
    if (text.len == 0)
        return -EINVAL;
    out = ret->mem = malloc(text.len + 1);
    if (out == NULL)
        return -ENOMEM;
    r = take_type(&text, &out, &ret->type);
    while (r == 0) {
        struct media_param p;

        text = skip_space(text);
        /* A semicolon that ends the value is no parameter. */
        if (text.len == 0 ||
            (*text.data == ';' && skip_space(advance(text, 1)).len == 0))
            return 0;
        r = take_param(&text, &out, &p) ? add_param(ret, &p) : -EBADMSG;
    }
    ret->param_count = 0;
    if (r == -EINVAL)
        ret->type = (struct str){NULL, 0};
    return r;
}

static const struct str *
find(const struct media_type *m, const char *name)
{
    for (size_t i = 0; i < m->param_count; i++)
        if (str_eq(m->params[i].name, name))
            return &m->params[i].value;
    return NULL;
}

/* Append percent-decoded bytes; false, with nothing appended, if malformed. */
static bool
put_decoded(char **out, struct str s)
{
    size_t len;

    if (!query_unescape(s, *out, s.len, &len))
        return false;
    *out += len;
    return true;
}

/* Append `charset'language'text`; false if it is not such, or not UTF-8. */
static bool
put_charset(char **out, struct str s)
{
    const char *first = memchr(s.data, '\'', s.len);
    const char *second;
    struct str charset;

    if (first == NULL)
        return false;
    charset = (struct str){s.data, (size_t)(first - s.data)};
    if (!str_eq_nocase(charset, "utf-8") && !str_eq_nocase(charset, "us-ascii"))
        return false;
    s = advance(s, charset.len + 1);
    second = memchr(s.data, '\'', s.len);
    if (second == NULL)
        return false;
    return put_decoded(out, advance(s, (size_t)(second - s.data) + 1));
}

/* Find `name*N` or, extended, `name*N*`. */
static const struct str *
find_piece(const struct media_type *m, const char *name, unsigned int n,
           const char *suffix)
{
    char key[64];

    (void)snprintf(key, sizeof(key), "%s*%u%s", name, n, suffix);
    return find(m, key);
}

/* Append `name*0`, `name*1*`, and so on; false when there is no first one. */
static bool
put_pieces(const struct media_type *m, const char *name, char **out)
{
    for (unsigned int n = 0;; n++) {
        const struct str *plain = find_piece(m, name, n, "");
        const struct str *extended = find_piece(m, name, n, "*");

        if (plain != NULL) {
            memcpy(*out, plain->data, plain->len);
            *out += plain->len;
        } else if (extended == NULL) {
            return n > 0;
        } else if (n == 0) {
            (void)put_charset(out, *extended);
        } else {
            (void)put_decoded(out, *extended);
        }
    }
}

int
media_type_param(const struct media_type *m, const char *name, char **ret,
                 size_t *ret_len)
{
    const struct str *plain = find(m, name);
    const struct str *extended;
    size_t size = 1;
    char key[64];
    char *mem;
    char *out;
    bool found;

    for (size_t i = 0; i < m->param_count; i++)
        size += m->params[i].value.len;
    mem = malloc(size);
    if (mem == NULL)
        return -ENOMEM;
    out = mem;
    (void)snprintf(key, sizeof(key), "%s*", name);
    extended = find(m, key);
    found = extended != NULL ? put_charset(&out, *extended)
                             : put_pieces(m, name, &out);
    if (!found && plain != NULL) {
        memcpy(out, plain->data, plain->len);
        out += plain->len;
        found = true;
    }
    if (!found) {
        free(mem);
        return -ENOENT;
    }
    *out = '\0';
    *ret_len = (size_t)(out - mem);
    *ret = mem;
    return 0;
}

void
media_type_done(struct media_type *m)
{
    free(m->mem);
    *m = (struct media_type){0};
}
