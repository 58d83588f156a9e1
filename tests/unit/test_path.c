/*
 * Paths of requests, as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "filesystem/path.h"

static void
test_resolve(void **state)
{
    static const struct {
        const char *path;
        const char *workdir;
        const char *want;
    } cases[] = {
        /* Empty: the default directory, else the home. */
        {"", NULL, "/home/u"},
        {"", "", "/home/u"},
        {"", "/work", "/work"},
        {"", "/work/../x/", "/work/../x/"},
        {"", "~", "/home/u"},
        {"", "~/w", "/home/u/w"},
        {"", "rel", "/home/u/rel"},
        /* The default directory is for the empty path only. */
        {"f", "/work", "/home/u/f"},
        {"~", "/work", "/home/u"},
        {".", "/work", "/home/u"},
        /* Home. */
        {"~", NULL, "/home/u"},
        {"~/", NULL, "/home/u"},
        {"~/x", NULL, "/home/u/x"},
        {"~/x/../y/./z//", NULL, "/home/u/y/z"},
        {"~/../v", NULL, "/home/v"},
        {"~\\x", NULL, "/home/u/\\x"},
        {"a~", NULL, "/home/u/a~"},
        /* Absolute paths stay as they are. */
        {"/", NULL, "/"},
        {"//", NULL, "//"},
        {"/home/../home/user/f", NULL, "/home/../home/user/f"},
        {"/a/", NULL, "/a/"},
        {"/a/./b//c/..", NULL, "/a/./b//c/.."},
        {"/~", NULL, "/~"},
        /* Relative ones are joined and cleaned, and leave home freely. */
        {"x", NULL, "/home/u/x"},
        {"x/", NULL, "/home/u/x"},
        {"./x//y/.", NULL, "/home/u/x/y"},
        {"../user/./f", NULL, "/home/user/f"},
        {"../../etc", NULL, "/etc"},
        {"../../../../..", NULL, "/"},
        {"..", NULL, "/home"},
        {"...", NULL, "/home/u/..."},
        {"\xc3\xa4", NULL, "/home/u/\xc3\xa4"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status st = {0};
        char *path = NULL;

        assert_int_equal(path_resolve(str_from(cases[i].path), "u", "/home/u",
                                      cases[i].workdir, &path, &st),
                         0);
        assert_string_equal(path, cases[i].want);
        assert_int_equal(st.code, RPC_OK);
        free(path);
    }
}

static void
test_resolve_other_homes(void **state)
{
    static const struct {
        const char *path;
        const char *home;
        const char *want;
    } cases[] = {
        {"../etc", "/root", "/etc"},
        {"x", "/", "/x"},
        {"", "/", "/"},
        {"x", "", "/x"},
        {"~", "", "/"},
        {"", "", "/"},
        {"x", "/home/u/", "/home/u/x"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status st = {0};
        char *path = NULL;

        assert_int_equal(path_resolve(str_from(cases[i].path), "u",
                                      cases[i].home, NULL, &path, &st),
                         0);
        assert_string_equal(path, cases[i].want);
        free(path);
    }
}

static void
test_resolve_refuses(void **state)
{
    static const struct {
        struct str path;
        const char *workdir;
        const char *text;
    } cases[] = {
#define OTHER_HOME                                  \
    "failed to expand path '' for user 'someone': " \
    "cannot expand user-specific home dir"
        {STR("~name"), NULL, OTHER_HOME},
        {STR("~name/x"), NULL, OTHER_HOME},
        {STR("~~"), NULL, OTHER_HOME},
        {STR(""), "~name", OTHER_HOME},
        {STR("a\0b"), NULL, "the path holds a NUL byte: invalid argument"},
        {STR("/a\0"), NULL, "the path holds a NUL byte: invalid argument"},
        {STR("~\0"), NULL, "the path holds a NUL byte: invalid argument"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct status st = {0};
        char *path = NULL;

        assert_int_equal(path_resolve(cases[i].path, "someone", "/home/u",
                                      cases[i].workdir, &path, &st),
                         -1);
        assert_null(path);
        assert_int_equal(st.code, RPC_INVALID_ARGUMENT);
        assert_string_equal(status_message(&st), cases[i].text);
        status_done(&st);
    }
}

static void
test_clean(void **state)
{
    static const struct {
        const char *path;
        const char *clean;
        const char *dir;
        const char *base;
    } cases[] = {
        {"", ".", ".", "."},
        {".", ".", ".", "."},
        {"..", "..", ".", ".."},
        {"/", "/", "/", "/"},
        {"//", "/", "/", "/"},
        {"/.", "/", "/", "."},
        {"/..", "/", "/", ".."},
        {"/../..", "/", "/", ".."},
        {"/../a", "/a", "/", "a"},
        {"a", "a", ".", "a"},
        {"a/", "a", "a", "a"},
        {"a/..", ".", "a", ".."},
        {"a/../..", "..", ".", ".."},
        {"../a/../..", "../..", "..", ".."},
        {"../../a", "../../a", "../..", "a"},
        {"./a", "a", ".", "a"},
        {"a//b/./c", "a/b/c", "a/b", "c"},
        {"/a", "/a", "/", "a"},
        {"/a/", "/a", "/a", "a"},
        {"/a//", "/a", "/a", "a"},
        {"/a/b/../c", "/a/c", "/a", "c"},
        {"/a/b/../../..", "/", "/", ".."},
        {"/a/../b", "/b", "/", "b"},
        {"/a/.../b", "/a/.../b", "/a/...", "b"},
        {"/a/..b/c", "/a/..b/c", "/a/..b", "c"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *clean = path_clean(cases[i].path);
        char *dir = path_dir(cases[i].path);
        char *base = path_base(cases[i].path);

        assert_string_equal(clean, cases[i].clean);
        assert_string_equal(dir, cases[i].dir);
        assert_string_equal(base, cases[i].base);
        free(clean);
        free(dir);
        free(base);
    }
}

static void
test_join(void **state)
{
    static const struct {
        const char *dir;
        const char *name;
        const char *want;
    } cases[] = {
        {"/a", "b", "/a/b"},     {"/a/", "/b", "/a/b"}, {"/", "b", "/b"},
        {"/a", "", "/a"},        {"", "b", "b"},        {"/a", "../b", "/b"},
        {"/a", "../../b", "/b"}, {"", "", "."},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *path = path_join(cases[i].dir, cases[i].name);

        assert_string_equal(path, cases[i].want);
        free(path);
    }
}

static void
test_questions(void **state)
{
    (void)state;
    assert_true(path_is_root("/"));
    assert_true(path_is_root("//"));
    assert_true(path_is_root("/."));
    assert_true(path_is_root("/.."));
    assert_true(path_is_root("/a/.."));
    assert_false(path_is_root("/a"));
    assert_false(path_is_root("."));

    assert_true(path_is_implicit(STR("")));
    assert_true(path_is_implicit(STR(".")));
    assert_true(path_is_implicit(STR("./")));
    assert_true(path_is_implicit(STR("././/.")));
    assert_true(path_is_implicit(STR("a/..")));
    assert_false(path_is_implicit(STR("..")));
    assert_false(path_is_implicit(STR("~")));
    assert_false(path_is_implicit(STR("a")));
    assert_false(path_is_implicit(STR("/")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_resolve_other_homes),
        cmocka_unit_test(test_resolve_refuses),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_questions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
