/*
 * Paths cut into directory and name.
 */
#include "filesystem/place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/str.h"

void
place_done(struct place *p)
{
    fd_close(&p->dir_fd);
    free(p->name);
}

int
place_open(const char *path, struct place *ret)
{
    SCOPE(scope_free) char *dir = NULL;
    size_t end = strlen(path);
    size_t start;

    while (end > 1 && path[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    dir = str_dup((struct str){path, start});
    ret->name = str_dup((struct str){path + start, end - start});
    if (dir == NULL || ret->name == NULL)
        return -ENOMEM;
    ret->dir_fd = open(start > 0 ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return ret->dir_fd < 0 ? -errno : 0;
}

int
place_private_name(const char *what, char ret[PLACE_NAME_BYTES])
{
    uint64_t id;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return -EIO;
    (void)snprintf(ret, PLACE_NAME_BYTES, ".envd-%.10s-%016" PRIx64, what, id);
    return 0;
}
