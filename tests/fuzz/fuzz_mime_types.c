/*
 * Tables of content types: whatever they hold, a type is fit for a header.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "http/mime_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct mime_types *t, struct str path)
{
    const char *type = mime_types_find(t, path);

    for (; type != NULL && *type != '\0'; type++)
        assert(*type >= ' ' && *type <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    for (int lists = 0; lists < 2; lists++) {
        struct mime_types *t = mime_types_parse(text, lists != 0);

        check(t, text);
        check(t, STR("a.x"));
        check(t, STR("a.Xy"));
        check(t, STR("a.html"));
        mime_types_free(t);
    }
    return 0;
}
