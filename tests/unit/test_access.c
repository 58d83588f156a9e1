/*
 * The token and the signatures made from it.
 */
#include "security/access.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scope.h"

#define NOW 1700000000

static int
setup(void **state)
{
    *state = access_token_new();
    return *state != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    access_token_free(*state);
    return 0;
}

/* ---- the token ----------------------------------------------------------- */

static void
test_token(void **state)
{
    struct access_token *t = *state;

    assert_false(access_token_is_set(t));
    assert_false(access_token_equals(t, STR("")));
    assert_false(access_token_equals(t, (struct str){0}));
    assert_false(access_token_equals(t, STR("x")));
    assert_false(access_token_equals(t, STR("\0")));

    assert_int_equal(access_token_set(t, STR("")), -EINVAL);
    assert_false(access_token_is_set(t));
    assert_int_equal(access_token_set(t, STR("first")), 0);
    assert_true(access_token_is_set(t));
    assert_true(access_token_equals(t, STR("first")));
    assert_false(access_token_equals(t, STR("firs")));
    assert_false(access_token_equals(t, STR("first\0")));
    assert_false(access_token_equals(t, STR("firsT")));
    assert_false(access_token_equals(t, STR("First")));
    assert_false(access_token_equals(t, STR("")));
    assert_false(access_token_equals(t, (struct str){0}));

    /* Refused: the old one is kept. */
    assert_int_equal(access_token_set(t, STR("")), -EINVAL);
    assert_int_equal(access_token_set(t, (struct str){0}), -EINVAL);
    assert_true(access_token_equals(t, STR("first")));

    /* A shorter one leaves nothing of the longer. */
    assert_int_equal(access_token_set(t, STR("fi")), 0);
    assert_true(access_token_equals(t, STR("fi")));
    assert_false(access_token_equals(t, STR("first")));
    assert_int_equal(access_token_set(t, STR("a\0b")), 0);
    assert_true(access_token_equals(t, STR("a\0b")));
    assert_false(access_token_equals(t, STR("a")));

    access_token_clear(t);
    assert_false(access_token_is_set(t));
    assert_false(access_token_equals(t, STR("fi")));
    assert_false(access_token_equals(t, STR("")));
    access_token_free(NULL);
}

static void
test_long_tokens(void **state)
{
    struct access_token *t = *state;
    char text[8200];

    memset(text, 'x', sizeof(text));
    assert_int_equal(access_token_set(t, (struct str){text, 4000}), 0);
    assert_true(access_token_equals(t, (struct str){text, 4000}));
    assert_false(access_token_equals(t, (struct str){text, 3999}));
    /* Longer than the page, and twice around it. */
    assert_false(access_token_equals(t, (struct str){text, sizeof(text)}));
    assert_int_equal(access_token_set(t, (struct str){text, sizeof(text)}),
                     -EINVAL);
    assert_true(access_token_equals(t, (struct str){text, 4000}));
}

