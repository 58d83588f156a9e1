/*
 * One file as clients see it.
 *
 * A listing asks for thousands of these: one lstat, one listxattr, no copy of
 * what the caller holds anyway.
 */
#include "filesystem/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "filesystem/caller.h"
#include "filesystem/link.h"
#include "filesystem/path.h"
#include "filesystem/place.h"

/* What an entry is made from, besides its lstat. */
struct source {
    const char *from; /* directory without links that `path` starts in */
    const char *path; /* by which the file is looked up again */
    const struct entry_names *names;
    struct arena *arena;
};

static const char *
arena_copy(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size);

    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

/* The text itself when it is UTF-8, else a repaired copy; NULL: no memory. */
static const char *
repaired(struct arena *arena, const char *text)
{
    SCOPE(scope_free) char *copy = NULL;

    if (utf8_valid(text, strlen(text)))
        return text;
    copy = utf8_sanitize(text);
    return copy != NULL ? arena_copy(arena, copy) : NULL;
}

/* The letter for what a file is, 0 for a regular one. */
static char
kind_letter(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return 'd';
    case S_IFLNK:
        return 'L';
    case S_IFBLK:
    case S_IFCHR:
        return 'D';
    case S_IFIFO:
        return 'p';
    case S_IFSOCK:
        return 'S';
    default:
        return '\0';
    }
}

/*
 * Kind and special bits come first, in the order dLDpSugct, not inside the
 * nine as ls(1) has them.
 */
static void
format_permissions(mode_t mode, char out[ENTRY_PERMISSIONS_BYTES])
{
    static const char bits[] = "rwxrwxrwx";
    char *p = out;

    *p = kind_letter(mode);
    p += *p != '\0' ? 1 : 0;
    if ((mode & S_ISUID) != 0)
        *p++ = 'u';
    if ((mode & S_ISGID) != 0)
        *p++ = 'g';
    if (S_ISCHR(mode))
        *p++ = 'c';
    if ((mode & S_ISVTX) != 0)
        *p++ = 't';
    if (p == out)
        *p++ = '-';
    for (unsigned int i = 0; i < 9; i++)
        *p++ = (char)((mode & (0400U >> i)) != 0 ? bits[i] : '-');
    *p = '\0';
}

static enum entry_type
type_of(mode_t mode)
{
    if (S_ISREG(mode))
        return ENTRY_FILE;
    return S_ISDIR(mode) ? ENTRY_DIRECTORY : ENTRY_OTHER;
}

static const char *
name_of_id(struct arena *arena, const char *name, unsigned int id)
{
    char text[16];

    if (name != NULL)
        return repaired(arena, name);
    (void)snprintf(text, sizeof(text), "%u", id);
    return arena_copy(arena, text);
}

/* Type, mode and target of a link: those of the file at its end. */
static int
fill_link(const struct source *src, struct entry *e)
{
    char target[PATH_MAX];
    struct stat st;

    e->type = ENTRY_OTHER;
    e->mode = 0;
    e->symlink_target = e->path;
    if (link_resolve(src->from, src->path, target) < 0 ||
        place_stat(target, false, &st) < 0)
        return 0;
    e->type = type_of(st.st_mode);
    e->mode = st.st_mode & 0777U;
    e->symlink_target = repaired(src->arena, target);
    if (e->symlink_target == target)
        e->symlink_target = arena_copy(src->arena, target);
    return e->symlink_target != NULL ? 0 : -ENOMEM;
}

/* Fill everything but name and path, which are set. */
static int
fill(const struct source *src, const char *lookup, const struct stat *st,
     struct entry *e)
{
    const struct entry_names *names = src->names;
    mode_t mode = st->st_mode;

    e->size = st->st_size;
    e->mtime = st->st_mtim;
    format_permissions(mode, e->permissions);
    e->owner = name_of_id(src->arena, names->of_uid(names->ctx, st->st_uid),
                          st->st_uid);
    e->group = name_of_id(src->arena, names->of_gid(names->ctx, st->st_gid),
                          st->st_gid);
    if (e->owner == NULL || e->group == NULL)
        return -ENOMEM;
    e->type = type_of(mode);
    e->mode = mode & 0777U;
    e->symlink_target = NULL;
    if (S_ISLNK(mode) && fill_link(src, e) < 0)
        return -ENOMEM;
    /* Other kinds cannot have attributes of users. */
    e->metadata_count = 0;
    if (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode))
        e->metadata_count = metadata_read(lookup, src->arena, &e->metadata);
    return 0;
}

/* The last component of a path, for an entry. */
static const char *
name_in(const char *path, struct arena *arena)
{
    SCOPE(scope_free) char *base = NULL;
    const char *slash = strrchr(path, '/');

    if (slash != NULL && slash[1] != '\0')
        return slash + 1;
    base = path_base(path);
    return base != NULL ? arena_copy(arena, base) : NULL;
}

static int
set_path(const char *path, struct arena *arena, struct entry *e)
{
    e->path = repaired(arena, path);
    e->name = e->path != NULL ? name_in(e->path, arena) : NULL;
    return e->name != NULL ? 0 : -ENOMEM;
}

int
entry_get_at(const struct entry_dir *dir, const char *name, const char *path,
             const struct entry_names *names, struct arena *arena,
             struct entry *ret)
{
    char lookup[PATH_MAX];
    struct source src = {dir->real, name, names, arena};
    struct stat st;
    size_t dir_len = strlen(dir->real);
    size_t name_len = strlen(name);
    int err;

    if (CALLER_LEND(fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW)) < 0)
        return -errno;
    err = set_path(path, arena, ret);
    if (err < 0)
        return err;
    if (dir_len + name_len + 2 <= sizeof(lookup)) {
        memcpy(lookup, dir->real, dir_len);
        lookup[dir_len] = '/';
        memcpy(lookup + dir_len + 1, name, name_len + 1);
    } else {
        /* Deeper than a path can say: the slower way, by the descriptor. */
        (void)snprintf(lookup, sizeof(lookup), "/proc/self/fd/%d/%s", dir->fd,
                       name);
    }
    return fill(&src, lookup, &st, ret);
}

int
entry_get(const char *path, const struct entry_names *names,
          struct arena *arena, struct entry *ret, struct status *st)
{
    struct source src = {"/", path, names, arena};
    struct stat info;
    int err = 0;

    if (place_stat(path, false, &info) < 0)
        err = -errno;
    if (err == -ENOENT)
        return status_errno(st, RPC_NOT_FOUND, ENOENT,
                            "file not found: lstat %s", path);
    if (err == 0)
        err = set_path(path, arena, ret);
    if (err == 0)
        err = fill(&src, path, &info, ret);
    if (err < 0)
        return status_errno(st, RPC_INTERNAL, -err,
                            "error getting file info: lstat %s", path);
    return 0;
}
