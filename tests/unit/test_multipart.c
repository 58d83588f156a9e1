/*
 * Multipart bodies, each case whole, cut in two at every place, and byte by
 * byte: the events must be the same.
 */
#include "http/multipart.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/scope.h"
#include "http/quoted_printable.h"
#include "limits.h"

#define HEAD(params) "Content-Disposition: form-data; " params "\r\n\r\n"
#define FILE_A       HEAD("name=\"file\"; filename=\"a\"")

/*
 * Events as text: `[name|filename` with `!` for no form-data and `~` for
 * quoted-printable, then `:content`, then `]` at the end of the part; `.` at
 * the end of all, or the error in parentheses.  `-` stands for what is absent.
 */
struct multipart_case {
    const char *name;
    const char *body;
    const char *trace;
};

static const struct multipart_case cases[] = {
    {"one part", "--B\r\n" FILE_A "data\r\n--B--\r\n", "[file|a:data]."},
    {"two parts",
     "--B\r\n" FILE_A
     "1\r\n--B\r\n" HEAD("name=file; filename=\"/x/b\"") "2\r\n--B--\r\n",
     "[file|a:1][file|/x/b:2]."},
    {"empty content", "--B\r\n" FILE_A "\r\n--B--\r\n", "[file|a:]."},
    {"boundary right behind the head", "--B\r\n" FILE_A "--B--\r\n",
     "[file|a:]."},
    {"no parts", "--B--\r\n", "."},
    {"no parts, no line end", "--B--", "."},
    {"preamble and epilogue",
     "hello\r\n--Bx\r\n-\r\n--B--x\r\n\r\n--B \t\r\n" FILE_A
     "d\r\n--B--  \r\nepilogue\r\n--B\r\n",
     "[file|a:d]."},
    {"preamble without line end", "--", "(multipart: NextPart: EOF)"},
    {"no boundary at all", "hello\r\n", "(multipart: NextPart: EOF)"},
    {"first boundary cut", "--B", "(multipart: NextPart: EOF)"},
    {"nothing", "", "(multipart: NextPart: EOF)"},
    {"line feeds only",
     "--B\nContent-Disposition: form-data; name=file; filename=a\n\n"
     "d\n--B\nContent-Disposition: form-data; name=file; filename=b\n\n"
     "e\r\n--B--\n",
     "[file|a:d][file|b:e\r]."},
    {"mixed line ends", "--B\r\n" FILE_A "d\r\n--B\n" FILE_A "e\r\n--B--",
     "[file|a:d](multipart: expecting a new Part)"},
    {"junk behind a boundary", "--B\r\n" FILE_A "d\r\n--B x\r\n",
     "[file|a:d](multipart: expecting a new Part)"},
    {"false delimiters",
     "--B\r\n" FILE_A "\r\n-\r\n--\r\n--A\r\n--Bx\r\n--B-x\r\r\n\r--B\n--B"
     "\r\n--B-\r\n--B--",
     "[file|a:\r\n-\r\n--\r\n--A\r\n--Bx\r\n--B-x\r\r\n\r--B\n--B"
     "\r\n--B-]."},
    {"false delimiter at the front", "--B\r\n" FILE_A "--Bx\r\n--B--",
     "[file|a:--Bx]."},
    {"dash at the front", "--B\r\n" FILE_A "--B-\r\n--B--", "[file|a:--B-]."},
    {"blanks behind boundaries",
     "--B \r\n" FILE_A "d\r\n--B\t \r\n" FILE_A "e\r\n--B-- \t\r\n",
     "[file|a:d][file|a:e]."},
    {"last boundary missing", "--B\r\n" FILE_A "d\r\n--B\r\n", "[file|a:d]."},
    {"last boundary cut", "--B\r\n" FILE_A "d\r\n--B", "[file|a:d]."},
    {"last boundary, one dash", "--B\r\n" FILE_A "d\r\n--B-",
     "[file|a:d(unexpected EOF)"},
    {"end inside content", "--B\r\n" FILE_A "d\r\n",
     "[file|a:d(unexpected EOF)"},
    {"end behind the head", "--B\r\n" FILE_A, "[file|a:(unexpected EOF)"},
    {"end inside a head", "--B\r\nContent-Disposition: form-data; na",
     "(unexpected EOF)"},
    {"no headers", "--B\r\n\r\nd\r\n--B--", "[!-|-:d]."},
    {"other disposition",
     "--B\r\nContent-Disposition: attachment; name=file; filename=a\r\n\r\n"
     "d\r\n--B--",
     "[!file|a:d]."},
    {"malformed disposition",
     "--B\r\nContent-Disposition: form-data; name=\"file\r\n\r\nd\r\n--B--",
     "[!-|-:d]."},
    {"a name of two values", "--B\r\n" HEAD("name=a; name=b") "d\r\n--B--",
     "[!-|-:d]."},
    {"no file name", "--B\r\n" HEAD("name=\"file\"") "d\r\n--B--",
     "[file|-:d]."},
    {"empty file name", "--B\r\n" HEAD("name=file; filename=\"\"") "d\r\n--B--",
     "[file|:d]."},
    {"case of names",
     "--B\r\ncontent-DISPOSITION: FORM-data; NAME=file; FileName=A\r\n"
     "content-transfer-encoding: Quoted-Printable\r\n\r\nd\r\n--B--",
     "[~file|A:d]."},
    {"first header counts",
     "--B\r\nContent-Disposition: form-data; name=x\r\n" FILE_A "d\r\n--B--",
     "[x|-:d]."},
    {"folded header",
     "--B\r\nContent-Disposition: form-data;\r\n  name=\"file\";\r\n\t"
     "filename=a\r\nX: y\r\n\r\nd\r\n--B--",
     "[file|a:d]."},
    {"header begins folded", "--B\r\n X: y\r\n\r\nd\r\n--B--",
     "(malformed MIME header)"},
    {"header without colon", "--B\r\nfoo bar\r\n\r\nd\r\n--B--",
     "(malformed MIME header: missing colon)"},
    {"header with a bad name", "--B\r\nf\x01: bar\r\n\r\nd\r\n--B--",
     "(malformed MIME header)"},
    {"extended name beats plain",
     "--B\r\n" HEAD(
         "name=file; filename*=UTF-8''%2Ft%C3%BC%22; filename=x") "d\r\n--B--",
     "[file|/t\xc3\xbc\":d]."},
    {"unknown charset",
     "--B\r\n" HEAD(
         "name=file; filename*=latin1''%e4; filename=x") "d\r\n--B--",
     "[file|x:d]."},
    {"continuations",
     "--B\r\n" HEAD("name=file; filename*1*=%62; filename*0=\"a \"; "
                    "filename*2=%63; filename=x") "d\r\n--B--",
     "[file|a b%63:d]."},
    {"percent is not decoded in a plain name",
     "--B\r\n" HEAD("name=file; filename=\"a%22b\"") "d\r\n--B--",
     "[file|a%22b:d]."},
    {"backslashes",
     "--B\r\n" HEAD(
         "name=file; filename=\"C:\\dir\\f\\\"q\\\\e\"") "d\r\n--B--",
     "[file|C:\\dir\\f\"q\\e:d]."},
    {"raw UTF-8",
     "--B\r\n" HEAD("name=file; filename=\"\xc3\xbc\"") "d\r\n--B--",
     "[file|\xc3\xbc:d]."},
};

