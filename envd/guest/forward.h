/*
 * Connections from the guest's address to programs that listen on loopback
 * addresses, passed on by splice(2).
 *
 * A forward is a listening socket and the address it leads to.  Connections
 * outlive their forward.  Everything runs on the loop; the moving of bytes is
 * work of the lowest rank there (loop_slack).
 */
#ifndef ENVD_GUEST_FORWARD_H
#define ENVD_GUEST_FORWARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forward;
struct forwarder;
struct loop;

struct forwarder_options {
    size_t connections_max;
    /* A program did not take a connection: it may have gone.  May be NULL. */
    void (*on_failed)(void *ctx);
    void *ctx;
};

struct forwarder *forwarder_new(struct loop *loop,
                                const struct forwarder_options *o);

/* Close all forwards, abort all connections. */
void forwarder_free(struct forwarder *f);

/* Abort all connections: both peers see a reset. */
void forwarder_abort(struct forwarder *f);

/*
 * Listen.
 *
 * target  where to connect to, IPv4 as ::ffff:a.b.c.d; changed later by
 *         forward_set_target()
 *
 * Returns 0 or -errno: -EADDRINUSE when somebody else listens there,
 * -EADDRNOTAVAIL when the address is not one of this machine.
 */
int forward_open(struct forwarder *f, struct in_addr address, uint16_t port,
                 const uint8_t target[16], struct forward **ret);

void forward_set_target(struct forward *fw, const uint8_t target[16]);

/* The inode of its socket, by which it is told from those of others. */
uint32_t forward_inode(const struct forward *fw);

/* Stop listening at once; connections go on. */
void forward_close(struct forward *fw);

struct forwarder_stats {
    size_t connections;
    uint64_t connections_total;
    uint64_t refused; /* for want of room */
    uint64_t failed;  /* the target did not take them */
    uint64_t bytes_in;
    uint64_t bytes_out;
};

const struct forwarder_stats *forwarder_stats(const struct forwarder *f);

#endif
