/*
 * Protobuf binary to messages.
 *
 * The only recursion is from a message to a message inside it, and bounded.
 */
#include "connect/proto_read.h"

#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "connect/message.h"
#include "connect/proto_wire.h"
#include "limits.h"

#define FIELD_MAX  ((1U << 29) - 1)
#define GROUPS_MAX 64 /* unknown groups inside each other; nobody sends any */

struct reader {
    uint8_t *p;
    uint8_t *end;   /* of the message or packed field being read */
    unsigned depth; /* messages around the position */
    struct arena *arena;
    struct status *st;
};

struct tag {
    uint32_t field;
    enum wire wire;
};

static int read_fields(struct reader *r, ProtobufCMessage *m);

static int
malformed(struct reader *r)
{
    (void)status_set(r->st, RPC_INVALID_ARGUMENT,
                     "cannot parse invalid wire-format data");
    return -1;
}

static int
no_memory(struct reader *r)
{
    return status_set(r->st, RPC_RESOURCE_EXHAUSTED,
                      "message needs too much memory");
}

/* ---- the wire ---- */

static int
read_varint(struct reader *r, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;

        if (r->p == r->end)
            return malformed(r);
        byte = *r->p++;
        if (shift == 63 && byte > 1)
            return malformed(r);
        value |= (uint64_t)(byte & 0x7fU) << shift;
        if (byte < 0x80) {
            *ret = value;
            return 0;
        }
    }
    return malformed(r);
}

static int
read_tag(struct reader *r, struct tag *ret)
{
    uint64_t value;

    if (read_varint(r, &value) < 0)
        return -1;
    if (value >> 3 == 0 || value >> 3 > FIELD_MAX || (value & 7U) > WIRE_32)
        return malformed(r);
    *ret = (struct tag){(uint32_t)(value >> 3), (enum wire)(value & 7U)};
    return 0;
}

/* A length, and that many bytes, which the position goes past. */
static int
read_bytes(struct reader *r, uint8_t **ret, size_t *ret_len)
{
    uint64_t len;

    if (read_varint(r, &len) < 0)
        return -1;
    if (len > (size_t)(r->end - r->p))
        return malformed(r);
    *ret = r->p;
    *ret_len = (size_t)len;
    r->p += len;
    return 0;
}

static int
read_fixed(struct reader *r, void *ret, size_t size)
{
    if ((size_t)(r->end - r->p) < size)
        return malformed(r);
    if (size == 4) {
        uint32_t value;

        memcpy(&value, r->p, size);
        value = le32toh(value);
        memcpy(ret, &value, size);
    } else {
        uint64_t value;

        memcpy(&value, r->p, size);
        value = le64toh(value);
        memcpy(ret, &value, size);
    }
    r->p += size;
    return 0;
}

/* Read over one value that holds no others. */
static int
skip_value(struct reader *r, enum wire wire)
{
    uint64_t ignored;
    uint8_t *bytes;
    size_t len;

    switch (wire) {
    case WIRE_VARINT:
        return read_varint(r, &ignored);
    case WIRE_32:
        return read_fixed(r, &ignored, 4);
    case WIRE_64:
        return read_fixed(r, &ignored, 8);
    case WIRE_BYTES:
        return read_bytes(r, &bytes, &len);
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        break;
    }
    return malformed(r);
}

/* Read over the value of an unknown field, which may be a group. */
static int
skip_unknown(struct reader *r, struct tag tag)
{
    uint32_t open[GROUPS_MAX];
    size_t depth = 0;

    for (;;) {
        if (tag.wire == WIRE_GROUP) {
            if (depth == GROUPS_MAX)
                return malformed(r);
            open[depth++] = tag.field;
        } else if (tag.wire == WIRE_GROUP_END) {
            if (depth == 0 || open[--depth] != tag.field)
                return malformed(r);
        } else if (skip_value(r, tag.wire) < 0) {
            return -1;
        }
        if (depth == 0)
            return 0;
        if (read_tag(r, &tag) < 0)
            return -1;
    }
}

/* ---- values ---- */

