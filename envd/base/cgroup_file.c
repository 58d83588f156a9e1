/*
 * Flat keyed files of cgroups.
 */
#include "base/cgroup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

/* More than any of these files holds. */
#define FILE_BYTES 4096

/* The next line of *text without its end, which is taken off. */
static struct str
next_line(struct str *text)
{
    const char *end = memchr(text->data, '\n', text->len);
    struct str line = {
        text->data,
        end != NULL ? (size_t)(end - text->data) : text->len,
    };
    size_t taken = line.len + (end != NULL ? 1 : 0);

    text->data += taken;
    text->len -= taken;
    return line;
}

bool
cgroup_find_value(struct str text, const char *key, uint64_t *ret)
{
    size_t key_len = strlen(key);
    uint64_t number;

    while (text.len > 0) {
        struct str line = str_trim(next_line(&text));
        struct str value;

        if (line.len <= key_len || !str_starts(line, key))
            continue;
        value = (struct str){line.data + key_len, line.len - key_len};
        if (*value.data != ' ' && *value.data != '\t')
            continue;
        if (str_to_u64(str_trim(value), UINT64_MAX, &number) == 0) {
            *ret = number;
            return true;
        }
    }
    return false;
}

int
cgroup_read_value(int dir_fd, const char *file, const char *key, uint64_t *ret)
{
    SCOPE(fd_close) int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
    char text[FILE_BYTES];
    ssize_t n;

    *ret = 0;
    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text));
    if (n < 0)
        return -errno;
    (void)cgroup_find_value((struct str){text, (size_t)n}, key, ret);
    return 0;
}

int
cgroup_write(int dir_fd, const char *file, const char *text)
{
    SCOPE(fd_close) int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
    size_t len = strlen(text);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, text, len);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EIO;
}

bool
cgroup_is_frozen(int dir_fd)
{
    uint64_t frozen;

    (void)cgroup_read_value(dir_fd, "cgroup.events", "frozen", &frozen);
    return frozen == 1;
}
