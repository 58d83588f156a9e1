/*
 * One watcher: its options, its queue, and when it lists what.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "base/status.h"
#include "limits.h"
#include "watch/scan.h"

/* Until the queues of other watchers may have been read. */
#define CROWDED_RETRY_MS 200

/* Without doubled slashes, "." and ".."; as text alone.  The path is absolute.
 */
static char *
clean_path(const char *path)
{
    char *out = xcalloc(1, strlen(path) + 2);
    size_t len = 0;

    while (*path != '\0') {
        size_t part = strcspn(path, "/");

        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (len > 0 && out[--len] != '/')
                ;
        } else if (part > 1 || (part == 1 && path[0] != '.')) {
            out[len++] = '/';
            memcpy(out + len, path, part);
            len += part;
        }
        path += part + (path[part] == '/' ? 1 : 0);
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
    return out;
}

static void
copy_ignore(struct watcher *w, const struct watch_options *options)
{
    w->ignore_count = options->ignore_count;
    w->ignore = xcalloc(w->ignore_count + 1, sizeof(*w->ignore));
    for (size_t i = 0; i < w->ignore_count; i++) {
        w->ignore[i] = xstrdup(options->ignore[i]);
        w->ignore_paths = w->ignore_paths || strchr(w->ignore[i], '/') != NULL;
    }
}

static void
on_tell(struct loop_deferred *d)
{
    struct watcher *w = container_of(d, struct watcher, tell);

    w->told = true;
    w->callbacks->on_readable(w);
}

/* The end of the turn is early enough, and gathers what comes in this one. */
static void
tell(struct watcher *w)
{
    if (w->state == WATCHER_OPEN && !w->told)
        loop_defer(w->hub->loop, &w->tell);
}

static void
on_advance(struct loop_deferred *d)
{
    struct watcher *w = container_of(d, struct watcher, advance);

    if (w->scan != NULL || w->retrying || w->lost || w->dead)
        return;
    if (w->state != WATCHER_OPEN && w->state != WATCHER_OPENING)
        return;
    if (w->list_all && w->state == WATCHER_OPEN) {
        w->list_all = false;
        w->generation++;
        todo_clear(w);
        moving_sweep(w, /* all= */ true);
        todo_add_again(w->root);
    }
    scan_start(w);
}

void
watcher_wait(struct watcher *w, int64_t ms)
{
    w->retrying = true;
    loop_timer_set(&w->retry, ms);
}

static void
on_retry(struct loop_timer *t)
{
    struct watcher *w = container_of(t, struct watcher, retry);

    w->retrying = false;
    if (w->scan != NULL && w->scan->parked)
        scan_go_on(w->scan);
    else
        watcher_advance(w);
}

void
watcher_free(struct watcher *w)
{
    for (size_t i = 0; i < w->ignore_count; i++)
        free(w->ignore[i]);
    free(w->ignore);
    free(w->path);
    free(w->clean_path);
    free(w);
}

static void
on_reap(struct loop_deferred *d)
{
    watcher_free(container_of(d, struct watcher, reap));
}

struct watcher *
watch_open(struct watch_hub *hub, const struct watch_options *options,
           const struct watch_callbacks *callbacks, void *ctx)
{
    struct watcher *w;
    struct todo *first;

    if (hub->watcher_count >= LIMIT_WATCHERS)
        return NULL;
    w = xcalloc(1, sizeof(*w));
    w->hub = hub;
    w->callbacks = callbacks;
    w->ctx = ctx;
    w->path = xstrdup(options->path);
    w->clean_path = clean_path(options->path);
    w->recursive = options->recursive;
    w->allow_network_mounts = options->allow_network_mounts;
    w->close_write = options->close_write;
    copy_ignore(w, options);
    TAILQ_INIT(&w->moving);
    STAILQ_INIT(&w->todo);
    queue_init(&w->queue, &hub->queue_bytes);
    w->tell.run = on_tell;
    w->advance.run = on_advance;
    w->reap.run = on_reap;
    loop_timer_init(hub->loop, &w->retry, on_retry);
    LIST_INSERT_HEAD(&hub->watchers, w, link);
    hub->watcher_count++;
    first = xcalloc(1, sizeof(*first));
    first->wd = -1;
    first->token = ++hub->tokens;
    STAILQ_INSERT_TAIL(&w->todo, first, link);
    w->todo_count = 1;
    watcher_advance(w);
    return w;
}

