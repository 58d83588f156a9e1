/*
 * Headers of files: types by name and by content, names in headers, and what a
 * client says about codings.
 */
#include "http/content.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "http/accept.h"
#include "http/media_type.h"
#include "http/mime_types.h"

/* ---- types by name ------------------------------------------------------- */

static const struct {
    const char *path;
    const char *type;
} names[] = {
    {"a.txt", "text/plain; charset=utf-8"},
    {"/x.d/a.tar.gz", "application/gzip"},
    {"A.JSON", "application/json"},
    {"a.Html", "text/html; charset=utf-8"},
    {"a.ai", "application/postscript"},
    {"a.zip", "application/zip"},
    {"a.docx", "application/vnd.openxmlformats-officedocument."
               "wordprocessingml.document"},
    {"a.tif", "image/tiff"},
    {"a.ico", "image/vnd.microsoft.icon"},
    {".css", "text/css; charset=utf-8"},
    {"dir.txt/file", NULL},
    {"file", NULL},
    {"file.", NULL},
    {"", NULL},
    {"a.unknown", NULL},
    {"a.avifavifavifavifavif", NULL},
};

static void
test_type_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *type = mime_types_find(NULL, str_from(names[i].path));

        if (names[i].type == NULL)
            assert_null(type);
        else
            assert_string_equal(type, names[i].type);
    }
}

/* ---- types by content ---------------------------------------------------- */

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *bytes;
    size_t len;
    const char *type;
} contents[] = {
    {BYTES(""), "text/plain; charset=utf-8"},
    {BYTES("plain"), "text/plain; charset=utf-8"},
    {BYTES("tab\tesc\x1b ff\f\r\n \x80"), "text/plain; charset=utf-8"},
    {BYTES("a\0b"), "application/octet-stream"},
    {BYTES("a\x0b"), "application/octet-stream"},
    {BYTES("a\x1a"), "application/octet-stream"},
    {BYTES("a\x1f"), "application/octet-stream"},
    {BYTES("<html>"), "text/html; charset=utf-8"},
    {BYTES(" \t\r\n\f<!doctype HTML "), "text/html; charset=utf-8"},
    {BYTES("<p>"), "text/html; charset=utf-8"},
    {BYTES("<!-- "), "text/html; charset=utf-8"},
    {BYTES("<h1>"), "text/html; charset=utf-8"},
    {BYTES("<html"), "text/plain; charset=utf-8"},
    {BYTES("<html/"), "text/plain; charset=utf-8"},
    {BYTES(" <?xml version"), "text/xml; charset=utf-8"},
    {BYTES("%PDF-1.7"), "application/pdf"},
    {BYTES(" %PDF-1.7"), "text/plain; charset=utf-8"},
    {BYTES("%!PS-Adobe-3.0"), "application/postscript"},
    {BYTES("\xFE\xFF\0a"), "text/plain; charset=utf-16be"},
    {BYTES("\xFF\xFE"
           "a\0"),
     "text/plain; charset=utf-16le"},
    {BYTES("\xEF\xBB\xBF\x01"), "text/plain; charset=utf-8"},
    {BYTES("\0\0\1\0"), "image/x-icon"},
    {BYTES("\0\0\2\0"), "image/x-icon"},
    {BYTES("BM\1"), "image/bmp"},
    {BYTES("GIF87a\1"), "image/gif"},
    {BYTES("GIF89a\1"), "image/gif"},
    {BYTES("RIFF\1\2\3\4WEBPVP8"), "image/webp"},
    {BYTES("\x89PNG\r\n\x1a\n"), "image/png"},
    {BYTES("\xFF\xD8\xFF\xE0"), "image/jpeg"},
    {BYTES("FORM\1\2\3\4AIFF"), "audio/aiff"},
    {BYTES("ID3\3"), "audio/mpeg"},
    {BYTES("OggS\0"), "application/ogg"},
    {BYTES("MThd\0\0\0\6"), "audio/midi"},
    {BYTES("RIFF\1\2\3\4AVI "), "video/avi"},
    {BYTES("RIFF\1\2\3\4WAVE"), "audio/wave"},
    {BYTES("\0\0\0\x14"
           "ftypisom\0\0\2\0mp41"),
     "video/mp4"},
    {BYTES("\0\0\0\x10"
           "ftypmp42\0\0\0\0"),
     "video/mp4"},
    {BYTES("\0\0\0\x10"
           "ftypisommp41"),
     "application/octet-stream"},
    {BYTES("\0\0\1\x14"
           "ftypmp42\0\0\0\0"),
     "application/octet-stream"},
    {BYTES("\x1A\x45\xDF\xA3"), "video/webm"},
    {BYTES("0123456789012345678901234567890\1\2\3LP"),
     "application/vnd.ms-fontobject"},
    {BYTES("\0\1\0\0"), "font/ttf"},
    {BYTES("OTTO\1"), "font/otf"},
    {BYTES("ttcf\1"), "font/collection"},
    {BYTES("wOFF\1"), "font/woff"},
    {BYTES("wOF2\1"), "font/woff2"},
    {BYTES("\x1F\x8B\x08"), "application/x-gzip"},
    {BYTES("PK\3\4"), "application/zip"},
    {BYTES("Rar!\x1A\7\0"), "application/x-rar-compressed"},
    {BYTES("Rar!\x1A\7\1\0"), "application/x-rar-compressed"},
    {BYTES("\0asm\1"), "application/wasm"},
};

