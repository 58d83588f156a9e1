/*
 * The ports that programs of the guest open: found by looking at the kernel's
 * listening sockets again and again, told to whoever follows, and, when they
 * listen on loopback addresses alone, made reachable on the guest's address.
 *
 * Knows nothing of HTTP.  Everything runs on the loop; only owners are looked
 * up by a worker, when somebody asks for them.
 */
#ifndef ENVD_GUEST_PORTS_H
#define ENVD_GUEST_PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "guest/port_table.h"

struct loop;
struct ports;
struct worker_pool;

struct ports_options {
    struct worker_pool *workers; /* for owners; borrowed */
    const char *address;         /* to forward from, numeric IPv4; NULL: as
                                    below */
    bool firecracker;  /* eth0's first IPv4 address, else 169.254.0.21; if not
                          set the latter alone, which nothing but a sandbox
                          has: no other machine's loopback is ever exposed */
    bool no_forward;   /* look, and forward nothing */
    uint16_t own_port; /* never forwarded */
    size_t connections_max; /* forwarded at once; 0: LIMIT_FORWARD_CONNECTIONS,
                               or a quarter of our descriptors */
    /* Whether commands run, which open ports; may be NULL. */
    bool (*busy)(void *ctx);
    void *ctx;
};

/*
 * Begin to look, first at the end of this turn.  Never fails: without a kernel
 * that tells, no port is ever found.
 */
struct ports *ports_new(struct loop *loop, const struct ports_options *o);

/* All followers and questions must have been taken away. */
void ports_free(struct ports *p);

/* Look at once: after a POST /init, say.  Cheap, but not free: some tens of us.
 */
void ports_look_anew(struct ports *p);

/* A command was started: look soon, and often for a while. */
void ports_stir(struct ports *p);

/*
 * The machine was resumed: abort (RST) all forwarded connections, whose peers
 * are gone, and look anew.  Ports stay forwarded.
 */
void ports_resumed(struct ports *p);

struct ports_stats {
    size_t open;                /* ports known to be open */
    size_t forwarded;           /* of these, reachable through us */
    size_t connections;         /* forwarded now */
    uint64_t connections_total; /* accepted so far */
    uint64_t refused;           /* reset for want of room */
    uint64_t failed;            /* reset as the target did not take them */
    uint64_t bytes_in;          /* towards programs of the guest */
    uint64_t bytes_out;         /* from them */
    uint64_t scans;             /* dumps asked for */
};

void ports_get_stats(const struct ports *p, struct ports_stats *ret);

/* The ports as they were at the last look; borrowed until the turn ends. */
const struct port_table *ports_table(const struct ports *p);

/* Where ports are forwarded from, false: they are not. */
bool ports_forward_address(const struct ports *p, struct in_addr *ret);

/* Whether a port is reachable through us. */
bool port_is_forwarded(const struct port *p);

/* One question for the ports and their owners; embed it, zero-initialised. */
struct ports_question {
    TAILQ_ENTRY(ports_question) link;
    /* The table is fresh and its owners are known; not from inside a call. */
    void (*on_answer)(struct ports_question *q);
    void *ctx;
    bool asked;
    unsigned int stage; /* of ports.c only */
};

/*
 * Have the kernel asked anew, and the owners of all listeners looked up.
 * Questions of the same time share the work.
 */
void ports_ask(struct ports *p, struct ports_question *q);

/* Take it back; nothing happens when it is not asked. */
void ports_ask_cancel(struct ports *p, struct ports_question *q);

/* Somebody who wants to know of changes; embed it, zero-initialised. */
struct ports_follower {
    TAILQ_ENTRY(ports_follower) link;
    /* ports_table() has a newer version; at the end of a turn. */
    void (*on_change)(struct ports_follower *f);
    void *ctx;
};

/* Ports are looked at for as long as somebody follows, forwarded or not. */
void ports_follow(struct ports *p, struct ports_follower *f);
void ports_unfollow(struct ports *p, struct ports_follower *f);

#endif
