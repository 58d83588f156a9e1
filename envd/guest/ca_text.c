/*
 * What a caBundle says, before anything is done with it.
 */
#include "guest/ca_text.h"

#include <string.h>

#include "guest/ca_bundle.h"
#include "guest/pem.h"
#include "limits.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
ca_text_trim(const char *pem, size_t len)
{
    while (len > 0 && is_blank(pem[len - 1]))
        len--;
    while (len > 0 && is_blank(*pem)) {
        pem++;
        len--;
    }
    return (struct str){pem, len};
}

int
ca_bundle_check(const char *pem, size_t len, struct status *st)
{
    struct str rest = ca_text_trim(pem, len);
    struct str block;
    unsigned int count = 0;
    int r;

    if (rest.len == 0)
        return 0;
    if (memchr(rest.data, '\0', rest.len) != NULL)
        return status_set(st, RPC_INVALID_ARGUMENT, "a NUL byte in the PEM");
    while ((r = pem_next(&rest, &block)) > 0)
        if (++count > LIMIT_CA_BLOCKS)
            return status_set(st, RPC_INVALID_ARGUMENT,
                              "more than %d certificates", LIMIT_CA_BLOCKS);
    if (r < 0)
        return status_set(st, RPC_INVALID_ARGUMENT, "an incomplete PEM block");
    if (count == 0)
        return status_set(st, RPC_INVALID_ARGUMENT, "no PEM block");
    return 1;
}

void
ca_text_blocks(struct buf *out, struct str text)
{
    struct str blocks[LIMIT_CA_BLOCKS];
    size_t count = 0;

    while (count < LIMIT_CA_BLOCKS && pem_next(&text, &blocks[count]) > 0) {
        size_t i = 0;

        while (i < count &&
               (blocks[i].len != blocks[count].len ||
                memcmp(blocks[i].data, blocks[count].data, blocks[i].len) != 0))
            i++;
        if (i < count)
            continue;
        buf_append(out, blocks[i].data, blocks[i].len);
        buf_append_byte(out, '\n');
        count++;
    }
}
