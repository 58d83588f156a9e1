/*
 * Taking over what a listing found.
 *
 * By now all events up to the end of the listing have been applied to what the
 * watcher knew before; those of directories that are new were kept.  The rule
 * that makes one truth of both: a name on which there were events during the
 * listing belongs to the events, any other to the listing.  A single CREATE
 * says no more than the listing does, which may then speak for it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/mem.h"
#include "watch/compare.h"
#include "watch/scan.h"

/* What happened to a name during the listing. */
#define NAME_CREATED  1U /* one CREATE and nothing else */
#define NAME_TOUCHED  2U /* more than that */
#define NAME_MODIFIED 4U /* it was written */

#define NONE SIZE_MAX

/* What the kernel told of a directory during the listing. */
struct happened {
    struct names touched; /* NAME_* by name */
    size_t first;         /* its events, as places in `next` */
    size_t last;
    bool ended; /* and its watch was ended */
};

/* What becomes of a record. */
struct merge {
    struct happened *happened;
    struct dir *dir; /* NULL: it was not taken over */
    bool fresh;      /* the directory is new to the watcher */
    size_t cursor;
};

/* The events since the slice began, chained by directory. */
struct window {
    struct scan *s;
    uint64_t from;
    size_t count;
    size_t *next;
    size_t *by_wd; /* records, by wd modulo its size */
    size_t by_wd_mask;
};

static struct record *
record_of(const struct window *win, int wd)
{
    size_t at = (size_t)wd & win->by_wd_mask;

    for (; win->by_wd[at] != NONE; at = (at + 1) & win->by_wd_mask) {
        if (win->s->records[win->by_wd[at]].wd == wd)
            return &win->s->records[win->by_wd[at]];
    }
    return NULL;
}

static void
index_records(struct window *win)
{
    struct scan *s = win->s;
    size_t size = 16;

    while (size < s->record_count * 2)
        size *= 2;
    win->by_wd = xcalloc(size, sizeof(*win->by_wd));
    win->by_wd_mask = size - 1;
    for (size_t i = 0; i < size; i++)
        win->by_wd[i] = NONE;
    for (size_t i = 0; i < s->record_count; i++) {
        const struct record *same = record_of(win, s->records[i].wd);
        size_t at = (size_t)s->records[i].wd & win->by_wd_mask;

        if (same != NULL) {
            /* Met twice, on its way from one place to the other. */
            s->records[i].merge->happened = same->merge->happened;
            continue;
        }
        while (win->by_wd[at] != NONE)
            at = (at + 1) & win->by_wd_mask;
        win->by_wd[at] = i;
    }
}

static void
note_touch(struct scan *s, struct happened *h, const struct raw_event *e)
{
    const uint32_t presence =
        IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    struct name_slot *slot = names_find(&h->touched, e->name);

    if (slot == NULL)
        slot = names_put(&h->touched, e->name, 0);
    if (slot == NULL) {
        s->torn = true;
        return;
    }
    if ((e->mask & IN_MODIFY) != 0)
        slot->value |= NAME_MODIFIED;
    if ((e->mask & presence) == 0)
        return;
    if ((e->mask & IN_CREATE) != 0 &&
        (slot->value & (NAME_CREATED | NAME_TOUCHED)) == 0)
        slot->value |= NAME_CREATED;
    else
        slot->value = (slot->value & ~(uint64_t)NAME_CREATED) | NAME_TOUCHED;
}

static void
index_events(struct window *win)
{
    struct backlog *log = &win->s->w->hub->log;

    for (size_t i = 0; i < win->count; i++) {
        struct raw_event e;
        struct record *r;
        struct happened *h;

        backlog_get(log, win->from + i, &e);
        win->next[i] = NONE;
        r = record_of(win, e.wd);
        if (r == NULL)
            continue;
        h = r->merge->happened;
        if ((e.mask & IN_IGNORED) != 0)
            h->ended = true;
        if (e.name[0] != '\0')
            note_touch(win->s, h, &e);
        if (h->first == NONE)
            h->first = i;
        else
            win->next[h->last] = i;
        h->last = i;
    }
}

static uint64_t
touch_of(const struct merge *m, const char *name)
{
    struct name_slot *slot = names_find(&m->happened->touched, name);

    return slot != NULL ? slot->value : 0;
}

/* No more directories: say so once. */
static void
is_full(struct scan *s, struct name_slot *slot)
{
    if (slot != NULL)
        slot->value = 0;
    s->is_full = true;
}

/* Whether a known directory can be compared now; otherwise when it arrives. */
static bool
is_in_tree(struct dir *d)
{
    struct dir *top = dir_top(d);

    if (top == d->w->root)
        return true;
    moving_of(d->w, top)->torn = true;
    return false;
}

