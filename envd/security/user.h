/*
 * Users and groups as /etc/passwd and /etc/group have them: no NSS.
 */
#ifndef ENVD_SECURITY_USER_H
#define ENVD_SECURITY_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct user_db;

struct user {
    uid_t uid;
    gid_t gid;
    char *name;    /* owned */
    char *home;    /* owned */
    gid_t *groups; /* owned: the primary gid, then those that list the user */
    size_t group_count;
};

/*
 * A cache of both files, read again when inode, size or mtime of one changes.
 * passwd, group  paths, borrowed; NULL for those below /etc
 */
struct user_db *user_db_new(const char *passwd, const char *group);
void user_db_free(struct user_db *db);

/* Look whether the files have changed; user_find() does so itself. */
void user_db_refresh(struct user_db *db);

/*
 * Find a user by name; numbers are not names.
 *
 * ret  on success filled; user_done() frees it
 *
 * Returns 0, -ENOENT when there is none (or the file cannot be read), -ENOMEM.
 * Lines without seven fields or numeric ids, empty ones, comments and names
 * that begin with + or - are skipped.  Context: loop.
 */
int user_find(struct user_db *db, const char *name, struct user *ret);

void user_done(struct user *u);

/*
 * The id of a group by name, as of the last user_find().  Returns 0 or
 * -ENOENT.  Context: loop.
 */
int user_find_group(struct user_db *db, const char *name, gid_t *ret);

/*
 * The names behind ids, as an immutable snapshot that a worker may read while
 * the loop goes on.
 */
struct user_names;

/*
 * Take a reference to the snapshot as of the last user_find() of any name or
 * user_db_refresh().
 * Context: loop.
 */
struct user_names *user_names_ref(struct user_db *db);
void user_names_unref(struct user_names *n); /* Context: any */

/* The name of an id, or NULL when it has none.  Context: any. */
const char *user_name_of_uid(const struct user_names *n, uid_t uid);
const char *user_name_of_gid(const struct user_names *n, gid_t gid);

#endif
