/*
 * The text of hosts(5): an address, names, and a comment to a line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "guest/hosts.h"

#define ADDRESS_COLUMNS 16
#define NAME_MAX_BYTES  253

struct address {
    int family; /* AF_INET, AF_INET6, or 0 for none */
    unsigned char bytes[sizeof(struct in6_addr)];
};

/* What is to be done, and how far that is. */
struct edit {
    struct str name;
    const char *addr;
    struct address to;
    bool placed; /* the new mapping is in the text */
    struct buf *out;
};

/* One line, without its newline. */
struct line {
    struct str text;
    struct str fields; /* without a comment */
    struct address addr;
    const char *names;       /* behind the address */
    const char *last_end;    /* behind the last name */
    unsigned int name_count; /* all names */
    unsigned int ours;       /* those that are the one to be mapped */
};

static struct address
address_read(struct str s)
{
    struct address a = {0};
    char text[INET6_ADDRSTRLEN];

    if (s.len >= sizeof(text) || memchr(s.data, '\0', s.len) != NULL)
        return a;
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    if (inet_pton(AF_INET, text, a.bytes) == 1)
        a.family = AF_INET;
    else if (inet_pton(AF_INET6, text, a.bytes) == 1)
        a.family = AF_INET6;
    return a;
}

static bool
address_eq(const struct address *a, const struct address *b)
{
    return a->family == b->family &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int
hosts_family(const char *addr)
{
    switch (address_read(str_from(addr)).family) {
    case AF_INET:
        return 4;
    case AF_INET6:
        return 6;
    default:
        return 0;
    }
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool
is_name(struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == '#')
            return false;
    return true;
}

/* The field at *at or behind; absent at the end. */
static struct str
field_next(const char **at, const char *end)
{
    const char *begin;

    while (*at < end && is_blank(**at))
        (*at)++;
    begin = *at;
    while (*at < end && !is_blank(**at))
        (*at)++;
    return (struct str){*at > begin ? begin : NULL, (size_t)(*at - begin)};
}

static bool
is_ours(const struct edit *e, struct str field)
{
    return field.len == e->name.len &&
           strncasecmp(field.data, e->name.data, field.len) == 0;
}

static struct line
line_read(const struct edit *e, struct str text)
{
    const char *comment = memchr(text.data, '#', text.len);
    struct line line = {.text = text, .fields = text};
    const char *at = text.data;
    const char *end;
    struct str field;

    if (comment != NULL)
        line.fields.len = (size_t)(comment - text.data);
    end = text.data + line.fields.len;
    field = field_next(&at, end);
    if (field.data != NULL)
        line.addr = address_read(field);
    line.names = line.last_end = at;
    while ((field = field_next(&at, end)).data != NULL) {
        line.name_count++;
        line.ours += is_ours(e, field) ? 1 : 0;
        line.last_end = at;
    }
    return line;
}

/* Whether a line leads the name somewhere else. */
static bool
is_wrong(const struct edit *e, const struct line *line)
{
    return line->ours > 0 && line->addr.family == e->to.family &&
           !address_eq(&line->addr, &e->to);
}

static void
put_mapping(struct edit *e)
{
    size_t len = strlen(e->addr);

    buf_append(e->out, e->addr, len);
    do
        buf_append_byte(e->out, ' ');
    while (len++ < ADDRESS_COLUMNS);
    buf_append(e->out, e->name.data, e->name.len);
    e->placed = true;
}

/* The line without our name, and without the blanks before it. */
static void
put_without(struct edit *e, const struct line *line)
{
    const char *end = line->fields.data + line->fields.len;
    const char *at = line->names;
    const char *done = line->text.data;

    for (;;) {
        const char *before = at;
        struct str field = field_next(&at, end);

        if (field.data == NULL)
            break;
        if (!is_ours(e, field))
            continue;
        buf_append(e->out, done, (size_t)(before - done));
        done = at;
    }
    buf_append(e->out, done, (size_t)(line->text.data + line->text.len - done));
}

static void
put_wrong(struct edit *e, const struct line *line)
{
    const char *text_end = line->text.data + line->text.len;

    if (line->ours < line->name_count) {
        put_without(e, line);
    } else if (!e->placed) {
        put_mapping(e);
        buf_append(e->out, line->last_end, (size_t)(text_end - line->last_end));
    } else if (line->fields.len < line->text.len) {
        const char *comment = line->fields.data + line->fields.len;

        buf_append(e->out, comment, (size_t)(text_end - comment));
    } else {
        return;
    }
    buf_append_byte(e->out, '\n');
}

/* Whether the name leads to the address already, and nowhere else. */
static bool
is_right(struct edit *e, struct str text)
{
    bool wrong = false;

    while (text.len > 0) {
        struct line line = line_read(e, str_take_line(&text));

        wrong = wrong || is_wrong(e, &line);
        if (line.ours > 0 && address_eq(&line.addr, &e->to))
            e->placed = true;
    }
    return e->placed && !wrong;
}

int
hosts_edit(struct str text, const char *name, const char *addr, struct buf *out)
{
    struct edit e = {.name = str_from(name), .addr = addr, .out = out};

    e.to = address_read(str_from(addr));
    if (e.to.family == 0 || !is_name(e.name))
        return -EINVAL;
    if (is_right(&e, text))
        return 0;
    while (text.len > 0) {
        struct line line = line_read(&e, str_take_line(&text));

        if (is_wrong(&e, &line)) {
            put_wrong(&e, &line);
        } else {
            buf_append(out, line.text.data, line.text.len);
            buf_append_byte(out, '\n');
        }
    }
    if (!e.placed) {
        put_mapping(&e);
        buf_append_byte(out, '\n');
    }
    return out->failed ? -ENOMEM : 1;
}
