/*
 * /proc/stat and /proc/meminfo: what is accepted adds up.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "guest/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = str_dup((struct str){(const char *)data, size});
    struct guest_metrics m = {0};
    struct cpu_counters c;

    assert(text != NULL);
    if (cpu_counters_parse(text, &c) == 0)
        assert(c.busy <= c.total && c.cpu_count > 0);
    if (meminfo_parse(text, &m) == 0)
        assert(m.mem_used <= m.mem_total);
    free(text);
    return 0;
}
