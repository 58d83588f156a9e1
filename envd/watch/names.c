/*
 * Open addressing with linear probing; a removal closes the gap, so that there
 * are no tombstones.  Texts lie one after the other and are packed when half
 * of them is waste.
 */
#include "watch/names.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 4
#define TEXT_MIN  32

static uint32_t
hash_of(const struct names *n, const char *name, size_t len)
{
    uint64_t h = (n->seed + UINT64_C(0x9e3779b97f4a7c15)) ^ len;
    uint64_t part;

    for (size_t at = 0; at < len; at += sizeof(part)) {
        part = 0;
        memcpy(&part, name + at, len - at < 8 ? len - at : 8);
        h = (h ^ part) * UINT64_C(0xd6e8feb86659fd93);
        h ^= h >> 32;
    }
    h *= UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 32) & ~NAME_FLAGS;
}

struct name_slot *
names_find(const struct names *n, const char *name)
{
    uint32_t hash;

    if (n->count == 0)
        return NULL;
    hash = hash_of(n, name, strlen(name));
    for (uint32_t i = hash & (n->cap - 1); n->slots[i].at != 0;
         i = (i + 1) & (n->cap - 1)) {
        if ((n->slots[i].hash & ~NAME_FLAGS) == hash &&
            strcmp(names_text(n, &n->slots[i]), name) == 0)
            return &n->slots[i];
    }
    return NULL;
}

/* The free slot where a hash belongs. */
static struct name_slot *
free_slot(struct name_slot *slots, uint32_t cap, uint32_t hash)
{
    uint32_t i = hash & ~NAME_FLAGS & (cap - 1);

    while (slots[i].at != 0)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static bool
grow_slots(struct names *n)
{
    uint32_t cap = n->cap > 0 ? n->cap * 2 : SLOTS_MIN;
    struct name_slot *slots;

    if (cap == 0)
        return false;
    slots = calloc(cap, sizeof(*slots));
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < n->cap; i++) {
        if (n->slots[i].at != 0)
            *free_slot(slots, cap, n->slots[i].hash) = n->slots[i];
    }
    free(n->slots);
    n->slots = slots;
    n->cap = cap;
    return true;
}

/* Make room for `len` bytes of text, leaving out what is waste. */
static bool
grow_text(struct names *n, size_t len)
{
    uint64_t cap = n->text_len - n->text_waste + (uint64_t)len;
    uint32_t used = 0;
    char *text;

    cap += cap / 2;
    cap = cap < TEXT_MIN ? TEXT_MIN : cap;
    if (cap >= UINT32_MAX)
        return false;
    text = malloc(cap);
    if (text == NULL)
        return false;
    for (uint32_t i = 0; i < n->cap; i++) {
        const char *name;
        size_t size;

        if (n->slots[i].at == 0)
            continue;
        name = names_text(n, &n->slots[i]);
        size = strlen(name) + 1;
        memcpy(text + used, name, size);
        n->slots[i].at = used + 1;
        used += (uint32_t)size;
    }
    free(n->text);
    n->text = text;
    n->text_len = used;
    n->text_cap = (uint32_t)cap;
    n->text_waste = 0;
    return true;
}

struct name_slot *
names_put(struct names *n, const char *name, uint32_t flags)
{
    size_t len = strlen(name);
    struct name_slot *slot;
    uint32_t hash;

    if (len + 1 > n->text_cap - n->text_len && !grow_text(n, len + 1))
        return NULL;
    if (n->count >= n->cap / 4 * 3 && !grow_slots(n))
        return NULL;
    hash = hash_of(n, name, len);
    slot = free_slot(n->slots, n->cap, hash);
    *slot = (struct name_slot){n->text_len + 1, hash | flags, 0};
    memcpy(n->text + n->text_len, name, len + 1);
    n->text_len += (uint32_t)len + 1;
    n->count++;
    return slot;
}

void
names_remove(struct names *n, struct name_slot *slot)
{
    uint32_t mask = n->cap - 1;
    uint32_t gap = (uint32_t)(slot - n->slots);

    n->text_waste += (uint32_t)strlen(names_text(n, slot)) + 1;
    n->count--;
    for (uint32_t i = (gap + 1) & mask; n->slots[i].at != 0;
         i = (i + 1) & mask) {
        /* Only what would be found at the gap, too, may move there. */
        if (((i - (n->slots[i].hash & mask)) & mask) < ((i - gap) & mask))
            continue;
        n->slots[gap] = n->slots[i];
        gap = i;
    }
    n->slots[gap] = (struct name_slot){0};
    if (n->count == 0)
        names_done(n);
}

struct name_slot *
names_each(const struct names *n, uint32_t *at)
{
    while (*at < n->cap) {
        struct name_slot *slot = &n->slots[(*at)++];

        if (slot->at != 0)
            return slot;
    }
    return NULL;
}

void
names_done(struct names *n)
{
    free(n->slots);
    free(n->text);
    *n = (struct names){.seed = n->seed};
}
