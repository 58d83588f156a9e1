/*
 * The system's own tables of content types, in a root of their own.
 */
#include "http/mime_types.h"

#include "base/scope.h"
#include "http/content.h"
#include "limits.h"
#include "scratch.h"

#define GLOBS "usr/share/mime/globs2"
#define LIST  "etc/mime.types"

static char root[64];

/* An empty root with the folders that may hold tables. */
static void
new_root(void)
{
    static const char *const folders[] = {
        "",           "usr",
        "usr/share",  "usr/share/mime",
        "usr/local",  "usr/local/share",
        "etc",        "usr/local/share/mime",
        "etc/apache", "etc/httpd",
    };
    static int count;

    (void)snprintf(root, sizeof(root), "root%d", ++count);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        assert_int_equal(mkdir(scratch("%s/%s", root, folders[i]), 0755), 0);
}

static void
put(const char *name, const char *content)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    scratch_file(path, content, 0600);
}

static struct mime_types *
read_types(void)
{
    struct mime_types *t = mime_types_read(scratch("%s", root));

    assert_non_null(t);
    return t;
}

static void
expect(const struct mime_types *t, const char *name, const char *type)
{
    const char *got = mime_types_find(t, str_from(name));

    if (type == NULL)
        assert_null(got);
    else
        assert_string_equal(got != NULL ? got : "none", type);
}

static void
test_patterns(void **state)
{
    struct mime_types *t;

    (void)state;
    new_root();
    put(GLOBS, "# 50:text/no:*.remark\n"
               "80:text/x-first:*.both\n"
               "50:text/x-second:*.both\n"
               "50:text/html2:*.html\n"
               "50:text/x-csrc:*.c\n"
               "50:text/x-c++src:*.C:cs\n"
               "50:application/x-up:*.UP\n"
               "50:text/x-utf; charset=latin1:*.latin\n"
               "50:text/plain:readme*\n"
               "50:text/plain:*.no[12]\n"
               "50:text/plain:*.so.?\n"
               "50:notype:*.bad1\n"
               "50:/x:*.bad2\n"
               "50:x/:*.bad3\n"
               "50:x/y/z:*.bad4\n"
               "50:x y/z:*.bad5\n"
               "50:x/y\x01:*.bad6\n"
               "50\n\n:::\n50:a/b:*.\n"
               "50:application/last:*.last");
    put(LIST, "text/other last other\n");
    t = read_types();
    expect(t, "a.both", "text/x-first; charset=utf-8");
    expect(t, "a.html", "text/html; charset=utf-8");
    expect(t, "a.c", "text/x-csrc; charset=utf-8");
    expect(t, "a.C", "text/x-c++src; charset=utf-8");
    expect(t, "a.UP", "application/x-up");
    expect(t, "a.up", NULL);
    expect(t, "a.BOTH", "text/x-first; charset=utf-8");
    expect(t, "a.JSON", "application/json");
    expect(t, "a.latin", "text/x-utf; charset=latin1");
    expect(t, "/d.last/a.last", "application/last");
    expect(t, "/d.last/a", NULL);
    expect(t, "a.other", NULL);
    expect(t, "a.remark", NULL);
    expect(t, "a.", NULL);
    for (char c = '1'; c <= '6'; c++)
        expect(t, (char[]){'a', '.', 'b', 'a', 'd', c, '\0'}, NULL);
    mime_types_free(t);
}

/* The administrator's table comes instead of the distribution's. */
static void
test_first_table_counts(void **state)
{
    struct mime_types *t;

    (void)state;
    new_root();
    put(GLOBS, "50:a/theirs:*.x\n50:a/theirs:*.y\n");
    put("usr/local/share/mime/globs2", "50:a/ours:*.x\n");
    t = read_types();
    expect(t, "f.x", "a/ours");
    expect(t, "f.y", NULL);
    mime_types_free(t);
}

static void
test_lists(void **state)
{
    struct mime_types *t;

    (void)state;
    new_root();
    put(LIST, "# remark\n"
              "text/x-one\t\tone  uno # and no more\n"
              "text/alone\n"
              "application/x-js js\n"
              "application/x-Up UP\n"
              "bad one\n");
    put("etc/apache/mime.types", "application/later uno\r\n");
    t = read_types();
    expect(t, "a.one", "text/x-one; charset=utf-8");
    expect(t, "a.uno", "application/later");
    expect(t, "a.more", NULL);
    expect(t, "a.js", "application/x-js");
    expect(t, "a.JS", "application/x-js");
    expect(t, "a.UP", "application/x-Up");
    expect(t, "a.html", "text/html; charset=utf-8");
    mime_types_free(t);
}

static void
test_nothing_there(void **state)
{
    static char large[LIMIT_TYPES_FILE_BYTES + 2];
    struct mime_types *t;

    (void)state;
    new_root();
    t = read_types();
    expect(t, "a.html", "text/html; charset=utf-8");
    expect(t, "a.odd", NULL);
    mime_types_free(t);

    /* A pipe, and a table without end. */
    assert_int_equal(mkfifo(scratch("%s/%s", root, GLOBS), 0600), 0);
    memset(large, '\n', sizeof(large) - 1);
    memcpy(large, "a/b odd", 7);
    put(LIST, large);
    t = read_types();
    expect(t, "a.html", "text/html; charset=utf-8");
    expect(t, "a.odd", NULL);
    mime_types_free(t);
    mime_types_free(NULL);
    expect(NULL, "a.css", "text/css; charset=utf-8");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_first_table_counts),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_nothing_there),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
