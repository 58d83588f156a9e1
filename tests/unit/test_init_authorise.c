/*
 * The table of who may set the agent up.
 */
#include "api/init_authorise.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "security/access.h"

#define EMPTY_HASH                                                     \
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" \
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"

/* In place of a hash. */
#define UNASKED "unasked"
#define ABSENT  "absent"
#define HIDDEN  "hidden"
#define OF_X    "of X"

struct row {
    const char *stored; /* NULL: none */
    const char *token;
    const char *hash;
    enum init_verdict verdict;
};

static const struct row rows[] = {
    /* The token that is set: nobody else is asked. */
    {"T", "T", UNASKED, INIT_AUTHORISED},
    {"T", "T", HIDDEN, INIT_AUTHORISED},
    {"T", "T", EMPTY_HASH, INIT_AUTHORISED},
    {"T", "X", UNASKED, INIT_ASK},
    {"T", NULL, UNASKED, INIT_ASK},
    {NULL, "X", UNASKED, INIT_ASK},
    {NULL, NULL, UNASKED, INIT_ASK},
    /* The one that the host has announced. */
    {"T", "X", OF_X, INIT_AUTHORISED},
    {NULL, "X", OF_X, INIT_AUTHORISED},
    {"T", "Y", OF_X, INIT_REFUSED_TOKEN},
    {NULL, "Y", OF_X, INIT_REFUSED_TOKEN},
    {"T", NULL, OF_X, INIT_REFUSED_RESET},
    {NULL, NULL, OF_X, INIT_REFUSED_RESET},
    /* The first set-up. */
    {NULL, "X", ABSENT, INIT_AUTHORISED},
    {NULL, NULL, ABSENT, INIT_AUTHORISED},
    {NULL, "X", "", INIT_AUTHORISED},
    {NULL, NULL, "", INIT_AUTHORISED},
    {"T", "X", ABSENT, INIT_REFUSED_TOKEN},
    {"T", "X", "", INIT_REFUSED_TOKEN},
    {"T", NULL, ABSENT, INIT_REFUSED_RESET},
    {"T", NULL, "", INIT_REFUSED_RESET},
    /* The host wants no token. */
    {"T", NULL, EMPTY_HASH, INIT_AUTHORISED},
    {NULL, NULL, EMPTY_HASH, INIT_AUTHORISED},
    {"T", "X", EMPTY_HASH, INIT_REFUSED_TOKEN},
    {NULL, "X", EMPTY_HASH, INIT_REFUSED_TOKEN},
    /* A service that is there, and does not answer, is no permission. */
    {NULL, "X", HIDDEN, INIT_REFUSED_TOKEN},
    {NULL, NULL, HIDDEN, INIT_REFUSED_RESET},
    {"T", "X", HIDDEN, INIT_REFUSED_TOKEN},
    {"T", NULL, HIDDEN, INIT_REFUSED_RESET},
    /* What is no hash matches nothing. */
    {NULL, "X", "rubbish", INIT_REFUSED_TOKEN},
    {NULL, NULL, "rubbish", INIT_REFUSED_RESET},
};

static void
hash_of(const char *text, char ret[2 * SHA512_DIGEST_LENGTH + 1])
{
    uint8_t digest[SHA512_DIGEST_LENGTH];
    SHA2_CTX ctx;

    SHA512Init(&ctx);
    SHA512Update(&ctx, (const uint8_t *)text, strlen(text));
    SHA512Final(digest, &ctx);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static enum init_verdict
decide(const struct row *row)
{
    struct access_token *stored = access_token_new();
    char hash[2 * SHA512_DIGEST_LENGTH + 1];
    enum init_hash state = INIT_HASH_KNOWN;
    enum init_verdict verdict;

    hash_of("X", hash);
    if (strcmp(row->hash, UNASKED) == 0)
        state = INIT_HASH_UNASKED;
    else if (strcmp(row->hash, ABSENT) == 0)
        state = INIT_HASH_ABSENT;
    else if (strcmp(row->hash, HIDDEN) == 0)
        state = INIT_HASH_HIDDEN;
    if (row->stored != NULL)
        assert_int_equal(access_token_set(stored, str_from(row->stored)), 0);
    verdict = init_authorise(
        stored, str_from(row->token), state,
        str_from(strcmp(row->hash, OF_X) == 0 ? hash : row->hash));
    access_token_free(stored);
    return verdict;
}

static void
test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum init_verdict verdict = decide(&rows[i]);

        if (verdict != rows[i].verdict)
            fail_msg("stored %s, token %s, hash %s: %d, not %d", rows[i].stored,
                     rows[i].token, rows[i].hash, (int)verdict,
                     (int)rows[i].verdict);
    }
}

static void
test_texts(void **state)
{
    (void)state;
    assert_string_equal(init_verdict_text(INIT_REFUSED_RESET),
                        "access token reset not authorized");
    assert_string_equal(init_verdict_text(INIT_REFUSED_TOKEN),
                        "access token validation failed");
}

static void
test_hash(void **state)
{
    char hash[2 * SHA512_DIGEST_LENGTH + 1];

    (void)state;
    hash_of("secret", hash);
    assert_true(access_hash_matches(str_from(hash), STR("secret")));
    assert_false(access_hash_matches(str_from(hash), STR("secre")));
    assert_false(access_hash_matches(str_from(hash), (struct str){0}));
    assert_true(access_hash_matches(STR(EMPTY_HASH), (struct str){0}));
    assert_true(access_hash_matches(STR(EMPTY_HASH), STR("")));
    assert_false(access_hash_matches((struct str){0}, (struct str){0}));
    hash[127] = '\0'; /* one digit less */
    assert_false(access_hash_matches(str_from(hash), STR("secret")));
    hash_of("secret", hash);
    hash[0] = hash[0] == '0' ? '1' : '0';
    assert_false(access_hash_matches(str_from(hash), STR("secret")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
