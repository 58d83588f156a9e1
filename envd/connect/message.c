/*
 * Making and looking at protobuf-c messages by descriptor.
 */
#include "connect/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"

#define ARRAY_MIN 4 /* elements; a power of two */

ProtobufCMessage *
message_new(const ProtobufCMessageDescriptor *desc, struct arena *arena)
{
    ProtobufCMessage *m = arena_alloc(arena, desc->sizeof_message);

    if (m != NULL)
        protobuf_c_message_init(desc, m);
    return m;
}

bool
field_is_map(const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *entry = f->descriptor;
    const char *suffix = "Entry";
    size_t len;

    if (!field_is_repeated(f) || f->type != PROTOBUF_C_TYPE_MESSAGE ||
        entry->n_fields != 2 || strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0 ||
        field_is_repeated(&entry->fields[1]))
        return false;
    len = strlen(entry->short_name);
    return len > strlen(suffix) &&
           strcmp(entry->short_name + len - strlen(suffix), suffix) == 0;
}

size_t
field_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    abort();
}

/* Whether all bits of a number, boolean, enum or pointer are zero. */
static bool
is_zero(ProtobufCType type, const void *value)
{
    uint32_t narrow;
    uint64_t wide;

    switch (field_size(type)) {
    case sizeof(narrow):
        memcpy(&narrow, value, sizeof(narrow));
        return narrow == 0;
    case sizeof(wide):
        memcpy(&wide, value, sizeof(wide));
        return wide == 0;
    default:
        abort();
    }
}

bool
message_has(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    const void *value = message_value(m, f);

    if (field_is_repeated(f))
        return message_count_of(m, f) > 0;
    if (field_is_oneof(f)) {
        uint32_t set;

        memcpy(&set, (const char *)m + f->quantifier_offset, sizeof(set));
        return set == f->id;
    }
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        const char *s = *(const char *const *)value;

        return s != NULL && *s != '\0';
    }
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)value)->len > 0;
    return !is_zero(f->type, value);
}

/* ---- arrays ---- */

/*
 * The capacity of an array is not stored: it is ARRAY_MIN, or the power of two
 * that holds the elements.
 */
static int
resize(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t capacity,
       struct arena *arena)
{
    void **array = message_member(m, f);
    size_t used = *message_count(m, f) * field_size(f->type);
    size_t size;
    void *p;

    if (ckd_mul(&size, capacity, field_size(f->type)))
        return -1;
    p = arena_alloc(arena, size);
    if (p == NULL)
        return -1;
    if (used > 0)
        memcpy(p, *array, used);
    *array = p;
    return 0;
}

int
message_make_array(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                   struct arena *arena)
{
    void **array = message_member(m, f);

    return *array != NULL ? 0 : resize(m, f, ARRAY_MIN, arena);
}

void *
message_append(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
               struct arena *arena)
{
    size_t *count = message_count(m, f);
    size_t size = field_size(f->type);
    char *element;

    if (message_make_array(m, f, arena) < 0)
        return NULL;
    if (*count >= ARRAY_MIN && (*count & (*count - 1)) == 0 &&
        resize(m, f, *count * 2, arena) < 0)
        return NULL;
    element = *(char **)message_member(m, f) + *count * size;
    memset(element, 0, size);
    ++*count;
    return element;
}

/* ---- maps ---- */

#define COMPARE(type, a, b)                      \
    ((*(const type *)(a) > *(const type *)(b)) - \
     (*(const type *)(a) < *(const type *)(b)))

int
map_entry_compare(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    const ProtobufCFieldDescriptor *key = &a->descriptor->fields[0];
    const void *x = message_value(a, key);
    const void *y = message_value(b, key);

    switch (key->type) {
    case PROTOBUF_C_TYPE_STRING:
        return strcmp(*(const char *const *)x, *(const char *const *)y);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return COMPARE(int32_t, x, y);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return COMPARE(uint32_t, x, y);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return COMPARE(int64_t, x, y);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return COMPARE(uint64_t, x, y);
    case PROTOBUF_C_TYPE_BOOL:
        return COMPARE(protobuf_c_boolean, x, y);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    abort(); /* the .proto language has no such keys */
}

struct place {
    const ProtobufCMessage *entry;
    size_t index;
};

static int
compare_places(const void *a, const void *b)
{
    const struct place *x = a;
    const struct place *y = b;
    int order = map_entry_compare(x->entry, y->entry);

    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

int
message_settle_map(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                   struct arena *arena, const ProtobufCMessage **ret_duplicate)
{
    ProtobufCMessage **entries = *(ProtobufCMessage ***)message_member(m, f);
    size_t count = *message_count(m, f);
    struct place *places;
    size_t kept = 0;
    int found = 0;

    if (count < 2)
        return 0;
    places = arena_alloc(arena, count * sizeof(*places));
    if (places == NULL)
        return -1;
    for (size_t i = 0; i < count; i++)
        places[i] = (struct place){entries[i], i};
    qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 1; i < count; i++) {
        if (map_entry_compare(places[i - 1].entry, places[i].entry) != 0)
            continue;
        *ret_duplicate = places[i].entry;
        entries[places[i - 1].index] = NULL;
        found = 1;
    }
    for (size_t i = 0; i < count; i++)
        if (entries[i] != NULL)
            entries[kept++] = entries[i];
    *message_count(m, f) = kept;
    return found;
}

const char *
message_oneof_name(const ProtobufCMessageDescriptor *desc)
{
    static const struct {
        const char *message;
        const char *oneof;
    } names[] = {
#include "oneofs.inc"
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].message, desc->name) == 0)
            return names[i].oneof;
    return NULL;
}
