/*
 * Query decoding: the rules and texts of the REST contract, chapter 2.5.
 */
#include "http/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"

#define TWICE(name)                      \
    "Invalid format for parameter " name \
    ": multiple values for single value parameter '" name "'"
#define NOT_A_NUMBER(quoted, why)                               \
    "Invalid format for parameter signature_expiration: error " \
    "binding string parameter: strconv.ParseInt: parsing \"" quoted "\": " why

struct query_case {
    const char *query;
    const char *path; /* NULL: absent */
    const char *username;
    int64_t expiration;
    const char *error;
};

static const struct query_case cases[] = {
    {"", NULL, NULL, 0, NULL},
    {"path=/a", "/a", NULL, 0, NULL},
    {"path=/a%20b+c&username=u", "/a b c", "u", 0, NULL},
    {"p%61th=%2fx", "/x", NULL, 0, NULL},
    {"path=", "", NULL, 0, NULL},
    {"path", "", NULL, 0, NULL},
    {"&&path=a&&", "a", NULL, 0, NULL},
    {"path=a=b", "a=b", NULL, 0, NULL},
    {"path=/a;x=1&username=u", NULL, "u", 0, NULL},
    {"path=%zz&username=u", NULL, "u", 0, NULL},
    {"path=%2&username=u", NULL, "u", 0, NULL},
    {"path=a%", NULL, NULL, 0, NULL},
    {"pa%th=a&path=b", "b", NULL, 0, NULL},
    {"Path=a&other=%zz", NULL, NULL, 0, NULL},
    {"=a&path=%c3%bc", "\xc3\xbc", NULL, 0, NULL},
    {"signature_expiration=1700000000", NULL, NULL, 1700000000, NULL},
    {"signature_expiration=007", NULL, NULL, 7, NULL},
    {"signature_expiration=-5", NULL, NULL, -5, NULL},
    {"signature_expiration=%2B5", NULL, NULL, 5, NULL},
    {"signature_expiration=9223372036854775807", NULL, NULL, INT64_MAX, NULL},
    {"path=a&path=a", NULL, NULL, 0, TWICE("path")},
    {"username=a&username=b&path=c", NULL, NULL, 0, TWICE("username")},
    {"username=a&path=1&username=b&path=2", NULL, NULL, 0, TWICE("path")},
    {"path=a&path=%zz", "a", NULL, 0, NULL},
    {"signature_expiration=1&signature_expiration=x", NULL, NULL, 0,
     TWICE("signature_expiration")},
    {"signature_expiration=", NULL, NULL, 0,
     NOT_A_NUMBER("", "invalid syntax")},
    {"signature_expiration=1+2", NULL, NULL, 0,
     NOT_A_NUMBER("1 2", "invalid syntax")},
    {"signature_expiration=0x1f", NULL, NULL, 0,
     NOT_A_NUMBER("0x1f", "invalid syntax")},
    {"signature_expiration=a%22%5C%0a%01%ff%c3%bc", NULL, NULL, 0,
     NOT_A_NUMBER("a\\\"\\\\\\n\\x01\\xff\xc3\xbc", "invalid syntax")},
    {"signature_expiration=9223372036854775808", NULL, NULL, 0,
     NOT_A_NUMBER("9223372036854775808", "value out of range")},
    {"signature_expiration=x&path=a&path=b", NULL, NULL, 0, TWICE("path")},
};

static void
assert_value(struct str value, const char *want)
{
    if (want == NULL)
        assert_null(value.data);
    else
        assert_true(str_eq(value, want));
}

static void
test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct query_case *c = &cases[i];
        SCOPE(status_done) struct status st = {0};
        size_t len = strlen(c->query);
        /* An exact allocation, so that a sanitizer sees an overrun. */
        char *text = malloc(len + (len == 0));
        struct query_param params[] = {
            {.name = "path"},
            {.name = "username"},
            {.name = "signature"},
            {.name = "signature_expiration", .is_number = true},
        };
        int r;

        assert_non_null(text);
        memcpy(text, c->query, len);
        r = query_bind(text, len, params, ARRAY_LEN(params), &st);
        assert_int_equal(r, c->error != NULL ? -1 : 0);
        if (c->error != NULL) {
            assert_string_equal(status_message(&st), c->error);
        } else {
            assert_value(params[0].value, c->path);
            assert_value(params[1].value, c->username);
            assert_true(params[3].number == c->expiration);
        }
        free(text);
    }
}

static void
test_nul_and_no_query(void **state)
{
    SCOPE(status_done) struct status st = {0};
    char text[] = "path=a%00b";
    struct query_param path = {.name = "path"};

    (void)state;
    assert_int_equal(query_bind(NULL, 0, &path, 1, &st), 0);
    assert_null(path.value.data);
    assert_int_equal(query_bind(text, strlen(text), &path, 1, &st), 0);
    assert_int_equal(path.value.len, 3);
    assert_memory_equal(path.value.data, "a\0b", 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nul_and_no_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
