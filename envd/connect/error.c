/*
 * The forms of a failure.
 */
#include "connect/error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_write.h"

#define TYPE_URL_PREFIX "type.googleapis.com/"

void
error_end_init(struct error_end *end)
{
    STAILQ_INIT(&end->details);
    STAILQ_INIT(&end->trailers);
}

void
error_end_done(struct error_end *end)
{
    while (!STAILQ_EMPTY(&end->details)) {
        struct error_detail *d = STAILQ_FIRST(&end->details);

        STAILQ_REMOVE_HEAD(&end->details, link);
        free(d->type);
        free(d);
    }
    while (!STAILQ_EMPTY(&end->trailers)) {
        struct error_trailer *t = STAILQ_FIRST(&end->trailers);

        STAILQ_REMOVE_HEAD(&end->trailers, link);
        free(t->name);
        free(t->value);
        free(t);
    }
}

void
error_end_add_detail(struct error_end *end, const char *type, const void *data,
                     size_t len)
{
    struct error_detail *d;
    size_t size;

    if (ckd_add(&size, sizeof(*d), len) || (d = malloc(size)) == NULL)
        return;
    d->type = xstrdup(type);
    d->len = len;
    if (len > 0)
        memcpy(d->data, data, len);
    STAILQ_INSERT_TAIL(&end->details, d, link);
}

void
error_end_add_trailer(struct error_end *end, const char *name,
                      const char *value)
{
    struct error_trailer *t = xcalloc(1, sizeof(*t));

    t->name = xstrdup(name);
    t->value = xstrdup(value);
    STAILQ_INSERT_TAIL(&end->trailers, t, link);
}

int
error_http_status(enum rpc_code code)
{
    static const int status[] = {
        [RPC_OK] = 200,
        [RPC_CANCELED] = 499,
        [RPC_UNKNOWN] = 500,
        [RPC_INVALID_ARGUMENT] = 400,
        [RPC_DEADLINE_EXCEEDED] = 504,
        [RPC_NOT_FOUND] = 404,
        [RPC_ALREADY_EXISTS] = 409,
        [RPC_PERMISSION_DENIED] = 403,
        [RPC_RESOURCE_EXHAUSTED] = 429,
        [RPC_FAILED_PRECONDITION] = 400,
        [RPC_ABORTED] = 409,
        [RPC_OUT_OF_RANGE] = 400,
        [RPC_UNIMPLEMENTED] = 501,
        [RPC_INTERNAL] = 500,
        [RPC_UNAVAILABLE] = 503,
        [RPC_DATA_LOSS] = 500,
        [RPC_UNAUTHENTICATED] = 401,
    };
    size_t i = (size_t)code;

    return i < ARRAY_LEN(status) ? status[i] : 500;
}

static void
append_json_str(struct buf *out, const char *s)
{
    json_write_string(out, s, strlen(s));
}

/* Standard base64 without its padding. */
static void
append_base64(struct buf *out, const uint8_t *data, size_t len)
{
    char *to = (char *)buf_reserve(out, base64_encoded_len(len));
    size_t n;

    if (to == NULL)
        return;
    n = base64_encode(to, data, len);
    while (n > 0 && to[n - 1] == '=')
        n--;
    buf_commit(out, n);
}

void
error_json(struct buf *out, const struct status *st,
           const struct error_end *end)
{
    const struct error_detail *d;
    const char *between = ",\"details\":[";

    buf_append_str(out, "{\"code\":");
    append_json_str(out, rpc_code_name(st->code));
    if (*status_message(st) != '\0') {
        buf_append_str(out, ",\"message\":");
        append_json_str(out, status_message(st));
    }
    if (end != NULL && !STAILQ_EMPTY(&end->details)) {
        STAILQ_FOREACH (d, &end->details, link) {
            buf_append_str(out, between);
            buf_append_str(out, "{\"type\":");
            append_json_str(out, d->type);
            buf_append_str(out, ",\"value\":\"");
            append_base64(out, d->data, d->len);
            buf_append_str(out, "\"}");
            between = ",";
        }
        buf_append_byte(out, ']');
    }
    buf_append_byte(out, '}');
}

static bool
trailer_is_first_of_name(const struct error_end *end,
                         const struct error_trailer *t)
{
    const struct error_trailer *before;

    STAILQ_FOREACH (before, &end->trailers, link) {
        if (before == t)
            return true;
        if (strcasecmp(before->name, t->name) == 0)
            return false;
    }
    return true;
}

