/*
 * The random pool is fed, and a resume leaves its number.
 */
#include "scratch.h"

#include <errno.h>

#include "base/scope.h"
#include "guest/entropy.h"
#include "guest/generation.h"

static void
test_reseed(void **state)
{
    static const char seed[] = "a time and a lifecycle";
    int r = entropy_reseed(seed, sizeof(seed));

    (void)state;
    if (geteuid() != 0) {
        assert_int_equal(r, -EPERM);
        skip();
    }
    if (r == -EPERM)
        skip(); /* root of a container */
    assert_int_equal(r, 0);
    assert_int_equal(entropy_reseed(NULL, 0), 0);
}

static void
test_generation(void **state)
{
    uint64_t count = 0;

    (void)state;
    assert_int_equal(generation_bump(scratch_root, "abc", &count), 0);
    assert_int_equal(count, 1);
    scratch_expect_file(GENERATION_FILE, "1 abc");
    assert_int_equal(generation_bump(scratch_root, NULL, &count), 0);
    assert_int_equal(count, 2);
    scratch_expect_file(GENERATION_FILE, "2 ");
    assert_int_equal(generation_bump(scratch_root, "a\nb\x7f", NULL), 0);
    scratch_expect_file(GENERATION_FILE, "3 a?b?");
    scratch_file(GENERATION_FILE, "41", 0644);
    assert_int_equal(generation_bump(scratch_root, "x", &count), 0);
    assert_int_equal(count, 42);
    scratch_file(GENERATION_FILE, "nonsense", 0644);
    assert_int_equal(generation_bump(scratch_root, "x", &count), 0);
    assert_int_equal(count, 1);
}

/* A reader sees one or the other, never a half; a link is not followed. */
static void
test_generation_is_replaced(void **state)
{
    struct stat before;
    struct stat after;

    (void)state;
    scratch_file(GENERATION_FILE, "7 old", 0600);
    assert_int_equal(stat(scratch(GENERATION_FILE), &before), 0);
    assert_int_equal(generation_bump(scratch_root, "new", NULL), 0);
    assert_int_equal(lstat(scratch(GENERATION_FILE), &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(after.st_mode & 07777, 0644);
    assert_int_equal(unlink(scratch(GENERATION_FILE)), 0);
    scratch_file("victim", "9 untouched", 0644);
    scratch_link("victim", GENERATION_FILE);
    assert_int_equal(generation_bump(scratch_root, "new", NULL), 0);
    scratch_expect_file("victim", "9 untouched");
    scratch_expect_file(GENERATION_FILE, "1 new");
    assert_int_equal(generation_bump(scratch("none"), "x", NULL), -ENOENT);
}

static void
test_generation_long(void **state)
{
    char name[400];
    char expected[200] = "1 ";

    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(expected + 2, 'n', 128);
    assert_int_equal(generation_bump(scratch_root, name, NULL), 0);
    scratch_expect_file(GENERATION_FILE, expected);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reseed, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_generation, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(test_generation_is_replaced,
                                        scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(test_generation_long, scratch_make,
                                        scratch_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
