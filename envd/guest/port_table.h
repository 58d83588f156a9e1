/*
 * Which TCP ports are open, and on which addresses: what is left when one dump
 * of the kernel's listening sockets after the other is laid upon it.
 *
 * Pure: no descriptor, no clock.  A listener that two dumps in a row do not
 * have is gone; one that has been replaced by another in the meantime has
 * never been away.  Context: loop.
 */
#ifndef ENVD_GUEST_PORT_TABLE_H
#define ENVD_GUEST_PORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "guest/sock_diag.h"

struct forward;

#define PORT_ANCESTORS 8

/* Who holds a listening socket. */
struct port_owner {
    pid_t pid;                       /* 0: nobody was found */
    char name[16];                   /* as the kernel has it; any bytes */
    char *command;                   /* its words with blanks between; "" */
    pid_t ancestors[PORT_ANCESTORS]; /* its parent first; 0 ends them */
};

struct port_listener {
    uint8_t address[16]; /* IPv4 ones as ::ffff:a.b.c.d */
    uint32_t inode;
    uint32_t uid;
    bool v6only;
    unsigned int misses; /* dumps in a row that did not have it */
    bool owner_known;    /* was asked for */
    struct port_owner owner;

    /* During a dump. */
    bool seen;
    bool same; /* the very socket was seen */
    uint32_t seen_inode;
    uint32_t seen_uid;
};

struct port {
    LIST_ENTRY(port) link;
    uint16_t number;
    struct port_listener *listeners;
    size_t count;
    uint64_t version; /* of the table, when it changed last */

    /* Of the table's owner. */
    struct forward *forward; /* NULL: not forwarded */
    int64_t retry_ms;        /* not before, after a failure */
    unsigned int failures;
};

#define PORT_BUCKETS 256

/* Zero-initialise it and set `on_drop`; end it with port_table_done(). */
struct port_table {
    LIST_HEAD(, port) buckets[PORT_BUCKETS];
    size_t count;
    size_t listeners;      /* of all ports */
    uint64_t version;      /* counts changes that clients can see */
    uint64_t dump_version; /* when the dump began */
    bool truncated;        /* there are more than are kept */
    /* A port is about to be freed. */
    void (*on_drop)(void *ctx, struct port *p);
    void *ctx;
};

/* What one dump changed. */
struct port_changes {
    size_t missing; /* listeners that this dump did not have, kept for now */
    bool changed;   /* ports, their addresses or sockets */
};

/* Lay a dump upon the table: begin, each listener, end. */
void port_table_begin(struct port_table *t);
void port_table_see(struct port_table *t, const struct sock_listener *l);
void port_table_end(struct port_table *t, struct port_changes *ret);

void port_table_done(struct port_table *t);

struct port *port_table_find(const struct port_table *t, uint16_t number);

/* Visit all, in no order; they may be changed, not removed, meanwhile. */
struct port *port_table_first(const struct port_table *t);
struct port *port_table_next(const struct port_table *t, const struct port *p);

/* It changed in a way that its owner knows of. */
void port_touch(struct port_table *t, struct port *p);

/*
 * The address to dial for a port that listens on loopback addresses alone:
 * 127.0.0.1, else ::1, else another one.  A wildcard for IPv6 alone counts as
 * ::1: nothing else leads to it.
 *
 * Returns false when nothing is to be dialled.
 */
bool port_target(const struct port *p, uint8_t ret[16]);

/*
 * Whether a connection to the IPv4 address (as ::ffff:a.b.c.d) reaches the
 * port by itself: somebody listens there, or on the wildcard.
 */
bool port_reached_at(const struct port *p, const uint8_t address[16]);

/* Whether all that listens does so on loopback addresses. */
bool port_is_loopback(const struct port *p);

/* Whether an address, in the form above, is one of loopback. */
bool address_is_loopback(const uint8_t address[16]);

/* Its text; buf has room for INET6_ADDRSTRLEN. */
const char *address_text(const uint8_t address[16], char *buf);

#endif
