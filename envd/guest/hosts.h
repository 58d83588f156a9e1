/*
 * The line of /etc/hosts that leads to the event service of the host.
 */
#ifndef ENVD_GUEST_HOSTS_H
#define ENVD_GUEST_HOSTS_H

#include "base/buf.h"
#include "base/str.h"

struct hosts;
struct worker_pool;

#define HOSTS_FILE       "/etc/hosts"
#define HOSTS_EVENT_NAME "events.e2b.local"

/*
 * Map `name` to `addr` in a text of the form of hosts(5), for the family of
 * that address alone.  A line with only that name gets the new address; from
 * others the name is taken out; all else stays as it is, byte by byte.
 *
 * addr  an IPv4 or IPv6 address without brackets
 * out   an empty buffer; on 1 it holds the new text
 *
 * Returns 1, 0 when nothing is to be changed (`out` is left alone), -EINVAL for
 * what is no address or name, -ENOMEM.  Context: any.
 */
int hosts_edit(struct str text, const char *name, const char *addr,
               struct buf *out);

/* The family of an address that hosts_edit() takes: 4 or 6; 0 for others. */
int hosts_family(const char *addr);

/*
 * hosts_edit() on a file: a temporary beside it is renamed into place, with its
 * mode and owner; where it cannot be replaced, as a mount point, it is written
 * in place.  Links that root made are followed.  A missing file is made (0644).
 *
 * Returns 1 when it was changed, 0, or -errno.  Context: worker.
 */
int hosts_map(const char *path, const char *name, const char *addr);

/* r  what hosts_map() returned; -EAGAIN: no worker; -ECANCELED: not done */
typedef void (*hosts_cb)(void *ctx, int r);

/* path  NULL: HOSTS_FILE.  All borrowed. */
struct hosts *hosts_new(struct worker_pool *pool, const char *path);

/*
 * After the pool: what still waits is not called back.  NULL is fine.
 */
void hosts_free(struct hosts *h);

/*
 * Map HOSTS_EVENT_NAME on a worker.  One change at a time; of those that wait,
 * the newest is done and the others get -ECANCELED.
 *
 * cb  on the loop, never from inside; NULL: nobody wants to know
 *
 * Returns 0, -EINVAL when `addr` is no address, -EAGAIN when too much waits; on
 * failure cb is not called.
 */
int hosts_set_event_address(struct hosts *h, const char *addr, hosts_cb cb,
                            void *ctx);

#endif
