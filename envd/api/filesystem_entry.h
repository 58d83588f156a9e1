/*
 * Entries of the filesystem domain as messages.
 */
#ifndef ENVD_API_FILESYSTEM_ENTRY_H
#define ENVD_API_FILESYSTEM_ENTRY_H

#include "connect/codec.h"
#include "filesystem.pb-c.h"
#include "filesystem/entry.h"

struct arena;

/* A message made of an entry, with everything it points to. */
struct entry_message {
    Filesystem__EntryInfo info;
    Google__Protobuf__Timestamp mtime;
};

/*
 * Fill the message; it points into `e`.
 *
 * legacy  only the name, type and path that the earliest clients know
 * arena   for the metadata
 *
 * Returns 0 or -ENOMEM.  Context: worker.
 */
int entry_message_fill(struct entry_message *m, const struct entry *e,
                       bool legacy, struct arena *arena);

#endif
