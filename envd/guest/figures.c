/*
 * Small files of procfs and of cgroups.
 */
#include "guest/figures.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "base/str.h"

#define FILE_BYTES 4096

const char *const figures_resources[PRESSURE_FILES] = {"cpu", "memory", "io"};

/* Read the beginning of a file, NUL-terminated.  0 or -errno. */
static int
read_file(int dir_fd, const char *name, char text[FILE_BYTES])
{
    SCOPE(fd_close) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, FILE_BYTES - 1);

    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? -errno : 0;
}

/* The digits at *at, which moves behind them.  False: there are none. */
static bool
take_number(const char **at, uint64_t *ret)
{
    size_t len = strspn(*at, "0123456789");
    struct str digits = {*at, len};

    *at += len;
    return str_to_u64(digits, UINT64_MAX, ret) == 0;
}

/* The number behind a word, and its blank, at the beginning of a line. */
static bool
find_number(const char *text, const char *word, uint64_t *ret)
{
    size_t len = strlen(word);

    for (const char *at = text; at != NULL;) {
        if (strncmp(at, word, len) == 0) {
            at += len;
            return take_number(&at, ret);
        }
        at = strchr(at, '\n');
        if (at != NULL)
            at++;
    }
    return false;
}

/* ---- pressure ------------------------------------------------------------ */

/* `12.34` as 1234, behind `name=`. */
static bool
take_average(const char **at, const char *name, uint32_t *ret)
{
    size_t len = strlen(name);
    uint64_t whole;
    uint64_t hundredths;

    if (strncmp(*at, name, len) != 0)
        return false;
    *at += len;
    if (!take_number(at, &whole) || whole > 100 || *(*at)++ != '.' ||
        !take_number(at, &hundredths) || hundredths > 99)
        return false;
    *ret = (uint32_t)(whole * 100 + hundredths);
    return true;
}

static bool
parse_line(const char *at, struct pressure_line *ret)
{
    static const char *const names[] = {" avg10=", " avg60=", " avg300="};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!take_average(&at, names[i], &ret->average[i]))
            return false;
    if (strncmp(at, " total=", 7) != 0)
        return false;
    at += 7;
    return take_number(&at, &ret->total_us);
}

void
pressure_parse(const char *text, struct pressure_line ret[PRESSURE_KINDS])
{
    static const char *const kinds[] = {
        [PRESSURE_SOME] = "some", [PRESSURE_FULL] = "full"};

    memset(ret, 0, sizeof(*ret) * PRESSURE_KINDS);
    while (text != NULL && *text != '\0') {
        for (size_t i = 0; i < PRESSURE_KINDS; i++)
            if (strncmp(text, kinds[i], 4) == 0)
                ret[i].known = parse_line(text + 4, &ret[i]);
        text = strchr(text, '\n');
        if (text != NULL)
            text++;
    }
}

/* ---- the process --------------------------------------------------------- */

/* Newer kernels tell the number as the size of the directory. */
static uint64_t
count_fds(int proc_fd)
{
    SCOPE(fd_close)
    int fd = openat(proc_fd, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t count = 0;
    struct stat st;
    DIR *dir;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    dir = fdopendir(fd);
    if (dir == NULL)
        return 0;
    (void)TAKE_FD(fd);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's own
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.' ? 1 : 0;
    (void)closedir(dir);
    return count;
}

void
figures_read(const char *proc_root, struct figures *ret)
{
    SCOPE(fd_close) int proc = open(proc_root, O_PATH | O_CLOEXEC);
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    char text[FILE_BYTES];
    const char *at = text;

    *ret = (struct figures){0};
    if (proc < 0)
        return;
    if (read_file(proc, "self/statm", text) == 0 &&
        take_number(&at, &ret->virtual_bytes) && *at++ == ' ' &&
        take_number(&at, &ret->resident_bytes)) {
        ret->virtual_bytes *= page;
        ret->resident_bytes *= page;
        ret->memory_known = true;
    }
    ret->open_fds = count_fds(proc);
    for (size_t i = 0; i < PRESSURE_FILES; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "pressure/%s", figures_resources[i]);
        if (read_file(proc, name, text) == 0)
            pressure_parse(text, ret->pressure[i]);
    }
}

/* ---- cgroups ------------------------------------------------------------- */

/* A file that is one number. */
static bool
read_number(int dir_fd, const char *name, uint64_t *ret)
{
    char text[FILE_BYTES];
    const char *at = text;

    return read_file(dir_fd, name, text) == 0 && take_number(&at, ret);
}

void
figures_read_cgroup(int dir_fd, struct cgroup_figures *ret)
{
    char text[FILE_BYTES];

    *ret = (struct cgroup_figures){0};
    if (dir_fd < 0)
        return;
    ret->cpu_known = read_file(dir_fd, "cpu.stat", text) == 0 &&
                     find_number(text, "user_usec ", &ret->cpu_user_us) &&
                     find_number(text, "system_usec ", &ret->cpu_system_us);
    ret->memory_known =
        read_number(dir_fd, "memory.current", &ret->memory_bytes) &&
        read_file(dir_fd, "memory.events", text) == 0 &&
        find_number(text, "oom_kill ", &ret->oom_kills);
    ret->pids_known = read_number(dir_fd, "pids.current", &ret->pids);
}
