/*
 * A file or directory whose opening stands still until it is let go: what a
 * disk does that is gone.  For root alone.
 */
#ifndef TESTS_UNIT_STILL_H
#define TESTS_UNIT_STILL_H

#include <stdbool.h>
#include <sys/fanotify.h>

#include "scratch.h"

static int still_fd = -1;
static int still_asked = -1; /* the event that waits for an answer */

/* Returns false where this cannot be had. */
SCRATCH_USE bool
still_make(const char *path)
{
    still_fd =
        fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY);
    if (still_fd >= 0 &&
        fanotify_mark(still_fd, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_ONDIR,
                      AT_FDCWD, path) == 0)
        return true;
    (void)close(still_fd);
    still_fd = -1;
    return false;
}

/* Whether somebody stands still now. */
SCRATCH_USE bool
still_stands(void)
{
    struct fanotify_event_metadata event;

    if (still_asked < 0 &&
        read(still_fd, &event, sizeof(event)) == (ssize_t)sizeof(event))
        still_asked = event.fd;
    return still_asked >= 0;
}

SCRATCH_USE void
still_let_go(void)
{
    const struct fanotify_response answer = {still_asked, FAN_ALLOW};

    assert_int_equal(write(still_fd, &answer, sizeof(answer)), sizeof(answer));
    (void)close(still_asked);
    (void)close(still_fd);
    still_fd = still_asked = -1;
}

#endif
