/*
 * Which memory is collapsed, and what is said of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "guest/collapse.h"

static void
expect_split(uint64_t successes, int64_t before, int64_t after,
             uint64_t collapsed, uint64_t already)
{
    struct collapse_counts c = {0};

    collapse_split(successes, before, after, &c);
    assert_int_equal(c.collapsed, collapsed);
    assert_int_equal(c.already_huge, already);
}

static void
test_split(void **state)
{
    (void)state;
    expect_split(10, 0, 10, 10, 0);
    expect_split(10, 5, 8, 3, 7);
    expect_split(10, 4, 4, 0, 10);
    expect_split(10, 0, 20, 10, 0);
    expect_split(10, -1, -1, 10, 0);
    expect_split(10, -1, 4, 10, 0);
    expect_split(10, 4, -1, 10, 0);
    expect_split(10, 8, 4, 10, 0);
    expect_split(0, 0, 0, 0, 0);
}

static void
expect_region(const char *line, bool expected)
{
    uintptr_t start = 0;
    uintptr_t end = 0;

    assert_int_equal(collapse_region(line, &start, &end), expected);
    if (expected) {
        assert_int_equal(start, 0x7f0000200000);
        assert_int_equal(end, 0x7f0000600000);
    }
}

#define AT "7f0000200000-7f0000600000 "

static void
test_region(void **state)
{
    (void)state;
    expect_region(AT "rw-p 00000000 00:00 0 \nmore", true);
    expect_region(AT "rw-p 00000000 00:00 0", true);
    expect_region(AT "rw-p 00000000 00:00 0                    [heap]\n", true);
    expect_region(AT "rw-p 00000000 00:00 0                    [stack]\n",
                  false);
    expect_region(AT "r--p 00000000 00:00 0 \n", false);
    expect_region(AT "---p 00000000 00:00 0 \n", false);
    expect_region(AT "rwxp 00000000 00:00 0 \n", false);
    expect_region(AT "rw-s 00000000 00:01 77  /dev/zero (deleted)\n", false);
    expect_region(AT "rw-p 00001000 fe:00 1234  /usr/bin/envd\n", false);
    expect_region("nonsense\n", false);
    expect_region("\n", false);
    expect_region("", false);
    expect_region("7f00-\n", false);
    expect_region(AT "rw-p\n", false);
    expect_region(AT "rw-p 00000000 00:00\n", false);
}

static void
test_huge_pages(void **state)
{
    (void)state;
    assert_int_equal(collapse_huge_pages("Rss: 9 kB\nAnonHugePages:    6144 "
                                         "kB\nShmem: 2048 kB\n"),
                     3);
    assert_int_equal(collapse_huge_pages("AnonHugePages:       0 kB\n"), 0);
    assert_int_equal(collapse_huge_pages("Rss: 9 kB\n"), -1);
    assert_int_equal(collapse_huge_pages(""), -1);
}

/* Memory of the test's own: whole windows, touched, and huge afterwards. */
static void
test_run(void **state)
{
    const size_t size = 4 * COLLAPSE_WINDOW;
    const atomic_bool cancel = false;
    struct collapse_counts first;
    struct collapse_counts again;
    const char *what;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(madvise(memory, size, MADV_NOHUGEPAGE), 0);
    memset(memory, 'x', size);
    assert_int_equal(madvise(memory, size, MADV_NORMAL), 0);
    assert_int_equal(collapse_run(&cancel, &first, &what), 0);
    assert_true(first.regions >= 1);
    assert_true(first.chunks >= 3);
    assert_int_equal(first.chunks,
                     first.collapsed + first.already_huge + first.skipped);
    assert_true(first.elapsed_ms >= 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(memory[i], 'x');
    assert_int_equal(collapse_run(&cancel, &again, &what), 0);
    /* Where the kernel collapses at all, nothing is left to do. */
    if (first.collapsed + first.already_huge >= 3)
        assert_true(again.already_huge >= 3);
    assert_int_equal(munmap(memory, size), 0);
}

static void
test_cancel(void **state)
{
    const size_t size = 2 * COLLAPSE_WINDOW;
    const atomic_bool cancel = true;
    struct collapse_counts c;
    const char *what;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(collapse_run(&cancel, &c, &what), -ECANCELED);
    assert_int_equal(munmap(memory, size), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),      cmocka_unit_test(test_region),
        cmocka_unit_test(test_huge_pages), cmocka_unit_test(test_run),
        cmocka_unit_test(test_cancel),
    };

    return cmocka_run_group_tests_name("collapse", tests, NULL, NULL);
}
