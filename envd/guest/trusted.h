/*
 * Paths on which root acts although others may write along the way.
 *
 * A link is followed if root made it, or if nobody else could have: in a
 * directory of root's that others cannot write.
 */
#ifndef ENVD_GUEST_TRUSTED_H
#define ENVD_GUEST_TRUSTED_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/* Where a path leads. */
struct trusted_place {
    int dir_fd;              /* O_PATH; the caller owns it */
    char name[NAME_MAX + 1]; /* in it, no link (but see TRUSTED_REPLACE); it
                                need not exist */
    char dir[PATH_MAX];      /* the directory without links, as the kernel
                                tells it */
};

enum trusted_way {
    TRUSTED_LINKS,   /* others may write on the way, links are as above */
    TRUSTED_STRICT,  /* nobody else can have put anything there: directories on
                        the way are root's and, but for sticky ones, not
                        writable by others; the last one is not at all */
    TRUSTED_MAKE,    /* as TRUSTED_LINKS; missing directories are made, 0755 */
    TRUSTED_REPLACE, /* as TRUSTED_MAKE; a link in the last place is not
                        followed, as what is there is to be replaced */
};

/*
 * Follow an absolute path.
 *
 * Returns 0, or -errno: -EPERM for what is not trusted, -EINVAL for a path
 * that is relative, ends in a slash or holds `..`.  Context: worker.
 */
int trusted_find(const char *path, enum trusted_way way,
                 struct trusted_place *ret);

/*
 * Open what a path leads to, with the flags of openat(2); no link in the last
 * place is followed.
 *
 * Returns the descriptor, which the caller owns, or -errno as trusted_find()
 * and openat(2).  Context: worker.
 */
int trusted_open(const char *path, enum trusted_way way, int flags);

/*
 * Whether a path leads to a program that nobody but root can have put there.
 *
 * ret  gets its path without links
 *
 * Context: worker.
 */
bool trusted_program(const char *path, char ret[static PATH_MAX]);

/* Whether root owns it and others cannot write it. */
bool trusted_is_roots(const struct stat *info);

#endif
