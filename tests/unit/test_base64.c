/*
 * Base64: known texts, and every set of wide steps against the portable code.
 */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64_steps.h"
#include "base/mem.h"
#include "base/scope.h"

#define LEN_MAX 300
#define SETS    8 /* more than there are */

static const struct {
    const char *plain;
    const char *coded;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void
test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        size_t len = strlen(vectors[i].plain);
        char out[16];
        uint8_t back[16];

        assert_int_equal(
            base64_encode(out, (const uint8_t *)vectors[i].plain, len),
            strlen(vectors[i].coded));
        assert_int_equal(base64_encoded_len(len), strlen(vectors[i].coded));
        assert_memory_equal(out, vectors[i].coded, strlen(vectors[i].coded));
        assert_int_equal(
            base64_decode(back, vectors[i].coded, strlen(vectors[i].coded)),
            len);
        assert_memory_equal(back, vectors[i].plain, len);
    }
}

static const struct {
    const char *coded;
    int len; /* of the bytes, -1 for a fault */
    const char *plain;
} texts[] = {
    /* without padding */
    {"Zg", 1, "f"},
    {"Zm8", 2, "fo"},
    {"Zm9vYg", 4, "foob"},
    /* bits beyond the last byte do not count */
    {"Zh==", 1, "f"},
    {"Zm9=", 2, "fo"},
    /* either alphabet */
    {"+/+/", 3, "\xfb\xff\xbf"},
    {"-_-_", 3, "\xfb\xff\xbf"},
    {"_w", 1, "\xff"},
    {"/w==", 1, "\xff"},
    /* never both */
    {"+_+_", -1, NULL},
    {"AAAA+AAA-AAA", -1, NULL},
    {"AAAA-AAA/A", -1, NULL},
    /* lengths */
    {"Z", -1, NULL},
    {"Zm9vY", -1, NULL},
    /* padding */
    {"Zg=", -1, NULL},
    {"Zm8==", -1, NULL},
    {"Z===", -1, NULL},
    {"====", -1, NULL},
    {"=", -1, NULL},
    {"==", -1, NULL},
    {"Zg==Zg==", -1, NULL},
    {"Zm9v====", -1, NULL},
    {"Z=g=", -1, NULL},
    /* blanks and others */
    {"Zm9v\n", -1, NULL},
    {"Zm 9v", -1, NULL},
    {"Zm9v Zm9", -1, NULL},
    {"Zm9\n", -1, NULL},
    {"Zm9\x80", -1, NULL},
    {"Zm9\xff", -1, NULL},
    {"Zm,v", -1, NULL},
};

static void
test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint8_t out[32];

        assert_int_equal(
            base64_decode(out, texts[i].coded, strlen(texts[i].coded)),
            texts[i].len);
        if (texts[i].len > 0)
            assert_memory_equal(out, texts[i].plain, (size_t)texts[i].len);
    }
}

/* Each set of steps, the portable code last; false beyond that. */
static bool
nth_set(size_t n, const struct base64_steps **ret)
{
    *ret = base64_steps(n);
    return *ret != NULL || n == 0 || base64_steps(n - 1) != NULL;
}

static void
fill(uint8_t *p, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245U + 12345U;
        p[i] = (uint8_t)(seed >> 16);
    }
}

static void
to_url(char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s[i] = s[i] == '+' ? '-' : s[i] == '/' ? '_' : s[i];
}

