/*
 * /etc/hosts: the address is the text's first line, the file the rest.  What is
 * changed is right afterwards, and lines that do not name us are still there.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/scope.h"
#include "guest/hosts.h"

#define NAME "events.e2b.local"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str
next_line(struct str *text)
{
    const char *newline = memchr(text->data, '\n', text->len);
    struct str line = *text;
    size_t used = text->len;

    if (newline != NULL) {
        line.len = (size_t)(newline - text->data);
        used = line.len + 1;
    }
    text->data += used;
    text->len -= used;
    return line;
}

static bool
names_us(struct str line)
{
    for (size_t i = 0; i + sizeof(NAME) - 1 <= line.len; i++)
        if (str_eq_nocase((struct str){line.data + i, sizeof(NAME) - 1}, NAME))
            return true;
    return false;
}

/* Every line without our name is in the new text, in the same order. */
static void
check_others(struct str old, struct str new)
{
    while (old.len > 0) {
        struct str line = next_line(&old);
        struct str other = {0};

        if (names_us(line))
            continue;
        do {
            assert(new.len > 0);
            other = next_line(&new);
        } while (other.len != line.len ||
                 memcmp(other.data, line.data, line.len) != 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(buf_done) struct buf again = {0};
    struct str text = {(const char *)data, size};
    struct str line;
    struct str new;
    char *addr;
    int r;

    if (size == 0)
        return 0;
    line = next_line(&text);
    addr = strndup(line.data, line.len);
    if (addr == NULL)
        return 0;
    r = hosts_edit(text, NAME, addr, &out);
    assert((r == -EINVAL) == (hosts_family(addr) == 0));
    if (r == 1) {
        new = (struct str){(const char *)buf_data(&out), out.len};
        assert(new.len > 0 && new.data[new.len - 1] == '\n');
        assert(names_us(new));
        assert(hosts_edit(new, NAME, addr, &again) == 0);
        check_others(text, new);
    } else {
        assert(out.len == 0);
    }
    free(addr);
    return 0;
}
