/*
 * On whose behalf a worker touches files.
 *
 * Between caller_enter() and caller_leave() the thread has the file-system
 * credentials of the user who asked: the kernel decides as it would for any
 * process of that user, and what is made belongs to that user.
 *
 * What is refused then is tried once more with root's rights, unless that is
 * turned off; never by following a link that another user could have planted
 * (docs/security.md).  Three rules for code that works on files:
 *
 *  - a path of a request is opened by the functions of place.h;
 *  - what is done to a descriptor, or to one name in an open directory without
 *    following it, is wrapped in CALLER_LEND();
 *  - nothing else is lent.
 *
 * For root, and outside of enter and leave, all this is the plain system call.
 */
#ifndef ENVD_FILESYSTEM_CALLER_H
#define ENVD_FILESYSTEM_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"

/* One user's credentials; belongs to one job at a time. */
struct caller {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* owned */
    size_t group_count;
    bool plain;   /* root, or we are not: there is nothing to change */
    bool lends;   /* what is refused may be done with root's rights */
    bool strayed; /* came along a link of another's: no longer */
};

/*
 * groups  on the heap, taken
 * lends   -file-access=compat
 *
 * Context: any.
 */
void caller_init(struct caller *c, uid_t uid, gid_t gid, gid_t *groups,
                 size_t group_count, bool lends);
void caller_done(struct caller *c);

/*
 * Take on the credentials, on this thread alone.  Returns 0, or -1 with `st`
 * internal when the kernel refuses.  Context: worker.
 */
int caller_enter(struct caller *c, struct status *st);

/*
 * Have our own rights again.  The group of new files may stay the caller's:
 * whatever makes files enters, also for root.  Context: worker.
 */
void caller_leave(void);

/*
 * Of a failure: what the kernel has refused to a user is permission_denied, no
 * matter what failed by it.  Before caller_leave().
 */
void caller_judge(struct status *st);

/* Another operation of the same caller begins: links are judged anew. */
void caller_begin(void);

/* The operation came along a link of another's. */
void caller_stray(void);

/* Whether this thread has a user's credentials instead of our own. */
bool caller_acts(void);

/* Whom root's rights may be lent to on this thread; NULL for nobody. */
const struct caller *caller_lending(void);

/*
 * Have root's rights until caller_unlend(), if errno says that the last system
 * call was refused and they may be lent.  errno is kept by both.
 */
bool caller_lend(void);
void caller_unlend(void);

/* A system call that is tried again with root's rights when it is refused. */
#define CALLER_LEND(call)                   \
    ({                                      \
        __auto_type lend_r_ = (call);       \
        if (lend_r_ < 0 && caller_lend()) { \
            lend_r_ = (call);               \
            caller_unlend();                \
        }                                   \
        lend_r_;                            \
    })

#endif
