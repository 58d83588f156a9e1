/*
 * The names in one directory, each with a value: a hash table in two pieces of
 * memory, some 30 bytes an entry, for directories of any size.
 *
 * Zero-initialise it, with `seed` set; names_done() ends it.  Context: any, one
 * thread.
 */
#ifndef ENVD_WATCH_NAMES_H
#define ENVD_WATCH_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_slot {
    uint32_t at;   /* where its text begins, plus 1; 0: the slot is free */
    uint32_t hash; /* and the flags */
    uint64_t value;
};

#define NAME_DIR   (UINT32_C(1) << 31) /* a directory has this name */
#define NAME_SEEN  (UINT32_C(1) << 30) /* for whoever goes through them */
#define NAME_GONE  (UINT32_C(1) << 29) /* what had the name has ended */
#define NAME_FLAGS (NAME_DIR | NAME_SEEN | NAME_GONE)

struct names {
    struct name_slot *slots;
    char *text;
    uint32_t cap;   /* slots, a power of two or 0 */
    uint32_t count; /* slots in use */
    uint32_t text_len;
    uint32_t text_cap;
    uint32_t text_waste; /* bytes of `text` that belong to no name */
    uint32_t seed;       /* so that nobody can choose names that collide */
};

/* The slot of a name, NULL when it is not there; valid until the next change */
struct name_slot *names_find(const struct names *n, const char *name);

/*
 * Add a name that is not there.  Returns its slot, with value 0 and `flags`;
 * NULL when memory is exhausted.
 */
struct name_slot *names_put(struct names *n, const char *name, uint32_t flags);

/* Other slots may move: names_each() begun before must not be continued. */
void names_remove(struct names *n, struct name_slot *slot);

/*
 * Go through all, in no order: the first slot in use at *at or behind it, NULL
 * at the end.  *at begins with 0.  After names_remove() of the slot given,
 * step back with --*at.
 */
struct name_slot *names_each(const struct names *n, uint32_t *at);

static inline const char *
names_text(const struct names *n, const struct name_slot *slot)
{
    return n->text + slot->at - 1;
}

void names_done(struct names *n);

#endif