/* The value of a varint as the field's type has it, cut to its width. */
static void
store_varint(const ProtobufCFieldDescriptor *f, uint64_t value, void *ret)
{
    if (f->type == PROTOBUF_C_TYPE_BOOL) {
        *(protobuf_c_boolean *)ret = value != 0;
        return;
    }
    if (f->type == PROTOBUF_C_TYPE_SINT32)
        value &= UINT32_MAX;
    if (f->type == PROTOBUF_C_TYPE_SINT32 || f->type == PROTOBUF_C_TYPE_SINT64)
        value = (value >> 1) ^ (0 - (value & 1));
    if (field_size(f->type) == 4)
        *(uint32_t *)ret = (uint32_t)value;
    else
        *(uint64_t *)ret = value;
}

/* A copy of a string in which NUL bytes are written as UTF8_NUL. */
static char *
escape_nuls(struct reader *r, const uint8_t *bytes, size_t len)
{
    char *s = arena_alloc(r->arena, 2 * len + 1);
    char *out = s;

    if (s == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            *out++ = (char)bytes[i];
        } else {
            *out++ = UTF8_NUL[0];
            *out++ = UTF8_NUL[1];
        }
    }
    *out = '\0';
    return s;
}

/*
 * A string, terminated in place: it moves onto the last byte of its length,
 * which has been read.
 */
static int
read_string(struct reader *r, char **ret)
{
    uint8_t *bytes;
    size_t len;
    char *s;

    if (read_bytes(r, &bytes, &len) < 0)
        return -1;
    if (!utf8_valid((const char *)bytes, len))
        return status_set(r->st, RPC_INVALID_ARGUMENT,
                          "string field contains invalid UTF-8");
    if (memchr(bytes, '\0', len) != NULL) {
        *ret = escape_nuls(r, bytes, len);
        return *ret != NULL ? 0 : no_memory(r);
    }
    s = (char *)bytes - 1;
    memmove(s, bytes, len);
    s[len] = '\0';
    *ret = s;
    return 0;
}

/* A message, into the one that is there already, if any. */
static int
read_message(struct reader *r, const ProtobufCFieldDescriptor *f,
             ProtobufCMessage **inout)
{
    uint8_t *const outer_end = r->end;
    uint8_t *bytes;
    size_t len;

    if (read_bytes(r, &bytes, &len) < 0)
        return -1;
    if (*inout == NULL)
        *inout = message_new(f->descriptor, r->arena);
    if (*inout == NULL)
        return no_memory(r);
    if (r->depth == LIMIT_RPC_NESTING)
        return status_set(r->st, RPC_INVALID_ARGUMENT,
                          "nested deeper than %d levels", LIMIT_RPC_NESTING);
    r->depth++;
    r->p = bytes;
    r->end = bytes + len;
    if (read_fields(r, *inout) < 0)
        return -1;
    r->end = outer_end;
    r->depth--;
    return 0;
}

/* One value, of the wire type that belongs to the field. */
static int
read_value(struct reader *r, const ProtobufCFieldDescriptor *f, void *ret)
{
    ProtobufCBinaryData *data;
    uint64_t value;

    switch (wire_of(f->type)) {
    case WIRE_32:
        return read_fixed(r, ret, 4);
    case WIRE_64:
        return read_fixed(r, ret, 8);
    case WIRE_VARINT:
        if (read_varint(r, &value) < 0)
            return -1;
        store_varint(f, value, ret);
        return 0;
    case WIRE_BYTES:
    case WIRE_GROUP:
    case WIRE_GROUP_END:
        break;
    }
    if (f->type == PROTOBUF_C_TYPE_STRING)
        return read_string(r, ret);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return read_message(r, f, ret);
    data = ret;
    return read_bytes(r, &data->data, &data->len);
}

/* ---- fields ---- */

static int
read_element(struct reader *r, ProtobufCMessage *m,
             const ProtobufCFieldDescriptor *f)
{
    void *element = message_append(m, f, r->arena);

    return element != NULL ? read_value(r, f, element) : no_memory(r);
}

