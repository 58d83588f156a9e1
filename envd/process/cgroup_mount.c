/*
 * Mounting what the image should have mounted.
 */
#include "process/cgroup_mount.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "base/log.h"
#include "base/status.h"

/* Whether there is a directory, with nothing in it. */
static bool
is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool empty = true;

    if (dir == NULL)
        return false;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    while (empty && (entry = readdir(dir)) != NULL)
        empty =
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(dir);
    return empty;
}

void
cgroup_mount(const char *root)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    struct log_line line;
    struct statfs fs;
    int r = 0;

    if (statfs(root, &fs) < 0 || fs.f_type == CGROUP2_SUPER_MAGIC ||
        !is_empty(root))
        return;
    /* Kernels before 5.7 do not know the second option. */
    if (mount("cgroup2", root, "cgroup2", flags,
              "nsdelegate,memory_recursiveprot") < 0 &&
        mount("cgroup2", root, "cgroup2", flags, NULL) < 0)
        r = -errno;
    if (!log_begin(&line, r < 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "cgroup"))
        return;
    log_str(&line, "path", root);
    if (r < 0)
        log_str(&line, "error", errno_text(-r));
    log_end(&line, r < 0 ? "Cannot mount cgroups" : "Mounted cgroups");
}
