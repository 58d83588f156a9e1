/* Envelopes as a peer may send them, compressed ones inflated. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connect/envelope.h"

#define MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the rules. */
static struct envelope_rules
rules_of(uint8_t choice)
{
    static const uint8_t end_flags[] = {0, ENVELOPE_END_STREAM,
                                        ENVELOPE_TRAILERS, 0};

    return (struct envelope_rules){
        .gzip = (choice & 1) != 0,
        .end_flag = end_flags[choice >> 1 & 3],
        .max = MAX_BYTES,
    };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct envelope_rules rules;
    struct status st = {0};
    struct envelope e;
    enum envelope_step step;
    uint8_t *copy, *at;

    if (size == 0)
        return 0;
    rules = rules_of(*data);
    size--;
    at = copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 1, size);
    while ((step = envelope_read(&rules, at, size, &e, &st)) == ENVELOPE_ONE) {
        assert(e.len <= rules.max);
        assert(e.data == at + ENVELOPE_PREFIX_LEN);
        assert(e.len <= size - ENVELOPE_PREFIX_LEN);
        if ((e.flags & ENVELOPE_COMPRESSED) != 0) {
            struct buf out = {0};
            int err = envelope_inflate(e.data, e.len, rules.max, &out, &st);

            assert(err == 0 ? out.len <= rules.max : st.code != RPC_OK);
            buf_done(&out);
        }
        at += ENVELOPE_PREFIX_LEN + e.len;
        size -= ENVELOPE_PREFIX_LEN + e.len;
    }
    if (step == ENVELOPE_MORE && size > 0)
        (void)envelope_cut(at, size, 0, &st);
    assert(step == ENVELOPE_MORE || st.code != RPC_OK);
    status_done(&st);
    free(copy);
    return 0;
}
