/*
 * Who holds a socket: found in what /proc tells of every process.
 */
#ifndef ENVD_GUEST_PORT_OWNER_H
#define ENVD_GUEST_PORT_OWNER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/port_table.h"

/* One socket and, in the end, its owner. */
struct port_owner_entry {
    uint32_t inode;
    struct port_owner owner; /* `command` to be freed by the caller */
};

/*
 * Look for the owners of all entries.  Of several processes that hold the same
 * socket it is the one with the lowest pid: the oldest, as a rule.  Who is not
 * found has pid 0.  Ends early when all are found, when LIMIT_PORT_OWNER_LINKS
 * were looked at, or when it is cancelled.
 *
 * proc     "/proc"
 * entries  sorted by their inodes
 *
 * Context: worker.
 */
void port_owners_find(const char *proc, struct port_owner_entry *entries,
                      size_t count, const atomic_bool *cancelled);

/* The entry of an inode, or NULL. */
struct port_owner_entry *port_owner_of(struct port_owner_entry *entries,
                                       size_t count, uint32_t inode);

/* Sort by inodes. */
void port_owners_sort(struct port_owner_entry *entries, size_t count);

#endif