static void
test_type_by_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        /* An exact allocation, so that a sanitizer sees an overrun. */
        uint8_t *copy = malloc(contents[i].len + (contents[i].len == 0));

        assert_non_null(copy);
        memcpy(copy, contents[i].bytes, contents[i].len);
        assert_string_equal(content_sniff(copy, contents[i].len),
                            contents[i].type);
        free(copy);
    }
}

static void
test_only_the_front_is_looked_at(void **state)
{
    uint8_t text[CONTENT_SNIFF_BYTES + 1];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[CONTENT_SNIFF_BYTES] = 0;
    assert_string_equal(content_sniff(text, sizeof(text)),
                        "text/plain; charset=utf-8");
    text[CONTENT_SNIFF_BYTES - 1] = 0;
    assert_string_equal(content_sniff(text, sizeof(text)),
                        "application/octet-stream");
}

/* ---- names in headers ---------------------------------------------------- */

static const struct {
    const char *name;
    const char *value; /* behind `inline; filename` */
} dispositions[] = {
    {"test.txt", "=test.txt"},
    {"presentation.pptx", "=presentation.pptx"},
    {"archive.tar.gz", "=archive.tar.gz"},
    {".env", "=.env"},
    {".gitignore", "=.gitignore"},
    {"a!#$%&'*+-.^_`{|}~", "=a!#$%&'*+-.^_`{|}~"},
    {"my document.pdf", "=\"my document.pdf\""},
    {"file\"name.txt", "=\"file\\\"name.txt\""},
    {"file\\name.txt", "=\"file\\\\name.txt\""},
    {"a(b)", "=\"a(b)\""},
    {"", "=\"\""},
    {"\xE6\x96\x87\xE6\xA1\xA3.pdf", "*=utf-8''%E6%96%87%E6%A1%A3.pdf"},
    {"\xC3\xBC *'%\"\n!#$&+-.^_`{|}~",
     "*=utf-8''%C3%BC%20%2A%27%25%22%0A!#$&+-.^_`{|}~"},
};

static void
test_disposition(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(dispositions); i++) {
        SCOPE(buf_done) struct buf out = {0};

        content_disposition(&out, dispositions[i].name);
        buf_append_byte(&out, 0);
        assert_string_equal((char *)buf_data(&out) + strlen("inline; filename"),
                            dispositions[i].value);
    }
}

/* ---- media types --------------------------------------------------------- */

