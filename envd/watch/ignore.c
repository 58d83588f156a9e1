/*
 * Names that a watcher does not want to hear of.
 */
#include <fnmatch.h>
#include <string.h>

#include "watch/hub.h"

bool
ignore_matches(char *const *patterns, size_t count, const char *path,
               const char *name)
{
    for (size_t i = 0; i < count; i++) {
        bool by_path = strchr(patterns[i], '/') != NULL;

        if (fnmatch(patterns[i], by_path ? path : name,
                    by_path ? FNM_PATHNAME : 0) == 0)
            return true;
    }
    return false;
}
