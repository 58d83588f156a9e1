/*
 * Creates, removes and writes by comparison.
 */
#include "watch/compare.h"

#include "watch/scan.h"

bool
compare_appeared(struct dir *d, const char *name, bool is_dir, uint64_t token,
                 bool rescanned)
{
    struct name_slot *slot;

    if (!watcher_emit(d, name, WATCH_CREATE, rescanned))
        return false;
    slot = dir_put(d, name, is_dir);
    if (slot != NULL) {
        slot->hash |= NAME_SEEN;
        slot->value = is_dir ? slot_token(token) : STAMP_UNKNOWN;
    }
    return true;
}

bool
compare_new(struct dir *d, const struct found *f, const struct record *r,
            bool written)
{
    struct name_slot *slot;
    bool ok = true;

    if (!compare_appeared(d, f->name, f->is_dir, r->token, r->again))
        return false;
    if (written)
        ok = watcher_emit(d, f->name, WATCH_WRITE, r->again);
    slot = names_find(&d->entries, f->name);
    if (slot != NULL && !f->is_dir && ok)
        slot->value = f->stamp;
    return ok;
}

/* All entries of a directory whose subdirectories are done. */
static bool
entries_gone(struct dir *d)
{
    struct name_slot *slot;

    for (uint32_t at = 0; (slot = names_each(&d->entries, &at)) != NULL; at--) {
        if (!watcher_emit(d, names_text(&d->entries, slot), WATCH_REMOVE, true))
            return false;
        dir_drop(slot_dir(slot));
        dir_remove(d, slot);
    }
    return true;
}

bool
compare_emptied(struct dir *top)
{
    struct dir *at = dir_deepest(top);

    for (; at != NULL; at = dir_after(top, at)) {
        if (!entries_gone(at))
            return false;
    }
    return true;
}

bool
compare_gone(struct dir *d, struct name_slot *slot)
{
    struct dir *top = slot_dir(slot);

    if (top != NULL && !compare_emptied(top))
        return false;
    if (!watcher_emit(d, names_text(&d->entries, slot), WATCH_REMOVE, true))
        return false;
    dir_drop(top);
    dir_remove(d, slot);
    return true;
}

void
compare_begin(struct dir *d)
{
    struct name_slot *slot;

    for (uint32_t at = 0; (slot = names_each(&d->entries, &at)) != NULL;)
        slot->hash &= ~NAME_SEEN;
}

void
compare_known(struct dir *d, const struct found *f, const struct record *r,
              bool written)
{
    struct name_slot *slot = names_find(&d->entries, f->name);
    bool changed;

    if (slot == NULL) {
        (void)compare_new(d, f, r, f->has_content);
        return;
    }
    changed = !f->is_dir && !slot_is_dir(slot) && slot->value != f->stamp;
    if (slot_is_dir(slot) != f->is_dir || (slot->hash & NAME_GONE) != 0 ||
        (changed && !f->is_regular)) {
        /* Something else has taken the name. */
        if (compare_gone(d, slot))
            (void)compare_new(d, f, r, f->has_content);
        return;
    }
    slot->hash |= NAME_SEEN;
    if (f->is_dir) {
        if (slot_dir(slot) == NULL)
            slot->value = slot_token(r->token);
        return;
    }
    if (changed && !watcher_emit(d, f->name, WATCH_WRITE, true))
        return;
    slot->value = written ? STAMP_UNKNOWN : f->stamp;
}
