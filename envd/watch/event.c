/*
 * What one kernel event means for the tree of one watcher, and what its reader
 * is told.
 *
 * A name that is in the tree was there in the kernel's view, too, up to this
 * event, or was found by a listing that saw more than the events told so far.
 * So while the events of the time of a directory's first listing are applied, a
 * CREATE of a known name is a duplicate, provably: had the name been free
 * again, its removal would have been told before.  Later it proves that the
 * removal was lost.
 */
#include <string.h>
#include <sys/inotify.h>

#include "watch/compare.h"
#include "watch/hub.h"

/* A listing has announced it already. */
static void
on_known(struct dir *d, struct name_slot *slot, const struct raw_event *e,
         struct moving *m)
{
    /* As new, so with its content. */
    if (m != NULL)
        moving_release(m);
    if ((e->mask & IN_MOVED_TO) != 0 && slot_is_dir(slot) &&
        slot_dir(slot) == NULL)
        todo_add(d, slot);
}

/* Whether the reader was told of anything below a directory's entry. */
static bool
has_content(const struct name_slot *slot)
{
    const struct dir *place = slot_dir(slot);

    return (slot->hash & NAME_GONE) != 0 ||
           (place != NULL && place->entries.count > 0);
}

static void
on_appeared(struct dir *d, const struct raw_event *e, bool fresh)
{
    struct watcher *w = d->w;
    bool is_dir = (e->mask & IN_ISDIR) != 0;
    struct name_slot *slot = names_find(&d->entries, e->name);
    struct moving *m = NULL;

    if (is_dir && (e->mask & IN_MOVED_TO) != 0)
        m = moving_find(w, e->cookie);
    if (slot != NULL && fresh) {
        on_known(d, slot, e, m);
        return;
    }
    /* The cookie says of a directory that it brings its content along. */
    if (slot != NULL && ((e->mask & IN_CREATE) != 0 || has_content(slot)) &&
        compare_gone(d, slot))
        slot = NULL; /* events were lost */
    if (!watcher_emit_move(d, e->name, WATCH_CREATE,
                           is_dir && m == NULL ? 0 : e->cookie)) {
        if (m != NULL)
            moving_release(m);
        return;
    }
    if (slot != NULL) {
        /* Something was renamed over it. */
        dir_drop(slot_dir(slot));
        dir_remove(d, slot);
    }
    slot = dir_put(d, e->name, is_dir);
    if (m != NULL && slot != NULL) {
        dir_attach(d, slot, m->dir);
        moving_arrived(m);
    } else if (m != NULL) {
        moving_release(m);
    } else if (is_dir && slot != NULL && w->recursive) {
        todo_add(d, slot);
    }
}

static void
on_vanished(struct dir *d, const struct raw_event *e, bool fresh)
{
    bool moved = (e->mask & IN_MOVED_FROM) != 0;
    bool is_dir = (e->mask & IN_ISDIR) != 0;
    struct name_slot *slot = names_find(&d->entries, e->name);
    struct dir *place;

    /* Something else had the name: events were lost. */
    if (slot != NULL && slot_is_dir(slot) != is_dir && compare_gone(d, slot))
        slot = NULL;
    place = slot != NULL ? slot_dir(slot) : NULL;
    /* It was there, and nobody has told so yet. */
    if (slot == NULL && fresh && watcher_emit(d, e->name, WATCH_CREATE, false))
        slot = dir_put(d, e->name, is_dir);
    if (!watcher_emit_move(d, e->name, moved ? WATCH_RENAME : WATCH_REMOVE,
                           e->cookie))
        return;
    if (place != NULL && moved)
        moving_add(place, e->cookie);
    else
        dir_drop(place);
    if (slot != NULL)
        dir_remove(d, slot);
}

static void
on_changed(struct dir *d, const struct raw_event *e, bool fresh)
{
    struct name_slot *slot = names_find(&d->entries, e->name);

    /* Before a listing is over, what is not known yet will be announced. */
    if (slot == NULL && fresh)
        return;
    if ((e->mask & IN_ATTRIB) != 0)
        (void)watcher_emit(d, e->name, WATCH_CHMOD, false);
    if ((e->mask & IN_MODIFY) != 0 &&
        watcher_emit(d, e->name, WATCH_WRITE, false) && slot != NULL &&
        !slot_is_dir(slot))
        slot->value = STAMP_UNKNOWN;
    if ((e->mask & IN_CLOSE_WRITE) != 0 && d->w->close_write)
        (void)watcher_emit(d, e->name, WATCH_CLOSE_WRITE, false);
}

/* An event of the watched directory itself. */
static void
on_root(struct dir *root, const struct raw_event *e)
{
    struct watcher *w = root->w;

    if ((e->mask & IN_ATTRIB) != 0 && !w->lost)
        (void)watcher_emit(root, NULL, WATCH_CHMOD, false);
    if ((e->mask & IN_MOVE_SELF) != 0)
        watcher_end(w, WATCH_RENAME);
    else if ((e->mask & IN_DELETE_SELF) != 0)
        watcher_end(w, WATCH_REMOVE);
    else if ((e->mask & IN_UNMOUNT) != 0)
        watcher_end(w, 0);
}

static bool
is_ignored(struct dir *d, const char *name)
{
    struct watcher *w = d->w;
    const char *path = name;
    size_t len;

    if (w->ignore_count == 0)
        return false;
    if (w->ignore_paths)
        path = dir_path(d, name, &len);
    return ignore_matches(w->ignore, w->ignore_count, path, name);
}

void
dir_event(struct dir *d, const struct raw_event *e, bool fresh)
{
    struct watcher *w = d->w;
    struct dir *top = dir_top(d);

    if (top != w->root) {
        struct moving *m = moving_of(w, top);

        if (d == top && (e->mask & IN_MOVE_SELF) != 0)
            m->left = true; /* told after where it went, so not to us */
        else
            moving_hold(m, e);
        if (m->left && w->scan == NULL)
            moving_release(m);
        return;
    }
    if (e->name[0] == '\0') {
        if (d == w->root)
            on_root(d, e);
        else if ((e->mask & IN_UNMOUNT) != 0)
            d->unmounted = true;
        return;
    }
    if (w->lost || is_ignored(d, e->name))
        return;
    if ((e->mask & (IN_CREATE | IN_MOVED_TO)) != 0)
        on_appeared(d, e, fresh);
    else if ((e->mask & (IN_DELETE | IN_MOVED_FROM)) != 0)
        on_vanished(d, e, fresh);
    else
        on_changed(d, e, fresh);
}

/* An entry is there and its directory is no longer watched: look again. */
static void
look_again(struct dir *d)
{
    struct dir *parent = d->parent;
    struct name_slot *slot = names_find(&parent->entries, d->name);

    /* A directory is empty when it is removed; if we do not know it to be, the
     * events that said so were lost. */
    if (!d->unmounted && !compare_emptied(d))
        slot->hash |= NAME_GONE;
    dir_drop(d);
    todo_add(parent, slot);
}

void
node_ended(struct watch_hub *hub, struct node *node)
{
    struct dir *d;

    while ((d = LIST_FIRST(&node->dirs)) != NULL) {
        struct watcher *w = d->w;

        LIST_REMOVE(d, same_node);
        d->node = NULL;
        if (d == w->root)
            watcher_end(w, WATCH_REMOVE); /* nothing was told of how */
        else if (d->parent == NULL)
            moving_release(moving_of(w, d));
        else
            look_again(d);
    }
    node_remove(hub, node);
}
