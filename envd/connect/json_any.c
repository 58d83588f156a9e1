/*
 * The table of types for google.protobuf.Any.
 */
#include "connect/json_any.h"

#include <string.h>

/* Set once at start, constant from then on; hence no part of any object. */
static const ProtobufCMessageDescriptor *const *declared;
static size_t declared_count;

void
json_any_declare(const ProtobufCMessageDescriptor *const *types, size_t count)
{
    declared = types;
    declared_count = count;
}

const ProtobufCMessageDescriptor *
json_any_type(struct str url)
{
    const char *slash = memrchr(url.data, '/', url.len);
    struct str name = url;

    if (slash != NULL) {
        name.len -= (size_t)(slash + 1 - url.data);
        name.data = slash + 1;
    }
    for (size_t i = 0; i < declared_count; i++)
        if (str_eq(name, declared[i]->name))
            return declared[i];
    return NULL;
}
