/*
 * The file that is another one after each resume.
 */
#include "guest/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/file_at.h"

#define LIFECYCLE_BYTES 128
#define FILE_BYTES      4096

/* What was counted last; 0 for a file that is not there, or not ours. */
static uint64_t
count_of(int dir_fd)
{
    SCOPE(scope_free) char *text = NULL;
    struct stat info;
    uint64_t count = 0;
    size_t len;

    if (file_at_read(dir_fd, GENERATION_FILE, FILE_BYTES, &text, &len, &info) <
        0)
        return 0;
    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
        count = count * 10 + (uint64_t)(text[i] - '0');
    return count;
}

int
generation_bump(const char *run_dir, const char *lifecycle_id, uint64_t *ret)
{
    SCOPE(fd_close)
    int dir_fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char text[LIFECYCLE_BYTES + 32];
    uint64_t count;
    int len;
    int r;

    if (dir_fd < 0)
        return -errno;
    count = count_of(dir_fd) + 1;
    len = snprintf(text, sizeof(text), "%llu %.*s", (unsigned long long)count,
                   LIFECYCLE_BYTES, lifecycle_id != NULL ? lifecycle_id : "");
    for (int i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    r = file_at_replace(dir_fd, GENERATION_FILE, NULL, text, (size_t)len,
                        false);
    if (r == 0 && ret != NULL)
        *ret = count;
    return r;
}
