/*
 * The machine's listening TCP sockets, asked of the kernel through netlink:
 * one dump for IPv4 and one for IPv6, filtered by the kernel, received without
 * waiting.  Context: loop.  Rule: sock_diag(7).
 */
#ifndef ENVD_GUEST_SOCK_DIAG_H
#define ENVD_GUEST_SOCK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct sock_diag;

struct sock_listener {
    uint8_t address[16]; /* IPv4 ones as ::ffff:a.b.c.d */
    uint16_t port;
    uint32_t uid;
    uint32_t inode;
    bool v6only; /* the IPv6 wildcard does not take IPv4 */
};

struct sock_diag_callbacks {
    void (*on_listener)(void *ctx, const struct sock_listener *l);
    /* The dump is over (err 0), or could not be completed (-errno). */
    void (*on_end)(void *ctx, int err);
};

/* `callbacks` is borrowed.  No descriptor is opened before the first dump. */
struct sock_diag *sock_diag_new(struct loop *loop,
                                const struct sock_diag_callbacks *callbacks,
                                void *ctx);

void sock_diag_free(struct sock_diag *d);

/*
 * Ask for all listeners, unless a dump is running.  on_listener and on_end may
 * be called from inside: the kernel usually answers at once.
 *
 * Returns 0; -EBUSY when a dump is running; -errno when the kernel refuses
 * (on_end is then not called).
 */
int sock_diag_dump(struct sock_diag *d);

bool sock_diag_running(const struct sock_diag *d);

enum sock_diag_result {
    SOCK_DIAG_MORE,  /* further messages are to come */
    SOCK_DIAG_DONE,  /* the dump is complete */
    SOCK_DIAG_AGAIN, /* complete, and the kernel says: not consistent */
    SOCK_DIAG_ERROR, /* the kernel refused, or what came is malformed */
};

/*
 * Read what one recv(2) brought.
 *
 * sequence  of the request; what answers others is left out
 * ret_err   with SOCK_DIAG_ERROR -errno
 */
enum sock_diag_result
sock_diag_parse(const uint8_t *data, size_t len, uint32_t sequence,
                void (*on_listener)(void *ctx, const struct sock_listener *l),
                void *ctx, int *ret_err);

#endif