/* The elements of a repeated field of numbers, in one run of bytes. */
static int
read_packed(struct reader *r, ProtobufCMessage *m,
            const ProtobufCFieldDescriptor *f)
{
    uint8_t *const outer_end = r->end;
    uint8_t *bytes;
    size_t len;

    if (read_bytes(r, &bytes, &len) < 0)
        return -1;
    r->p = bytes;
    r->end = bytes + len;
    while (r->p < r->end)
        if (read_element(r, m, f) < 0)
            return -1;
    r->end = outer_end;
    return 0;
}

static int
read_single(struct reader *r, ProtobufCMessage *m,
            const ProtobufCFieldDescriptor *f)
{
    void *member = message_member(m, f);

    if (field_is_oneof(f) && *message_case(m, f) != f->id) {
        /* Another member, if any, gives way; its memory is this one's. */
        memset(member, 0, field_size(f->type));
        *message_case(m, f) = f->id;
    }
    return read_value(r, f, member);
}

static int
read_field(struct reader *r, ProtobufCMessage *m, struct tag tag)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field(m->descriptor, tag.field);
    enum wire wire;

    if (f == NULL)
        return skip_unknown(r, tag);
    wire = wire_of(f->type);
    if (tag.wire == WIRE_BYTES && wire != WIRE_BYTES && field_is_repeated(f))
        return read_packed(r, m, f);
    if (tag.wire != wire)
        return skip_unknown(r, tag);
    return field_is_repeated(f) ? read_element(r, m, f) : read_single(r, m, f);
}

static int
read_fields(struct reader *r, ProtobufCMessage *m)
{
    while (r->p < r->end) {
        struct tag tag;

        if (read_tag(r, &tag) < 0 || read_field(r, m, tag) < 0)
            return -1;
    }
    return 0;
}

/* ---- maps ---- */

/* Every entry has a value, and of equal keys the last one counts. */
static int
settle_map(struct reader *r, ProtobufCMessage *m,
           const ProtobufCFieldDescriptor *f)
{
    ProtobufCMessage **entries = *(ProtobufCMessage ***)message_member(m, f);
    const ProtobufCMessageDescriptor *desc = f->descriptor;
    const ProtobufCFieldDescriptor *value = &desc->fields[1];
    const ProtobufCMessage *duplicate;

    if (value->type == PROTOBUF_C_TYPE_MESSAGE) {
        for (size_t i = 0; i < *message_count(m, f); i++) {
            void **member = message_member(entries[i], value);

            if (*member == NULL)
                *member = message_new(value->descriptor, r->arena);
            if (*member == NULL)
                return no_memory(r);
        }
    }
    return message_settle_map(m, f, r->arena, &duplicate) < 0 ? no_memory(r)
                                                              : 0;
}

/*
 * Settle all maps of a message that is complete: not earlier, since any
 * message can be continued by another one of the same field.
 */
static int
settle(struct reader *r, ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        ProtobufCMessage **messages = message_member(m, f);
        size_t count = 1;

        if (f->type != PROTOBUF_C_TYPE_MESSAGE || !message_has(m, f))
            continue;
        if (field_is_map(f) && settle_map(r, m, f) < 0)
            return -1;
        if (field_is_repeated(f)) {
            messages = *(ProtobufCMessage ***)message_member(m, f);
            count = *message_count(m, f);
        }
        for (size_t k = 0; k < count; k++)
            if (settle(r, messages[k]) < 0)
                return -1;
    }
    return 0;
}

ProtobufCMessage *
proto_read(const ProtobufCMessageDescriptor *desc, uint8_t *data, size_t len,
           struct arena *arena, struct status *st)
{
    struct reader r = {
        .p = data,
        .end = len > 0 ? data + len : data,
        .depth = 1,
        .arena = arena,
        .st = st,
    };
    ProtobufCMessage *m = message_new(desc, arena);

    if (m == NULL) {
        (void)no_memory(&r);
        return NULL;
    }
    return read_fields(&r, m) < 0 || settle(&r, m) < 0 ? NULL : m;
}
