/*
 * Request heads.  The first byte says in what steps the rest arrives; the
 * result must not depend on it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "http/head.h"

#define LINES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ptrdiff_t
scan_in_steps(struct http_head_scan *scan, const char *text, size_t len,
              size_t step)
{
    ptrdiff_t end = 0;

    for (size_t at = 0; at < len && end == 0;) {
        at = MIN(at + step, len);
        end = http_head_scan(scan, text, at);
    }
    return end;
}

static void
check_inside(struct str s, const char *text, size_t len)
{
    assert(s.len == 0 || (s.data >= text && s.data + s.len <= text + len));
    for (size_t i = 0; i < s.len; i++)
        assert(s.data[i] != '\r' && s.data[i] != '\n' && s.data[i] != '\0');
}

static void
check_parsed(const struct http_head *h, const char *text, size_t len)
{
    const struct http_request *r = &h->request;

    check_inside(r->method_name, text, len);
    check_inside(r->query, text, len);
    assert(r->method_name.len > 0);
    assert(r->path.len > 0 || str_eq(r->method_name, "CONNECT"));
    assert(r->has_body == (r->content_length != 0));
    assert(h->chunked == (r->content_length < 0));
    for (size_t i = 0; i < r->header_count; i++) {
        check_inside(r->headers[i].name, text, len);
        check_inside(r->headers[i].value, text, len);
        assert(r->headers[i].name.len > 0);
        assert(memchr(r->headers[i].name.data, ' ', r->headers[i].name.len) ==
               NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_header items[LINES];
    struct http_head_scan whole = {0};
    struct http_head_scan stepped = {0};
    struct http_parser *parser;
    struct http_head head;
    const char *text = (const char *)data + 1;
    const char *why;
    ptrdiff_t end;
    size_t step;

    if (size < 1)
        return 0;
    step = data[0] % 32U + 1;
    size--;
    end = http_head_scan(&whole, text, size);
    assert(scan_in_steps(&stepped, text, size, step) == end);
    if (end <= 0 || whole.lines == 0 || whole.lines > LINES)
        return 0;
    assert(stepped.lines == whole.lines);
    parser = http_parser_new();
    if (http_head_parse(parser, (struct str){text, (size_t)end}, items,
                        whole.lines - 1, &head, &why) == 0)
        check_parsed(&head, text, (size_t)end);
    http_parser_free(parser);
    return 0;
}