void *
watch_ctx(const struct watcher *w)
{
    return w->ctx;
}

const char *
watch_path(const struct watcher *w)
{
    return w->clean_path;
}

void
watcher_advance(struct watcher *w)
{
    loop_defer(w->hub->loop, &w->advance);
}

void
watcher_opened(struct watcher *w, struct status *st)
{
    w->state = st == NULL ? WATCHER_OPEN : WATCHER_FAILED;
    w->callbacks->on_open(w, st);
    if (w->state == WATCHER_OPEN && w->queue.count > 0)
        tell(w);
}

static bool
emit(struct dir *d, const char *name, struct watch_event e)
{
    struct watcher *w = d->w;
    size_t len;

    if (w->lost)
        return false;
    e.name = dir_path(d, name, &len);
    if (!queue_has_room(&w->queue, len) || queue_put(&w->queue, &e, len) < 0) {
        w->lost = true;
        w->hub->overflows++;
        tell(w);
        return false;
    }
    w->hub->events++;
    tell(w);
    return true;
}

bool
watcher_emit(struct dir *d, const char *name, enum watch_event_type type,
             bool rescanned)
{
    return emit(d, name,
                (struct watch_event){.type = type, .rescanned = rescanned});
}

bool
watcher_emit_move(struct dir *d, const char *name, enum watch_event_type type,
                  uint32_t cookie)
{
    return emit(d, name, (struct watch_event){.type = type, .cookie = cookie});
}

void
watcher_list_all(struct watcher *w)
{
    if (w->dead)
        return;
    w->list_all = true;
    watcher_advance(w);
}

void
watcher_end(struct watcher *w, enum watch_event_type type)
{
    struct watch_event e = {.type = type, .name = "."};

    w->dead = true;
    /* The very last event: it goes beyond any limit. */
    if (type != 0 && queue_put(&w->queue, &e, 1) == 0)
        tell(w);
    todo_clear(w);
    moving_sweep(w, /* all= */ true);
    dir_drop(w->root);
    w->root = NULL;
    if (w->scan != NULL)
        job_cancel(&w->scan->job);
}

bool
watch_next(struct watcher *w, struct watch_event *ret)
{
    if (w->state == WATCHER_OPEN && queue_take(&w->queue, ret))
        return true;
    w->told = false;
    if (w->lost) {
        /* All was read: tell what else there was. */
        w->lost = false;
        watcher_list_all(w);
        if (!queue_has_room(&w->queue, NAME_MAX))
            watcher_wait(w, CROWDED_RETRY_MS); /* for other watchers */
    }
    return false;
}

void
watch_close(struct watcher *w)
{
    struct loop *loop = w->hub->loop;

    assert(w->state != WATCHER_CLOSED);
    w->state = WATCHER_CLOSED;
    LIST_REMOVE(w, link);
    w->hub->watcher_count--;
    todo_clear(w);
    moving_sweep(w, /* all= */ true);
    dir_drop(w->root);
    w->root = NULL;
    queue_done(&w->queue);
    loop_defer_cancel(loop, &w->tell);
    loop_defer_cancel(loop, &w->advance);
    loop_timer_cancel(&w->retry);
    if (w->scan != NULL && w->scan->parked)
        scan_abandon(w->scan);
    if (w->scan != NULL)
        job_cancel(&w->scan->job); /* its end will free the watcher */
    else
        loop_defer(loop, &w->reap);
}
