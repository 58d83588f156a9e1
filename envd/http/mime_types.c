/*
 * Tables of content types: names and types in one block of memory, and an
 * index sorted by name.
 */
#include "http/mime_types.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "http/content.h"
#include "limits.h"

static const char *const pattern_files[] = {
    "/usr/local/share/mime/globs2",
    "/usr/share/mime/globs2",
};

static const char *const list_files[] = {
    "/etc/mime.types",
    "/etc/apache2/mime.types",
    "/etc/apache/mime.types",
    "/etc/httpd/conf/mime.types",
};

/* One extension: where its name stands in the text, its type behind that. */
struct mime_types {
    struct buf text;
    struct buf index; /* of const char *, sorted, each name once */
    bool overrides;
};

static const char **
names(const struct mime_types *t)
{
    return (const char **)(void *)buf_data(&t->index);
}

static size_t
name_count(const struct mime_types *t)
{
    return t->index.len / sizeof(const char *);
}

/* ---- reading ------------------------------------------------------------- */

/* Whether it is `token/token`, perhaps with parameters. */
static bool
is_type(struct str s)
{
    size_t slash = 0;
    size_t len = 0;

    for (; len < s.len && s.data[len] != ';'; len++) {
        if (s.data[len] == '/')
            slash = slash == 0 ? len : s.len;
        else if (!content_is_token(s.data[len]))
            return false;
    }
    for (size_t i = len; i < s.len; i++)
        if (s.data[i] < ' ' || s.data[i] > '~')
            return false;
    return slash > 0 && slash + 1 < len;
}

/* Add one extension; the order in the text is the order in which they came. */
static void
add(struct mime_types *t, struct str name, struct str type)
{
    if (name.len == 0 || name.len >= CONTENT_EXTENSION_SIZE || !is_type(type))
        return;
    buf_append(&t->text, name.data, name.len);
    buf_append_byte(&t->text, '\0');
    buf_append(&t->text, type.data, type.len);
    if (str_starts(type, "text/") && memchr(type.data, ';', type.len) == NULL)
        buf_append_str(&t->text, "; charset=utf-8");
    buf_append_byte(&t->text, '\0');
}

/* Take what stands before `c`, or all there is. */
static struct str
take_until(struct str *s, char c)
{
    const char *end = s->len > 0 ? memchr(s->data, c, s->len) : NULL;
    struct str head = *s;

    if (end == NULL) {
        *s = (struct str){0};
    } else {
        head.len = (size_t)(end - head.data);
        *s = (struct str){end + 1, s->len - head.len - 1};
    }
    return head;
}

/* `weight:type:*.extension`, perhaps followed by more. */
static void
add_pattern(struct mime_types *t, struct str line)
{
    struct str weight = take_until(&line, ':');
    struct str type = take_until(&line, ':');
    struct str pattern = take_until(&line, ':');

    if (weight.len == 0 || *weight.data == '#' || pattern.len < 3 ||
        !str_starts(pattern, "*."))
        return;
    pattern.data += 2;
    pattern.len -= 2;
    for (size_t i = 0; i < pattern.len; i++)
        if (strchr("?*[", pattern.data[i]) != NULL) /* or a NUL */
            return;
    add(t, pattern, type);
}

/* `type extension extension … # remark` */
static void
add_list(struct mime_types *t, struct str line)
{
    struct str type = {0};

    for (size_t i = 0; i < line.len;) {
        struct str word = {line.data + i, 0};

        while (i + word.len < line.len &&
               strchr(" \t\r\f\v", word.data[word.len]) == NULL)
            word.len++;
        i += word.len + 1;
        if (word.len == 0)
            continue;
        if (*word.data == '#')
            return;
        if (type.data == NULL)
            type = word;
        else
            add(t, word, type);
    }
}