struct trace {
    struct buf text;
    bool in_content;
};

static void
trace_part(struct trace *t, const struct multipart_part *p)
{
    buf_appendf(&t->text, "[%s%s%s|%s:", p->form_data ? "" : "!",
                p->quoted_printable ? "~" : "", p->name ? p->name : "-",
                p->filename ? p->filename : "-");
}

/* Note one event; false when it is the last one. */
static bool
trace_event(struct trace *t, const struct multipart *m,
            enum multipart_event event)
{
    switch (event) {
    case MULTIPART_MORE:
        return true;
    case MULTIPART_PART:
        trace_part(t, &m->part);
        return true;
    case MULTIPART_DATA:
        assert_true(m->data.len > 0);
        buf_append(&t->text, m->data.data, m->data.len);
        return true;
    case MULTIPART_PART_END:
        buf_append_str(&t->text, "]");
        return true;
    case MULTIPART_END:
        return false;
    case MULTIPART_FAILED:
        buf_appendf(&t->text, "(%s)", multipart_error(m));
        return false;
    }
    return false;
}

/* Feed a piece from memory of its own; false when the stream failed. */
static bool
feed(struct trace *t, struct multipart *m, const char *piece, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    const uint8_t *in = copy;
    bool go_on = true;

    assert_non_null(copy);
    memcpy(copy, piece, len);
    while (go_on) {
        enum multipart_event event = multipart_next(m, &in, &len);

        /* The last boundary is told once; what follows is swallowed. */
        if (event == MULTIPART_MORE)
            break;
        go_on = trace_event(t, m, event) || event == MULTIPART_END;
    }
    free(copy);
    return go_on;
}

static void
finish(struct trace *t, struct multipart *m)
{
    while (trace_event(t, m, multipart_finish(m)))
        continue;
    if (m->state != MULTIPART_ERROR)
        buf_append_str(&t->text, ".");
}