static const struct {
    const char *text;
    int result;
    const char *type; /* NULL: none */
} types[] = {
    {"text/html", 0, "text/html"},
    {" Text/HTML ; Charset=UTF-8", 0, "text/html"},
    {"form-data", 0, "form-data"},
    {"a/b;", 0, "a/b"},
    {"a/b; ; x=y", -EBADMSG, "a/b"},
    {"a/b; x", -EBADMSG, "a/b"},
    {"a/b; x=", -EBADMSG, "a/b"},
    {"a/b; x=\"y", -EBADMSG, "a/b"},
    {"a/b; x=y z", -EBADMSG, "a/b"},
    {"a/b; x=y; x=y", 0, "a/b"},
    {"a/b; x=y; X=z", -EINVAL, NULL},
    {"", -EINVAL, NULL},
    {"/", -EINVAL, NULL},
    {"a/", -EINVAL, NULL},
    {"a/b/c", -EINVAL, NULL},
    {"a/b c", -EINVAL, NULL},
    {"; x=y", -EINVAL, NULL},
};

static void
test_media_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        SCOPE(media_type_done) struct media_type m = {0};

        assert_int_equal(media_type_parse(str_from(types[i].text), &m),
                         types[i].result);
        assert_int_equal(m.type.data == NULL, types[i].type == NULL);
        if (types[i].type != NULL)
            assert_true(str_eq(m.type, types[i].type));
        if (types[i].result < 0)
            assert_int_equal(m.param_count, 0);
    }
}

static void
test_too_many_parameters(void **state)
{
    char text[MEDIA_PARAMS_MAX * 8 + 32] = "a/b";
    size_t len = 3;
    struct media_type m;

    (void)state;
    for (unsigned int i = 0; i <= MEDIA_PARAMS_MAX; i++) {
        text[len++] = ';';
        text[len++] = (char)('a' + i / 26);
        text[len++] = (char)('a' + i % 26);
        text[len++] = '=';
        text[len++] = 'v';
    }
    assert_int_equal(media_type_parse((struct str){text, len - 5}, &m), 0);
    assert_int_equal(m.param_count, MEDIA_PARAMS_MAX);
    media_type_done(&m);
    assert_int_equal(media_type_parse((struct str){text, len}, &m), -EBADMSG);
    media_type_done(&m);
}

static const struct {
    const char *text;
    const char *value; /* of `p`, NULL when there is none */
} params[] = {
    {"a/b; p=v", "v"},
    {"a/b; P=\"q v\"", "q v"},
    {"a/b; q=v", NULL},
    {"a/b; p=\"\"", ""},
    {"a/b; p*=utf-8'en'%C3%BC", "\xC3\xBC"},
    {"a/b; p=x; p*=US-ASCII''a%20b", "a b"},
    {"a/b; p*=latin1''%FC", NULL},
    {"a/b; p*=utf-8'%FC", NULL},
    {"a/b; p=x; p*=utf-8''%F", "x"},
    {"a/b; p*1=c; p*0=\"a b\"", "a bc"},
    {"a/b; p*0*=utf-8''%C3; p*1*=%BC; p*2=%20", "\xC3\xBC%20"},
    {"a/b; p*1=c", NULL},
    {"a/b; p*0=a; p*2=c", "a"},
    {"a/b; p=x; p*0=a", "a"},
    {"a/b; p=\"\\a\\\"\\\\\\/\"", "\\a\"\\/"},
};

static void
test_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(params); i++) {
        SCOPE(media_type_done) struct media_type m = {0};
        char *value = NULL;
        size_t len;
        int r;

        assert_int_equal(media_type_parse(str_from(params[i].text), &m), 0);
        r = media_type_param(&m, "p", &value, &len);
        assert_int_equal(r, params[i].value != NULL ? 0 : -ENOENT);
        if (r == 0) {
            assert_string_equal(value, params[i].value);
            assert_int_equal(len, strlen(value));
            free(value);
        }
    }
}

/* ---- codings ------------------------------------------------------------- */

