/*
 * A tree of inodes; nodes are the C library's, what they hold is the arena's.
 */
#include "filesystem/hard_links.h"

#include <errno.h>
#include <search.h>
#include <string.h>

struct hard_link {
    dev_t dev;
    ino_t ino;
    char path[];
};

static int
compare(const void *a, const void *b)
{
    const struct hard_link *x = a;
    const struct hard_link *y = b;

    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return 0;
}

static void
keep(void *p)
{
    (void)p;
}

const char *
hard_links_find(const struct hard_links *h, dev_t dev, ino_t ino)
{
    const struct hard_link key = {.dev = dev, .ino = ino};
    void *found = tfind(&key, &h->tree, compare);

    return found != NULL ? (*(struct hard_link **)found)->path : NULL;
}

int
hard_links_note(struct hard_links *h, dev_t dev, ino_t ino, const char *path)
{
    size_t size = strlen(path) + 1;
    struct hard_link *link = arena_alloc(&h->arena, sizeof(*link) + size);

    if (link == NULL)
        return -ENOMEM;
    link->dev = dev;
    link->ino = ino;
    memcpy(link->path, path, size);
    return tsearch(link, &h->tree, compare) != NULL ? 0 : -ENOMEM;
}

void
hard_links_done(struct hard_links *h)
{
    tdestroy(h->tree, keep);
    arena_done(&h->arena);
    h->tree = NULL;
}