/* ---- the index ----------------------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
    const char *x = *(const char *const *)a;
    const char *y = *(const char *const *)b;
    int r = strcmp(x, y);

    return r != 0 ? r : (x > y) - (x < y);
}

/* Of equal names the first pattern counts, and the last in a list. */
static void
drop_repetitions(struct mime_types *t)
{
    const char **list = names(t);
    size_t count = name_count(t);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        bool again = kept > 0 && strcmp(list[kept - 1], list[i]) == 0;

        if (!again)
            list[kept++] = list[i];
        else if (t->overrides)
            list[kept - 1] = list[i];
    }
    buf_truncate(&t->index, kept * sizeof(*list));
}

static void
make_index(struct mime_types *t)
{
    const char *at;
    const char *end;

    if (t->text.len == 0)
        return;
    at = (const char *)buf_data(&t->text);
    end = at + t->text.len;
    while (at < end) {
        buf_append(&t->index, &at, sizeof(at));
        at += strlen(at) + 1; /* its name */
        at += strlen(at) + 1; /* its type */
    }
    if (t->index.failed || t->index.len == 0)
        return;
    qsort(names(t), name_count(t), sizeof(const char *), compare_names);
    drop_repetitions(t);
}

struct mime_types *
mime_types_parse(struct str text, bool lists)
{
    struct mime_types *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->overrides = lists;
    while (text.len > 0) {
        struct str line = take_until(&text, '\n');

        if (lists)
            add_list(t, line);
        else
            add_pattern(t, line);
    }
    make_index(t);
    if (t->text.failed || t->index.failed) {
        mime_types_free(t);
        return NULL;
    }
    return t;
}

/* Append a file and a newline; false when it cannot be read. */
static bool
read_table(const char *root, const char *name, struct buf *out)
{
    SCOPE(scope_free) char *content = NULL;
    char path[4096];
    size_t len;

    (void)snprintf(path, sizeof(path), "%s%s", root, name);
    if (fd_read_file(path, LIMIT_TYPES_FILE_BYTES, &content, &len) < 0)
        return false;
    buf_append(out, content, len);
    buf_append_byte(out, '\n');
    return true;
}

struct mime_types *
mime_types_read(const char *root)
{
    SCOPE(buf_done) struct buf text = {0};
    struct str all = {0};
    bool found = false;

    for (size_t i = 0; i < ARRAY_LEN(pattern_files) && !found; i++)
        found = read_table(root, pattern_files[i], &text);
    for (size_t i = 0; i < ARRAY_LEN(list_files) && !found; i++)
        (void)read_table(root, list_files[i], &text);
    if (text.failed)
        return NULL;
    if (text.len > 0)
        all = (struct str){(const char *)buf_data(&text), text.len};
    return mime_types_parse(all, /* lists= */ !found);
}

void
mime_types_free(struct mime_types *t)
{
    if (t == NULL)
        return;
    buf_done(&t->text);
    buf_done(&t->index);
    free(t);
}

/* ---- looking up ---------------------------------------------------------- */

static int
compare_name(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static const char *
find(const struct mime_types *t, const char *extension)
{
    const char *const *found;

    if (t == NULL || t->index.len == 0)
        return NULL;
    found = bsearch(extension, names(t), name_count(t), sizeof(const char *),
                    compare_name);
    return found != NULL ? *found + strlen(*found) + 1 : NULL;
}

const char *
mime_types_find(const struct mime_types *t, struct str path)
{
    bool overrides = t != NULL && t->overrides;
    char exact[CONTENT_EXTENSION_SIZE];
    char lower[CONTENT_EXTENSION_SIZE];
    const char *type = NULL;

    if (!content_extension(path, exact))
        return NULL;
    for (size_t i = 0; i <= strlen(exact); i++)
        lower[i] = (char)(exact[i] >= 'A' && exact[i] <= 'Z' ? exact[i] + 32
                                                             : exact[i]);
    /* What everybody knows has lower-case names only. */
    if (overrides || strcmp(exact, lower) != 0)
        type = find(t, exact);
    if (type == NULL && overrides)
        type = find(t, lower);
    if (type == NULL)
        type = content_type_by_extension(lower);
    return type != NULL ? type : find(t, lower);
}
