/*
 * The heads of requests in three protocols, read by tables.
 */
#include "connect/protocol.h"

#include <errno.h>
#include <string.h>

#include "base/scope.h"
#include "base/utf8.h"
#include "http/media_type.h"

#define TIMEOUT_CONNECT_MAX_CHARS 10
#define TIMEOUT_GRPC_MAX          99999999 /* eight digits */

/* More hours than this do not fit into a count of nanoseconds: no limit. */
#define TIMEOUT_GRPC_HOURS_MAX 2562047

static const struct content_type content_types[] = {
    {"application/json", PROTOCOL_CONNECT_UNARY, CODEC_JSON},
    {"application/proto", PROTOCOL_CONNECT_UNARY, CODEC_PROTO},
    {"application/json; charset=utf-8", PROTOCOL_CONNECT_UNARY, CODEC_JSON},
    {"application/connect+json", PROTOCOL_CONNECT_STREAM, CODEC_JSON},
    {"application/connect+proto", PROTOCOL_CONNECT_STREAM, CODEC_PROTO},
    {"application/connect+json; charset=utf-8", PROTOCOL_CONNECT_STREAM,
     CODEC_JSON},
    {"application/grpc", PROTOCOL_GRPC, CODEC_PROTO},
    {"application/grpc+proto", PROTOCOL_GRPC, CODEC_PROTO},
    {"application/grpc+json", PROTOCOL_GRPC, CODEC_JSON},
    {"application/grpc+json; charset=utf-8", PROTOCOL_GRPC, CODEC_JSON},
    {"application/grpc-web", PROTOCOL_GRPC_WEB, CODEC_PROTO},
    {"application/grpc-web+proto", PROTOCOL_GRPC_WEB, CODEC_PROTO},
    {"application/grpc-web+json", PROTOCOL_GRPC_WEB, CODEC_JSON},
    {"application/grpc-web+json; charset=utf-8", PROTOCOL_GRPC_WEB, CODEC_JSON},
};

#define ACCEPTED_GRPC                                                \
    "application/grpc, application/grpc+json, "                      \
    "application/grpc+json; charset=utf-8, application/grpc+proto, " \
    "application/grpc-web, application/grpc-web+json, "              \
    "application/grpc-web+json; charset=utf-8, "                     \
    "application/grpc-web+proto"

static const char accepted_unary[] =
    ACCEPTED_GRPC ", application/json, application/json; charset=utf-8, "
                  "application/proto";
static const char accepted_stream[] =
    "application/connect+json, application/connect+json; charset=utf-8, "
    "application/connect+proto, " ACCEPTED_GRPC;

static const struct content_type *
find_exactly(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(content_types); i++)
        if (str_eq(name, content_types[i].name))
            return &content_types[i];
    return NULL;
}

const struct content_type *
content_type_find(struct str value)
{
    SCOPE(media_type_done) struct media_type m = {0};
    SCOPE(buf_done) struct buf name = {0};
    const struct content_type *type = find_exactly(value);

    if (type != NULL || value.len == 0)
        return type;
    if (media_type_parse(value, &m) < 0 || m.param_count > 1)
        return NULL;
    buf_append(&name, m.type.data, m.type.len);
    if (m.param_count == 1) {
        if (!str_eq(m.params[0].name, "charset") ||
            !str_eq_nocase(m.params[0].value, "utf-8"))
            return NULL;
        buf_append_str(&name, "; charset=utf-8");
    }
    if (name.failed)
        return NULL;
    return find_exactly((struct str){(const char *)buf_data(&name), name.len});
}

const struct content_type *
content_type_of_get(struct str encoding)
{
    if (str_eq(encoding, "json"))
        return find_exactly(STR("application/json"));
    if (str_eq(encoding, "proto"))
        return find_exactly(STR("application/proto"));
    return NULL;
}

const char *
content_type_accepted(bool unary)
{
    return unary ? accepted_unary : accepted_stream;
}

/* Append a client's text in double quotes, with escapes where need be. */
static void
append_quoted(struct buf *out, struct str s)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t len = utf8_char_len(s.data + i, s.len - i);
        unsigned char c = (unsigned char)s.data[i];

        if (c == '"' || c == '\\')
            buf_appendf(out, "\\%c", c);
        else if (c == '\t')
            buf_append_str(out, "\\t");
        else if (len == 0 || c < ' ' || c == 0x7f)
            buf_appendf(out, "\\x%02x", c);
        else
            buf_append(out, s.data + i, len);
        i += len > 0 ? len : 1;
    }
    buf_append_byte(out, '"');
}

