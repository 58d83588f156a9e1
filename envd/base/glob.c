/*
 * Shell patterns.  The C library's fnmatch() would bring wide characters and
 * collation along, and may take exponential time; here one place to go back to
 * is enough, since only the last star can ever need to take more.
 */
#include "base/glob.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/scope.h"

static const struct {
    const char *name; /* as it stands behind "[[" */
    int (*has)(int c);
} classes[] = {
    {":alnum:]", isalnum}, {":alpha:]", isalpha}, {":blank:]", isblank},
    {":cntrl:]", iscntrl}, {":digit:]", isdigit}, {":graph:]", isgraph},
    {":lower:]", islower}, {":print:]", isprint}, {":punct:]", ispunct},
    {":space:]", isspace}, {":upper:]", isupper}, {":xdigit:]", isxdigit},
};

/* A class at `p`, which is behind its first bracket; NULL when it is none. */
static const char *
match_class(const char *p, unsigned char c, bool *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        size_t len = strlen(classes[i].name);

        if (strncmp(p, classes[i].name, len) == 0) {
            *ret = classes[i].has(c) != 0;
            return p + len;
        }
    }
    return NULL;
}

/* One byte of a set, which may be escaped; NULL at the pattern's end. */
static const char *
take_byte(const char *p, unsigned char *ret)
{
    if (*p == '\\')
        p++;
    *ret = (unsigned char)*p;
    return *p != '\0' ? p + 1 : NULL;
}

/*
 * The set at `p`, which is behind its bracket.  Gives what follows it, NULL
 * when it has no end and the bracket stands for itself.
 */
static const char *
match_set(const char *p, unsigned char c, bool *ret)
{
    bool negated = *p == '!' || *p == '^';
    bool found = false;

    if (negated)
        p++;
    for (bool first = true; first || *p != ']'; first = false) {
        unsigned char low, high;
        const char *after = NULL;
        bool in_class = false;

        if (p[0] == '[')
            after = match_class(p + 1, c, &in_class);
        if (after != NULL) {
            found = found || in_class;
            p = after;
            continue;
        }
        p = take_byte(p, &low);
        if (p == NULL)
            return NULL;
        high = low;
        if (p[0] == '-' && p[1] != ']') {
            p = take_byte(p + 1, &high);
            if (p == NULL)
                return NULL;
        }
        found = found || (low <= c && c <= high);
    }
    *ret = found != negated;
    return p + 1;
}

/* One element that is no star; gives what follows it, NULL if it differs. */
static const char *
match_one(const char *p, char c, bool by_path)
{
    bool slash = by_path && c == '/';

    if (*p == '?')
        return slash ? NULL : p + 1;
    if (*p == '[') {
        bool found;
        const char *after = match_set(p + 1, (unsigned char)c, &found);

        if (after != NULL)
            return found && !slash ? after : NULL;
    }
    if (*p == '\\')
        p++;
    return *p == c ? p + 1 : NULL;
}

bool
glob_matches(const char *pattern, const char *text, bool by_path)
{
    const char *star = NULL;  /* what follows the last one */
    const char *taken = NULL; /* the first byte that it does not take yet */

    while (*text != '\0') {
        const char *after;

        if (*pattern == '*') {
            star = ++pattern;
            taken = text;
            continue;
        }
        after = match_one(pattern, *text, by_path);
        if (after != NULL) {
            pattern = after;
            text++;
            continue;
        }
        if (star == NULL || (by_path && *taken == '/'))
            return false;
        pattern = star;
        text = ++taken;
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
