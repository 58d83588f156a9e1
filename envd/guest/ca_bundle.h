/*
 * Certificates of the host's proxy in the trust store of the guest.
 *
 * An installation appends them to the bundle, at once and durably.  What is
 * left is done in the background: a copy for the system's own tools, which
 * rebuild the bundle from such copies, and the removal of what an earlier
 * installation of this process had added.  The new ones are in the bundle all
 * that time.
 */
#ifndef ENVD_GUEST_CA_BUNDLE_H
#define ENVD_GUEST_CA_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct ca_bundle;
struct loop;
struct worker_pool;

#define CA_BUNDLE_FILE "/etc/ssl/certs/ca-certificates.crt"
#define CA_COPY_DIR    "/usr/local/share/ca-certificates"
#define CA_COPY_NAME   "e2b-ca.crt"

/* error  NULL, or words as `open CA bundle: open P: …`; valid for the call */
typedef void (*ca_bundle_cb)(void *ctx, const char *error);

/*
 * Look at a caBundle before anything is changed.
 *
 * Returns 1 when it holds certificates to install, 0 when it is blank (nothing
 * to do), or -1 with `st` set to invalid_argument: no PEM block, or an
 * incomplete one.  Context: any.
 */
int ca_bundle_check(const char *pem, size_t len, struct status *st);

/*
 * bundle, copy_dir  NULL: as above; copied
 *
 * loop and pool are borrowed.
 */
struct ca_bundle *ca_bundle_new(struct loop *loop, struct worker_pool *pool,
                                const char *bundle, const char *copy_dir);

/* After the pool: who still waits is not called back.  NULL is fine. */
void ca_bundle_free(struct ca_bundle *c);

/*
 * Install what ca_bundle_check() has accepted; blank text is a success.  The
 * same text as the last one is, too, without a look at the disk; a repetition
 * of one that runs shares its result.  Others take turns, and end the
 * background work of those before them.
 *
 * pem  copied
 * cb   on the loop, never from inside; when the certificates are in the bundle
 */
void ca_bundle_install(struct ca_bundle *c, const char *pem, size_t len,
                       ca_bundle_cb cb, void *ctx);

/* Whether nothing runs or waits, the background work included. */
bool ca_bundle_idle(const struct ca_bundle *c);

#endif
