/*
 * Lines of passwd and group files.
 *
 * Context: any; nothing here allocates, reads files or logs.
 * Rule: passwd(5), group(5), and the contract's rules on which lines count.
 */
#ifndef ENVD_SECURITY_ACCOUNTS_H
#define ENVD_SECURITY_ACCOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"

struct passwd_line {
    struct str name;
    struct str home;
    uid_t uid;
    gid_t gid;
};

struct group_line {
    struct str name;
    struct str members; /* between commas */
    gid_t gid;
};

/* Take the next line off *text, without its newline; false at the end. */
bool accounts_next_line(struct str *text, struct str *ret);

/*
 * Read one line; the result points into it.  False for a line that does not
 * count: empty, a comment, too few fields, no name or one that begins with +
 * or -, an id that is no number or is the one that stands for "none", a NUL
 * byte.
 */
bool passwd_line_parse(struct str line, struct passwd_line *ret);
bool group_line_parse(struct str line, struct group_line *ret);

/* Whether the line lists this user as a member. */
bool group_line_lists(const struct group_line *group, const char *user);

#endif
