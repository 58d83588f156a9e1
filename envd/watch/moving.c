/*
 * Directories that were moved from where they were.
 *
 * The kernel tells of a move in three events: gone from there, arrived here,
 * and last the directory's own.  When the last one comes and the second has
 * not, the directory is out of the tree, or in a part of it that is not watched
 * yet and where the listing will find it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "watch/hub.h"

#define HELD_MAX 4096

void
moving_add(struct dir *d, uint32_t cookie)
{
    struct moving *m = xcalloc(1, sizeof(*m));

    dir_detach(d);
    m->cookie = cookie;
    m->dir = d;
    TAILQ_INSERT_TAIL(&d->w->moving, m, link);
}

struct moving *
moving_find(const struct watcher *w, uint32_t cookie)
{
    struct moving *m;

    TAILQ_FOREACH (m, &w->moving, link) {
        if (m->cookie == cookie)
            return m;
    }
    return NULL;
}

struct moving *
moving_of(const struct watcher *w, const struct dir *top)
{
    struct moving *m;

    TAILQ_FOREACH (m, &w->moving, link) {
        if (m->dir == top)
            return m;
    }
    return NULL;
}

static void
moving_free(struct moving *m)
{
    backlog_done(&m->held);
    free(m);
}

void
moving_hold(struct moving *m, const struct raw_event *e)
{
    if (!backlog_add(&m->held, e, HELD_MAX))
        m->torn = true;
}

void
moving_arrived(struct moving *m)
{
    struct dir *d = m->dir;
    struct watcher *w = d->w;
    struct raw_event e;
    struct dir *at;

    TAILQ_REMOVE(&w->moving, m, link);
    watcher_advance(w);
    /* It may have missed the listing of all that goes on. */
    if (m->torn || d->generation != w->generation)
        todo_add_again(d);
    for (uint64_t n = 0; n < backlog_end(&m->held); n++) {
        backlog_get(&m->held, n, &e);
        at = dir_find(w, e.wd);
        if (at != NULL)
            dir_event(at, &e, /* fresh= */ false);
    }
    moving_free(m);
}

void
moving_release(struct moving *m)
{
    TAILQ_REMOVE(&m->dir->w->moving, m, link);
    dir_drop(m->dir);
    moving_free(m);
}

void
moving_sweep(struct watcher *w, bool all)
{
    struct moving *m;
    struct moving *next;

    for (m = TAILQ_FIRST(&w->moving); m != NULL; m = next) {
        next = TAILQ_NEXT(m, link);
        if (all || m->left)
            moving_release(m);
    }
}
