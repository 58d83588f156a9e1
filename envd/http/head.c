/*
 * The head of a request.  The request line is read here, the header lines by
 * the parser library; before either sees a byte, the search for the end has
 * refused every line that two readers could end at different places.
 */
#include "http/head.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "http/message.h"

/* Bit n of word n / 32: whether character n may stand in a token. */
static const uint32_t token_chars[8] = {
    0x00000000, /* controls */
    0x03ff6cfa, /* ! # $ % & ' * + - . and digits */
    0xc7fffffe, /* letters, ^ and _ */
    0x57ffffff, /* backquote, letters, | and ~ */
};

static bool
is_token_char(char c)
{
    uint8_t n = (uint8_t)c;

    return (token_chars[n / 32] >> n % 32 & 1) != 0;
}

static bool
is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.data[i]))
            return false;
    return s.len > 0;
}

ptrdiff_t
http_head_scan(struct http_head_scan *scan, const char *data, size_t len)
{
    if (len > 0 && !is_token_char(data[0]))
        return -EBADMSG;
    while (scan->line < len) {
        const char *line = data + scan->line;
        size_t left = len - scan->line;
        const char *cr = memchr(line, '\r', left);
        size_t text = cr != NULL ? (size_t)(cr - line) : left;

        if (line[0] == ' ' || line[0] == '\t' ||
            memchr(line, '\n', text) != NULL)
            return -EBADMSG;
        if (cr == NULL || text + 1 == left)
            return 0;
        if (cr[1] != '\n')
            return -EBADMSG;
        scan->line += text + 2;
        if (text == 0)
            return (ptrdiff_t)scan->line;
        scan->lines++;
    }
    return 0;
}

/* Take the part of `rest` before the first `end`, and that away. */
static struct str
cut(struct str *rest, char end)
{
    const char *at = memchr(rest->data, end, rest->len);
    struct str part = *rest;

    if (at == NULL) {
        *rest = (struct str){rest->data + rest->len, 0};
        return part;
    }
    part.len = (size_t)(at - rest->data);
    *rest = (struct str){at + 1, rest->len - part.len - 1};
    return part;
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
           (c >= 'A' && c <= 'F');
}

static bool
escapes_are_valid(struct str path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] == '%' &&
            (path.len - i < 3 || !is_hex(path.data[i + 1]) ||
             !is_hex(path.data[i + 2])))
            return false;
    return true;
}

/*
 * What follows the authority of an absolute URL: empty, or from `/` or `?` on.
 * Absent when it is no such URL.
 */
static struct str
behind_authority(struct str target)
{
    size_t i = 0;

    while (i < target.len && (is_token_char(target.data[i])))
        i++;
    if (i == 0 || target.len - i < 4 || memcmp(target.data + i, "://", 3) != 0)
        return (struct str){0};
    for (i += 3; i < target.len; i++)
        if (target.data[i] == '/' || target.data[i] == '?')
            break;
    return (struct str){target.data + i, target.len - i};
}

static int
parse_target(struct http_request *r, struct str target)
{
    for (size_t i = 0; i < target.len; i++)
        if ((uint8_t)target.data[i] <= ' ' || target.data[i] == 0x7f)
            return 400;
    if (str_eq(r->method_name, "CONNECT")) {
        r->path = (struct str){target.data, 0};
        return 0;
    }
    if (!str_starts(target, "/") && !str_eq(target, "*")) {
        target = behind_authority(target);
        if (target.data == NULL)
            return 400;
    }
    r->path = cut(&target, '?');
    if (r->path.data + r->path.len < target.data)
        r->query = target;
    if (r->path.len == 0)
        r->path = STR("/");
    return escapes_are_valid(r->path) ? 0 : 400;
}

static int
parse_request_line(struct http_head *h, struct str line, const char **ret_why)
{
    struct http_request *r = &h->request;
    struct str version = line;
    struct str target;

    r->method_name = cut(&version, ' ');
    target = cut(&version, ' ');
    if (!is_token(r->method_name) || target.len == 0)
        return 400;
    if (version.len != 8 || !str_starts(version, "HTTP/") ||
        version.data[5] < '0' || version.data[5] > '9' ||
        version.data[6] != '.' || version.data[7] < '0' ||
        version.data[7] > '9')
        return 400;
    if (version.data[5] != '1') {
        *ret_why = "unsupported protocol version";
        return 505;
    }
    h->http_1_0 = version.data[7] == '0';
    r->method = http_method_find(r->method_name);
    return parse_target(r, target);
}

/* The headers that decide on the connection itself. */
struct hop_headers {
    size_t hosts;
    size_t codings;     /* Transfer-Encoding lines */
    bool other_coding;  /* one that is not just `chunked` */
    bool expects;       /* 100-continue */
    bool expects_other; /* something nobody here can promise */
};

static struct hop_headers
find_hop_headers(const struct http_fields *fields)
{
    struct hop_headers found = {0};

    for (size_t i = 0; i < fields->count; i++) {
        struct str name = fields->items[i].name;
        struct str value = fields->items[i].value;

        if (name.len == 4 && str_eq_nocase(name, "Host")) {
            found.hosts++;
        } else if (name.len == 6 && str_eq_nocase(name, "Expect")) {
            bool known = str_eq_nocase(value, "100-continue");

            found.expects |= known;
            found.expects_other |= !known && value.len > 0;
        } else if (name.len == 17 && str_eq_nocase(name, "Transfer-Encoding")) {
            found.codings++;
            found.other_coding |= !str_eq_nocase(value, "chunked");
        }
    }
    return found;
}

static int
check_hop_headers(const struct http_head *h, const struct hop_headers *hop,
                  const char **ret_why)
{
    if (hop->codings > 0 && h->http_1_0)
        return 400; /* 1.0 has no codings: whoever passed it on was misled */
    if (hop->codings > 1 || hop->other_coding) {
        *ret_why = "unsupported transfer encoding";
        return 501;
    }
    if (hop->hosts == 0 && !h->http_1_0) {
        *ret_why = "missing required Host header";
        return 400;
    }
    if (hop->hosts > 1) {
        *ret_why = "too many Host headers";
        return 400;
    }
    return hop->expects_other ? 417 : 0;
}

int
http_head_parse(const struct http_parser *p, struct str head,
                struct http_header *items, size_t max, struct http_head *ret,
                const char **ret_why)
{
    struct http_fields fields = {.items = items, .max = max};
    struct http_request *r = &ret->request;
    struct hop_headers hop;
    struct str line = cut(&head, '\r');
    int status;

    *ret = (struct http_head){0};
    *ret_why = NULL;
    status = parse_request_line(ret, line, ret_why);
    if (status != 0)
        return status;
    head.data++; /* the LF of the request line */
    head.len--;
    if (http_parse_fields(p, head, ret->http_1_0 ? 0 : 1, &fields) < 0)
        return 400;
    r->headers = items;
    r->header_count = fields.count;
    hop = find_hop_headers(&fields);
    status = check_hop_headers(ret, &hop, ret_why);
    if (status != 0)
        return status;

    /* Two lengths at once are served, but nothing is believed after them. */
    ret->keep_alive =
        fields.keep_alive && !(fields.chunked && fields.content_length >= 0);
    ret->chunked = fields.chunked;
    r->has_body = fields.chunked || fields.content_length > 0;
    r->content_length = fields.chunked ? -1 : fields.content_length;
    if (!r->has_body)
        r->content_length = 0;
    ret->expect_continue = hop.expects && !ret->http_1_0 && r->has_body;
    return 0;
}
