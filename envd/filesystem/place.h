/*
 * Where something is: a name in an open directory.
 */
#ifndef ENVD_FILESYSTEM_PLACE_H
#define ENVD_FILESYSTEM_PLACE_H

/* Initialise dir_fd with -1; place_done() ends it. */
struct place {
    int dir_fd; /* owned; O_PATH */
    char *name; /* owned */
};

/*
 * Open the directory a path lies in; slashes at its end are dropped.  Returns 0
 * or -errno.  Context: worker.
 */
int place_open(const char *path, struct place *ret);

void place_done(struct place *p);

#define PLACE_NAME_BYTES 40

/*
 * A name nobody else has, for what is not complete: `.envd-WHAT-…`.
 * what  at most ten characters
 * Returns 0 or -errno.
 */
int place_private_name(const char *what, char ret[PLACE_NAME_BYTES]);

#endif