/* Fail with a text that quotes the client's own in its middle. */
static int
fail_quoting(struct status *st, enum rpc_code code, const char *before,
             struct str text, const char *after)
{
    SCOPE(buf_done) struct buf q = {0};

    append_quoted(&q, text);
    buf_append_byte(&q, '\0');
    return status_set(st, code, "%s%s%s", before,
                      q.failed ? "" : (const char *)buf_data(&q), after);
}

static int
timeout_parse_connect(struct str value, struct rpc_timeout *ret,
                      struct status *st)
{
    int64_t ms;

    if (value.len > TIMEOUT_CONNECT_MAX_CHARS)
        return fail_quoting(st, RPC_INVALID_ARGUMENT, "parse timeout: ", value,
                            " has >10 digits");
    if (str_to_i64(value, &ms) < 0)
        return fail_quoting(st, RPC_INVALID_ARGUMENT,
                            "parse timeout: strconv.ParseInt: parsing ", value,
                            ": invalid syntax");
    *ret = (struct rpc_timeout){.given = true, .ms = ms};
    return 0;
}

static int
timeout_parse_grpc(struct str value, struct rpc_timeout *ret, struct status *st)
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {
        {'n', 1},
        {'u', 1000},
        {'m', 1000LL * 1000},
        {'S', 1000LL * 1000 * 1000},
        {'M', 60LL * 1000 * 1000 * 1000},
        {'H', 3600LL * 1000 * 1000 * 1000},
    };
    const char unit = value.data[value.len - 1];
    int64_t count;

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (units[i].unit != unit)
            continue;
        if (str_to_i64((struct str){value.data, value.len - 1}, &count) < 0 ||
            count < 0)
            return fail_quoting(st, RPC_INVALID_ARGUMENT,
                                "protocol error: invalid timeout ", value, "");
        if (count > TIMEOUT_GRPC_MAX)
            return fail_quoting(st, RPC_INVALID_ARGUMENT,
                                "protocol error: timeout ", value,
                                " is too long");
        if (unit == 'H' && count > TIMEOUT_GRPC_HOURS_MAX)
            return 0;
        /* Rounded up: what is left is not nothing. */
        ret->ms = (count * units[i].ns + 999999) / 1000000;
        ret->given = true;
        return 0;
    }
    return status_set(st, RPC_INVALID_ARGUMENT,
                      "protocol error: timeout has invalid unit '%c'", unit);
}

int
rpc_timeout_parse(enum rpc_protocol protocol, struct str value,
                  struct rpc_timeout *ret, struct status *st)
{
    *ret = (struct rpc_timeout){0};
    if (value.len == 0)
        return 0;
    switch (protocol) {
    case PROTOCOL_CONNECT_UNARY:
    case PROTOCOL_CONNECT_STREAM:
        return timeout_parse_connect(value, ret, st);
    case PROTOCOL_GRPC:
    case PROTOCOL_GRPC_WEB:
        return timeout_parse_grpc(value, ret, st);
    }
    return 0;
}

/* Whether one of the names in a list is exactly `gzip`. */
static bool
lists_gzip(struct str list)
{
    size_t i = 0;

    while (i < list.len) {
        size_t start = i;

        while (i < list.len && list.data[i] != ',' && list.data[i] != ' ')
            i++;
        if (str_eq((struct str){list.data + start, i - start}, "gzip"))
            return true;
        i++;
    }
    return false;
}

int
rpc_compression_choose(struct str sent, struct str accept,
                       struct rpc_compression *ret, struct status *st)
{
    bool gzip = str_eq(sent, "gzip");

    *ret = (struct rpc_compression){0};
    if (sent.len > 0 && !gzip && !str_eq(sent, "identity"))
        return fail_quoting(st, RPC_UNIMPLEMENTED, "unknown compression ", sent,
                            ": supported encodings are gzip");
    ret->request_gzip = gzip;
    ret->reply_gzip = gzip || lists_gzip(accept);
    return 0;
}

int
rpc_version_check(const char *name, const char *want, struct str got,
                  struct status *st)
{
    SCOPE(buf_done) struct buf before = {0};

    if (got.len == 0 || str_eq(got, want))
        return 0;
    buf_appendf(&before, "%s must be \"%s\": got ", name, want);
    buf_append_byte(&before, '\0');
    return fail_quoting(st, RPC_INVALID_ARGUMENT,
                        before.failed ? "" : (const char *)buf_data(&before),
                        got, "");
}
