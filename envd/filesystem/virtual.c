/*
 * Virtual file systems, told by their magic numbers.
 */
#include "filesystem/virtual.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/vfs.h>

#include "base/scope.h"

/* Not in the headers of every kernel that this is built with. */
#define CONFIGFS_MAGIC_NUMBER 0x62656570

static const unsigned long magics[] = {
    PROC_SUPER_MAGIC,   SYSFS_MAGIC,          CGROUP2_SUPER_MAGIC,
    CGROUP_SUPER_MAGIC, DEBUGFS_MAGIC,        TRACEFS_MAGIC,
    SECURITYFS_MAGIC,   SELINUX_MAGIC,        SMACK_MAGIC,
    BPF_FS_MAGIC,       EFIVARFS_MAGIC,       PSTOREFS_MAGIC,
    BINFMTFS_MAGIC,     RDTGROUP_SUPER_MAGIC, CONFIGFS_MAGIC_NUMBER,
};

bool
virtual_file(int fd)
{
    struct statfs info;

    if (fstatfs(fd, &info) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if ((unsigned long)info.f_type == magics[i])
            return true;
    return false;
}
