/*
 * The forms that values take in protobuf binary.
 */
#ifndef ENVD_CONNECT_PROTO_WIRE_H
#define ENVD_CONNECT_PROTO_WIRE_H

#include <protobuf-c/protobuf-c.h>

enum wire {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2, /* a length, and as many bytes */
    WIRE_GROUP = 3,
    WIRE_GROUP_END = 4,
    WIRE_32 = 5,
};

/* The form that a single value of a type has. */
enum wire wire_of(ProtobufCType type);

#endif
