/*
 * From events of a watcher to messages.
 *
 * Names of the disk need not be UTF-8, those of messages must be: bytes that
 * are none become U+FFFD.  Entries are looked up by the bytes.
 */
#include "api/watch_batch.h"

#include <stdlib.h>
#include <string.h>

#include "api/filesystem_entry.h"
#include "base/scope.h"
#include "base/utf8.h"
#include "envd.h"
#include "filesystem/entry.h"
#include "security/user.h"

#define ITEMS_MIN 8

/* Up to so many look-ups need no thread of their own. */
#define QUICK_MAX 16

/* ---- taking -------------------------------------------------------------- */

static char *
copy(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *to = arena_alloc(arena, size);

    if (to != NULL)
        memcpy(to, text, size);
    return to;
}

/* The name as it is sent. */
static const char *
readable(struct arena *arena, const char *name)
{
    SCOPE(scope_free) char *repaired = NULL;

    if (utf8_valid(name, strlen(name)))
        return copy(arena, name);
    repaired = utf8_sanitize(name);
    return repaired != NULL ? copy(arena, repaired) : NULL;
}

/* `dir`/`name`, where "." is the directory itself. */
static const char *
join(struct arena *arena, const char *dir, const char *name)
{
    size_t dir_len = strlen(dir);
    size_t name_size = strlen(name) + 1;
    char *path;

    if (strcmp(name, ".") == 0)
        return copy(arena, dir);
    /* The root ends in a slash already. */
    if (dir[dir_len - 1] == '/')
        dir_len--;
    path = arena_alloc(arena, dir_len + 1 + name_size);
    if (path == NULL)
        return NULL;
    memcpy(path, dir, dir_len);
    path[dir_len] = '/';
    memcpy(path + dir_len + 1, name, name_size);
    return path;
}

static bool
carries_entry(enum watch_event_type type)
{
    switch (type) {
    case WATCH_CREATE:
    case WATCH_WRITE:
    case WATCH_CHMOD:
    case WATCH_CLOSE_WRITE:
        return true;
    case WATCH_REMOVE:
    case WATCH_RENAME:
        break;
    }
    return false;
}

static struct watch_item *
add_item(struct watch_batch *b)
{
    struct watch_item *item;

    if (b->count == b->room) {
        size_t room = MAX(b->room * 2, (size_t)ITEMS_MIN);
        struct watch_item *items =
            reallocarray(b->items, room, sizeof(*b->items));

        if (items == NULL)
            return NULL;
        b->items = items;
        b->room = room;
    }
    item = &b->items[b->count];
    *item = (struct watch_item){0};
    return item;
}

static void
add_event(struct watch_batch *b, struct watcher *w,
          const struct watch_event *event, bool entries)
{
    struct watch_item *item = add_item(b);

    if (item == NULL) {
        b->failed = true;
        return;
    }
    item->type = event->type;
    item->rescanned = event->rescanned;
    item->cookie = event->cookie;
    item->name = readable(&b->arena, event->name);
    if (entries && carries_entry(event->type)) {
        item->path = join(&b->arena, watch_path(w), event->name);
        if (item->path == NULL)
            b->failed = true;
    }
    if (item->name == NULL)
        b->failed = true;
    else
        b->count++;
}

struct watch_batch *
watch_batch_take(struct watcher *w, bool entries, size_t max)
{
    struct watch_batch *b = NULL;
    struct watch_event event;

    for (size_t i = 0; i < max && watch_next(w, &event); i++) {
        if (b == NULL)
            b = xcalloc(1, sizeof(*b));
        add_event(b, w, &event, entries);
    }
    return b;
}

void
watch_batch_free(struct watch_batch *b)
{
    if (b == NULL)
        return;
    arena_done(&b->arena);
    free(b->items);
    free(b);
}

void
watch_batches_free(struct watch_batches *list)
{
    while (!STAILQ_EMPTY(list)) {
        struct watch_batch *b = STAILQ_FIRST(list);

        STAILQ_REMOVE_HEAD(list, link);
        watch_batch_free(b);
    }
}

size_t
watch_batch_bytes(const struct watch_batch *b)
{
    return sizeof(*b) + b->arena.total + b->room * sizeof(*b->items);
}

void
watch_item_message(const struct watch_item *item, bool legacy,
                   Filesystem__FilesystemEvent *ret)
{
    filesystem__filesystem_event__init(ret);
    ret->name = (char *)(uintptr_t)item->name;
    /* The numbers are the same. */
    ret->type = (Filesystem__EventType)item->type;
    if (legacy)
        return;
    ret->rescanned = item->rescanned;
    ret->cookie = item->cookie;
    if (item->entry != NULL) {
        ret->_entry_case = FILESYSTEM__FILESYSTEM_EVENT___ENTRY_ENTRY;
        ret->entry = item->entry;
    }
}

/* ---- looking up ---------------------------------------------------------- */

/* The entry as it is now, or NULL: what cannot be looked up is left out. */
static Filesystem__EntryInfo *
look_up(const char *path, const struct entry_names *names, struct arena *arena)
{
    SCOPE(status_done) struct status st = {0};
    struct entry *entry = arena_alloc(arena, sizeof(*entry));
    struct entry_message *message = arena_alloc(arena, sizeof(*message));

    if (entry == NULL || message == NULL ||
        entry_get(path, names, arena, entry, &st) < 0 ||
        entry_message_fill(message, entry, /* legacy= */ false, arena) < 0)
        return NULL;
    return &message->info;
}

void
watch_batch_look_up(struct watch_batch *b, const struct user_names *names,
                    struct job *job)
{
    const struct entry_names entry_names = entry_names_of(names);
    const char *last_path = NULL;
    Filesystem__EntryInfo *last = NULL;

    for (size_t i = 0; i < b->count && !job_cancelled(job); i++) {
        struct watch_item *item = &b->items[i];

        if (item->path == NULL)
            continue;
        /* A new file is created and written: that is one look. */
        if (last_path == NULL || strcmp(item->path, last_path) != 0) {
            last_path = item->path;
            last = look_up(item->path, &entry_names, &b->arena);
        }
        item->entry = last;
        item->path = NULL;
    }
}

static void
run(struct job *job)
{
    struct watch_lookup *l = container_of(job, struct watch_lookup, job);

    watch_batch_look_up(l->batch, l->names, job);
}

static void
done(struct job *job)
{
    struct watch_lookup *l = container_of(job, struct watch_lookup, job);
    void *ctx = l->ctx;
    void (*tell)(void *, struct watch_batch *) = l->tell;
    struct watch_batch *batch = l->batch;

    user_names_unref(l->names);
    free(l);
    if (ctx != NULL)
        tell(ctx, batch);
    else
        watch_batch_free(batch);
}

struct watch_lookup *
watch_lookup_start(struct envd *e, struct watch_batch *batch, void *ctx,
                   void (*tell)(void *ctx, struct watch_batch *batch))
{
    struct watch_lookup *l = xcalloc(1, sizeof(*l));

    l->job = (struct job){
        .run = run,
        .done = done,
        .quick = batch->count <= QUICK_MAX,
    };
    l->batch = batch;
    l->ctx = ctx;
    l->tell = tell;
    user_db_refresh(e->users);
    l->names = user_names_ref(e->users);
    if (worker_submit(e->workers, &l->job) < 0) {
        user_names_unref(l->names);
        free(l);
        return NULL;
    }
    return l;
}

void
watch_lookup_abandon(struct watch_lookup *l)
{
    if (l == NULL)
        return;
    l->ctx = NULL;
    job_cancel(&l->job);
}
