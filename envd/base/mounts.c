/*
 * /proc/self/mountinfo, fifth field.
 */
#include "base/mounts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/scope.h"
#include "base/str.h"
#include "limits.h"

#define POINT_FIELD 4

char *
mounts_read(void)
{
    char *table = NULL;

    return fd_read_file("/proc/self/mountinfo", LIMIT_MOUNT_TABLE_BYTES, &table,
                        NULL) == 0
               ? table
               : NULL;
}

bool
path_is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    if (strncmp(path, dir, len) != 0)
        return false;
    return len == 0 || dir[len - 1] == '/' || path[len] == '/' ||
           path[len] == '\0';
}

static bool
is_octal(const char *s)
{
    return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
           s[2] >= '0' && s[2] <= '7';
}

/* Undo the kernel's \ooo for blanks, newlines and backslashes, in place. */
static void
unescape(char *s)
{
    char *out = s;

    while (*s != '\0') {
        if (*s == '\\' && is_octal(s + 1)) {
            *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0');
            s += 4;
        } else {
            *out++ = *s++;
        }
    }
    *out = '\0';
}

/* The mount point in one line, or NULL. */
static char *
point_of(const char *line, size_t len)
{
    const char *end = line + len;
    const char *blank = NULL;
    char *point;

    for (int i = 0; i < POINT_FIELD; i++) {
        blank = memchr(line, ' ', (size_t)(end - line));
        if (blank == NULL)
            return NULL;
        line = blank + 1;
    }
    blank = memchr(line, ' ', (size_t)(end - line));
    if (blank == NULL)
        return NULL;
    point = str_dup((struct str){line, (size_t)(blank - line)});
    if (point != NULL)
        unescape(point);
    return point;
}

char *
mounts_find(const char *table, const char *path)
{
    char *best = NULL;

    while (*table != '\0') {
        size_t len = strcspn(table, "\n");
        char *point = point_of(table, len);

        if (point != NULL && path_is_below(path, point) &&
            (best == NULL || strlen(point) > strlen(best))) {
            free(best);
            best = TAKE_PTR(point);
        }
        free(point);
        table += len + (table[len] == '\n' ? 1 : 0);
    }
    return best;
}
