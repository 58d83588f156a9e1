/*
 * JSON to messages: objects to fields, by descriptor.
 *
 * The only recursion is from a message to a message inside it; the cursor
 * bounds it.
 */
#include "connect/json_read.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/rfc3339.h"
#include "connect/codec.h"
#include "connect/json_any.h"
#include "connect/json_scalar.h"
#include "connect/json_token.h"
#include "connect/message.h"

struct reader {
    struct json_cursor c;
    enum json_rules rules;
    struct arena *arena;
};

/* Memory for one value of any type, before it is known to be kept. */
union value {
    uint64_t integer;
    double real;
    void *pointer;
    ProtobufCBinaryData bytes;
};

static int read_message(struct reader *r,
                        const ProtobufCMessageDescriptor *desc,
                        ProtobufCMessage **ret);

static bool
is_rest(const struct reader *r)
{
    return r->rules != JSON_RULES_PROTO;
}

static int
no_memory(struct reader *r)
{
    return status_set(r->c.st, RPC_RESOURCE_EXHAUSTED,
                      "message needs too much memory");
}

/* ---- names ---- */

/* Whether a key is the field's name in camelCase. */
static bool
name_matches_camel(const char *name, struct str key)
{
    bool upper = false;
    size_t i = 0;

    for (; *name != '\0'; name++) {
        char want = *name;

        if (want == '_') {
            upper = true;
            continue;
        }
        if (upper && want >= 'a' && want <= 'z')
            want = (char)(want - 'a' + 'A');
        upper = false;
        if (i == key.len || key.data[i] != want)
            return false;
        i++;
    }
    return i == key.len;
}

/* Whether both are equal but for case and underscores. */
static bool
name_matches_loosely(const char *name, struct str key)
{
    size_t i = 0;

    for (;;) {
        while (*name == '_')
            name++;
        while (i < key.len && key.data[i] == '_')
            i++;
        if (*name == '\0' || i == key.len)
            return *name == '\0' && i == key.len;
        if (tolower((unsigned char)*name) !=
            tolower((unsigned char)key.data[i]))
            return false;
        name++;
        i++;
    }
}

/*
 * The field that a key names, or NULL.  Keys mostly come in the order of the
 * fields, so the search begins at `hint`.
 */
static const ProtobufCFieldDescriptor *
find_field(const struct reader *r, const ProtobufCMessageDescriptor *desc,
           struct str key, size_t hint)
{
    for (size_t n = 0, i = hint; n < desc->n_fields; n++, i++) {
        const ProtobufCFieldDescriptor *f;

        if (i >= desc->n_fields)
            i = 0;
        f = &desc->fields[i];
        if (is_rest(r)
                ? name_matches_loosely(f->name, key)
                : name_matches_camel(f->name, key) || str_eq(key, f->name))
            return f;
    }
    return NULL;
}

/* ---- well-known types ---- */

static int
read_timestamp(struct reader *r, ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *fields = m->descriptor->fields;
    size_t offset;
    struct str text;

    if (json_peek(&r->c) != JSON_STRING)
        return json_value_error(&r->c, r->c.pos, "invalid timestamp");
    offset = r->c.pos;
    if (json_string(&r->c, &text) < 0)
        return -1;
    if (rfc3339_parse(text, message_member(m, &fields[0]),
                      message_member(m, &fields[1])) < 0)
        return json_value_error(&r->c, offset, "invalid timestamp");
    return 0;
}

/*
 * Look ahead into an object for the value of its "@type": 1; 0 if the object
 * is empty; -1.
 */
static int
find_type_url(struct reader *r, struct str *ret)
{
    struct json_cursor look = r->c;
    bool first = true;
    bool empty = true;
    struct str key;
    int n;

    *ret = (struct str){0};
    look.untouched = true;
    if (json_enter(&look) < 0)
        return -1;
    while ((n = json_next_member(&look, &first, &key)) > 0) {
        bool found = str_eq(key, "@type") && json_peek(&look) == JSON_STRING;

        if (found ? json_string(&look, ret) < 0 : json_skip(&look) < 0)
            return -1;
        empty = false;
    }
    return n < 0 ? -1 : empty ? 0 : 1;
}

