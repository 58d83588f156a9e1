/*
 * Parsing of passwd and group files, line by line.
 */
#include "security/accounts.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Take what stands before the next `separator` off *rest; all, if none. */
static struct str
take_until(struct str *rest, char separator)
{
    const char *end =
        rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    size_t skip = end != NULL ? len + 1 : len;
    struct str taken = {rest->data, len};

    *rest = (struct str){rest->data + skip, rest->len - skip};
    return taken;
}

bool
accounts_next_line(struct str *text, struct str *ret)
{
    if (text->len == 0)
        return false;
    *ret = take_until(text, '\n');
    return true;
}

/* Split at colons; the last of `max` fields keeps the rest.  How many. */
static size_t
split(struct str line, struct str *fields, size_t max)
{
    size_t count = 0;

    while (count + 1 < max && memchr(line.data, ':', line.len) != NULL)
        fields[count++] = take_until(&line, ':');
    fields[count++] = line;
    return count;
}

/* The line without white space around it; empty when it does not count. */
static struct str
trim_line(struct str line)
{
    const struct str none = {"", 0};

    while (line.len > 0 && isspace((unsigned char)line.data[0])) {
        line.data++;
        line.len--;
    }
    while (line.len > 0 && isspace((unsigned char)line.data[line.len - 1]))
        line.len--;
    if (line.len == 0 || strchr("#+-:", line.data[0]) != NULL ||
        memchr(line.data, '\0', line.len) != NULL)
        return none;
    return line;
}

static bool
parse_id(struct str field, uint32_t *ret)
{
    uint64_t id;

    /* The largest id means "leave it as it is" to the kernel's calls. */
    if (str_to_u64(field, UINT32_MAX - 1, &id) < 0)
        return false;
    *ret = (uint32_t)id;
    return true;
}

bool
passwd_line_parse(struct str line, struct passwd_line *ret)
{
    enum { NAME, PASSWORD, UID, GID, COMMENT, HOME, SHELL, COUNT };
    struct str field[COUNT];

    line = trim_line(line);
    if (line.len == 0 || split(line, field, COUNT) < COUNT ||
        !parse_id(field[UID], &ret->uid) || !parse_id(field[GID], &ret->gid))
        return false;
    ret->name = field[NAME];
    ret->home = field[HOME];
    return true;
}

bool
group_line_parse(struct str line, struct group_line *ret)
{
    enum { NAME, PASSWORD, GID, MEMBERS, COUNT };
    struct str field[COUNT];

    line = trim_line(line);
    if (line.len == 0 || split(line, field, COUNT) < COUNT ||
        !parse_id(field[GID], &ret->gid))
        return false;
    ret->name = field[NAME];
    ret->members = field[MEMBERS];
    /* With a field too many it is a group still, but nobody's. */
    if (memchr(ret->members.data, ':', ret->members.len) != NULL)
        ret->members.len = 0;
    return true;
}

bool
group_line_lists(const struct group_line *group, const char *user)
{
    struct str rest = group->members;

    while (rest.len > 0)
        if (str_eq(take_until(&rest, ','), user))
            return true;
    return false;
}