/* The record of the directory itself that the scan was to list. */
static struct dir *
open_base(struct scan *s, const struct record *r)
{
    struct watcher *w = s->w;
    struct dir *d = dir_find(w, r->wd);

    if (!s->silent)
        return d != NULL && is_in_tree(d) ? d : NULL;
    assert(w->root == NULL && d == NULL);
    d = dir_new(w, r->wd);
    w->root = d;
    if (d == NULL)
        is_full(s, NULL);
    else
        r->merge->fresh = true;
    return d;
}

/*
 * A known directory was found elsewhere: announce it gone from where it was. Is
 * that place listed already, and has the name, then another directory has it,
 * whose record is yet to come.  False when the queue is full.
 */
static bool
leave_old_place(struct scan *s, struct dir *d, uint64_t token)
{
    struct dir *old = d->parent;
    struct name_slot *slot = names_find(&old->entries, d->name);
    bool is_taken =
        old->generation == s->generation && (slot->hash & NAME_SEEN) != 0;
    char *name = xstrdup(d->name);
    bool ok = compare_gone(old, slot) &&
              (!is_taken || compare_appeared(old, name, true, token, true));

    free(name);
    return ok;
}

/* It is known already, elsewhere: true when that was to be expected. */
static bool
settle_other(struct scan *s, const struct record *r, struct dir *parent,
             struct dir *other)
{
    struct watcher *w = s->w;
    struct dir *top = dir_top(other);

    if (top != w->root) {
        /* It was on its way and has arrived here; it is told as new, with its
         * content, as its entry was. */
        if (top == other) {
            moving_release(moving_of(w, top));
        } else {
            names_find(&other->parent->entries, other->name)->hash |= NAME_GONE;
            dir_drop(other);
        }
        return false;
    }
    if (r->again && other->generation != s->generation &&
        other->attached <= s->from_bytes && !dir_is_above(other, parent))
        return !leave_old_place(s, other, r->token);
    /* One directory in two places: a bind mount.  One of them is followed. */
    names_find(&parent->entries, r->name)->value = 0;
    return true;
}

/* Whether what is at an entry now may be replaced by the record's directory. */
static bool
may_open(struct scan *s, struct record *r, struct dir *parent)
{
    struct name_slot *slot = names_find(&parent->entries, r->name);
    struct dir *d;

    if (slot == NULL || !slot_is_dir(slot))
        return false;
    d = slot_dir(slot);
    if (d != NULL) {
        if (!r->again || d->attached > s->from_bytes)
            return false;
        /* Another directory has the name, and the events of that were lost. */
        if (!compare_gone(parent, slot) ||
            !compare_appeared(parent, r->name, true, r->token, true))
            return false;
        slot = names_find(&parent->entries, r->name);
    }
    if (slot == NULL || slot->value != slot_token(r->token))
        return false;
    if (!r->merge->happened->ended && dir_top(parent) == s->w->root)
        return true;
    /* Nobody would tell what happens in it, or where it is: look again. */
    todo_add(parent, slot);
    return false;
}

static struct dir *
open_child(struct scan *s, struct record *r)
{
    struct watcher *w = s->w;
    struct dir *parent = dir_find(w, r->parent_wd);
    struct name_slot *slot;
    struct dir *d;

    if (parent == NULL)
        return NULL;
    if (r->parent >= 0) {
        struct merge *up = s->records[r->parent].merge;

        if (up->dir == NULL || (touch_of(up, r->name) & NAME_TOUCHED) != 0)
            return NULL;
    }
    slot = names_find(&parent->entries, r->name);
    d = slot != NULL ? slot_dir(slot) : NULL;
    if (d != NULL && d->node != NULL && d->node->wd == r->wd)
        return r->again && is_in_tree(d) ? d : NULL;
    if (!may_open(s, r, parent))
        return NULL;
    d = dir_find(w, r->wd);
    if (d != NULL && settle_other(s, r, parent, d))
        return NULL;
    slot = names_find(&parent->entries, r->name);
    if (slot == NULL || !slot_is_dir(slot) || slot_dir(slot) != NULL)
        return NULL;
    d = dir_new(w, r->wd);
    if (d == NULL) {
        is_full(s, slot);
        return NULL;
    }
    dir_attach(parent, slot, d);
    r->merge->fresh = true;
    return d;
}

