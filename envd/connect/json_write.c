/*
 * Messages to JSON: fields in the order of their numbers, appended as they are
 * met.
 */
#include "connect/json_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "connect/codec.h"
#include "connect/json_any.h"
#include "connect/json_number.h"
#include "connect/json_scan.h"
#include "connect/message.h"

struct writer {
    struct buf *out;
    enum json_style style;
    struct status *st;
};

static int write_message(struct writer *w, const ProtobufCMessage *m);

/* ---- strings ---- */

/* One character that cannot stand for itself. */
static void
put_escape(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char letter = '\0';

    if (c == '"' || c == '\\')
        letter = (char)c;
    else if (c < sizeof(letters))
        letter = letters[c];
    buf_append_byte(out, '\\');
    if (letter != '\0') {
        buf_append_byte(out, (uint8_t)letter);
        return;
    }
    buf_append(out, "u00", 3);
    buf_append_byte(out, (uint8_t)hex[c >> 4]);
    buf_append_byte(out, (uint8_t)hex[c & 0xfU]);
}

/* The inside of a string from `i` on; false at invalid UTF-8, if refused. */
static bool
put_text(struct buf *out, const char *s, size_t len, size_t i, bool replace)
{
    while (i < len) {
        size_t n = json_scan_plain(s + i, len - i);
        size_t run = 0;

        buf_append(out, s + i, n);
        i += n;
        if (i == len)
            break;
        if ((unsigned char)s[i] < 0x80) {
            put_escape(out, (unsigned char)s[i++]);
            continue;
        }
        while (i + run < len && (unsigned char)s[i + run] >= 0x80) {
            n = utf8_char_len(s + i + run, len - i - run);
            if (n == 0)
                break;
            run += n;
        }
        buf_append(out, s + i, run);
        i += run;
        if (run > 0)
            continue;
        if (len - i >= 2 && memcmp(s + i, UTF8_NUL, 2) == 0) {
            put_escape(out, '\0');
            i += 2;
            continue;
        }
        if (!replace)
            return false;
        buf_append_str(out, "\xef\xbf\xbd");
        i++;
    }
    return true;
}

static bool
put_string(struct buf *out, const char *s, size_t len, bool replace)
{
    size_t plain = json_scan_plain(s, len);
    uint8_t *p = buf_reserve(out, plain + 2);
    bool valid = true;

    if (p == NULL)
        return true;
    p[0] = '"';
    memcpy(p + 1, s, plain);
    p[plain + 1] = '"';
    if (plain == len) {
        buf_commit(out, plain + 2);
    } else {
        buf_commit(out, plain + 1);
        valid = put_text(out, s, len, plain, replace);
        buf_append_byte(out, '"');
    }
    return valid;
}

void
json_write_string(struct buf *out, const char *s, size_t len)
{
    (void)put_string(out, s, len, true);
}

/* ---- scalars ---- */

static int
write_string(struct writer *w, const ProtobufCMessageDescriptor *desc,
             const ProtobufCFieldDescriptor *f, const char *s)
{
    if (s == NULL)
        s = "";
    if (put_string(w->out, s, strlen(s), false))
        return 0;
    return status_set(w->st, RPC_INTERNAL,
                      "marshal message: proto: field %s.%s contains invalid "
                      "UTF-8",
                      desc->name, f->name);
}

static void
write_bytes(struct writer *w, const ProtobufCBinaryData *data)
{
    size_t room = base64_encoded_len(data->len) + 2;
    uint8_t *p = buf_reserve(w->out, room);

    if (p == NULL)
        return;
    p[0] = '"';
    (void)base64_encode((char *)p + 1, data->data, data->len);
    p[room - 1] = '"';
    buf_commit(w->out, room);
}

