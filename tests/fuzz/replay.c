/*
 * Run a fuzz harness over the files named on the command line: the corpus is
 * an ordinary test in every build.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        SCOPE(scope_free) char *text = NULL;
        size_t len;

        if (fd_read_file(argv[i], 1 << 24, &text, &len) < 0) {
            (void)fprintf(stderr, "cannot read %s\n", argv[i]);
            return EXIT_FAILURE;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)text, len);
    }
    return EXIT_SUCCESS;
}
