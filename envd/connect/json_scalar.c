/*
 * Strings, bytes, numbers, booleans and enums of the JSON mapping.
 */
#include "connect/json_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/decimal.h"
#include "connect/json_number.h"
#include "connect/json_token.h"
#include "connect/message.h"

/* The kind of value that was found is not the field's. */
static int
invalid(struct json_cursor *c, size_t offset, const ProtobufCFieldDescriptor *f)
{
    static const char *const names[] = {
        [PROTOBUF_C_TYPE_INT32] = "int32",
        [PROTOBUF_C_TYPE_SINT32] = "sint32",
        [PROTOBUF_C_TYPE_SFIXED32] = "sfixed32",
        [PROTOBUF_C_TYPE_INT64] = "int64",
        [PROTOBUF_C_TYPE_SINT64] = "sint64",
        [PROTOBUF_C_TYPE_SFIXED64] = "sfixed64",
        [PROTOBUF_C_TYPE_UINT32] = "uint32",
        [PROTOBUF_C_TYPE_FIXED32] = "fixed32",
        [PROTOBUF_C_TYPE_UINT64] = "uint64",
        [PROTOBUF_C_TYPE_FIXED64] = "fixed64",
        [PROTOBUF_C_TYPE_FLOAT] = "float",
        [PROTOBUF_C_TYPE_DOUBLE] = "double",
        [PROTOBUF_C_TYPE_BOOL] = "bool",
        [PROTOBUF_C_TYPE_ENUM] = "enum",
        [PROTOBUF_C_TYPE_STRING] = "string",
        [PROTOBUF_C_TYPE_BYTES] = "bytes",
        [PROTOBUF_C_TYPE_MESSAGE] = "message",
    };

    return json_value_error(c, offset, "invalid value for %s field %s",
                            names[f->type], f->name);
}

/* ---- numbers ---- */

/*
 * The number at the position, or the text of the string there, which may hold
 * one; *ret_kind says which.
 */
static int
number_text(struct json_cursor *c, const ProtobufCFieldDescriptor *f,
            struct str *ret_text, enum json_kind *ret_kind)
{
    *ret_kind = json_peek(c);
    if (*ret_kind == JSON_NUMBER)
        return json_number(c, ret_text);
    if (*ret_kind == JSON_STRING)
        return json_string(c, ret_text);
    return *ret_kind == JSON_NO_VALUE ? json_unexpected(c)
                                      : invalid(c, c->pos, f);
}

/* An integer from `min` (as a magnitude) to `max`; 0 or -1. */
static int
integer(struct str text, uint64_t min, uint64_t max, bool *ret_negative,
        uint64_t *ret)
{
    if (text.len == 0 || json_number_len(text.data, text.len) != text.len ||
        json_number_integer(text, ret_negative, ret) < 0)
        return -1;
    return *ret <= (*ret_negative ? min : max) ? 0 : -1;
}

static int
store_signed(struct str text, size_t size, void *ret)
{
    uint64_t max = size == 4 ? INT32_MAX : INT64_MAX;
    uint64_t magnitude;
    bool negative;
    int64_t value;

    if (integer(text, max + 1, max, &negative, &magnitude) < 0)
        return -1;
    value = (int64_t)(negative ? 0 - magnitude : magnitude);
    if (size == 4)
        *(int32_t *)ret = (int32_t)value;
    else
        *(int64_t *)ret = value;
    return 0;
}

static int
store_unsigned(struct str text, size_t size, void *ret)
{
    uint64_t value;
    bool negative;

    if (integer(text, 0, size == 4 ? UINT32_MAX : UINT64_MAX, &negative,
                &value) < 0)
        return -1;
    if (size == 4)
        *(uint32_t *)ret = (uint32_t)value;
    else
        *(uint64_t *)ret = value;
    return 0;
}

static bool
is_signed_integer(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_SINT32 ||
           type == PROTOBUF_C_TYPE_SFIXED32 || type == PROTOBUF_C_TYPE_INT64 ||
           type == PROTOBUF_C_TYPE_SINT64 || type == PROTOBUF_C_TYPE_SFIXED64;
}

static int
store_integer(struct json_cursor *c, size_t offset,
              const ProtobufCFieldDescriptor *f, struct str text, void *ret)
{
    size_t size = field_size(f->type);
    int r = is_signed_integer(f->type) ? store_signed(text, size, ret)
                                       : store_unsigned(text, size, ret);

    return r < 0 ? invalid(c, offset, f) : 1;
}

