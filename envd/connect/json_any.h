/*
 * The types that a google.protobuf.Any may hold when it travels as JSON.
 *
 * The agent's own messages have no such field, so it declares none; a server
 * whose messages do (the protocol's conformance server) declares its types
 * once, before the first message is read or written.
 */
#ifndef ENVD_CONNECT_JSON_ANY_H
#define ENVD_CONNECT_JSON_ANY_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/str.h"

/*
 * Declare the types, instead of earlier ones.
 * types  `count` descriptors, borrowed as long as the process lives
 */
void json_any_declare(const ProtobufCMessageDescriptor *const *types,
                      size_t count);

/*
 * The type that a type URL names after its last slash, or NULL.  Context: any,
 * after json_any_declare().
 */
const ProtobufCMessageDescriptor *json_any_type(struct str url);

#endif
