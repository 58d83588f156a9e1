/*
 * Options of an NFS mount.
 */
#include "guest/nfs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "guest/trusted.h"

#define PID_BYTES 64

/* The host of a target, without brackets; absent when it is none. */
static struct str
host_of(const char *target)
{
    struct str host = {target, 0};
    const char *end;

    if (*target == '[') {
        host.data++;
        end = strstr(target, "]:/");
    } else {
        end = strstr(target, ":/");
    }
    if (end == NULL || end <= host.data)
        return (struct str){0};
    host.len = (size_t)(end - host.data);
    return host;
}

bool
nfs_is_target(const char *target)
{
    return host_of(target).data != NULL;
}

int
nfs_mount_data(const char *target, bool locks, char data[NFS_DATA_BYTES])
{
    struct str host = host_of(target);
    unsigned char bytes[sizeof(struct in6_addr)];
    char addr[INET6_ADDRSTRLEN];
    const char *six;

    if (host.data == NULL || host.len >= sizeof(addr))
        return -EINVAL;
    memcpy(addr, host.data, host.len);
    addr[host.len] = '\0';
    if (inet_pton(AF_INET, addr, bytes) == 1)
        six = "";
    else if (inet_pton(AF_INET6, addr, bytes) == 1)
        six = "6";
    else
        return -EINVAL;
    (void)snprintf(data, NFS_DATA_BYTES,
                   "hard,rsize=1048576,wsize=1048576,mountproto=tcp%s,"
                   "mountport=2049,proto=tcp%s,port=2049,vers=3,noacl,noac,"
                   "lookupcache=none,addr=%s,mountaddr=%s%s",
                   six, six, addr, addr, locks ? "" : ",nolock");
    return 0;
}

bool
nfs_statd_runs(const char *statd_pid)
{
    SCOPE(scope_free) char *text = NULL;
    long pid;

    if (fd_read_file(statd_pid, PID_BYTES, &text, NULL) < 0)
        return false;
    pid = strtol(text, NULL, 10);
    return pid > 1 && pid <= INT_MAX && kill((pid_t)pid, 0) == 0;
}

bool
nfs_needs_helper(const char *target, const char *statd_pid, const char *helper,
                 char ret[PATH_MAX])
{
    char data[NFS_DATA_BYTES];

    return (nfs_mount_data(target, true, data) < 0 ||
            !nfs_statd_runs(statd_pid)) &&
           trusted_program(helper, ret);
}
