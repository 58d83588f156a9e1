/*
 * Names that a watcher does not want to hear of.
 */
#include <string.h>

#include "base/glob.h"
#include "watch/hub.h"

bool
ignore_matches(char *const *patterns, size_t count, const char *path,
               const char *name)
{
    for (size_t i = 0; i < count; i++) {
        bool by_path = strchr(patterns[i], '/') != NULL;

        if (glob_matches(patterns[i], by_path ? path : name, by_path))
            return true;
    }
    return false;
}
