/*
 * The filters are the same for each kind of machine, whichever makes them.
 *
 * What the generator writes is interpreted here, call by call: those of one
 * name have one fate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filter_run.h"

#define STEPS_MAX 4096
#define CALLS_MAX 1024

enum { LOOP, PRIVILEGED, HARDENED, FILTERS };

struct machine {
    uint32_t arch;
    struct sock_filter steps[FILTERS][STEPS_MAX];
    struct sock_fprog filters[FILTERS];
    char names[CALLS_MAX][64];
    size_t calls;
};

static void
read_step(struct sock_filter *ret, const char *line)
{
    unsigned int code;
    unsigned int jt;
    unsigned int jf;
    unsigned int k;

    assert_int_equal(sscanf(line, " {0x%x, %u, %u, 0x%x}", &code, &jt, &jf, &k),
                     4);
    *ret = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
}

/* Have the generator, which is beside this program, write for a machine. */
static struct machine *
machine_read(const char *name)
{
    struct machine *m = calloc(1, sizeof(*m));
    char path[PATH_MAX] = "";
    char command[PATH_MAX + 64];
    char line[256];
    int filter = -1;
    FILE *text;

    assert_non_null(m);
    assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    *strrchr(path, '/') = '\0';
    (void)snprintf(command, sizeof(command), "'%s/../gen/seccomp_filters' %s",
                   path, name);
    text = popen(command, "r");
    assert_non_null(text);
    while (fgets(line, sizeof(line), text) != NULL) {
        (void)sscanf(line, "#define SECCOMP_MACHINE 0x%xU", &m->arch);
        if (strncmp(line, "static const struct sock_filter", 31) == 0)
            filter++;
        else if (strncmp(line, "    {", 5) == 0)
            read_step(&m->steps[filter][m->filters[filter].len++], line);
        else if (strncmp(line, "    \"", 5) == 0)
            (void)sscanf(line, " \"%63[a-z0-9_]", m->names[m->calls++]);
    }
    assert_int_equal(pclose(text), 0);
    assert_int_equal(filter, FILTERS - 1);
    for (; filter >= 0; filter--) {
        m->filters[filter].filter = m->steps[filter];
        assert_true(filter_is_valid(&m->filters[filter]));
    }
    assert_true(m->calls > 400);
    return m;
}

/* What a filter makes of a call. */
static uint32_t
fate(const struct machine *m, int filter, uint32_t call, uint64_t arg,
     unsigned int index)
{
    struct seccomp_data data = {.nr = (int)call, .arch = m->arch};

    data.args[index] = arg;
    return filter_run(&m->filters[filter], &data);
}

static uint32_t
number_of(const struct machine *m, const char *name)
{
    for (uint32_t i = 0; i < m->calls; i++)
        if (strcmp(m->names[i], name) == 0)
            return i;
    return UINT32_MAX;
}

static void
test_one_fate(void **state)
{
    /* With which the filters' tests of arguments hold, and do not. */
    static const uint64_t args[] = {
        0, 2, 3, 7, 17, 0x10000000, 0xc0045877, 0xffffffff,
    };
    struct machine *a = machine_read("x86_64");
    struct machine *b = machine_read("aarch64");
    size_t compared = 0;

    (void)state;
    for (uint32_t i = 0; i < a->calls; i++) {
        uint32_t other = number_of(b, a->names[i]);

        if (a->names[i][0] == '\0' || other == UINT32_MAX)
            continue;
        compared++;
        for (int f = LOOP; f < FILTERS; f++)
            for (unsigned int n = 0; n < 3 * sizeof(args) / sizeof(*args); n++)
                if (fate(a, f, i, args[n / 3], n % 3) !=
                    fate(b, f, other, args[n / 3], n % 3))
                    fail_msg("filter %d: %s is not the same", f, a->names[i]);
    }
    assert_true(compared > 250);
    assert_int_equal(fate(b, LOOP, number_of(b, "execve"), 0, 0),
                     SECCOMP_RET_ERRNO | 1);
    assert_int_equal(fate(b, LOOP, number_of(b, "epoll_pwait"), 0, 0),
                     SECCOMP_RET_ALLOW);
    free(a);
    free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_fate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
