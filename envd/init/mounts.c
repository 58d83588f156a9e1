/*
 * The kernel's file systems, and the names that programs look for in /dev.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "init/machine.h"
#include "init/say.h"

#define FSTAB_BYTES ((size_t)64 * 1024)

#define NO_DEV  (MS_NOSUID | MS_NODEV)
#define NO_EXEC (MS_NOSUID | MS_NODEV | MS_NOEXEC)

struct file_system {
    const char *path;
    const char *type;
    const char *options;
    unsigned long flags;
};

static const struct file_system proc = {"/proc", "proc", NULL, NO_EXEC};
static const struct file_system sys = {"/sys", "sysfs", NULL, NO_EXEC};
static const struct file_system dev = {"/dev", "devtmpfs", "mode=0755",
                                       MS_NOSUID};
static const struct file_system dev_tmpfs = {"/dev", "tmpfs",
                                             "mode=0755,size=4m", MS_NOSUID};
static const struct file_system rest[] = {
    {"/dev/pts", "devpts", "gid=5,mode=0620,ptmxmode=0666",
     MS_NOSUID | MS_NOEXEC},
    {"/dev/shm", "tmpfs", "mode=1777", NO_DEV},
    {"/run", "tmpfs", "mode=0755,size=20%", NO_DEV},
};
static const struct file_system tmp = {"/tmp", "tmpfs", "mode=1777", NO_DEV};
static const struct file_system cgroup2 = {
    "/sys/fs/cgroup", "cgroup2", "nsdelegate,memory_recursiveprot", NO_EXEC};

bool
machine_is_mounted(const char *path)
{
    char above[64];
    struct stat here;
    struct stat there;

    if (strlen(path) + sizeof("/..") > sizeof(above))
        return false;
    (void)stpcpy(stpcpy(above, path), "/..");
    return stat(path, &here) == 0 && stat(above, &there) == 0 &&
           here.st_dev != there.st_dev;
}

static bool
mount_one(const struct file_system *fs)
{
    if (mkdir(fs->path, 0755) < 0 && errno != EEXIST) {
        say_errno("%s", fs->path);
        return false;
    }
    if (machine_is_mounted(fs->path) ||
        mount(fs->type, fs->path, fs->type, fs->flags, fs->options) == 0)
        return true;
    /* An older kernel knows less options. */
    return errno == EINVAL &&
           mount(fs->type, fs->path, fs->type, fs->flags, NULL) == 0;
}

static void
mount_or_say(const struct file_system *fs)
{
    if (!mount_one(fs))
        say_errno("cannot mount %s on %s", fs->type, fs->path);
}

/* Whether /etc/fstab wants it so. */
static bool
root_stays_read_only(void)
{
    SCOPE(scope_free) char *text = NULL;
    char *lines = NULL;

    if (fd_read_file("/etc/fstab", FSTAB_BYTES, &text, NULL) < 0)
        return false;
    for (char *line = strtok_r(text, "\n", &lines); line != NULL;
         line = strtok_r(NULL, "\n", &lines)) {
        char *fields = NULL;
        const char *device = strtok_r(line, " \t", &fields);
        const char *path = strtok_r(NULL, " \t", &fields);

        if (device == NULL || *device == '#' || path == NULL ||
            strcmp(path, "/") != 0)
            continue;
        (void)strtok_r(NULL, " \t", &fields); /* the type */
        for (const char *option = strtok_r(NULL, " \t,", &fields);
             option != NULL; option = strtok_r(NULL, " \t,", &fields))
            if (strcmp(option, "ro") == 0)
                return true;
    }
    return false;
}

/* The kernel mounts it read-only unless it is told otherwise. */
static void
remount_root(void)
{
    struct statvfs fs;

    if (!machine_is_ours() || statvfs("/", &fs) < 0 ||
        (fs.f_flag & ST_RDONLY) == 0 || root_stays_read_only())
        return;
    if (mount(NULL, "/", NULL, MS_REMOUNT, NULL) < 0)
        say_errno("/ stays read-only");
}

static void
fill_nodes(void)
{
    static const struct {
        const char *path;
        unsigned int minor_number;
        unsigned int major_number;
    } nodes[] = {
        {"/dev/null", 3, 1},   {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
        {"/dev/random", 8, 1}, {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5},
    };

    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        if (mknod(nodes[i].path, S_IFCHR | 0666,
                  makedev(nodes[i].major_number, nodes[i].minor_number)) == 0)
            (void)chmod(nodes[i].path, 0666); /* whatever the umask was */
        else if (errno != EEXIST)
            say_errno("%s", nodes[i].path);
    }
}

static void
fill_links(void)
{
    static const struct {
        const char *target;
        const char *path;
    } links[] = {
        {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
        {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
        {"pts/ptmx", "/dev/ptmx"},
    };

    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (symlink(links[i].target, links[i].path) < 0 && errno != EEXIST)
            say_errno("%s", links[i].path);
}

/*
 * The kernel's own device directory is one for the whole machine: a container
 * gets another, with what does no harm.
 */
static void
mount_dev(void)
{
    if (!(machine_is_ours() && mount_one(&dev)))
        mount_or_say(&dev_tmpfs);
    fill_nodes();
    fill_links();
}

/* In memory, unless the image has put something there. */
static void
mount_tmp(void)
{
    DIR *dir = opendir(tmp.path);
    const struct dirent *entry;
    bool empty = true;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        empty = empty && (strcmp(entry->d_name, ".") == 0 ||
                          strcmp(entry->d_name, "..") == 0);
    if (dir != NULL)
        (void)closedir(dir);
    if (empty)
        mount_or_say(&tmp);
    else
        (void)chmod(tmp.path, 01777);
}

void
machine_mount(bool cgroups)
{
    remount_root(); /* mount points may have to be made */
    mount_or_say(&proc);
    mount_or_say(&sys);
    mount_dev();
    for (size_t i = 0; i < ARRAY_LEN(rest); i++)
        mount_or_say(&rest[i]);
    mount_tmp();
    if (cgroups)
        mount_or_say(&cgroup2);
}
