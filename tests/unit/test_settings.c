/*
 * Variables, defaults and the order of time stamps.
 */
#include "guest/settings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

static int
setup(void **state)
{
    *state = guest_settings_new();
    return *state != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    guest_settings_free(*state);
    return 0;
}

/* Compare with "NAME=value" for a user's, "!NAME=value" for an internal one. */
static void
assert_vars(const struct guest_settings *s, const char *const *wanted)
{
    size_t count;
    const struct guest_var *vars = guest_vars(s, &count);

    for (size_t i = 0; i < count; i++) {
        const char *text = wanted[i];
        size_t len = strlen(vars[i].name);

        if (text == NULL) {
            fail_msg("'%s' is not wanted", vars[i].name);
            return;
        }
        assert_int_equal(vars[i].internal, text[0] == '!');
        text += text[0] == '!' ? 1 : 0;
        assert_int_equal(strncmp(text, vars[i].name, len), 0);
        assert_int_equal(text[len], '=');
        assert_string_equal(text + len + 1, vars[i].value);
    }
    assert_null(wanted[count]);
}

#define VARS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void
test_defaults(void **state)
{
    struct guest_settings *s = *state;

    assert_string_equal(guest_default_user(s), "root");
    assert_null(guest_default_workdir(s));
    assert_int_equal(guest_set_default_user(s, "user"), 0);
    assert_int_equal(guest_set_default_workdir(s, "/code"), 0);
    assert_string_equal(guest_default_user(s), "user");
    assert_string_equal(guest_default_workdir(s), "/code");
    /* What is there may be set again. */
    assert_int_equal(guest_set_default_user(s, guest_default_user(s)), 0);
    assert_string_equal(guest_default_user(s), "user");
    guest_settings_free(NULL);
}

static void
test_internal_vars(void **state)
{
    struct guest_settings *s = *state;

    assert_vars(s, VARS());
    guest_set_internal_var(s, "E2B_SANDBOX", "true");
    guest_set_internal_var(s, "E2B_TEMPLATE_ID", "t");
    guest_set_internal_var(s, "E2B_SANDBOX_ID", "i");
    assert_vars(s, VARS("!E2B_SANDBOX=true", "!E2B_SANDBOX_ID=i",
                        "!E2B_TEMPLATE_ID=t"));
    guest_set_internal_var(s, "E2B_SANDBOX_ID", "j");
    assert_vars(s, VARS("!E2B_SANDBOX=true", "!E2B_SANDBOX_ID=j",
                        "!E2B_TEMPLATE_ID=t"));
}

static void
test_replace(void **state)
{
    struct guest_settings *s = *state;

    guest_set_internal_var(s, "E2B_SANDBOX", "true");
    assert_int_equal(guest_replace_vars(s, VARS("b", "a", "Z", "\xc3\xa4"),
                                        VARS("2", "1", "", "4"), 4),
                     0);
    assert_vars(s, VARS("!E2B_SANDBOX=true", "Z=", "a=1", "b=2", "\xc3\xa4=4"));
    /* What is left out goes, what the agent set stays as it is. */
    assert_int_equal(
        guest_replace_vars(s, VARS("E2B_SANDBOX", "a"), VARS("spoof", "9"), 2),
        0);
    assert_vars(s, VARS("!E2B_SANDBOX=true", "a=9"));
    /* Of one name the last counts. */
    assert_int_equal(guest_replace_vars(s, VARS("x", "y", "x", "x"),
                                        VARS("1", "2", "3", "4"), 4),
                     0);
    assert_vars(s, VARS("!E2B_SANDBOX=true", "x=4", "y=2"));
    assert_int_equal(guest_replace_vars(s, NULL, NULL, 0), 0);
    assert_vars(s, VARS("!E2B_SANDBOX=true"));
}

static void
test_internal_takes_over(void **state)
{
    struct guest_settings *s = *state;

    assert_int_equal(guest_replace_vars(s, VARS("E2B_EVENTS_ADDRESS", "a"),
                                        VARS("mine", "1"), 2),
                     0);
    guest_set_internal_var(s, "E2B_EVENTS_ADDRESS", "http://10.0.0.1");
    assert_vars(s, VARS("!E2B_EVENTS_ADDRESS=http://10.0.0.1", "a=1"));
    assert_int_equal(guest_replace_vars(s, VARS("E2B_EVENTS_ADDRESS"),
                                        VARS("mine again"), 1),
                     0);
    assert_vars(s, VARS("!E2B_EVENTS_ADDRESS=http://10.0.0.1"));
}

static void
test_timestamps(void **state)
{
    static const struct {
        int64_t ns;
        bool accepted;
    } cases[] = {
        {-1, false},
        {INT64_MIN, false},
        {0, true},
        {0, true},
        {10, true},
        {9, false},
        {10, true},
        {-10, false},
        {1700000000000000000, true},
        {10, false},
        {INT64_MAX, true},
        {INT64_MAX, true},
        {INT64_MAX - 1, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(guest_accept_timestamp(*state, cases[i].ns),
                         cases[i].accepted);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),   TEST(test_internal_vars),
        TEST(test_replace),    TEST(test_internal_takes_over),
        TEST(test_timestamps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
