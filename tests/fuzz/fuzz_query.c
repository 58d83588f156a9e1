/*
 * Query strings: values lie inside the text, and decoding never grows it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPE(status_done) struct status st = {0};
    struct query_param params[] = {
        {.name = "path"},
        {.name = "n", .is_number = true},
    };
    char *text = malloc(size + 1);

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    if (query_bind(text, size, params, ARRAY_LEN(params), &st) < 0) {
        assert(st.message != NULL);
    } else {
        for (size_t i = 0; i < ARRAY_LEN(params); i++) {
            struct str v = params[i].value;

            assert((v.data == NULL) == (params[i].times == 0));
            assert(v.data == NULL ||
                   (v.data >= text && v.data + v.len <= text + size));
        }
    }
    free(text);
    return 0;
}