static void
test_token_is_not_in_children(void **state)
{
    int status;
    pid_t pid;

    assert_int_equal(access_token_set(*state, STR("secret")), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(access_token_is_set(*state) ? 1 : 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(access_token_equals(*state, STR("secret")));
}

/* ---- signatures ---------------------------------------------------------- */

static const char hello[] = "/home/user/hello.txt";
static const char plain[] = "v1_ghiDxZUE/Ki2Kq1JS9mDd37mAdrW/QVOpY/BL77WpGw";
static const char expiring[] = "v1_54QSLcu353T1nCqXwyqVNK+u04Ikz6oz3oh8f7/LVXw";
static const char writing[] = "v1_OX6BENhkB7558pg6XnhaSm+z0dtL+zOAZ+mw6dplNtI";

static const char plain2[] = "v2_Y95sqRaK6IwLQq+FD0263k1/FkUIiJfpcYVRh2quec8";
static const char expiring2[] =
    "v2_wf70FqVrSkTeDdp9HealGRdJG8jt6QrrF3Ws/k1x0bE";
static const char writing2[] = "v2_Q8K4a39mnVrralpsUKUZ7Gk7sjE3qccd+0rdSEk34oo";

#define MISSING  "missing signature query parameter"
#define INVALID  "invalid signature"
#define EXPIRED  "signature is already expired"
#define MISMATCH "access token present in header but does not match"

static const struct {
    const char *header;
    const char *path;
    const char *username;
    const char *signature;
    bool write;
    bool has_expiration;
    int64_t expiration;
    int64_t now;
    const char *message; /* NULL: passes */
} cases[] = {
    /* The three of the contract. */
    {NULL, hello, "user", plain, false, false, 0, NOW, NULL},
    {NULL, hello, "user", expiring, false, true, NOW, NOW, NULL},
    {NULL, "hello.txt", NULL, writing, true, false, 0, NOW, NULL},
    {NULL, "hello.txt", "", writing, true, false, 0, NOW, NULL},
    /* The header comes first, empty counts as absent. */
    {"secret-access-token", NULL, NULL, NULL, false, false, 0, NOW, NULL},
    {"secret-access-token", hello, "user", "v1_wrong", false, true, 0, NOW,
     NULL},
    {"wrong", hello, "user", plain, false, false, 0, NOW, MISMATCH},
    {"", hello, "user", plain, false, false, 0, NOW, NULL},
    {"", hello, "user", NULL, false, false, 0, NOW, MISSING},
    {NULL, hello, "user", NULL, false, false, 0, NOW, MISSING},
    {NULL, hello, "user", NULL, false, true, 0, NOW, MISSING},
    /* Each part counts. */
    {NULL, hello, "user", "v1_wrong_signature", false, false, 0, NOW, INVALID},
    {NULL, hello, "user", "", false, false, 0, NOW, INVALID},
    {NULL, hello, "root", plain, false, false, 0, NOW, INVALID},
    {NULL, hello, NULL, plain, false, false, 0, NOW, INVALID},
    {NULL, "/home/user/hello.tx", "user", plain, false, false, 0, NOW, INVALID},
    {NULL, NULL, "user", plain, false, false, 0, NOW, INVALID},
    {NULL, hello, "user", plain, true, false, 0, NOW, INVALID},
    {NULL, hello, "user", plain + 3, false, false, 0, NOW, INVALID},
    {NULL, hello, "user", "v1_ghiDxZUE/Ki2Kq1JS9mDd37mAdrW/QVOpY/BL77WpGw=",
     false, false, 0, NOW, INVALID},
    {NULL, hello, "user", "v1_ghiDxZUE/Ki2Kq1JS9mDd37mAdrW/QVOpY/BL77WpGx",
     false, false, 0, NOW, INVALID},
    /* Expiry added to one made without, taken away, moved. */
    {NULL, hello, "user", plain, false, true, NOW, NOW, INVALID},
    {NULL, hello, "user", expiring, false, false, 0, NOW, INVALID},
    {NULL, hello, "user", expiring, false, true, NOW + 1, NOW, INVALID},
    /* Over only when the time is past; an invalid one is invalid first. */
    {NULL, hello, "user", expiring, false, true, NOW, NOW - 1, NULL},
    {NULL, hello, "user", expiring, false, true, NOW, NOW + 1, EXPIRED},
    {NULL, hello, "user", expiring, false, true, NOW, NOW + 3600, EXPIRED},
    {NULL, hello, "user", plain, false, true, 1, NOW, INVALID},
    /* Version 2, from another implementation of HMAC. */
    {NULL, hello, "user", plain2, false, false, 0, NOW, NULL},
    {NULL, hello, "user", expiring2, false, true, NOW, NOW, NULL},
    {NULL, hello, "user", expiring2, false, true, NOW, NOW + 1, EXPIRED},
    {NULL, "hello.txt", NULL, writing2, true, false, 0, NOW, NULL},
    {NULL, "hello.txt", NULL, writing2, false, false, 0, NOW, INVALID},
    {NULL, hello, "root", plain2, false, false, 0, NOW, INVALID},
    {NULL, "/home/user/hello.tx", "user", plain2, false, false, 0, NOW,
     INVALID},
    {NULL, hello, "user", plain2, false, true, NOW, NOW, INVALID},
    {NULL, hello, "user", expiring2, false, true, NOW + 1, NOW, INVALID},
    /* The digest of one version under the name of another. */
    {NULL, hello, "user", "v2_ghiDxZUE/Ki2Kq1JS9mDd37mAdrW/QVOpY/BL77WpGw",
     false, false, 0, NOW, INVALID},
    {NULL, hello, "user", "v3_ghiDxZUE/Ki2Kq1JS9mDd37mAdrW/QVOpY/BL77WpGw",
     false, false, 0, NOW, INVALID},
};

#define V1_JOINED "v1_DV2GSZMg9HyEVmg1bakz5XBeUe8TkKlZDFZbpiZy1a0"
#define V2_JOINED "v2_ukRp8aESDTz1TKCgA+0FTki8MeN863Q0LSKurgBOPlw"

/* Two requests of version 1 with one signature have two in version 2. */
static void
test_fields_do_not_run_into_each_other(void **state)
{
    struct access_token *t = *state;
    SCOPE(status_done) struct status st = {0};
    struct access_signature sig = {
        .path = STR("/f:write:root"),
        .username = STR(""),
    };

    assert_int_equal(access_token_set(t, STR("secret-access-token")), 0);
    sig.signature = STR(V1_JOINED);
    assert_int_equal(access_check_file(t, STR(""), &sig, NOW, &st), 0);
    sig.signature = STR(V2_JOINED);
    assert_int_equal(access_check_file(t, STR(""), &sig, NOW, &st), 0);

    sig = (struct access_signature){
        .path = STR("/f"),
        .username = STR("root:read:"),
        .write = true,
    };
    sig.signature = STR(V1_JOINED);
    assert_int_equal(access_check_file(t, STR(""), &sig, NOW, &st), 0);
    sig.signature = STR(V2_JOINED);
    assert_int_equal(access_check_file(t, STR(""), &sig, NOW, &st), -1);
}

/* Its hash is the key of version 2. */
static void
test_a_token_longer_than_a_block(void **state)
{
    struct access_token *t = *state;
    SCOPE(status_done) struct status st = {0};
    struct access_signature sig = {
        .path = STR("hello.txt"),
        .write = true,
        .signature = STR("v2_PtBR3XnqdR4T4nA0B3/G97MHpwKX0z0rLvVAyRQiswU"),
    };
    char token[100];

    memset(token, 't', sizeof(token));
    assert_int_equal(access_token_set(t, (struct str){token, sizeof(token)}),
                     0);
    assert_int_equal(access_check_file(t, STR(""), &sig, NOW, &st), 0);
}

static void
test_signatures(void **state)
{
    struct access_token *t = *state;

    assert_int_equal(access_token_set(t, STR("secret-access-token")), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct access_signature sig = {
            .path = str_from(cases[i].path),
            .username = str_from(cases[i].username),
            .signature = str_from(cases[i].signature),
            .has_expiration = cases[i].has_expiration,
            .expiration = cases[i].expiration,
            .write = cases[i].write,
        };
        SCOPE(status_done) struct status st = {0};
        int r = access_check_file(t, str_from(cases[i].header), &sig,
                                  cases[i].now, &st);

        if ((r == 0) != (cases[i].message == NULL))
            fail_msg("case %zu: %d %s", i, r, status_message(&st));
        if (cases[i].message == NULL)
            continue;
        assert_int_equal(st.code, RPC_UNAUTHENTICATED);
        assert_string_equal(status_message(&st), cases[i].message);
    }
}

static void
test_no_token_no_check(void **state)
{
    struct access_signature sig = {.signature = STR("nonsense")};
    SCOPE(status_done) struct status st = {0};

    assert_int_equal(access_check_file(*state, STR("any"), &sig, NOW, &st), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_token),
        TEST(test_long_tokens),
        TEST(test_token_is_not_in_children),
        TEST(test_signatures),
        TEST(test_fields_do_not_run_into_each_other),
        TEST(test_a_token_longer_than_a_block),
        TEST(test_no_token_no_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