/* Append `{"name":["value",…],…}`: each name once, with all its values. */
static void
append_metadata(struct buf *out, const struct error_end *end)
{
    const struct error_trailer *t;
    const char *between = "{";

    STAILQ_FOREACH (t, &end->trailers, link) {
        const struct error_trailer *same;
        const char *comma = ":[";

        if (!trailer_is_first_of_name(end, t))
            continue;
        buf_append_str(out, between);
        append_json_str(out, t->name);
        for (same = t; same != NULL; same = STAILQ_NEXT(same, link)) {
            if (strcasecmp(same->name, t->name) != 0)
                continue;
            buf_append_str(out, comma);
            append_json_str(out, same->value);
            comma = ",";
        }
        buf_append_byte(out, ']');
        between = ",";
    }
    buf_append_byte(out, '}');
}

void
error_end_stream_json(struct buf *out, const struct status *st,
                      const struct error_end *end)
{
    bool metadata = end != NULL && !STAILQ_EMPTY(&end->trailers);

    buf_append_byte(out, '{');
    if (st != NULL) {
        buf_append_str(out, "\"error\":");
        error_json(out, st, end);
    }
    if (metadata) {
        buf_append_str(out, st != NULL ? ",\"metadata\":" : "\"metadata\":");
        append_metadata(out, end);
    }
    buf_append_byte(out, '}');
}

static void
append_percent_encoded(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < ' ' || c > '~' || c == '%')
            buf_appendf(out, "%%%02X", c);
        else
            buf_append_byte(out, c);
    }
}

static void
append_varint(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_append_byte(out, (uint8_t)(value | 0x80));
    buf_append_byte(out, (uint8_t)value);
}

/* A field of bytes: number, length, content. */
static void
append_bytes_field(struct buf *out, unsigned int number, const void *data,
                   size_t len)
{
    append_varint(out, number << 3 | 2U);
    append_varint(out, len);
    buf_append(out, data, len);
}

/*
 * Append google.rpc.Status in binary, base64: 1 code, 2 message, 3 details,
 * each a google.protobuf.Any: 1 type_url, 2 value.
 */
static void
append_status_details(struct buf *out, const struct status *st,
                      const struct error_end *end)
{
    SCOPE(buf_done) struct buf packed = {0};
    const struct error_detail *d;

    append_varint(&packed, 1U << 3);
    append_varint(&packed, (uint64_t)st->code);
    append_bytes_field(&packed, 2, status_message(st),
                       strlen(status_message(st)));
    STAILQ_FOREACH (d, &end->details, link) {
        SCOPE(buf_done) struct buf any = {0};
        SCOPE(buf_done) struct buf url = {0};

        buf_append_str(&url, TYPE_URL_PREFIX);
        buf_append_str(&url, d->type);
        if (url.failed)
            break;
        append_bytes_field(&any, 1, buf_data(&url), url.len);
        append_bytes_field(&any, 2, d->data, d->len);
        if (any.failed)
            break;
        append_bytes_field(&packed, 3, buf_data(&any), any.len);
    }
    if (!packed.failed)
        append_base64(out, buf_data(&packed), packed.len);
}

/* Hand one trailer on, and empty the text for the next. */
static void
emit(struct buf *text, const char *name, error_field_fn each, void *ctx)
{
    buf_append_byte(text, '\0');
    if (!text->failed)
        each(ctx, name, (const char *)buf_data(text));
    buf_reset(text, SIZE_MAX);
}

/* The bytes of a value before its first control character. */
static size_t
value_len(const char *value)
{
    size_t len = 0;

    while ((unsigned char)value[len] >= ' ' && value[len] != 0x7f)
        len++;
    return len;
}

void
error_grpc_trailers(const struct status *st, const struct error_end *end,
                    error_field_fn each, void *ctx)
{
    SCOPE(buf_done) struct buf text = {0};
    const struct error_trailer *t;

    buf_append_u64(&text, st != NULL ? (uint64_t)st->code : 0);
    emit(&text, "Grpc-Status", each, ctx);
    if (st != NULL) {
        append_percent_encoded(&text, status_message(st));
        emit(&text, "Grpc-Message", each, ctx);
    }
    if (end == NULL)
        return;
    if (st != NULL && !STAILQ_EMPTY(&end->details)) {
        append_status_details(&text, st, end);
        emit(&text, "Grpc-Status-Details-Bin", each, ctx);
    }
    STAILQ_FOREACH (t, &end->trailers, link) {
        buf_append(&text, t->value, value_len(t->value));
        emit(&text, t->name, each, ctx);
    }
}
