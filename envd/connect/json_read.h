/*
 * JSON to a protobuf-c message, driven by the message's descriptor; no tree
 * in between.
 *
 * Rule: protobuf's JSON mapping, as narrowed in the Connect chapter of the
 * contract (unknown fields skipped, duplicate fields refused); REST bodies
 * have rules of their own.
 */
#ifndef ENVD_CONNECT_JSON_READ_H
#define ENVD_CONNECT_JSON_READ_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/status.h"

struct arena;

enum json_rules {
    /* proto3 JSON, strict. */
    JSON_RULES_PROTO,
    /*
     * REST bodies: keys match whatever their case and without underscores;
     * a repeated key overwrites, but repeated maps merge; null is absent, and
     * "" inside a map; a top-level null is the empty message; enums and bytes
     * do not occur.  A map that was present has a non-NULL array even when it
     * is empty.
     */
    JSON_RULES_REST,
    /* As REST, and whatever follows the first value is ignored. */
    JSON_RULES_REST_PREFIX,
};

/*
 * Read one message.
 *
 * desc   what to read; maps are recognised by their entry messages, and
 *        google.protobuf.Timestamp, google.protobuf.Any by their names
 * text   `len` bytes, modified: strings and bytes are decoded in place and the
 *        message points into it, so it must live as long as the message
 * arena  where the message and its arrays are made
 *
 * Returns the message, or NULL with `st` set: invalid_argument and the reason
 * with the byte offset (`syntax error (offset 17): unexpected token }`), or
 * resource_exhausted when memory or LIMIT_RPC_NESTING is exhausted.
 * Context: any; does not call back.
 */
ProtobufCMessage *json_read(const ProtobufCMessageDescriptor *desc, char *text,
                            size_t len, enum json_rules rules,
                            struct arena *arena, struct status *st);

#endif