/* {"@type": "…/pkg.Message", and the fields of that message} */
static int
read_any(struct reader *r, ProtobufCMessage *m)
{
    const ProtobufCFieldDescriptor *fields = m->descriptor->fields;
    const ProtobufCMessageDescriptor *type;
    size_t offset = r->c.pos;
    ProtobufCMessage *inner = NULL;
    struct buf packed = {0};
    ProtobufCBinaryData *value = message_member(m, &fields[1]);
    struct str url;
    char *copy;
    int result;

    if (json_peek(&r->c) != JSON_OBJECT)
        return json_value_error(&r->c, r->c.pos, "invalid Any");
    result = find_type_url(r, &url);
    if (result <= 0)
        return result < 0 ? -1 : json_skip(&r->c);
    /* A type's name needs no escapes, and those of this one still stand. */
    type = url.data != NULL && memchr(url.data, '\\', url.len) == NULL
               ? json_any_type(url)
               : NULL;
    if (type == NULL)
        return json_value_error(&r->c, offset,
                                "Any of an unknown or missing @type");
    copy = arena_alloc(r->arena, url.len + 1);
    if (copy == NULL)
        return no_memory(r);
    memcpy(copy, url.data, url.len);
    copy[url.len] = '\0';
    *(char **)message_member(m, &fields[0]) = copy;

    if (read_message(r, type, &inner) < 0)
        return -1;
    result = codec_encode(CODEC_PROTO, inner, &packed, r->c.st);
    if (result == 0 && packed.len > 0) {
        value->data = arena_alloc(r->arena, packed.len);
        if (value->data != NULL)
            memcpy(value->data, buf_data(&packed), packed.len);
        value->len = packed.len;
    }
    buf_done(&packed);
    if (result == 0 && value->len > 0 && value->data == NULL)
        return no_memory(r);
    return result;
}

/* ---- fields ---- */

/* One value, not null: 1; 0 when it is to be dropped; -1. */
static int
read_value(struct reader *r, const ProtobufCFieldDescriptor *f, void *ret)
{
    if (f->type != PROTOBUF_C_TYPE_MESSAGE)
        return json_read_scalar(&r->c, f, ret);
    return read_message(r, f->descriptor, ret) < 0 ? -1 : 1;
}

/*
 * One value inside an array or map, where null is a fault; in REST it stands
 * for the default.
 */
static int
read_item(struct reader *r, const ProtobufCFieldDescriptor *f, union value *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (json_peek(&r->c) != JSON_NULL)
        return read_value(r, f, ret);
    if (!is_rest(r))
        return json_unexpected(&r->c);
    if (json_literal(&r->c, JSON_NULL) < 0)
        return -1;
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        ret->pointer = arena_alloc(r->arena, 1);
        if (ret->pointer == NULL)
            return no_memory(r);
        *(char *)ret->pointer = '\0';
    } else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        ret->pointer = message_new(f->descriptor, r->arena);
        if (ret->pointer == NULL)
            return no_memory(r);
    }
    return 1;
}

static int
append(struct reader *r, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
       const union value *value)
{
    void *element = message_append(m, f, r->arena);

    if (element == NULL)
        return no_memory(r);
    memcpy(element, value, field_size(f->type));
    return 0;
}

static int
read_array(struct reader *r, ProtobufCMessage *m,
           const ProtobufCFieldDescriptor *f)
{
    bool first = true;
    union value value;
    int n;

    if (json_peek(&r->c) != JSON_ARRAY)
        return json_unexpected(&r->c);
    if (json_enter(&r->c) < 0)
        return -1;
    *message_count(m, f) = 0; /* in REST a repeated key overwrites */
    while ((n = json_next_element(&r->c, &first)) > 0) {
        n = read_item(r, f, &value);
        if (n < 0 || (n > 0 && append(r, m, f, &value) < 0))
            return -1;
    }
    return n;
}

/* One member of a map's object: 1; 0 when it is to be dropped; -1. */
static int
read_entry(struct reader *r, const ProtobufCMessageDescriptor *desc,
           struct str key, ProtobufCMessage **ret)
{
    const ProtobufCFieldDescriptor *fields = desc->fields;
    union value value;
    int n;

    *ret = message_new(desc, r->arena);
    if (*ret == NULL)
        return no_memory(r);
    if (json_read_key(&r->c, &fields[0], key,
                      message_member(*ret, &fields[0])) < 0)
        return -1;
    n = read_item(r, &fields[1], &value);
    if (n > 0)
        memcpy(message_member(*ret, &fields[1]), &value,
               field_size(fields[1].type));
    return n;
}

static int
read_map(struct reader *r, ProtobufCMessage *m,
         const ProtobufCFieldDescriptor *f)
{
    bool first = true;
    union value entry = {0};
    struct str key;
    int n;

    if (json_peek(&r->c) != JSON_OBJECT)
        return json_unexpected(&r->c);
    if (json_enter(&r->c) < 0)
        return -1;
    /* Present, even when empty. */
    if (message_make_array(m, f, r->arena) < 0)
        return no_memory(r);
    while ((n = json_next_member(&r->c, &first, &key)) > 0) {
        ProtobufCMessage *made;

        n = read_entry(r, f->descriptor, key, &made);
        entry.pointer = made;
        if (n < 0 || (n > 0 && append(r, m, f, &entry) < 0))
            return -1;
    }
    return n;
}

