/*
 * Loopback, host name, and the few files without which programs fail.
 */
#include "init/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"
#include "init/say.h"

#define FILE_BYTES 4096

/* The kernel's fixed numbers for the namespaces that it begins with. */
#define FIRST_PID_NS "pid:[4026531836]"
#define FIRST_UTS_NS "uts:[4026531838]"

static bool
is_namespace(const char *path, const char *want)
{
    char name[64];
    ssize_t n = readlink(path, name, sizeof(name));

    return n == (ssize_t)strlen(want) && memcmp(name, want, (size_t)n) == 0;
}

bool
machine_is_ours(void)
{
    if (access("/proc/self/ns/pid", F_OK) == 0 || errno == EACCES)
        return is_namespace("/proc/self/ns/pid", FIRST_PID_NS);
    /* Before /proc is there: the kernel's own second process, in no group. */
    return kill(2, 0) == 0 && getpgid(2) == 0;
}

unsigned int
machine_hold_stdio(void)
{
    unsigned int free = 0;

    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        free |= 1U << fd;
        (void)open("/", O_PATH); /* takes the lowest, which is this one */
    }
    return free;
}

void
machine_open_stdio(unsigned int free)
{
    int fd;

    if (free == 0)
        return;
    fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    for (int i = 0; i <= 2; i++)
        if ((free >> i & 1) != 0)
            (void)dup2(fd, i);
    (void)close(fd);
}

void
machine_network(void)
{
    SCOPE(fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = {.ifr_name = "lo"};

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0) {
        say_errno("loopback");
        return;
    }
    if ((lo.ifr_flags & IFF_UP) != 0)
        return;
    lo.ifr_flags = (short)(lo.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        say_errno("loopback");
}

void
machine_hostname(void)
{
    SCOPE(scope_free) char *text = NULL;
    char now[65] = "";
    struct str name;

    /* That of a container's host is not ours to change. */
    if (!machine_is_ours() && is_namespace("/proc/self/ns/uts", FIRST_UTS_NS))
        return;
    (void)gethostname(now, sizeof(now));
    if (*now != '\0' && strcmp(now, "(none)") != 0)
        return;
    if (fd_read_file("/etc/hostname", FILE_BYTES, &text, NULL) == 0)
        name = str_trim((struct str){text, strcspn(text, "\r\n")});
    else
        name = STR("localhost");
    if (name.len > 0 && sethostname(name.data, name.len) < 0)
        say_errno("host name");
}

/* Write a file, if there is none of that name. */
static void
file_provide(const char *path, const char *text)
{
    SCOPE(fd_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t len = strlen(text);

    if (fd < 0) {
        if (errno != EEXIST)
            say_errno("%s", path);
        return;
    }
    if (write(fd, text, len) != (ssize_t)len)
        say_errno("%s", path);
}

/* What the kernel learned from its `ip=`, when the image knows of none. */
static void
provide_resolver(void)
{
    SCOPE(scope_free) char *text = NULL;
    char servers[512] = "";
    size_t used = 0;
    struct stat st;

    if (stat("/etc/resolv.conf", &st) == 0 && st.st_size > 0)
        return;
    if (fd_read_file("/proc/net/pnp", FILE_BYTES, &text, NULL) < 0)
        return;
    for (char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");

        if (strncmp(line, "nameserver ", 11) == 0 &&
            used + len + 2 < sizeof(servers)) {
            memcpy(servers + used, line, len);
            used += len;
            servers[used++] = '\n';
        }
        line += len + (line[len] == '\n' ? 1 : 0);
    }
    if (used == 0)
        return;
    servers[used] = '\0';
    (void)unlink("/etc/resolv.conf"); /* empty, or a link to nothing */
    file_provide("/etc/resolv.conf", servers);
}

void
machine_files(void)
{
    if (mkdir("/etc", 0755) < 0 && errno == EROFS)
        return;
    (void)mkdir("/root", 0700);
    file_provide("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                "nobody:x:65534:65534:nobody:/:/bin/false\n");
    file_provide("/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
    file_provide("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
    provide_resolver();
}
