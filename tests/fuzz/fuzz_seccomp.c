/*
 * A profile: whatever comes of it the kernel would take.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/filter_run.h"
#include "api/profile_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct sock_fprog program = {0};
    struct status st = {0};

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (profile_read(text, size, &program, &st) == 0) {
        assert(filter_is_valid(&program));
        for (int number = 0; number < 512; number++) {
            struct seccomp_data call = {.nr = number};

            memset(call.args, number, sizeof(call.args));
            memcpy(&call.arch, &program.filter[1].k, sizeof(call.arch));
            (void)filter_run(&program, &call);
        }
    } else {
        assert(st.code == RPC_FAILED_PRECONDITION);
    }
    free(program.filter);
    status_done(&st);
    free(text);
    return 0;
}
