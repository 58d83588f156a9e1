/*
 * Lines of passwd and group files: whatever is accepted points into the input
 * and is what the rules allow.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "security/accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
holds(struct str s, char c)
{
    return s.len > 0 && memchr(s.data, c, s.len) != NULL;
}

static void
check_inside(struct str whole, struct str part)
{
    assert(part.data >= whole.data);
    assert(part.data + part.len <= whole.data + whole.len);
    assert(!holds(part, '\n') && !holds(part, '\0') && !holds(part, ':'));
}

static void
check_name(struct str whole, struct str name)
{
    check_inside(whole, name);
    assert(name.len > 0 && strchr("+-#", name.data[0]) == NULL);
}

static void
check_line(struct str whole, struct str line)
{
    struct passwd_line user;
    struct group_line group;

    if (passwd_line_parse(line, &user)) {
        check_name(whole, user.name);
        check_inside(whole, user.home);
        assert(user.uid != (uid_t)-1 && user.gid != (gid_t)-1);
    }
    if (group_line_parse(line, &group)) {
        check_name(whole, group.name);
        check_inside(whole, group.members);
        assert(group.gid != (gid_t)-1);
        (void)group_line_lists(&group, "user");
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str whole = {(const char *)data, size};
    struct str text = whole;
    struct str line;

    while (accounts_next_line(&text, &line))
        check_line(whole, line);
    assert(text.len == 0);
    return 0;
}
