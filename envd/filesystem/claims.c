/*
 * The inodes being written: a short list, as it holds running uploads only.
 */
#include "filesystem/claims.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct file_claims {
    pthread_mutex_t lock; /* guards `held` */
    LIST_HEAD(, file_claim) held;
};

struct file_claims *
file_claims_new(void)
{
    struct file_claims *claims = xcalloc(1, sizeof(*claims));

    (void)pthread_mutex_init(&claims->lock, NULL);
    LIST_INIT(&claims->held);
    return claims;
}

void
file_claims_free(struct file_claims *claims)
{
    if (claims == NULL)
        return;
    (void)pthread_mutex_destroy(&claims->lock);
    free(claims);
}

bool
file_claim_take(struct file_claims *claims, struct file_claim *claim,
                dev_t dev, ino_t ino)
{
    const struct file_claim *other;

    if (claim->held)
        return true;
    (void)pthread_mutex_lock(&claims->lock);
    LIST_FOREACH(other, &claims->held, link)
        if (other->ino == ino && other->dev == dev)
            break;
    if (other == NULL) {
        *claim = (struct file_claim){.dev = dev, .ino = ino, .held = true};
        LIST_INSERT_HEAD(&claims->held, claim, link);
    }
    (void)pthread_mutex_unlock(&claims->lock);
    return claim->held;
}

void
file_claim_drop(struct file_claims *claims, struct file_claim *claim)
{
    if (!claim->held)
        return;
    (void)pthread_mutex_lock(&claims->lock);
    LIST_REMOVE(claim, link);
    (void)pthread_mutex_unlock(&claims->lock);
    claim->held = false;
}