static const struct {
    const char *header; /* NULL: absent */
    enum coding best;
    bool identity_refused;
} accepts[] = {
    {NULL, CODING_IDENTITY, false},
    {"", CODING_IDENTITY, false},
    {"gzip", CODING_GZIP, false},
    {"GZIP", CODING_GZIP, false},
    {"deflate, gzip, br", CODING_GZIP, false},
    {"gzip;q=1.0", CODING_GZIP, false},
    {"gzip ; q=0.8", CODING_GZIP, false},
    {"identity", CODING_IDENTITY, false},
    {"*", CODING_IDENTITY, false},
    {"br", CODING_IDENTITY, false},
    {"deflate, br", CODING_IDENTITY, false},
    {"br;q=0.5, gzip;q=1.0, deflate;q=0.8", CODING_GZIP, false},
    {"br;q=1.0, gzip;q=0.5", CODING_GZIP, false},
    {"gzip;q=0.5, identity;q=1.0", CODING_IDENTITY, false},
    {"gzip, identity", CODING_GZIP, false},
    {"identity, gzip", CODING_IDENTITY, false},
    {"gzip;q=0, identity", CODING_IDENTITY, false},
    {"gzip;q=0, br", CODING_IDENTITY, false},
    {"br, identity;q=0", CODING_NONE, true},
    {"*, identity;q=0", CODING_GZIP, true},
    {"*;q=0", CODING_NONE, true},
    {"*;q=0, identity", CODING_IDENTITY, false},
    {"*;q=0, gzip", CODING_GZIP, true},
    {"gzip; q=1,*; q=0", CODING_GZIP, true},
    {"identity;q=0.5, gzip;q=x", CODING_GZIP, false},
    {"identity;q=0.5, gzip;q=0.4;q=0.6x", CODING_IDENTITY, false},
    {"identity;q=0.5, gzip;Q=0.4;q=0.6", CODING_GZIP, false},
    {"identity;q=0.5, gzip;q=-1", CODING_IDENTITY, false},
    {"gzip;q=-1", CODING_GZIP, false},
    {"identity;q=0.5, gzip;q=1e400", CODING_GZIP, false},
    {",,gzip,", CODING_GZIP, false},
};

/* What is packed already is not packed again. */
static void
test_compressed_types(void **state)
{
    static const char *const packed[] = {
        "image/png",
        "video/mp4",
        "audio/mpeg",
        "application/zip",
        "application/x-gzip",
        "font/woff2",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"};
    static const char *const plain[] = {"text/plain; charset=utf-8",
                                        "image/svg+xml",
                                        "image/bmp",
                                        "audio/wav",
                                        "application/json",
                                        "application/octet-stream",
                                        "font/ttf",
                                        "application/pdf",
                                        "application/wasm"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(packed); i++)
        assert_true(content_is_compressed(packed[i]));
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        assert_false(content_is_compressed(plain[i]));
}

static void
test_accepted_codings(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accepts); i++) {
        struct accept_coding got = accept_coding(str_from(accepts[i].header));

        if (got.best != accepts[i].best ||
            got.identity_refused != accepts[i].identity_refused)
            fail_msg("%s: %d %d", accepts[i].header, (int)got.best,
                     got.identity_refused);
    }
}

static void
test_content_codings(void **state)
{
    (void)state;
    assert_int_equal(content_coding((struct str){0}), CODING_IDENTITY);
    assert_int_equal(content_coding(STR("")), CODING_IDENTITY);
    assert_int_equal(content_coding(STR("Identity")), CODING_IDENTITY);
    assert_int_equal(content_coding(STR(" GZip ;q=1.0")), CODING_GZIP);
    assert_int_equal(content_coding(STR("gzip, gzip")), CODING_NONE);
    assert_int_equal(content_coding(STR("br")), CODING_NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_by_name),
        cmocka_unit_test(test_type_by_content),
        cmocka_unit_test(test_only_the_front_is_looked_at),
        cmocka_unit_test(test_disposition),
        cmocka_unit_test(test_media_types),
        cmocka_unit_test(test_too_many_parameters),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_compressed_types),
        cmocka_unit_test(test_accepted_codings),
        cmocka_unit_test(test_content_codings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
