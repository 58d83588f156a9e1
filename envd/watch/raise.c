/*
 * The limits of inotify that all processes of a user share.
 */
#include "base/fd.h"
#include "base/str.h"
#include "watch/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *path;
    uint64_t least;
} limits[] = {
    {"/proc/sys/fs/inotify/max_user_watches", 1024 * 1024},
    {"/proc/sys/fs/inotify/max_queued_events", 64 * 1024},
    {"/proc/sys/fs/inotify/max_user_instances", 1024},
};

void
watch_raise_limits(void)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        char want[24];
        char *text = NULL;
        uint64_t now = 0;

        if (fd_read_file(limits[i].path, 64, &text, NULL) < 0)
            continue;
        if (str_to_u64(str_trim((struct str){text, strcspn(text, "\n")}),
                       UINT64_MAX, &now) == 0 &&
            now < limits[i].least) {
            (void)snprintf(want, sizeof(want), "%llu",
                           (unsigned long long)limits[i].least);
            (void)fd_write_file(limits[i].path, want);
        }
        free(text);
    }
}
