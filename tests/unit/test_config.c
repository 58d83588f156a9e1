/*
 * Settings out of files and of the kernel's command line.
 */
#include "guest/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

/* What was found, as "LINE:KEY=VALUE;", with - for no value. */
static char found[512];

static void
note(void *ctx, unsigned int line, const char *key, const char *value)
{
    size_t used = strlen(found);

    assert_ptr_equal(ctx, found);
    (void)snprintf(found + used, sizeof(found) - used, "%u:%s%s%s;", line, key,
                   value != NULL ? "=" : "-", value != NULL ? value : "");
}

struct config_case {
    const char *text;
    const char *want;
};

static void
check(const struct config_case *c, void (*parse)(char *, config_fn, void *))
{
    char text[256];

    found[0] = '\0';
    (void)snprintf(text, sizeof(text), "%s", c->text);
    parse(text, note, found);
    assert_string_equal(found, c->want);
}

static void
test_lines(void **state)
{
    static const struct config_case cases[] = {
        {"", ""},
        {"\n\n \t\n", ""},
        {"a=1", "1:a=1;"},
        {"a = 1\nb\t=\t2\r\n", "1:a=1;2:b=2;"},
        {"# a = 1\n  # b\na = 1 # no comment", "3:a=1 # no comment;"},
        {"a\nb", "1:a-;2:b-;"},
        {"=", "1:=;"},
        {"a=\na=\"\"", "1:a=;2:a=;"},
        {"a = b = c", "1:a=b = c;"},
        {"a = \" b \"", "1:a= b ;"},
        {"a = \"b\" c", "1:a=\"b\" c;"},
        {"a = \"", "1:a=\";"},
        {"a = \"b", "1:a=\"b;"},
        {"a b = c", "1:a b=c;"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(&cases[i], config_parse);
}

static void
test_kernel_words(void **state)
{
    static const struct config_case cases[] = {
        {"", ""},
        {"\n", ""},
        {"quiet panic=1 envd init=/x", ""},
        {"envd.a=1", "1:a=1;"},
        {"x envd.a=1  envd.b=2\n", "1:a=1;1:b=2;"},
        {"envd.a= envd.b", "1:a=;"},
        {"envd.a=\"b c\" envd.d=e", "1:a=b c;1:d=e;"},
        {"\"envd.a=b c\"", "1:a=b c;"},
        {"envd.a=b\" \"c", "1:a=b c;"},
        {"envd.a=\"b c", "1:a=b c;"},
        {"envd.a=b=c", "1:a=b=c;"},
        {"envd.=x", "1:=x;"},
        {"xenvd.a=1", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(&cases[i], config_parse_kernel);
}

static void
test_variables(void **state)
{
    char name[12];

    (void)state;
    config_variable("port", name, sizeof(name));
    assert_string_equal(name, "ENVD_PORT");
    config_variable("a-b.c", name, sizeof(name));
    assert_string_equal(name, "ENVD_A_B.C");
    config_variable("no-cgroups", name, sizeof(name));
    assert_string_equal(name, "ENVD_NO_CGR");
}

static void
test_no_file(void **state)
{
    char *text = NULL;

    (void)state;
    assert_int_equal(config_read("/nowhere/envd.conf", &text, note, found),
                     -ENOENT);
    assert_int_equal(config_read("/dev/null", &text, note, found), -EPERM);
    assert_null(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_kernel_words),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
