/*
 * Settings: keys and values lie inside the text, one after the other.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct range {
    const char *at;
    const char *end;
};

static void
check_setting(void *ctx, unsigned int line, const char *key, const char *value)
{
    struct range *r = ctx;

    assert(line > 0);
    assert(key >= r->at && key + strlen(key) <= r->end);
    if (value == NULL)
        value = key;
    assert(value >= key && value + strlen(value) <= r->end);
    r->at = value;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(char *, config_fn, void *) = {
        config_parse, config_parse_kernel};

    for (size_t i = 0; i < 2; i++) {
        char *text = malloc(size + 1);
        struct range r = {text, text + size};

        if (text == NULL)
            return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        parsers[i](text, check_setting, &r);
        free(text);
    }
    return 0;
}
