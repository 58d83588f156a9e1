/*
 * Protobuf-c messages seen through their descriptors: what the readers and
 * writers of both codecs share.
 *
 * Messages are proto3: a field is plain, a member of a oneof (`optional` is a
 * oneof of one), repeated, or a map, which protobuf-c knows as a repeated
 * message of `key` and `value`.
 */
#ifndef ENVD_CONNECT_MESSAGE_H
#define ENVD_CONNECT_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* A message with its defaults; NULL when the arena is exhausted. */
ProtobufCMessage *message_new(const ProtobufCMessageDescriptor *desc,
                              struct arena *arena);

/* Where the value of a field lies. */
static inline void *
message_member(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (char *)m + f->offset;
}

static inline const void *
message_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (const char *)m + f->offset;
}

/* The number of elements of a repeated field. */
static inline size_t *
message_count(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (size_t *)(void *)((char *)m + f->quantifier_offset);
}

static inline size_t
message_count_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return *(const size_t *)(const void *)((const char *)m +
                                           f->quantifier_offset);
}

/* The number of the member that is set in the field's oneof, or 0. */
static inline uint32_t *
message_case(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    return (uint32_t *)(void *)((char *)m + f->quantifier_offset);
}

/*
 * The name of the oneof of a message whose members can meet in one input.
 * Descriptors do not have it: it is NULL for messages of other .proto files
 * than proto/ has.  Static.
 */
const char *message_oneof_name(const ProtobufCMessageDescriptor *desc);

static inline bool
field_is_oneof(const ProtobufCFieldDescriptor *f)
{
    return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static inline bool
field_is_repeated(const ProtobufCFieldDescriptor *f)
{
    return f->label == PROTOBUF_C_LABEL_REPEATED;
}

bool field_is_map(const ProtobufCFieldDescriptor *f);

/* Bytes of one value of a type in memory. */
size_t field_size(ProtobufCType type);

/*
 * Whether a field is to be written: present if it has presence, else not its
 * default; repeated ones when they have elements.
 */
bool message_has(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/*
 * Give a repeated field an array even when it stays empty.  0, or -1 when the
 * arena is exhausted.
 */
int message_make_array(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                       struct arena *arena);

/* One more element of a repeated field, zeroed; NULL as message_new(). */
void *message_append(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                     struct arena *arena);

/* Order two entries of one map by their keys, strings bytewise. */
int map_entry_compare(const ProtobufCMessage *a, const ProtobufCMessage *b);

/*
 * Of entries with equal keys in a map keep the last, in its place.
 *
 * Returns 0; 1 when there were such, *ret_duplicate being one of them; -1 when
 * the arena is exhausted.
 */
int message_settle_map(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                       struct arena *arena,
                       const ProtobufCMessage **ret_duplicate);

#endif
