/*
 * Changing hosts(5), on a worker.
 */
#include "guest/hosts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/file_at.h"
#include "guest/trusted.h"
#include "limits.h"
#include "loop/worker.h"

/* How often others may change the file between our reading and renaming. */
#define TRIES 4

/* ---- the file ------------------------------------------------------------ */

/* Where a file cannot be exchanged for another one, but be written. */
static bool
is_fixed(int r)
{
    return r == -EBUSY || r == -EXDEV || r == -EROFS || r == -EACCES ||
           r == -EPERM;
}

static int
map_once(const struct trusted_place *place, const char *name, const char *addr)
{
    SCOPE(scope_free) char *text = NULL;
    SCOPE(buf_done) struct buf out = {0};
    struct stat info;
    size_t len = 0;
    bool missing;
    int r = file_at_read(place->dir_fd, place->name, LIMIT_HOSTS_BYTES, &text,
                         &len, &info);

    missing = r == -ENOENT;
    if (r < 0 && !missing)
        return r;
    r = hosts_edit((struct str){missing ? "" : text, len}, name, addr, &out);
    if (r <= 0)
        return r;
    r = file_at_replace(place->dir_fd, place->name, missing ? NULL : &info,
                        buf_data(&out), out.len, true);
    if (is_fixed(r) && !missing)
        r = file_at_overwrite(place->dir_fd, place->name, buf_data(&out),
                              out.len);
    return r < 0 ? r : 1;
}

int
hosts_map(const char *path, const char *name, const char *addr)
{
    struct trusted_place place;
    int r = trusted_find(path, TRUSTED_LINKS, &place);

    if (r < 0)
        return r;
    for (int i = 0; i < TRIES; i++) {
        r = map_once(&place, name, addr);
        if (r != -ESTALE)
            break;
    }
    fd_close(&place.dir_fd);
    return r;
}

/* ---- one change after the other ------------------------------------------ */

struct hosts_change {
    struct job job;
    TAILQ_ENTRY(hosts_change) link;
    struct hosts *hosts;
    hosts_cb cb;
    void *ctx;
    int result;
    char *path;
    char *addr;
};

TAILQ_HEAD(hosts_changes, hosts_change);

struct hosts {
    struct worker_pool *pool;
    char *path;
    bool busy;                    /* a change is with a worker */
    struct hosts_changes waiting; /* the newest one is the last */
    unsigned int waiting_count;
};

static void
change_free(struct hosts_change *c)
{
    free(c->path);
    free(c->addr);
    free(c);
}

/* The end of a change, also of one that was never begun. */
static void
change_end(struct hosts_change *c, int r)
{
    hosts_cb cb = c->cb;
    void *ctx = c->ctx;

    change_free(c);
    if (cb != NULL)
        cb(ctx, r);
}

static void
change_run(struct job *job)
{
    struct hosts_change *c = container_of(job, struct hosts_change, job);

    c->result = hosts_map(c->path, HOSTS_EVENT_NAME, c->addr);
}

/* Go on with the newest of those that wait. */
static void
hosts_next(struct hosts *h)
{
    struct hosts_changes ended = TAILQ_HEAD_INITIALIZER(ended);
    struct hosts_change *c;
    int r = -ECANCELED;

    TAILQ_CONCAT(&ended, &h->waiting, link);
    h->waiting_count = 0;
    c = TAILQ_LAST(&ended, hosts_changes);
    if (c != NULL) {
        TAILQ_REMOVE(&ended, c, link);
        h->busy = worker_submit(h->pool, &c->job) == 0;
        if (!h->busy)
            change_end(c, -EAGAIN);
    }
    while ((c = TAILQ_FIRST(&ended)) != NULL) {
        TAILQ_REMOVE(&ended, c, link);
        change_end(c, r);
    }
}

static void
change_done(struct job *job)
{
    struct hosts_change *c = container_of(job, struct hosts_change, job);
    struct hosts *h = c->hosts;

    if (job_cancelled(job)) {
        change_free(c); /* with the workers gone nobody waits for it */
        return;
    }
    /* Those that its callback brings wait with the others. */
    change_end(c, c->result);
    h->busy = false;
    hosts_next(h);
}

struct hosts *
hosts_new(struct worker_pool *pool, const char *path)
{
    struct hosts *h = xcalloc(1, sizeof(*h));

    h->pool = pool;
    h->path = xstrdup(path != NULL ? path : HOSTS_FILE);
    TAILQ_INIT(&h->waiting);
    return h;
}

void
hosts_free(struct hosts *h)
{
    struct hosts_change *c;

    if (h == NULL)
        return;
    while ((c = TAILQ_FIRST(&h->waiting)) != NULL) {
        TAILQ_REMOVE(&h->waiting, c, link);
        change_free(c);
    }
    free(h->path);
    free(h);
}

int
hosts_set_event_address(struct hosts *h, const char *addr, hosts_cb cb,
                        void *ctx)
{
    struct hosts_change *c;

    if (hosts_family(addr) == 0)
        return -EINVAL;
    if (h->waiting_count == LIMIT_HOSTS_CHANGES)
        return -EAGAIN;
    c = xcalloc(1, sizeof(*c));
    c->job =
        (struct job){.run = change_run, .done = change_done, .writes = true};
    c->hosts = h;
    c->cb = cb;
    c->ctx = ctx;
    c->path = xstrdup(h->path);
    c->addr = xstrdup(addr);
    c->job.path = c->path;
    if (h->busy) {
        TAILQ_INSERT_TAIL(&h->waiting, c, link);
        h->waiting_count++;
        return 0;
    }
    if (worker_submit(h->pool, &c->job) < 0) {
        change_free(c);
        return -EAGAIN;
    }
    h->busy = true;
    return 0;
}