/* Exact allocations, so that a sanitizer sees a byte too many. */
static void
check_length(const struct base64_steps *steps, size_t len, size_t shift)
{
    size_t coded_len = base64_encoded_len(len);
    SCOPE(scope_free) uint8_t *plain = malloc(len + shift + 1);
    SCOPE(scope_free) char *want = malloc(coded_len + 1);
    SCOPE(scope_free) char *coded = malloc(coded_len + shift + 1);
    SCOPE(scope_free) uint8_t *back = malloc(coded_len + shift + 4);
    uint8_t *in = plain + shift + 1;
    char *text = coded + shift + 1;

    fill(in, len, (unsigned)(len + shift));
    assert_int_equal(base64_encode_by(NULL, want, in, len), coded_len);
    assert_int_equal(base64_encode_by(steps, text, in, len), coded_len);
    assert_memory_equal(text, want, coded_len);

    for (int url = 0; url < 2; url++) {
        for (size_t cut = 0; cut < 3; cut++) {
            size_t text_len = coded_len;

            if (cut == 1)
                while (text_len > 0 && text[text_len - 1] == '=')
                    text_len--;
            if (cut == 2 && shift > 0)
                continue;
            if (cut == 2) {
                /* in place, last: it spoils the text */
                assert_int_equal(
                    base64_decode_by(steps, (uint8_t *)text, text, text_len),
                    len);
                assert_memory_equal(text, in, len);
                assert_int_equal(base64_encode_by(NULL, text, in, len),
                                 coded_len);
                to_url(text, coded_len);
                continue;
            }
            memset(back, 0, len);
            assert_int_equal(
                base64_decode_by(steps, back + shift, text, text_len), len);
            assert_memory_equal(back + shift, in, len);
        }
        to_url(text, coded_len);
    }
}

static void
test_lengths_and_alignments(void **state)
{
    const struct base64_steps *steps;

    (void)state;
    for (size_t n = 0; nth_set(n, &steps); n++)
        for (size_t len = 0; len <= LEN_MAX; len++)
            for (size_t shift = 0; shift < 32; shift += len % 7 == 0 ? 1 : 11)
                check_length(steps, len, shift);
}

/* Whether a byte may stand in a text of one alphabet or of no special one. */
static bool
is_valid(unsigned c, bool url)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') ||
           (url ? c == '-' || c == '_' : c == '+' || c == '/');
}

static void
check_every_byte(const struct base64_steps *steps, size_t len, size_t at,
                 bool url)
{
    char text[192];
    uint8_t out[192];
    uint8_t want[192];

    for (unsigned c = 0; c < 256; c++) {
        ptrdiff_t r, expected;

        memset(text, 'A', len);
        text[0] = url ? '_' : '/'; /* says which alphabet it is */
        text[at] = (char)(unsigned char)c;
        r = base64_decode_by(steps, out, text, len);
        expected = base64_decode_by(NULL, want, text, len);
        assert_int_equal(r, expected);
        if (at > 0 && at < len - 2)
            assert_int_equal(r >= 0, is_valid(c, url));
        if (r >= 0)
            assert_memory_equal(out, want, (size_t)r);
    }
}

static void
test_every_byte_everywhere(void **state)
{
    const size_t len = 160;
    const struct base64_steps *steps;

    (void)state;
    for (size_t n = 0; nth_set(n, &steps); n++)
        for (size_t at = 0; at < len; at++)
            for (int url = 0; url < 2; url++)
                check_every_byte(steps, len, at, url != 0);
}

/* The alphabet may show only far into the text. */
static void
test_late_alphabet(void **state)
{
    const struct base64_steps *steps;
    char text[400];
    uint8_t out[400];

    (void)state;
    for (size_t n = 0; nth_set(n, &steps); n++) {
        for (size_t first = 0; first < sizeof(text); first += 3) {
            memset(text, 'B', sizeof(text));
            text[first] = '-';
            assert_int_equal(base64_decode_by(steps, out, text, sizeof(text)),
                             300);
            for (size_t second = 1; second < sizeof(text); second += 37) {
                if (first == second)
                    continue;
                memset(text, 'B', sizeof(text));
                text[first] = '-';
                text[second] = '/';
                assert_int_equal(
                    base64_decode_by(steps, out, text, sizeof(text)), -1);
            }
        }
    }
}

static void
test_sets_are_named(void **state)
{
    const struct base64_steps *steps;
    size_t n = 0;

    (void)state;
    for (; (steps = base64_steps(n)) != NULL; n++)
        print_message("wide steps: %s\n", steps->name);
    assert_true(n < SETS);
#if defined(__aarch64__)
    assert_true(n == 1);
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_lengths_and_alignments),
        cmocka_unit_test(test_every_byte_everywhere),
        cmocka_unit_test(test_late_alphabet),
        cmocka_unit_test(test_sets_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