/* Run a case cut at `cut`, or byte by byte with cut SIZE_MAX. */
static void
run_case(const struct multipart_case *c, size_t cut)
{
    struct multipart m;
    struct trace t = {0};
    size_t len = strlen(c->body);
    bool fine = true;

    assert_int_equal(multipart_init(&m, STR("B")), 0);
    for (size_t i = 0; i < len && fine;) {
        size_t n = cut == SIZE_MAX ? 1 : (i < cut ? cut : len - i);

        fine = feed(&t, &m, c->body + i, n);
        i += n;
    }
    if (fine)
        finish(&t, &m);
    buf_append_byte(&t.text, 0);
    if (strcmp((char *)buf_data(&t.text), c->trace) != 0)
        fail_msg("%s, cut at %zu: %s", c->name, cut, (char *)buf_data(&t.text));
    buf_done(&t.text);
    multipart_done(&m);
}

static void
test_cases_at_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        run_case(&cases[i], SIZE_MAX);
        for (size_t cut = 0; cut <= strlen(cases[i].body); cut++)
            run_case(&cases[i], cut);
    }
}

static void
test_boundaries(void **state)
{
    char text[MULTIPART_BOUNDARY_MAX + 1];
    struct multipart m;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(multipart_init(&m, STR("")), -EINVAL);
    assert_int_equal(multipart_init(&m, STR("a\nb")), -EINVAL);
    assert_int_equal(
        multipart_init(&m, (struct str){text, MULTIPART_BOUNDARY_MAX}), 0);
    assert_int_equal(multipart_init(&m, (struct str){text, sizeof(text)}),
                     -EINVAL);
}

static void
test_head_limit(void **state)
{
    struct multipart m;
    size_t fed = 0;
    const char line[] = "X-Header: 0123456789\r\n";
    const uint8_t *in = (const uint8_t *)"--B\r\n";
    size_t len = 5;

    (void)state;
    assert_int_equal(multipart_init(&m, STR("B")), 0);
    assert_int_equal(multipart_next(&m, &in, &len), MULTIPART_MORE);
    while (fed < LIMIT_MULTIPART_HEAD_BYTES) {
        in = (const uint8_t *)line;
        len = sizeof(line) - 1;
        fed += len;
        if (multipart_next(&m, &in, &len) == MULTIPART_FAILED)
            break;
    }
    assert_true(fed > LIMIT_MULTIPART_HEAD_BYTES);
    assert_string_equal(multipart_error(&m), "multipart: message too large");
    assert_int_equal(multipart_finish(&m), MULTIPART_FAILED);
    multipart_done(&m);
}

/* ---- quoted-printable ---------------------------------------------------- */

struct qp_case {
    const char *in;
    const char *out; /* NULL: refused */
};

static const struct qp_case qp_cases[] = {
    {"", ""},
    {"plain text", "plain text"},
    {"a=3Db", "a=b"},
    {"a=3Db=C3=bc", "a=b\xc3\xbc"},
    {"soft=\r\nbreak", "softbreak"},
    {"soft=\nbreak", "softbreak"},
    {"soft= \t\r\nbreak", "softbreak"},
    {"trailing  \t\r\nx", "trailing\r\nx"},
    {"trailing \nx", "trailing\nx"},
    {"inner \tblank", "inner \tblank"},
    {"=zz=4z=4", "=zz=4z=4"},
    {"=\r\n=\r\n", ""},
    {"a\rb", "a\rb"},
    {"end=", "end"},
    {"end= ", "end"},
    {"end  ", "end"},
    {"== =x", "== =x"},
    {"=4\r\n", "=4\r\n"},
    {"raw \xc3\xbc", "raw \xc3\xbc"},
    {"bad\x01", NULL},
    {"bad\x7f", NULL},
};

static void
run_qp(const struct qp_case *c, size_t cut)
{
    SCOPE(buf_done) struct buf out = {0};
    struct quoted_printable q = {0};
    struct str in = str_from(c->in);
    int r = quoted_printable_decode(&q, (struct str){in.data, cut}, &out);

    if (r == 0)
        r = quoted_printable_decode(
            &q, (struct str){in.data + cut, in.len - cut}, &out);
    if (r == 0)
        r = quoted_printable_finish(&q, &out);
    assert_int_equal(r, c->out != NULL ? 0 : -EBADMSG);
    if (c->out == NULL)
        return;
    buf_append_byte(&out, 0);
    assert_string_equal((char *)buf_data(&out), c->out);
}

static void
test_quoted_printable(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(qp_cases); i++)
        for (size_t cut = 0; cut <= strlen(qp_cases[i].in); cut++)
            run_qp(&qp_cases[i], cut);
}

static void
test_quoted_printable_bounds_blanks(void **state)
{
    SCOPE(buf_done) struct buf out = {0};
    struct quoted_printable q = {0};
    int r = 0;
    int n = 0;

    (void)state;
    while (r == 0 && n++ < 1000)
        r = quoted_printable_decode(&q, STR(" "), &out);
    assert_int_equal(r, -EBADMSG);
    assert_int_equal(n, sizeof(q.blanks) + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases_at_every_cut),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_quoted_printable),
        cmocka_unit_test(test_quoted_printable_bounds_blanks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
