/*
 * NFS volumes: mounted where the host wants them, once for each run.
 *
 * By mount(2) and umount2(2) on workers.  Locks of NFS version 3 need
 * rpc.statd; while that does not run the system's own mount.nfs, which starts
 * it, is given the work, if root alone could have put it there.
 */
#ifndef ENVD_GUEST_VOLUMES_H
#define ENVD_GUEST_VOLUMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct helper_spawner;
struct loop;
struct volumes;
struct worker_pool;

/* Milliseconds for each phase of one volume. */
#define VOLUMES_LOOK_MS   2000 /* is something mounted there */
#define VOLUMES_UMOUNT_MS 2000 /* by force */
#define VOLUMES_DETACH_MS 2000 /* lazily, when that failed */
#define VOLUMES_MKDIR_MS  2000
#define VOLUMES_MOUNT_MS  10000

struct volume_mount {
    const char *nfs_target; /* as "192.0.2.1:/name" */
    const char *path;       /* absolute */
};

/* The kernel, which tests replace; on workers, several at a time. */
struct volumes_ops {
    int (*mount)(void *ctx, const char *source, const char *target,
                 const char *type, unsigned long flags, const char *data);
    int (*umount)(void *ctx, const char *target, int flags);
    void *ctx;
}; /* 0 or -errno */

/* Zero is right for all but tests; everything borrowed. */
struct volumes_options {
    const struct volumes_ops *ops;        /* NULL: the kernel */
    const struct helper_spawner *spawner; /* NULL: no helper */
    const char *helper;                   /* NULL: /sbin/mount.nfs */
    const char *statd_pid;                /* NULL: /run/rpc.statd.pid */
    /* Instead of the times above, when not 0. */
    int64_t umount_ms;
    int64_t mount_ms;
};

/* error  NULL, or words for the client; valid for the call */
typedef void (*volumes_cb)(void *ctx, const char *error);

/*
 * Look at a list before anything is changed: absolute paths without `..`,
 * none twice, targets with a colon and a path, not too many.
 *
 * Returns 0, or -1 with `st` set to invalid_argument.  Context: any.
 */
int volumes_check(const struct volume_mount *list, size_t count,
                  struct status *st);

struct volumes *volumes_new(struct loop *loop, struct worker_pool *pool,
                            const struct volumes_options *options);

/* After the pool: who still waits is not called back.  NULL is fine. */
void volumes_free(struct volumes *v);

/*
 * Mount all that is not yet mounted for this lifecycle, at the same time.  The
 * first failure is the result, and ends the others.  Set-ups take turns; one
 * equal to that which runs, or waits, shares its result.  Nothing here depends
 * on a client.
 *
 * lifecycle  NULL is ""; copied, as the list, which volumes_check() accepted
 * cb         on the loop, never from inside
 */
void volumes_mount(struct volumes *v, const char *lifecycle,
                   const struct volume_mount *list, size_t count, volumes_cb cb,
                   void *ctx);

/* ---- the ledger, for an upgrade ------------------------------------------ */

/* Called for each volume that is mounted. */
typedef void (*volumes_ledger_fn)(void *ctx, const char *path,
                                  const char *lifecycle);
void volumes_ledger(const struct volumes *v, volumes_ledger_fn fn, void *ctx);

/* Note one as mounted by an earlier agent.  Returns 0 or -ENOMEM. */
int volumes_ledger_add(struct volumes *v, const char *path,
                       const char *lifecycle);

#endif