static int
read_integer(struct json_cursor *c, const ProtobufCFieldDescriptor *f,
             void *ret)
{
    size_t offset = c->pos;
    enum json_kind kind;
    struct str text = {0};

    if (number_text(c, f, &text, &kind) < 0)
        return -1;
    return store_integer(c, offset, f, text, ret);
}

/* Whether a string is one of the three values that JSON has no number for. */
static bool
special_real(struct str text, double *ret)
{
    if (str_eq(text, "NaN"))
        *ret = NAN;
    else if (str_eq(text, "Infinity"))
        *ret = INFINITY;
    else if (str_eq(text, "-Infinity"))
        *ret = -INFINITY;
    else
        return false;
    return true;
}

static int
read_real(struct json_cursor *c, const ProtobufCFieldDescriptor *f, void *ret)
{
    bool single = f->type == PROTOBUF_C_TYPE_FLOAT;
    size_t offset = c->pos;
    double value = 0;
    enum json_kind kind;
    struct str text = {0};

    if (number_text(c, f, &text, &kind) < 0)
        return -1;
    if (kind != JSON_STRING || !special_real(text, &value)) {
        if (json_number_len(text.data, text.len) != text.len ||
            decimal_read(text, single, &value) < 0)
            return invalid(c, offset, f);
    }
    if (single)
        *(float *)ret = (float)value;
    else
        *(double *)ret = value;
    return 1;
}

static int
read_enum(struct json_cursor *c, const ProtobufCFieldDescriptor *f, void *ret)
{
    const ProtobufCEnumValue *value;
    size_t offset = c->pos;
    enum json_kind kind;
    struct str name = {0};

    if (number_text(c, f, &name, &kind) < 0)
        return -1;
    if (kind == JSON_NUMBER)
        return store_signed(name, sizeof(int32_t), ret) < 0
                   ? invalid(c, offset, f)
                   : 1;
    value =
        protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, name.data);
    if (value == NULL)
        return 0;
    *(int32_t *)ret = value->value;
    return 1;
}

/* ---- the rest ---- */

static int
read_bool(struct json_cursor *c, const ProtobufCFieldDescriptor *f, void *ret)
{
    enum json_kind kind = json_peek(c);

    if (kind != JSON_TRUE && kind != JSON_FALSE)
        return invalid(c, c->pos, f);
    if (json_literal(c, kind) < 0)
        return -1;
    *(protobuf_c_boolean *)ret = kind == JSON_TRUE;
    return 1;
}

static int
read_text(struct json_cursor *c, const ProtobufCFieldDescriptor *f, void *ret)
{
    size_t offset = c->pos;
    struct str text = {0};
    uint8_t *data;
    ptrdiff_t len;

    if (json_peek(c) != JSON_STRING)
        return invalid(c, offset, f);
    if (json_string(c, &text) < 0)
        return -1;
    data = (uint8_t *)c->text + (text.data - c->text);
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        *(uint8_t **)ret = data;
        return 1;
    }
    len = base64_decode(data, text.data, text.len);
    if (len < 0)
        return invalid(c, offset, f);
    *(ProtobufCBinaryData *)ret = (ProtobufCBinaryData){(size_t)len, data};
    return 1;
}

int
json_read_key(struct json_cursor *c, const ProtobufCFieldDescriptor *f,
              struct str text, void *ret)
{
    size_t offset = (size_t)(text.data - c->text);

    if (f->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)ret = c->text + offset;
        return 1;
    }
    if (f->type == PROTOBUF_C_TYPE_BOOL) {
        if (!str_eq(text, "true") && !str_eq(text, "false"))
            return invalid(c, offset, f);
        *(protobuf_c_boolean *)ret = str_eq(text, "true");
        return 1;
    }
    return store_integer(c, offset, f, text, ret);
}

int
json_read_scalar(struct json_cursor *c, const ProtobufCFieldDescriptor *f,
                 void *ret)
{
    if (json_peek(c) == JSON_NO_VALUE)
        return json_unexpected(c);
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return read_integer(c, f, ret);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_real(c, f, ret);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(c, f, ret);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(c, f, ret);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        return read_text(c, f, ret);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return invalid(c, c->pos, f);
}