/* The first listing: take the names as they are. */
static void
take_names(struct record *r)
{
    struct merge *m = r->merge;
    struct dir *d = m->dir;
    const struct names *touched = &m->happened->touched;
    struct name_slot *slot;

    d->entries = r->names;
    r->names = (struct names){0};
    m->cursor = r->count;
    for (uint32_t at = 0; (slot = names_each(&d->entries, &at)) != NULL;)
        d->w->hub->entry_count += slot_is_dir(slot) ? 0 : 1;
    for (uint32_t at = 0; (slot = names_each(touched, &at)) != NULL;) {
        struct name_slot *entry;

        if ((slot->value & NAME_TOUCHED) == 0)
            continue;
        entry = names_find(&d->entries, names_text(touched, slot));
        if (entry != NULL)
            dir_remove(d, entry);
    }
}

static bool
open_record(struct scan *s, struct record *r)
{
    struct merge *m = r->merge;

    m->dir = r->parent_wd < 0 ? open_base(s, r) : open_child(s, r);
    if (m->dir == NULL)
        return false;
    m->dir->generation = s->generation;
    if (s->silent)
        take_names(r);
    else if (!m->fresh)
        compare_begin(m->dir);
    return true;
}

static void
merge_entry(struct record *r)
{
    struct merge *m = r->merge;
    const struct found *f = &r->found[m->cursor++];
    uint64_t touch = touch_of(m, f->name);

    if ((touch & NAME_TOUCHED) != 0)
        return;
    if (m->fresh)
        (void)compare_new(m->dir, f, r,
                          f->has_content && (touch & NAME_MODIFIED) == 0);
    else
        compare_known(m->dir, f, r, (touch & NAME_MODIFIED) != 0);
}

/* All entries were seen: apply the events, or see what is missing. */
static void
close_record(struct window *win, struct record *r)
{
    struct watcher *w = win->s->w;
    struct merge *m = r->merge;
    struct name_slot *slot;

    if (m->fresh) {
        for (size_t i = m->happened->first; i != NONE && !w->dead;
             i = win->next[i]) {
            struct raw_event e;

            backlog_get(&w->hub->log, win->from + i, &e);
            dir_event(m->dir, &e, /* fresh= */ true);
        }
        return;
    }
    if (!r->is_listed)
        return;
    for (uint32_t at = 0;
         (slot = names_each(&m->dir->entries, &at)) != NULL && !w->lost;) {
        const char *name = names_text(&m->dir->entries, slot);

        if ((slot->hash & NAME_SEEN) != 0 ||
            (touch_of(m, name) & (NAME_TOUCHED | NAME_CREATED)) != 0)
            continue;
        if (compare_gone(m->dir, slot))
            at--;
    }
}

/* Parents first, and what a directory holds right after its own entry. */
static void
merge_records(struct window *win, size_t *stack)
{
    struct scan *s = win->s;
    struct watcher *w = s->w;
    size_t depth = 0;
    size_t i = 0;

    while (!w->dead && (!w->lost || s->silent)) {
        struct record *next = i < s->record_count ? &s->records[i] : NULL;
        struct record *top;
        bool is_next;

        if (depth == 0) {
            if (next == NULL)
                return;
            if (open_record(s, next))
                stack[depth++] = i;
            i++;
            continue;
        }
        top = &s->records[stack[depth - 1]];
        if (top->merge->cursor == top->count) {
            close_record(win, top);
            depth--;
            continue;
        }
        is_next = next != NULL && next->parent == (ssize_t)stack[depth - 1] &&
                  strcmp(next->name, top->found[top->merge->cursor].name) == 0;
        merge_entry(top);
        if (!is_next)
            continue;
        if (open_record(s, next))
            stack[depth++] = i;
        i++;
        /* What is below a directory that was not taken over: nor is that. */
        while (i < s->record_count && s->records[i].parent >= 0 &&
               s->records[s->records[i].parent].merge->dir == NULL)
            i++;
    }
}

void
scan_merge(struct scan *s)
{
    struct backlog *log = &s->w->hub->log;
    struct window win = {.s = s, .from = s->from};
    struct merge *merges = xcalloc(s->record_count + 1, sizeof(*merges));
    struct happened *happened = xcalloc(s->record_count + 1, sizeof(*happened));
    size_t *stack = xcalloc(s->record_count + 1, sizeof(*stack));

    if (win.from < log->first) {
        s->torn = true;
        win.from = log->first;
    }
    win.count = (size_t)(backlog_end(log) - win.from);
    win.next = xcalloc(win.count + 1, sizeof(*win.next));
    for (size_t i = 0; i < s->record_count; i++) {
        s->records[i].merge = &merges[i];
        merges[i].happened = &happened[i];
        happened[i].first = NONE;
        happened[i].touched.seed = s->seed;
    }
    index_records(&win);
    index_events(&win);
    merge_records(&win, stack);
    for (size_t i = 0; i < s->record_count; i++)
        names_done(&happened[i].touched);
    free(win.next);
    free(win.by_wd);
    free(stack);
    free(happened);
    free(merges);
}