static void
write_real(struct writer *w, double value, bool single)
{
    uint8_t *p;

    if (isnan(value)) {
        buf_append_str(w->out, "\"NaN\"");
    } else if (isinf(value)) {
        buf_append_str(w->out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    } else {
        p = buf_reserve(w->out, JSON_NUMBER_SIZE);
        if (p != NULL)
            buf_commit(w->out, json_number_format((char *)p, value, single));
    }
}

static void
write_enum(struct writer *w, const ProtobufCEnumDescriptor *desc, int32_t value)
{
    const ProtobufCEnumValue *known =
        protobuf_c_enum_descriptor_get_value(desc, value);

    if (known != NULL)
        (void)put_string(w->out, known->name, strlen(known->name), true);
    else
        buf_append_i64(w->out, value);
}

/*
 * An integer or boolean.
 * quoted  64-bit integers become strings: other languages read JSON numbers
 *         as doubles
 */
static void
write_integer(struct writer *w, ProtobufCType type, const void *value,
              bool quoted)
{
    bool wide = field_size(type) == 8;

    if (wide && quoted)
        buf_append_byte(w->out, '"');
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buf_append_i64(w->out, *(const int32_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_append_u64(w->out, *(const uint32_t *)value);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_append_i64(w->out, *(const int64_t *)value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buf_append_u64(w->out, *(const uint64_t *)value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_append_str(w->out,
                       *(const protobuf_c_boolean *)value ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        abort();
    }
    if (wide && quoted)
        buf_append_byte(w->out, '"');
}

static int
write_value(struct writer *w, const ProtobufCMessageDescriptor *desc,
            const ProtobufCFieldDescriptor *f, const void *value)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return write_string(w, desc, f, *(const char *const *)value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return write_message(w, *(const ProtobufCMessage *const *)value);
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(w, value);
        return 0;
    case PROTOBUF_C_TYPE_FLOAT:
        write_real(w, (double)*(const float *)value, true);
        return 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_real(w, *(const double *)value, false);
        return 0;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(w, f->descriptor, *(const int32_t *)value);
        return 0;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_BOOL:
        write_integer(w, f->type, value, w->style == JSON_STYLE_PROTO);
        return 0;
    }
    abort();
}

/* ---- repeated fields and maps ---- */

static int
write_array(struct writer *w, const ProtobufCMessage *m,
            const ProtobufCFieldDescriptor *f)
{
    const char *elements = *(const char *const *)message_value(m, f);
    size_t count = message_count_of(m, f);
    size_t size = field_size(f->type);

    buf_append_byte(w->out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(w->out, ',');
        if (write_value(w, m->descriptor, f, elements + i * size) < 0)
            return -1;
    }
    buf_append_byte(w->out, ']');
    return 0;
}

static int
compare_entries(const void *a, const void *b)
{
    return map_entry_compare(*(const ProtobufCMessage *const *)a,
                             *(const ProtobufCMessage *const *)b);
}

static int
write_entry(struct writer *w, const ProtobufCMessage *entry)
{
    const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
    const void *key = message_value(entry, &fields[0]);

    if (fields[0].type == PROTOBUF_C_TYPE_STRING) {
        if (write_value(w, entry->descriptor, &fields[0], key) < 0)
            return -1;
    } else {
        buf_append_byte(w->out, '"');
        write_integer(w, fields[0].type, key, false);
        buf_append_byte(w->out, '"');
    }
    buf_append_byte(w->out, ':');
    return write_value(w, entry->descriptor, &fields[1],
                       message_value(entry, &fields[1]));
}

static int
write_map(struct writer *w, const ProtobufCMessage *m,
          const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessage *const *entries =
        *(const ProtobufCMessage *const *const *)message_value(m, f);
    SCOPE(scope_free) const ProtobufCMessage **sorted = NULL;
    size_t count = message_count_of(m, f);

    if (count > 1) {
        sorted = malloc(count * sizeof(*sorted));
        if (sorted == NULL) {
            w->out->failed = true;
            return 0;
        }
        memcpy(sorted, entries, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), compare_entries);
        entries = sorted;
    }
    buf_append_byte(w->out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(w->out, ',');
        if (write_entry(w, entries[i]) < 0)
            return -1;
    }
    buf_append_byte(w->out, '}');
    return 0;
}

/* ---- messages ---- */

/* `"name":`, after a comma unless it is the first. */
static void
put_name(struct writer *w, const char *name, bool first)
{
    size_t len = strlen(name);
    uint8_t *start = buf_reserve(w->out, len + 4);
    uint8_t *p = start;

    if (p == NULL)
        return;
    if (!first)
        *p++ = ',';
    *p++ = '"';
    if (w->style == JSON_STYLE_REST) {
        memcpy(p, name, len);
        p += len;
    } else {
        bool upper = false;

        for (; *name != '\0'; name++) {
            char c = *name;

            if (c == '_') {
                upper = true;
                continue;
            }
            if (upper && c >= 'a' && c <= 'z')
                c = (char)(c - 'a' + 'A');
            upper = false;
            *p++ = (uint8_t)c;
        }
    }
    *p++ = '"';
    *p++ = ':';
    buf_commit(w->out, (size_t)(p - start));
}

static bool
is_written(const struct writer *w, const ProtobufCMessage *m,
           const ProtobufCFieldDescriptor *f)
{
    if (w->style == JSON_STYLE_REST && !field_is_oneof(f) &&
        (field_is_repeated(f) || f->type != PROTOBUF_C_TYPE_MESSAGE))
        return true;
    return message_has(m, f);
}

static int
write_fields(struct writer *w, const ProtobufCMessage *m, bool first)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        int r;

        if (!is_written(w, m, f))
            continue;
        put_name(w, f->name, first);
        first = false;
        if (!field_is_repeated(f))
            r = write_value(w, m->descriptor, f, message_value(m, f));
        else if (field_is_map(f))
            r = write_map(w, m, f);
        else
            r = write_array(w, m, f);
        if (r < 0)
            return -1;
    }
    return 0;
}

static int
write_timestamp(struct writer *w, const ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *fields = m->descriptor->fields;
    int64_t seconds = *(const int64_t *)message_value(m, &fields[0]);
    char *p = (char *)buf_reserve(w->out, RFC3339_SIZE + 2);
    int len;

    if (p == NULL)
        return 0;
    len = rfc3339_format(p + 1, seconds,
                         *(const int32_t *)message_value(m, &fields[1]));
    if (len < 0)
        return status_set(w->st, RPC_INTERNAL,
                          "marshal message: proto: google.protobuf.Timestamp: "
                          "out of range");
    p[0] = '"';
    p[len + 1] = '"';
    buf_commit(w->out, (size_t)len + 2);
    return 0;
}

/* Unpack what an Any holds; NULL when that cannot be done. */
static ProtobufCMessage *
unpack_any(const char *url, const ProtobufCBinaryData *value,
           struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = json_any_type(str_from(url));
    SCOPE(status_done) struct status ignored = {0};
    uint8_t *copy;

    if (type == NULL)
        return NULL;
    copy = arena_alloc(arena, value->len);
    if (copy == NULL)
        return NULL;
    if (value->len > 0)
        memcpy(copy, value->data, value->len);
    return codec_decode(CODEC_PROTO, type, copy, value->len, arena, &ignored);
}

/* {"@type": "…/pkg.Message", and the fields of that message} */
static int
write_any(struct writer *w, const ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *fields = m->descriptor->fields;
    const char *url = *(const char *const *)message_value(m, &fields[0]);
    SCOPE(arena_done) struct arena arena = {0};
    ProtobufCMessage *inner;

    if (!message_has(m, &fields[0])) {
        buf_append_str(w->out, "{}");
        return 0;
    }
    inner = unpack_any(url, message_value(m, &fields[1]), &arena);
    if (inner == NULL)
        return status_set(w->st, RPC_INTERNAL,
                          "marshal message: proto: google.protobuf.Any: "
                          "unable to resolve %s",
                          url);
    buf_append_byte(w->out, '{');
    put_name(w, "@type", true);
    if (write_string(w, m->descriptor, &fields[0], url) < 0 ||
        write_fields(w, inner, false) < 0)
        return -1;
    buf_append_byte(w->out, '}');
    return 0;
}

static int
write_message(struct writer *w, const ProtobufCMessage *m)
{
    if (m == NULL) {
        buf_append_str(w->out, "{}");
        return 0;
    }
    if (strcmp(m->descriptor->name, "google.protobuf.Timestamp") == 0)
        return write_timestamp(w, m);
    if (strcmp(m->descriptor->name, "google.protobuf.Any") == 0)
        return write_any(w, m);
    buf_append_byte(w->out, '{');
    if (write_fields(w, m, true) < 0)
        return -1;
    buf_append_byte(w->out, '}');
    return 0;
}

int
json_write(const ProtobufCMessage *msg, enum json_style style, struct buf *out,
           struct status *st)
{
    struct writer w = {.out = out, .style = style, .st = st};

    if (write_message(&w, msg) < 0)
        return -1;
    if (out->failed)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "marshal message: out of memory");
    return 0;
}
