/*
 * Entity tags and dates, compared.
 */
#include "http/condition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http/message.h"

#define NANOS 1000000000

void
validators_of_file(struct validators *v, uint64_t inode, int64_t size,
                   struct timespec modified, struct timespec now)
{
    int64_t age_s = (int64_t)now.tv_sec - (int64_t)modified.tv_sec;

    if (now.tv_nsec < modified.tv_nsec)
        age_s--;
    v->weak = age_s < 1;
    (void)snprintf(
        v->tag, sizeof(v->tag), "%s\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
        v->weak ? "W/" : "", inode, (uint64_t)size,
        (uint64_t)modified.tv_sec * NANOS + (uint64_t)modified.tv_nsec);
    v->has_date = modified.tv_sec != 0 || modified.tv_nsec != 0;
    v->modified = modified.tv_sec;
}

static bool
is_weak(struct str tag)
{
    return str_starts(tag, "W/");
}

/* Whether a byte may stand inside the quotes of a tag. */
static bool
is_tag_byte(unsigned char c)
{
    return c == 0x21 || (c >= 0x23 && c != 0x7f);
}

/* Take the tag at the front of *s, quotes and all; absent if it is none. */
static struct str
take_tag(struct str *s)
{
    size_t open, end;
    struct str tag;

    *s = str_trim(*s);
    open = is_weak(*s) ? 2 : 0;
    if (s->len <= open || s->data[open] != '"')
        return (struct str){0};
    end = open + 1;
    while (end < s->len && is_tag_byte((unsigned char)s->data[end]))
        end++;
    if (end == s->len || s->data[end] != '"')
        return (struct str){0};
    tag = (struct str){s->data, end + 1};
    s->data += tag.len;
    s->len -= tag.len;
    return tag;
}

/* Without the mark of weakness. */
static struct str
opaque(struct str tag)
{
    return is_weak(tag) ? (struct str){tag.data + 2, tag.len - 2} : tag;
}

static bool
tags_match(struct str a, const char *ours, bool strong)
{
    struct str b = str_from(ours);

    if (strong && (is_weak(a) || is_weak(b)))
        return false;
    a = opaque(a);
    b = opaque(b);
    return b.len > 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Whether a list of tags names ours; `*` names whatever there is. */
static bool
list_matches(struct str list, const struct validators *v, bool strong)
{
    for (;;) {
        struct str tag;

        list = str_trim(list);
        if (list.len == 0)
            return false;
        if (*list.data == '*')
            return true;
        if (*list.data == ',') {
            list.data++;
            list.len--;
            continue;
        }
        tag = take_tag(&list);
        if (tag.len == 0)
            return false;
        if (tags_match(tag, v->tag, strong))
            return true;
    }
}

/* Whether a header holds a date that can be compared with ours. */
static bool
read_date(struct str header, const struct validators *v, int64_t *ret)
{
    return header.len > 0 && v->has_date && http_date_parse(header, ret) == 0;
}

enum condition_result
conditions_check(const struct conditions *c, const struct validators *v)
{
    int64_t date;

    if (c->if_match.len > 0) {
        if (!list_matches(c->if_match, v, /* strong= */ true))
            return CONDITIONS_FAILED;
    } else if (read_date(c->if_unmodified_since, v, &date) &&
               v->modified > date) {
        return CONDITIONS_FAILED;
    }
    if (c->if_none_match.len > 0) {
        if (list_matches(c->if_none_match, v, /* strong= */ false))
            return CONDITIONS_NOT_MODIFIED;
    } else if (read_date(c->if_modified_since, v, &date) &&
               v->modified <= date) {
        return CONDITIONS_NOT_MODIFIED;
    }
    return CONDITIONS_MET;
}

bool
conditions_allow_range(const struct conditions *c, const struct validators *v)
{
    struct str rest = c->if_range;
    struct str tag;
    int64_t date;

    if (rest.len == 0)
        return true;
    tag = take_tag(&rest);
    if (tag.len > 0)
        return tags_match(tag, v->tag, /* strong= */ true);
    return !v->weak && read_date(c->if_range, v, &date) && v->modified == date;
}
