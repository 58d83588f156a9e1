/*
 * Several files made one, in their order; the sources go when it is done.
 *
 * The destination is treated as by an upload: what exists keeps its inode, mode
 * and links and gets the user for its owner, what is new has mode 0644; links
 * are followed.  The result has no metadata.  Whatever fails leaves sources
 * and destination as they were.
 *
 * Plain blocking functions over a state that belongs to one job at a time.
 */
#ifndef ENVD_FILESYSTEM_COMPOSE_H
#define ENVD_FILESYSTEM_COMPOSE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "filesystem/transfer.h"

struct compose_source;

/* Set the first group, zero the rest; end it with compose_done(). */
struct compose {
    char *const *given; /* the sources, as the request names them; borrowed */
    size_t count;       /* at least 1 */
    const char *destination; /* resolved; these are borrowed, too */
    const char *user;
    const char *home;
    const char *workdir;
    uid_t uid;
    gid_t gid;

    struct compose_source *sources;
    struct file_writer writer;
    int64_t size; /* of the result, bytes */
};

/* compose_run() could not go on: an upload has one of the files. */
#define COMPOSE_BUSY 1

/*
 * Do it.  Returns 0, -1 with `st`, or COMPOSE_BUSY: call again later.
 *
 * Failures, with nothing changed: invalid_argument `error resolving source
 * path "S": …`, `source path "S" cannot be the same as destination` (however it
 * is spelled), `source path is not a regular file: S`, `path is a directory:
 * P`; not_found `source file not found: S`; resource_exhausted `not enough disk
 * space available`; canceled; internal for all else.
 *
 * cancel  looked at between slices.  Context: worker.
 */
int compose_run(struct compose *c, const atomic_bool *cancel,
                struct status *st);

/* Undo what COMPOSE_BUSY has left half done.  Context: worker. */
void compose_abort(struct compose *c);

/* Free; nothing may be half done.  Context: any. */
void compose_done(struct compose *c);

#endif
