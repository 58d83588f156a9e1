/*
 * A pattern, a NUL, a text: whatever the pattern, nothing is read behind its
 * end, and the C library agrees on what is no odd set.
 */
#include <assert.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether opinions are the same: they differ on sets that are not finished. */
static bool
is_comparable(const char *pattern, bool by_path)
{
    const char *set = strchr(pattern, '[');

    if (strlen(pattern) >= 16) /* the other one may take exponential time */
        return false;
    if (set == NULL)
        return true;
    return strpbrk(set + 1, by_path ? "[/\\-" : "[\\-") == NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    size_t len = nul != NULL ? (size_t)(nul - data) : size;
    char *pattern = strndup((const char *)data, len);
    char *text = nul != NULL ? strndup((const char *)nul + 1, size - len - 1)
                             : strdup("a/b.c");

    if (pattern != NULL && text != NULL) {
        for (int by_path = 0; by_path < 2; by_path++) {
            bool got = glob_matches(pattern, text, by_path != 0);

            if (is_comparable(pattern, by_path != 0))
                assert(got == (fnmatch(pattern, text,
                                       by_path != 0 ? FNM_PATHNAME : 0) == 0));
        }
    }
    free(pattern);
    free(text);
    return 0;
}
