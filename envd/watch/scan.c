/*
 * A listing from its beginning to its end, as the loop sees it.
 */
#include "watch/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/scope.h"

/* The same for all: users of a node differ in CLOSE_WRITE only, which adds. */
#define MASK                                                              \
    (IN_CREATE | IN_MODIFY | IN_DELETE | IN_DELETE_SELF | IN_MOVED_FROM | \
     IN_MOVED_TO | IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR | IN_MASK_ADD)

#define TRIES_MAX     10
#define TORN_RETRY_MS 200

void
scan_drop_records(struct scan *s)
{
    struct watch_hub *hub = s->w->hub;

    for (size_t i = 0; i < s->record_count; i++) {
        struct record *r = &s->records[i];

        if (node_find(hub, r->wd) == NULL)
            hub_discard(hub, r->wd);
        free(r->name);
        free(r->text);
        free(r->found);
        names_done(&r->names);
    }
    for (size_t i = 0; i < s->stray_count; i++) {
        if (node_find(hub, s->strays[i]) == NULL)
            hub_discard(hub, s->strays[i]);
    }
    s->record_count = 0;
    s->stray_count = 0;
}

static void
log_notes(struct scan *s)
{
    struct watcher *w = s->w;
    struct log_line line;

    if (s->is_full && !w->logged_full && !s->silent) {
        w->logged_full = true;
        if (log_begin(&line, LOG_LEVEL_WARN, "filesystem")) {
            log_str(&line, "path", w->clean_path);
            log_end(&line, "No more directories can be watched; events below "
                           "new ones will be missing");
        }
    }
    if (s->network_path == NULL)
        return;
    if (log_begin(&line, LOG_LEVEL_WARN, "filesystem")) {
        log_str(&line, "path", w->clean_path);
        log_str(&line, "mount", s->network_path);
        log_end(&line, "A network mount is not watched");
    }
    free(s->network_path);
    s->network_path = NULL;
}

/* Whether what was found is still wanted. */
static bool
is_wanted(const struct scan *s)
{
    const struct watcher *w = s->w;

    return (w->state == WATCHER_OPENING || w->state == WATCHER_OPEN) &&
           !w->dead && (!w->lost || s->silent);
}

static bool
may_go_on(const struct scan *s)
{
    if (s->finished || s->status.message != NULL || !is_wanted(s))
        return false;
    /* All will be listed anyway; what is half done is done in its turn. */
    return !s->w->list_all || s->silent || s->items[0].todo->name == NULL;
}

void
scan_go_on(struct scan *s)
{
    struct watch_hub *hub = s->w->hub;

    s->from = backlog_end(&hub->log);
    s->from_bytes = hub->bytes_read;
    s->parked = worker_submit(hub->workers, &s->job) < 0;
    if (s->parked)
        watcher_wait(s->w, TORN_RETRY_MS);
}

/* What to do about a tree that could not be reached. */
static void
end_stale(struct watcher *w, struct todo *t)
{
    struct dir *d = dir_find(w, t->wd);

    if (d == w->root && t->name == NULL) {
        /* Its end was among the events that were lost. */
        watcher_end(w, WATCH_REMOVE);
        todo_free(t);
    } else if (d != NULL && t->tries < TRIES_MAX) {
        todo_retry(w, t);
    } else {
        todo_free(t);
    }
}

static void
end_items(struct scan *s)
{
    struct watcher *w = s->w;
    bool wanted = is_wanted(s) && !s->silent;

    for (size_t i = 0; i < s->item_count; i++) {
        struct todo *t = s->items[i].todo;

        free(s->items[i].path);
        if (wanted && i >= s->item) {
            STAILQ_INSERT_TAIL(&w->todo, t, link);
            w->todo_count++;
        } else if (wanted && s->items[i].result == ITEM_STALE) {
            end_stale(w, t);
        } else {
            todo_free(t);
        }
    }
}

