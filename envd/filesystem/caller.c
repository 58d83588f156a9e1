/*
 * Credentials of single threads, by the raw system calls: those of the C
 * library change all threads of the process, or have no need to.
 */
#include "filesystem/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/scope.h"

/* Groups that are remembered, so that they are not set anew for each job. */
#define GROUPS_KEPT 32

/* No id: asks for the present one, and is nobody's. */
#define NO_ID ((unsigned int)-1)

/*
 * What is known of this thread.  A change of credentials costs more than most
 * calls they are for: group and groups stay those of the last caller (they add
 * nothing to root's rights) until another one, or root, has something to do.
 */
static _Thread_local struct {
    struct caller *now; /* NULL: our own */
    bool lent;
    bool foreign; /* the group is not ours: */
    int own_gid;
    uid_t uid; /* last set, and seen to be */
    gid_t gid;
    gid_t groups[GROUPS_KEPT];
    size_t group_count;
    bool known; /* the four above are set */
} self;

void
caller_init(struct caller *c, uid_t uid, gid_t gid, gid_t *groups,
            size_t group_count, bool lends)
{
    *c = (struct caller){
        .uid = uid,
        .gid = gid,
        .groups = groups,
        .group_count = group_count,
        .plain = uid == 0 || geteuid() != 0,
        .lends = lends,
    };
}

void
caller_done(struct caller *c)
{
    free(TAKE_PTR(c->groups));
}

static bool
is_known(const struct caller *c)
{
    return self.known && self.uid == c->uid && self.gid == c->gid &&
           self.group_count == c->group_count &&
           (c->group_count == 0 ||
            memcmp(self.groups, c->groups,
                   c->group_count * sizeof(*c->groups)) == 0);
}

/* setfsuid(2) tells of no failure: look whether it has come to pass. */
static bool
has_ids(const struct caller *c)
{
    return setfsuid(NO_ID) == (int)c->uid && setfsgid(NO_ID) == (int)c->gid;
}

static void
remember(const struct caller *c)
{
    self.known = c->group_count <= GROUPS_KEPT;
    self.uid = c->uid;
    self.gid = c->gid;
    self.group_count = c->group_count;
    if (self.known && c->group_count > 0)
        memcpy(self.groups, c->groups, c->group_count * sizeof(*c->groups));
}

/* Set all but the user, which only then tells whether it has worked. */
static int
set_groups(const struct caller *c)
{
    int before;

    self.known = false;
    if (syscall(SYS_setgroups, c->group_count, c->groups) < 0)
        return -1;
    before = setfsgid(c->gid);
    if (!self.foreign)
        self.own_gid = before;
    self.foreign = true;
    return 0;
}

static void
restore_group(void)
{
    if (self.foreign)
        (void)setfsgid((gid_t)self.own_gid);
    self.foreign = self.known = false;
}

int
caller_enter(struct caller *c, struct status *st)
{
    bool known = is_known(c);

    if (c->plain) {
        restore_group();
        return 0;
    }
    if (!known && set_groups(c) < 0)
        return status_errno(st, RPC_INTERNAL, errno, "cannot act as uid %u",
                            c->uid);
    (void)setfsuid(c->uid);
    self.now = c;
    if (!known && !has_ids(c)) {
        caller_leave();
        return status_errno(st, RPC_INTERNAL, EPERM, "cannot act as uid %u",
                            c->uid);
    }
    if (!known)
        remember(c);
    return 0;
}

void
caller_leave(void)
{
    if (self.now != NULL)
        (void)setfsuid(0);
    self.now = NULL;
}

void
caller_judge(struct status *st)
{
    if (self.now != NULL && (st->err == EACCES || st->err == EPERM))
        st->code = RPC_PERMISSION_DENIED;
}

void
caller_begin(void)
{
    if (self.now != NULL)
        self.now->strayed = false;
}

void
caller_stray(void)
{
    if (self.now != NULL)
        self.now->strayed = true;
}

bool
caller_acts(void)
{
    return self.now != NULL;
}

const struct caller *
caller_lending(void)
{
    return self.now != NULL && self.now->lends ? self.now : NULL;
}

bool
caller_lend(void)
{
    if ((errno != EACCES && errno != EPERM) || caller_lending() == NULL ||
        self.now->strayed || self.lent)
        return false;
    (void)setfsuid(0);
    self.lent = true;
    return true;
}

void
caller_unlend(void)
{
    (void)setfsuid(self.now->uid);
    self.lent = false;
}
