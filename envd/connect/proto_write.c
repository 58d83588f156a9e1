/*
 * Messages to protobuf binary.
 *
 * A message inside another is preceded by its length.  So each is walked over
 * twice by the same code: once to count, once to write.
 */
#include "connect/proto_write.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "base/utf8.h"
#include "connect/message.h"
#include "connect/proto_wire.h"

#define COPY_PIECE 1024 /* bytes */

struct writer {
    uint8_t *p; /* where the next byte goes; NULL when counting */
    size_t len; /* bytes counted or written */
    /* The first string that is not UTF-8, if strings are to be checked. */
    bool checking;
    const ProtobufCMessageDescriptor *bad_message;
    const ProtobufCFieldDescriptor *bad_field;
};

static void write_fields(struct writer *w, const ProtobufCMessage *m);

/* ---- the wire ---- */

/*
 * Large data goes in small pieces: beyond some KiB the C library's memcpy() may
 * use a string instruction which some processors run at a fifteenth of the
 * speed when the target lies a few bytes further in its page than the source,
 * and behind a header of a few bytes it does.
 */
static void
put(struct writer *w, const void *data, size_t len)
{
    const uint8_t *from = data;

    w->len += len;
    if (w->p == NULL)
        return;
    while (len > 0) {
        size_t piece = MIN(len, (size_t)COPY_PIECE);

        w->p = mempcpy(w->p, from, piece);
        from += piece;
        len -= piece;
    }
}

static void
put_varint(struct writer *w, uint64_t value)
{
    uint8_t *p = w->p;

    w->len += (size_t)(70 - __builtin_clzll(value | 1)) / 7;
    if (p == NULL)
        return;
    for (; value >= 0x80; value >>= 7)
        *p++ = (uint8_t)(value | 0x80U);
    *p++ = (uint8_t)value;
    w->p = p;
}

static void
put_tag(struct writer *w, const ProtobufCFieldDescriptor *f, enum wire wire)
{
    put_varint(w, (uint64_t)f->id << 3 | wire);
}

/* ---- numbers ---- */

static void
write_number(struct writer *w, const ProtobufCFieldDescriptor *f,
             const void *value)
{
    uint32_t narrow = 0;
    uint64_t wide = 0;

    if (field_size(f->type) == 4)
        memcpy(&narrow, value, sizeof(narrow));
    else if (field_size(f->type) == 8)
        memcpy(&wide, value, sizeof(wide));
    switch (f->type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        narrow = htole32(narrow);
        put(w, &narrow, sizeof(narrow));
        return;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        wide = htole64(wide);
        put(w, &wide, sizeof(wide));
        return;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        put_varint(w, (uint64_t)(int64_t)(int32_t)narrow);
        return;
    case PROTOBUF_C_TYPE_SINT32:
        put_varint(w, narrow << 1 ^ (0 - (narrow >> 31)));
        return;
    case PROTOBUF_C_TYPE_SINT64:
        put_varint(w, wide << 1 ^ (0 - (wide >> 63)));
        return;
    case PROTOBUF_C_TYPE_UINT32:
        put_varint(w, narrow);
        return;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
        put_varint(w, wide);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        put_varint(w, *(const protobuf_c_boolean *)value != 0);
        return;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    abort();
}

/* ---- values ---- */

/* The bytes in front of the next UTF8_NUL, or all of them. */
static size_t
piece_len(const char *s, size_t len)
{
    const char *nul = memmem(s, len, UTF8_NUL, 2);

    return nul != NULL ? (size_t)(nul - s) : len;
}

/* A string, cut at each UTF8_NUL, for which a NUL is written. */
static void
write_string(struct writer *w, const ProtobufCMessage *m,
             const ProtobufCFieldDescriptor *f, const char *s)
{
    size_t len = s != NULL ? strlen(s) : 0;
    size_t nuls = 0;
    bool valid = true;

    for (size_t i = 0; i < len; i += 2, nuls++) {
        size_t n = piece_len(s + i, len - i);

        valid = valid && (!w->checking || utf8_valid(s + i, n));
        i += n;
        if (i == len)
            break;
    }
    if (!valid && w->bad_field == NULL) {
        w->bad_message = m->descriptor;
        w->bad_field = f;
    }
    put_varint(w, len - nuls);
    for (size_t i = 0; i < len; i += 2) {
        size_t n = piece_len(s + i, len - i);

        put(w, s + i, n);
        i += n;
        if (i < len)
            put(w, "", 1);
    }
}

static void
write_message(struct writer *w, const ProtobufCMessage *m)
{
    struct writer count = {0};

    if (m == NULL) {
        put_varint(w, 0);
        return;
    }
    if (w->p != NULL) {
        write_fields(&count, m);
        put_varint(w, count.len);
        write_fields(w, m);
    } else {
        size_t before = w->len;

        write_fields(w, m);
        put_varint(w, w->len - before);
    }
}

static void
write_value(struct writer *w, const ProtobufCMessage *m,
            const ProtobufCFieldDescriptor *f, const void *value)
{
    const ProtobufCBinaryData *data = value;

    if (f->type == PROTOBUF_C_TYPE_STRING) {
        write_string(w, m, f, *(const char *const *)value);
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        write_message(w, *(const ProtobufCMessage *const *)value);
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        put_varint(w, data->len);
        put(w, data->data, data->len);
    } else {
        write_number(w, f, value);
    }
}

/* ---- fields ---- */

static void
write_repeated(struct writer *w, const ProtobufCMessage *m,
               const ProtobufCFieldDescriptor *f)
{
    const char *elements = *(const char *const *)message_value(m, f);
    size_t count = message_count_of(m, f);
    size_t size = field_size(f->type);

    if ((f->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0) {
        struct writer run = {0};

        for (size_t i = 0; i < count; i++)
            write_number(&run, f, elements + i * size);
        put_tag(w, f, WIRE_BYTES);
        put_varint(w, run.len);
        for (size_t i = 0; i < count; i++)
            write_number(w, f, elements + i * size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        put_tag(w, f, wire_of(f->type));
        write_value(w, m, f, elements + i * size);
    }
}

static void
write_fields(struct writer *w, const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

        if (!message_has(m, f))
            continue;
        if (field_is_repeated(f)) {
            write_repeated(w, m, f);
            continue;
        }
        put_tag(w, f, wire_of(f->type));
        write_value(w, m, f, message_value(m, f));
    }
}

int
proto_write(const ProtobufCMessage *msg, struct buf *out, struct status *st)
{
    struct writer count = {.checking = true};
    struct writer w = {0};

    write_fields(&count, msg);
    if (count.bad_field != NULL)
        return status_set(st, RPC_INTERNAL,
                          "marshal message: proto: field %s.%s contains "
                          "invalid UTF-8",
                          count.bad_message->name, count.bad_field->name);
    if (count.len == 0)
        return 0;
    w.p = buf_reserve(out, count.len);
    if (w.p == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED,
                          "marshal message: out of memory");
    write_fields(&w, msg);
    buf_commit(out, w.len);
    return 0;
}