static void
scan_end(struct scan *s)
{
    struct watcher *w = s->w;
    struct watch_hub *hub = w->hub;

    scan_close(s);
    w->scan = NULL;
    end_items(s);
    if (w->state == WATCHER_OPENING) {
        if (s->is_full && s->status.message == NULL)
            (void)status_errno(&s->status, RPC_INTERNAL, ENOSPC,
                               "error adding path %s to watcher", w->path);
        watcher_opened(w, s->status.message != NULL ? &s->status : NULL);
    }
    if (s->torn && w->state == WATCHER_OPEN) {
        watcher_list_all(w);
        watcher_wait(w, TORN_RETRY_MS);
    }
    status_done(&s->status);
    free(s->records);
    free(s);
    if (w->state != WATCHER_CLOSED)
        watcher_advance(w);
    hub_scan_ended(hub);
}

static void
on_done(struct job *job)
{
    struct scan *s = container_of(job, struct scan, job);
    struct watcher *w = s->w;
    bool closed;

    if (s->inotify_fd >= 0)
        hub_drain(w->hub);
    if (is_wanted(s))
        scan_merge(s);
    log_notes(s);
    scan_drop_records(s);
    if (w->state != WATCHER_CLOSED)
        moving_sweep(w, /* all= */ false);
    if (may_go_on(s)) {
        scan_go_on(s);
        return;
    }
    closed = w->state == WATCHER_CLOSED;
    scan_end(s);
    if (closed)
        watcher_free(w);
}

void
scan_abandon(struct scan *s)
{
    scan_end(s);
}

/* Whether a directory still waits for what is to be done. */
static bool
is_due(const struct scan *s, const struct todo *t, const struct dir *d)
{
    struct name_slot *slot;

    if (s->silent)
        return true;
    if (d == NULL)
        return false;
    if (t->name == NULL)
        return true;
    slot = names_find(&d->entries, t->name);
    return slot != NULL && slot_is_dir(slot) &&
           slot->value == slot_token(t->token);
}

/* Move what can be listed now from the watcher's list to the scan's. */
static void
take_items(struct scan *s)
{
    struct watcher *w = s->w;

    for (size_t i = w->todo_count; i > 0 && s->item_count < SCAN_ITEMS; i--) {
        struct todo *t = STAILQ_FIRST(&w->todo);
        struct dir *d = dir_find(w, t->wd);
        const char *path = "";
        size_t len;

        STAILQ_REMOVE_HEAD(&w->todo, link);
        if (d != NULL && dir_top(d) != w->root) {
            /* It waits until it has arrived. */
            STAILQ_INSERT_TAIL(&w->todo, t, link);
            continue;
        }
        w->todo_count--;
        if (!is_due(s, t, d)) {
            todo_free(t);
            continue;
        }
        if (d != NULL && d != w->root)
            path = dir_path(d, NULL, &len);
        s->items[s->item_count++] =
            (struct scan_item){.todo = t, .path = xstrdup(path)};
    }
}

void
scan_start(struct watcher *w)
{
    struct scan *s = xcalloc(1, sizeof(*s));
    struct watch_hub *hub = w->hub;

    s->w = w;
    s->silent = w->state == WATCHER_OPENING;
    take_items(s);
    if (s->item_count == 0) {
        free(s);
        return;
    }
    s->job.run = scan_run;
    s->job.done = on_done;
    s->inotify_fd = s->silent ? hub_start(hub) : 0;
    if (s->inotify_fd == 0)
        s->inotify_fd = hub->fd;
    s->mask = MASK | (w->close_write ? IN_CLOSE_WRITE : 0);
    s->root_path = s->job.path = w->path;
    s->recursive = w->recursive;
    s->allow_network_mounts = w->allow_network_mounts;
    s->ignore = w->ignore;
    s->ignore_count = w->ignore_count;
    s->ignore_paths = w->ignore_paths;
    s->seed = hub->seed;
    s->slice_dirs = hub->slice_dirs;
    s->watches_left = hub->watches_left;
    s->base_fd = -1;
    s->generation = w->generation;
    w->scan = s;
    hub_scan_begins(hub);
    scan_go_on(s);
}
