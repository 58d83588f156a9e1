/*
 * The directories of a watcher that wait to be listed.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "limits.h"
#include "watch/hub.h"

#define RETRY_MS_MAX 1000

static void
add(struct watcher *w, int wd, const char *name, uint64_t token)
{
    struct todo *t;

    if (w->todo_count >= LIMIT_WATCH_TODO_DIRS) {
        watcher_list_all(w);
        return;
    }
    t = xcalloc(1, sizeof(*t));
    t->wd = wd;
    t->token = token;
    t->name = name != NULL ? xstrdup(name) : NULL;
    STAILQ_INSERT_TAIL(&w->todo, t, link);
    w->todo_count++;
    watcher_advance(w);
}

void
todo_add(struct dir *d, struct name_slot *slot)
{
    uint64_t token = ++d->w->hub->tokens;

    slot->value = slot_token(token);
    if (d->node != NULL)
        add(d->w, d->node->wd, names_text(&d->entries, slot), token);
}

void
todo_add_again(struct dir *d)
{
    if (d->node != NULL)
        add(d->w, d->node->wd, NULL, ++d->w->hub->tokens);
}

void
todo_retry(struct watcher *w, struct todo *t)
{
    int64_t wait_ms = (int64_t)1 << t->tries;

    t->tries++;
    STAILQ_INSERT_TAIL(&w->todo, t, link);
    w->todo_count++;
    watcher_wait(w, wait_ms < RETRY_MS_MAX ? wait_ms : RETRY_MS_MAX);
}

void
todo_free(struct todo *t)
{
    free(t->name);
    free(t);
}

void
todo_clear(struct watcher *w)
{
    struct todo *t;

    while ((t = STAILQ_FIRST(&w->todo)) != NULL) {
        STAILQ_REMOVE_HEAD(&w->todo, link);
        todo_free(t);
    }
    w->todo_count = 0;
}
