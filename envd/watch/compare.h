/*
 * Announcing the difference between what a watcher's reader was told and what
 * a listing found.
 */
#ifndef ENVD_WATCH_COMPARE_H
#define ENVD_WATCH_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

struct dir;
struct found;
struct name_slot;
struct record;

/*
 * Each returns false when the queue is full; what was not announced then is not
 * in the tree either, so that the next listing goes on from there.
 */

/* An entry is there that was not known. */
bool compare_new(struct dir *d, const struct found *f, const struct record *r,
                 bool written);

/* The same for a name alone; `token` for a directory's entry. */
bool compare_appeared(struct dir *d, const char *name, bool is_dir,
                      uint64_t token, bool rescanned);

/* An entry and all below it is gone: announce that, and forget it. */
bool compare_gone(struct dir *d, struct name_slot *slot);

/* All that a directory held is gone. */
bool compare_emptied(struct dir *top);

/* Begin to compare a directory: nothing of it was seen. */
void compare_begin(struct dir *d);

/* An entry is there: see whether it is the one that is known. */
void compare_known(struct dir *d, const struct found *f, const struct record *r,
                   bool written);

#endif
