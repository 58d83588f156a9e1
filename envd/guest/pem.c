/*
 * Blocks found and dropped, never looked into.
 */
#include "guest/pem.h"

#include <errno.h>
#include <string.h>

#include "base/scope.h"

#define BEGIN  "-----BEGIN "
#define END    "-----END "
#define DASHES "-----"

/* Take the next line off the text, without blanks at its end. */
static struct str
line_next(struct str *rest)
{
    struct str line = str_take_line(rest);

    while (line.len > 0 &&
           (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == ' ' ||
            line.data[line.len - 1] == '\t'))
        line.len--;
    return line;
}

/* The label of a line `<prefix>LABEL-----`; absent for others. */
static struct str
label_of(struct str line, const char *prefix)
{
    size_t begin = strlen(prefix);
    size_t end = sizeof(DASHES) - 1;

    if (!str_starts(line, prefix) || line.len < begin + end ||
        memcmp(line.data + line.len - end, DASHES, end) != 0)
        return (struct str){0};
    return (struct str){line.data + begin, line.len - begin - end};
}

int
pem_next(struct str *rest, struct str *ret_block)
{
    struct str label = {0};
    const char *begin = NULL;

    while (rest->len > 0) {
        struct str line = line_next(rest);
        struct str found = label_of(line, BEGIN);

        if (found.data != NULL) {
            if (begin != NULL) {
                /* It may begin a whole one. */
                rest->len += (size_t)(rest->data - line.data);
                rest->data = line.data;
                return -EINVAL;
            }
            begin = line.data;
            label = found;
            continue;
        }
        if (begin == NULL)
            continue;
        found = label_of(line, END);
        if (found.data == NULL || found.len != label.len ||
            memcmp(found.data, label.data, label.len) != 0)
            continue;
        *ret_block =
            (struct str){begin, (size_t)(line.data + line.len - begin)};
        return 1;
    }
    return begin != NULL ? -EINVAL : 0;
}

static struct pem_block *
block_find(struct pem_block *blocks, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++)
        if (blocks[i].text.len == text.len &&
            memcmp(blocks[i].text.data, text.data, text.len) == 0)
            return &blocks[i];
    return NULL;
}

/* Decide how many of each stay: the first ones.  Returns whether any goes. */
static bool
decide(struct pem_block *blocks, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        struct pem_block *b = &blocks[i];
        unsigned int ours = MIN(b->added, b->found);
        unsigned int others = b->found - ours;

        b->keep = others;
        if (b->wanted && others == 0)
            b->keep = ours > 0 ? 1 : 0;
        b->added = b->keep - others;
        b->seen = 0;
        any = any || b->keep < b->found;
    }
    return any;
}

/* The next whole block; others are passed over. */
static bool
next_whole(struct str *rest, struct str *ret_block)
{
    int r;

    do
        r = pem_next(rest, ret_block);
    while (r < 0 && rest->len > 0);
    return r > 0;
}

int
pem_tidy(struct str store, struct pem_block *blocks, size_t count,
         struct buf *out)
{
    const char *done = store.data;
    const char *end = store.data + store.len;
    struct str rest = store;
    struct str text;
    struct pem_block *b;

    for (size_t i = 0; i < count; i++)
        blocks[i].found = 0;
    while (next_whole(&rest, &text))
        if ((b = block_find(blocks, count, text)) != NULL)
            b->found++;
    if (!decide(blocks, count))
        return 0;
    rest = store;
    while (next_whole(&rest, &text)) {
        b = block_find(blocks, count, text);
        if (b == NULL || b->seen++ < b->keep)
            continue;
        buf_append(out, done, (size_t)(text.data - done));
        done = rest.data;
    }
    buf_append(out, done, (size_t)(end - done));
    return out->failed ? -ENOMEM : 1;
}
