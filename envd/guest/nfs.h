/*
 * NFS as the kernel wants to be told of it, and when it needs the system's
 * helper.
 */
#ifndef ENVD_GUEST_NFS_H
#define ENVD_GUEST_NFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define NFS_HELPER    "/sbin/mount.nfs"
#define NFS_STATD_PID "/run/rpc.statd.pid"

/* As the host's storage wants it: nothing is cached, so a pause is safe. */
#define NFS_OPTIONS                                                           \
    "fg,hard,sync,rsize=1048576,wsize=1048576,mountproto=tcp,mountport=2049," \
    "proto=tcp,port=2049,nfsvers=3,noacl,noac,lookupcache=none"

/* Enough for nfs_mount_data(). */
#define NFS_DATA_BYTES 512

/* Whether a text is `HOST:/PATH`.  Context: any. */
bool nfs_is_target(const char *target);

/*
 * The same options for mount(2), where `sync` is MS_SYNCHRONOUS and nothing is
 * resolved.
 *
 * locks  whether the server keeps them, for which rpc.statd has to run (the
 *        kernel mounts nothing otherwise); they are the guest's own if not
 *
 * Returns 0, or -EINVAL when the host is no address.  Context: any.
 * Rule: nfs(5), the kernel's fs/nfs/fs_context.c.
 */
int nfs_mount_data(const char *target, bool locks, char data[NFS_DATA_BYTES]);

/*
 * Whether rpc.statd runs, as the system's own start-statd looks for it.
 *
 * statd_pid  the file in which it leaves its number
 *
 * Context: worker.
 */
bool nfs_statd_runs(const char *statd_pid);

/*
 * Whether the helper is to mount: a name is to be resolved, or rpc.statd does
 * not run, without which there are no locks.
 *
 * statd_pid  as for nfs_statd_runs()
 * ret        the helper's path without links; only root can have put it there
 *
 * Returns false also when there is no such helper.  Context: worker.
 */
bool nfs_needs_helper(const char *target, const char *statd_pid,
                      const char *helper, char ret[PATH_MAX]);

#endif
