/*
 * The inodes being written: a short list, as it holds running uploads only.
 */
#include "filesystem/claims.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `held` */
static LIST_HEAD(, file_claim) held = LIST_HEAD_INITIALIZER(held);

/* The claim on an inode, or NULL.  The lock is held. */
static const struct file_claim *
find(dev_t dev, ino_t ino)
{
    const struct file_claim *other;

    LIST_FOREACH (other, &held, link)
        if (other->ino == ino && other->dev == dev)
            break;
    return other;
}

bool
file_claim_is_held(dev_t dev, ino_t ino)
{
    bool found;

    (void)pthread_mutex_lock(&lock);
    found = find(dev, ino) != NULL;
    (void)pthread_mutex_unlock(&lock);
    return found;
}

bool
file_claim_take(struct file_claim *claim, dev_t dev, ino_t ino)
{
    if (claim->held)
        return true;
    (void)pthread_mutex_lock(&lock);
    if (find(dev, ino) == NULL) {
        *claim = (struct file_claim){.dev = dev, .ino = ino, .held = true};
        LIST_INSERT_HEAD(&held, claim, link);
    }
    (void)pthread_mutex_unlock(&lock);
    return claim->held;
}

void
file_claim_drop(struct file_claim *claim)
{
    if (!claim->held)
        return;
    (void)pthread_mutex_lock(&lock);
    LIST_REMOVE(claim, link);
    (void)pthread_mutex_unlock(&lock);
    claim->held = false;
}
