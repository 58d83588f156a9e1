/*
 * The user database: both files in memory, parsed once, looked up often.
 *
 * The files are checked with stat(2) at each use, and read again when they
 * changed, on the loop: both are small, local, and in the page cache of every
 * machine that runs anything.
 */
#include "security/user.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "limits.h"
#include "security/accounts.h"

/* By which a change of a file is noticed; all zero while there is none. */
struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
    struct timespec ctime;
};

/* The name of an id; `line` keeps the first of several in front. */
struct id_name {
    uint32_t id;
    uint32_t line;
    char *name;
};

struct id_names {
    struct id_name *entries; /* by id, then line */
    size_t count;
};

struct user_names {
    atomic_uint refs;
    struct id_names users;
    struct id_names groups;
};

struct account_file {
    const char *path;
    struct file_stamp stamp;
    bool known; /* text is that of the file with this stamp */
    char *text; /* may be NULL when len is 0 */
    size_t len;
};

struct user_db {
    struct account_file passwd;
    struct account_file group;
    struct user_names *names; /* of the present texts; NULL: not made yet */
};

struct user_db *
user_db_new(const char *passwd, const char *group)
{
    struct user_db *db = xcalloc(1, sizeof(*db));

    db->passwd.path = passwd != NULL ? passwd : "/etc/passwd";
    db->group.path = group != NULL ? group : "/etc/group";
    return db;
}

void
user_db_free(struct user_db *db)
{
    if (db == NULL)
        return;
    user_names_unref(db->names);
    free(db->passwd.text);
    free(db->group.text);
    free(db);
}

static void
stamp_of(const char *path, struct file_stamp *ret)
{
    struct stat st;

    *ret = (struct file_stamp){0};
    /* Opening anything but a file, as a FIFO, could hold up the loop. */
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    ret->dev = st.st_dev;
    ret->ino = st.st_ino;
    ret->size = st.st_size;
    ret->mtime = st.st_mtim;
    ret->ctime = st.st_ctim;
}

static bool
time_eq(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           time_eq(&a->mtime, &b->mtime) && time_eq(&a->ctime, &b->ctime);
}

/* Read the file again if it changed; whether its text may be another now. */
static bool
file_refresh(struct account_file *f)
{
    struct file_stamp stamp;
    char *text = NULL;
    size_t len = 0;
    int r = 0;

    stamp_of(f->path, &stamp);
    if (f->known && stamp_eq(&f->stamp, &stamp))
        return false;
    /* A file replaced since the look at it has another stamp next time. */
    if (stamp.ino != 0)
        r = fd_read_file(f->path, LIMIT_ACCOUNT_FILE_BYTES, &text, &len);
    f->stamp = stamp;
    f->known = r == 0;
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM)
        return false; /* says nothing of the file: what was read stands */
    free(f->text);
    f->text = text;
    f->len = len;
    return true;
}

void
user_db_refresh(struct user_db *db)
{
    bool passwd_changed = file_refresh(&db->passwd);
    bool group_changed = file_refresh(&db->group);

    if (passwd_changed || group_changed) {
        user_names_unref(db->names);
        db->names = NULL;
    }
}

static struct str
file_text(const struct account_file *f)
{
    return (struct str){f->text, f->len};
}

/*
 * The groups of a user; at most those that the kernel takes.
 * Returns 0 or -ENOMEM.
 */
static int
find_groups(struct user_db *db, const char *name, struct user *ret)
{
    struct str text = file_text(&db->group);
    struct str line;
    struct group_line group;
    size_t cap = 16;

    ret->groups = malloc(cap * sizeof(*ret->groups));
    if (ret->groups == NULL)
        return -ENOMEM;
    ret->groups[0] = ret->gid;
    ret->group_count = 1;
    while (ret->group_count < LIMIT_USER_GROUPS &&
           accounts_next_line(&text, &line)) {
        if (!group_line_parse(line, &group) || group.gid == ret->gid ||
            !group_line_lists(&group, name))
            continue;
        if (ret->group_count == cap) {
            gid_t *grown = reallocarray(ret->groups, cap * 2, sizeof(*grown));

            if (grown == NULL)
                return -ENOMEM;
            ret->groups = grown;
            cap *= 2;
        }
        ret->groups[ret->group_count++] = group.gid;
    }
    return 0;
}

