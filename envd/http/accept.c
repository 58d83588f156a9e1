/*
 * Content codings by header.
 */
#include "http/accept.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/decimal.h"

#define WEIGHT_MAX 31 /* bytes */

/* One item of the list: a name and its weight. */
struct item {
    struct str name;
    struct str version; /* the parameter of that name, absent: none */
    double weight;
};

/* Cut *s at the first `c`; the rest, behind it, stays in *s (absent if none) */
static struct str
cut(struct str *s, char c)
{
    const char *end = memchr(s->data, c, s->len);
    struct str head = *s;

    if (end == NULL) {
        *s = (struct str){0};
    } else {
        head.len = (size_t)(end - head.data);
        *s = (struct str){end + 1, s->len - head.len - 1};
    }
    return head;
}

/* The whole of `s` as a number; `fallback` when it is none. */
static double
read_weight(struct str s, double fallback)
{
    double weight;

    if (s.len > WEIGHT_MAX || decimal_read(s, false, &weight) < 0)
        return fallback;
    return weight;
}

static struct item
read_item(struct str text)
{
    struct item item = {.weight = 1};

    item.name = str_trim(cut(&text, ';'));
    while (text.data != NULL) {
        struct str param = str_trim(cut(&text, ';'));

        if (param.len >= 2 && (param.data[0] | 32) == 'q' &&
            param.data[1] == '=')
            item.weight = read_weight(
                (struct str){param.data + 2, param.len - 2}, item.weight);
        else if (param.len > 8 && strncasecmp(param.data, "version=", 8) == 0)
            item.version = (struct str){param.data + 8, param.len - 8};
    }
    return item;
}

static bool
identity_is_refused(struct str header)
{
    bool refused = false;
    bool accepted = false;
    bool others_refused = false;

    while (header.data != NULL) {
        struct item item = read_item(cut(&header, ','));

        if (str_eq_nocase(item.name, "identity")) {
            refused = refused || item.weight == 0;
            accepted = accepted || item.weight != 0;
        } else if (str_eq(item.name, "*")) {
            others_refused = others_refused || item.weight == 0;
        }
    }
    return refused || (others_refused && !accepted);
}

/* The coding an item stands for. */
static enum coding
coding_of(const struct item *item, bool identity_refused)
{
    if (item->weight == 0)
        return CODING_NONE;
    if (str_eq_nocase(item->name, "gzip"))
        return CODING_GZIP;
    if (str_eq_nocase(item->name, "identity"))
        return CODING_IDENTITY;
    if (str_eq(item->name, "*"))
        return identity_refused ? CODING_GZIP : CODING_IDENTITY;
    return CODING_NONE;
}

struct accept_coding
accept_coding(struct str header)
{
    struct accept_coding r = {CODING_NONE, identity_is_refused(header)};
    double best = -HUGE_VAL;

    while (header.data != NULL) {
        struct item item = read_item(cut(&header, ','));
        enum coding coding = coding_of(&item, r.identity_refused);

        if (coding != CODING_NONE &&
            (item.weight > best || r.best == CODING_NONE)) {
            r.best = coding;
            best = item.weight;
        }
    }
    if (r.best == CODING_NONE && !r.identity_refused)
        r.best = CODING_IDENTITY;
    return r;
}

/* How precisely an item names a type: 0, not at all, to 3. */
static int
precision(const struct item *item, const char *type, const char *version)
{
    size_t group = strcspn(type, "/") + 1;

    if (str_eq_nocase(item->name, type))
        return item->version.data == NULL || str_eq(item->version, version) ? 3
                                                                            : 0;
    if (item->name.len == group + 1 && item->name.data[group] == '*' &&
        strncasecmp(item->name.data, type, group) == 0)
        return 2;
    return str_eq(item->name, "*/*") ? 1 : 0;
}

double
accept_media(struct str header, const char *type, const char *version)
{
    double weight = -1;
    int best = 0;

    if (header.len == 0)
        return 1;
    while (header.data != NULL) {
        struct item item = read_item(cut(&header, ','));
        int found = precision(&item, type, version);

        if (found > best ||
            (found > 0 && found == best && item.weight > weight)) {
            best = found;
            weight = item.weight;
        }
    }
    return weight;
}

enum coding
content_coding(struct str header)
{
    struct str name;

    if (header.len == 0)
        return CODING_IDENTITY;
    name = str_trim(cut(&header, ';'));
    if (str_eq_nocase(name, "identity"))
        return CODING_IDENTITY;
    return str_eq_nocase(name, "gzip") ? CODING_GZIP : CODING_NONE;
}
