/*
 * Values of JSON that are not messages, into the memory of a protobuf-c field.
 */
#ifndef ENVD_CONNECT_JSON_SCALAR_H
#define ENVD_CONNECT_JSON_SCALAR_H

#include <protobuf-c/protobuf-c.h>

#include "base/str.h"

struct json_cursor;

/*
 * Read a value of the field's type, which is not a message.
 *
 * ret  field_size() bytes, set on success; strings and bytes point into the
 *      text
 *
 * Returns 1; 0 for an enum value of an unknown name, which is dropped; -1 with
 * the cursor's status set.  Context: any.
 */
int json_read_scalar(struct json_cursor *c, const ProtobufCFieldDescriptor *f,
                     void *ret);

/* As json_read_scalar() for a map's key, which was read as a string. */
int json_read_key(struct json_cursor *c, const ProtobufCFieldDescriptor *f,
                  struct str text, void *ret);

#endif