static int
read_single(struct reader *r, ProtobufCMessage *m,
            const ProtobufCFieldDescriptor *f)
{
    union value value = {0};
    int n;

    if (field_is_oneof(f) && !is_rest(r) && *message_case(m, f) != 0) {
        const ProtobufCFieldDescriptor *set =
            protobuf_c_message_descriptor_get_field(m->descriptor,
                                                    *message_case(m, f));
        const char *name = message_oneof_name(m->descriptor);

        return json_value_error(&r->c, r->c.pos, "oneof %s.%s is already set",
                                m->descriptor->name,
                                name != NULL ? name : set->name);
    }
    n = read_value(r, f, &value);
    if (n <= 0)
        return n;
    memcpy(message_member(m, f), &value, field_size(f->type));
    if (field_is_oneof(f))
        *message_case(m, f) = f->id;
    return 0;
}

/* null: absent; it also takes back what an earlier key of REST had set. */
static int
read_null(struct reader *r, ProtobufCMessage *m,
          const ProtobufCFieldDescriptor *f)
{
    if (json_literal(&r->c, JSON_NULL) < 0)
        return -1;
    if (field_is_repeated(f)) {
        *message_count(m, f) = 0;
        *(void **)message_member(m, f) = NULL;
    } else if (field_is_oneof(f) && is_rest(r)) {
        *message_case(m, f) = 0;
    }
    return 0;
}

static int
read_field(struct reader *r, ProtobufCMessage *m,
           const ProtobufCFieldDescriptor *f)
{
    if (json_peek(&r->c) == JSON_NULL)
        return read_null(r, m, f);
    if (!field_is_repeated(f))
        return read_single(r, m, f);
    return field_is_map(f) ? read_map(r, m, f) : read_array(r, m, f);
}

/* ---- messages ---- */

static int
settle_maps(struct reader *r, ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const ProtobufCMessage *duplicate;
        int found;

        if (!field_is_map(f))
            continue;
        found = message_settle_map(m, f, r->arena, &duplicate);
        if (found < 0)
            return no_memory(r);
        if (found > 0 && !is_rest(r))
            return json_value_error(&r->c, r->c.pos, "duplicate map key in %s",
                                    f->name);
    }
    return 0;
}

static int
read_object(struct reader *r, ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *desc = m->descriptor;
    size_t seen_size = desc->n_fields / 8 + 1;
    uint8_t *seen = arena_alloc(r->arena, seen_size); /* a bit each */
    const ProtobufCFieldDescriptor *f;
    bool first = true;
    size_t next = 0;
    struct str key;
    int n;

    if (seen == NULL)
        return no_memory(r);
    memset(seen, 0, seen_size);
    if (json_enter(&r->c) < 0)
        return -1;
    while ((n = json_next_member(&r->c, &first, &key)) > 0) {
        size_t offset = (size_t)(key.data - r->c.text);
        size_t i;

        f = find_field(r, desc, key, next);
        if (f == NULL) {
            if (json_skip(&r->c) < 0)
                return -1;
            continue;
        }
        i = (size_t)(f - desc->fields);
        if (!is_rest(r) && ((unsigned)seen[i / 8] >> i % 8 & 1U) != 0)
            return json_value_error(&r->c, offset, "duplicate field %s",
                                    f->name);
        seen[i / 8] |= (uint8_t)(1U << i % 8);
        if (read_field(r, m, f) < 0)
            return -1;
        next = i + 1;
    }
    return n < 0 ? -1 : settle_maps(r, m);
}

static int
read_message(struct reader *r, const ProtobufCMessageDescriptor *desc,
             ProtobufCMessage **ret)
{
    ProtobufCMessage *m = message_new(desc, r->arena);

    if (m == NULL)
        return no_memory(r);
    *ret = m;
    if (strcmp(desc->name, "google.protobuf.Timestamp") == 0)
        return read_timestamp(r, m);
    if (strcmp(desc->name, "google.protobuf.Any") == 0)
        return read_any(r, m);
    if (json_peek(&r->c) != JSON_OBJECT)
        return json_unexpected(&r->c);
    return read_object(r, m);
}

ProtobufCMessage *
json_read(const ProtobufCMessageDescriptor *desc, char *text, size_t len,
          enum json_rules rules, struct arena *arena, struct status *st)
{
    struct reader r = {
        .c = {.text = text, .len = len, .st = st},
        .rules = rules,
        .arena = arena,
    };
    ProtobufCMessage *m = NULL;

    if (is_rest(&r) && json_peek(&r.c) == JSON_NULL) {
        m = message_new(desc, arena);
        if (m == NULL) {
            (void)no_memory(&r);
            return NULL;
        }
        if (json_literal(&r.c, JSON_NULL) < 0)
            return NULL;
    } else if (read_message(&r, desc, &m) < 0) {
        return NULL;
    }
    if (rules != JSON_RULES_REST_PREFIX && json_end(&r.c) < 0)
        return NULL;
    return m;
}
