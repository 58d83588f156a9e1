/*
 * Nodes by watch descriptor, and the places they have in trees.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "watch/hub.h"

static struct node_list *
chain_of(const struct watch_hub *hub, int wd)
{
    return &hub->chains[(size_t)wd & (hub->chain_count - 1)];
}

struct node *
node_find(const struct watch_hub *hub, int wd)
{
    struct node *node;

    if (hub->chain_count == 0)
        return NULL;
    LIST_FOREACH (node, chain_of(hub, wd), link) {
        if (node->wd == wd)
            return node;
    }
    return NULL;
}

/* Descriptors are numbers in a row: they spread evenly as they are. */
static void
grow_chains(struct watch_hub *hub)
{
    size_t old_count = hub->chain_count;
    struct node_list *old = hub->chains;
    struct node *node;

    hub->chain_count = old_count > 0 ? old_count * 2 : NODE_CHAINS_MIN;
    hub->chains = xcalloc(hub->chain_count, sizeof(*hub->chains));
    for (size_t i = 0; i < old_count; i++) {
        while ((node = LIST_FIRST(&old[i])) != NULL) {
            LIST_REMOVE(node, link);
            LIST_INSERT_HEAD(chain_of(hub, node->wd), node, link);
        }
    }
    free(old);
}

struct node *
node_get(struct watch_hub *hub, int wd)
{
    struct node *node = node_find(hub, wd);

    if (node != NULL)
        return node;
    if (hub->node_count >= hub->chain_count)
        grow_chains(hub);
    node = xcalloc(1, sizeof(*node));
    node->wd = wd;
    LIST_INSERT_HEAD(chain_of(hub, wd), node, link);
    hub->node_count++;
    return node;
}

void
node_remove(struct watch_hub *hub, struct node *node)
{
    assert(LIST_EMPTY(&node->dirs));
    LIST_REMOVE(node, link);
    hub->node_count--;
    free(node);
}

void
node_free_all(struct watch_hub *hub)
{
    assert(hub->node_count == 0);
    free(hub->chains);
    hub->chains = NULL;
    hub->chain_count = 0;
}

struct dir *
dir_find(const struct watcher *w, int wd)
{
    struct node *node = node_find(w->hub, wd);
    struct dir *d;

    if (node == NULL)
        return NULL;
    LIST_FOREACH (d, &node->dirs, same_node) {
        if (d->w == w)
            return d;
    }
    return NULL;
}

struct dir *
dir_new(struct watcher *w, int wd)
{
    struct watch_hub *hub = w->hub;
    struct dir *d;

    if (hub->dir_count >= LIMIT_WATCH_NODES)
        return NULL;
    hub->dir_count++;
    d = xcalloc(1, sizeof(*d));
    d->w = w;
    d->node = node_get(hub, wd);
    d->entries.seed = hub->seed;
    d->generation = w->generation;
    LIST_INSERT_HEAD(&d->node->dirs, d, same_node);
    return d;
}

void
dir_attach(struct dir *parent, struct name_slot *slot, struct dir *d)
{
    assert(d->parent == NULL && slot_is_dir(slot) && slot_dir(slot) == NULL);
    free(d->name);
    d->name = xstrdup(names_text(&parent->entries, slot));
    d->parent = parent;
    d->attached = d->w->hub->bytes_read;
    slot->value = (uint64_t)(uintptr_t)d;
}

void
dir_detach(struct dir *d)
{
    struct name_slot *slot;

    if (d->parent == NULL)
        return;
    slot = names_find(&d->parent->entries, d->name);
    assert(slot != NULL && slot_dir(slot) == d);
    slot->value = 0;
    d->parent = NULL;
}

/* Free one that is detached and holds no places. */
static void
dir_free(struct dir *d)
{
    struct watch_hub *hub = d->w->hub;
    struct node *node = d->node;
    struct name_slot *slot;

    if (node != NULL) {
        LIST_REMOVE(d, same_node);
        if (LIST_EMPTY(&node->dirs)) {
            hub_discard(hub, node->wd);
            node_remove(hub, node);
        }
    }
    for (uint32_t at = 0; (slot = names_each(&d->entries, &at)) != NULL;)
        hub->entry_count -= slot_is_dir(slot) ? 0 : 1;
    hub->dir_count--;
    names_done(&d->entries);
    free(d->name);
    free(d);
}

struct dir *
dir_deepest(struct dir *top)
{
    struct name_slot *slot;
    struct dir *d = top;

    d->cursor = 0;
    while ((slot = names_each(&d->entries, &d->cursor)) != NULL) {
        if (slot_dir(slot) == NULL)
            continue;
        d = slot_dir(slot);
        d->cursor = 0;
    }
    return d;
}

struct dir *
dir_after(struct dir *top, struct dir *at)
{
    struct dir *d = at;
    struct name_slot *slot;

    if (d == top)
        return NULL;
    d = d->parent;
    while ((slot = names_each(&d->entries, &d->cursor)) != NULL) {
        if (slot_dir(slot) == NULL)
            continue;
        return dir_deepest(slot_dir(slot));
    }
    return d;
}

void
dir_drop(struct dir *d)
{
    struct dir *at;
    struct dir *next;

    if (d == NULL)
        return;
    dir_detach(d);
    for (at = dir_deepest(d); at != NULL; at = next) {
        next = dir_after(d, at);
        dir_detach(at);
        dir_free(at);
    }
}

struct dir *
dir_top(struct dir *d)
{
    while (d->parent != NULL)
        d = d->parent;
    return d;
}

bool
dir_is_above(const struct dir *d, const struct dir *below)
{
    while (below != NULL && below != d)
        below = below->parent;
    return below == d;
}

const char *
dir_path(struct dir *d, const char *name, size_t *ret_len)
{
    struct buf *path = &d->w->hub->path;
    size_t len = name != NULL ? strlen(name) : 0;
    size_t total = len;
    char *end;

    for (const struct dir *up = d; up->parent != NULL; up = up->parent)
        total += strlen(up->name) + (total > 0 ? 1 : 0);
    buf_truncate(path, 0);
    end = (char *)buf_reserve(path, total + 2);
    *ret_len = MAX(total, (size_t)1);
    if (end == NULL || total == 0) {
        *ret_len = 1;
        return ".";
    }
    end += total;
    *end = '\0';
    if (len > 0) {
        end -= len;
        memcpy(end, name, len);
    }
    for (const struct dir *up = d; up->parent != NULL; up = up->parent) {
        size_t up_len = strlen(up->name);

        if (*end != '\0')
            *--end = '/';
        end -= up_len;
        memcpy(end, up->name, up_len);
    }
    return end;
}

struct name_slot *
dir_put(struct dir *d, const char *name, bool is_dir)
{
    struct watch_hub *hub = d->w->hub;
    struct name_slot *slot;

    if (!is_dir && hub->entry_count >= LIMIT_WATCH_ENTRIES)
        return NULL;
    slot = names_put(&d->entries, name, is_dir ? NAME_DIR : 0);
    if (slot != NULL && !is_dir)
        hub->entry_count++;
    return slot;
}

void
dir_remove(struct dir *d, struct name_slot *slot)
{
    assert(slot_dir(slot) == NULL);
    d->w->hub->entry_count -= slot_is_dir(slot) ? 0 : 1;
    names_remove(&d->entries, slot);
}
