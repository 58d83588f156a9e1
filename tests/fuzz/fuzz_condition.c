/*
 * Conditions and dates: five headers, one a line.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "http/condition.h"
#include "http/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Take a line, in memory of its own so that its end is guarded. */
static struct str
take_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
    size_t len = end != NULL ? (size_t)(end - *data) : *size;
    char *copy = malloc(len > 0 ? len : 1);

    assert(copy != NULL);
    if (len > 0)
        memcpy(copy, *data, len);
    *data += len + (end != NULL ? 1 : 0);
    *size -= len + (end != NULL ? 1 : 0);
    return (struct str){copy, len};
}

static void
check_date(struct str s)
{
    char text[HTTP_DATE_SIZE];
    int64_t seconds;
    int64_t again;

    if (http_date_parse(s, &seconds) < 0 || seconds < 0)
        return;
    http_date_format(seconds, text);
    assert(http_date_parse(str_from(text), &again) == 0 && again == seconds);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct validators v;
    struct str lines[5];
    struct conditions c;

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        lines[i] = take_line(&data, &size);
        check_date(lines[i]);
    }
    c = (struct conditions){lines[0], lines[1], lines[2], lines[3], lines[4]};
    validators_of_file(&v, 0xa, 0xb, (struct timespec){1600000000, 0},
                       (struct timespec){1700000000, 0});
    assert(conditions_check(&c, &v) == CONDITIONS_MET ||
           c.if_match.len + c.if_unmodified_since.len + c.if_none_match.len +
                   c.if_modified_since.len >
               0);
    (void)conditions_allow_range(&c, &v);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        free((void *)(uintptr_t)lines[i].data);
    return 0;
}
