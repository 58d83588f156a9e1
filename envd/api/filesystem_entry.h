/*
 * Entries of the filesystem domain as messages.
 */
#ifndef ENVD_API_FILESYSTEM_ENTRY_H
#define ENVD_API_FILESYSTEM_ENTRY_H

#include <stdbool.h>

#include "connect/codec.h"
#include "filesystem.pb-c.h"
#include "filesystem/entry.h"

struct arena;
struct call;
struct user_names;

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

/* Names of owners out of a snapshot, which is borrowed. */
struct entry_names entry_names_of(const struct user_names *names);

/* Whether the client is one of the earliest, by its User-Agent. */
bool entry_call_is_legacy(const struct call *c);

/* Say in the answer that it has the form for those. */
void entry_call_mark_legacy(struct call *c);

#endif