int
user_find(struct user_db *db, const char *name, struct user *ret)
{
    struct user found = {0};
    struct passwd_line user;
    struct str text;
    struct str line;

    user_db_refresh(db);
    text = file_text(&db->passwd);
    while (accounts_next_line(&text, &line)) {
        if (!passwd_line_parse(line, &user) || !str_eq(user.name, name))
            continue;
        found.uid = user.uid;
        found.gid = user.gid;
        found.name = str_dup(user.name);
        found.home = str_dup(user.home);
        if (found.name == NULL || found.home == NULL ||
            find_groups(db, name, &found) < 0) {
            user_done(&found);
            return -ENOMEM;
        }
        *ret = found;
        return 0;
    }
    return -ENOENT;
}

void
user_done(struct user *u)
{
    free(u->name);
    free(u->home);
    free(u->groups);
    *u = (struct user){0};
}

int
user_find_group(struct user_db *db, const char *name, gid_t *ret)
{
    struct str text = file_text(&db->group);
    struct group_line group;
    struct str line;

    while (accounts_next_line(&text, &line)) {
        if (group_line_parse(line, &group) && str_eq(group.name, name)) {
            *ret = group.gid;
            return 0;
        }
    }
    return -ENOENT;
}

/* ---- names behind ids ---------------------------------------------------- */

static int
compare_ids(const void *left, const void *right)
{
    const struct id_name *a = left;
    const struct id_name *b = right;

    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Add a name; ids beyond what memory allows stay without one. */
static void
names_add(struct id_names *n, size_t *cap, uint32_t id, struct str name)
{
    char *copy;

    if (n->count == *cap) {
        size_t more = *cap > 0 ? *cap * 2 : 32;
        struct id_name *grown = reallocarray(n->entries, more, sizeof(*grown));

        if (grown == NULL)
            return;
        n->entries = grown;
        *cap = more;
    }
    copy = str_dup(name);
    if (copy == NULL)
        return;
    n->entries[n->count] = (struct id_name){
        .id = id,
        .line = (uint32_t)n->count,
        .name = copy,
    };
    n->count++;
}

static void
names_sort(struct id_names *n)
{
    if (n->count > 0)
        qsort(n->entries, n->count, sizeof(*n->entries), compare_ids);
}

static void
names_free(struct id_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->entries[i].name);
    free(n->entries);
}

static struct user_names *
names_make(struct user_db *db)
{
    struct user_names *n = xcalloc(1, sizeof(*n));
    struct str text = file_text(&db->passwd);
    struct str line;
    struct passwd_line user;
    struct group_line group;
    size_t cap = 0;

    atomic_init(&n->refs, 1);
    while (accounts_next_line(&text, &line))
        if (passwd_line_parse(line, &user))
            names_add(&n->users, &cap, user.uid, user.name);
    cap = 0;
    text = file_text(&db->group);
    while (accounts_next_line(&text, &line))
        if (group_line_parse(line, &group))
            names_add(&n->groups, &cap, group.gid, group.name);
    names_sort(&n->users);
    names_sort(&n->groups);
    return n;
}

struct user_names *
user_names_ref(struct user_db *db)
{
    if (db->names == NULL) {
        user_db_refresh(db);
        db->names = names_make(db);
    }
    (void)atomic_fetch_add_explicit(&db->names->refs, 1, memory_order_relaxed);
    return db->names;
}

void
user_names_unref(struct user_names *n)
{
    if (n == NULL ||
        atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) > 1)
        return;
    names_free(&n->users);
    names_free(&n->groups);
    free(n);
}

static const char *
names_find(const struct id_names *n, uint32_t id)
{
    size_t low = 0;
    size_t high = n->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (n->entries[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n->count && n->entries[low].id == id ? n->entries[low].name
                                                      : NULL;
}

const char *
user_name_of_uid(const struct user_names *n, uid_t uid)
{
    return names_find(&n->users, uid);
}

const char *
user_name_of_gid(const struct user_names *n, gid_t gid)
{
    return names_find(&n->groups, gid);
}
