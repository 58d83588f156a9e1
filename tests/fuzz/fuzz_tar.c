/*
 * Archives: whole and cut into pieces, one gives the same members and the same
 * content; what was read is written and read again the same.  The first byte is
 * the size of the pieces.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "filesystem/tar_reader.h"
#include "limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
    uint64_t hash; /* of members, content and the end */
    uint64_t len;  /* bytes of content */
};

static void
add(struct digest *d, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        d->hash = (d->hash ^ p[i]) * 0x100000001b3U;
}

static bool
is_same(const struct tar_member *a, const struct tar_member *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->link, b->link) == 0 &&
           a->size == b->size && a->uid == b->uid && a->gid == b->gid &&
           a->mode == b->mode && a->mtime.tv_sec == b->mtime.tv_sec &&
           a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* The header of a member, written and read again, says the same. */
static void
check_member(const struct tar_member *m)
{
    SCOPE(buf_done) struct buf out = {0};
    struct tar_reader again = {0};
    const uint8_t *in;
    size_t len;
    enum tar_event event;

    tar_header_append(&out, m);
    assert(!out.failed && out.len % TAR_BLOCK_BYTES == 0);
    in = buf_data(&out);
    len = out.len;
    event = tar_reader_next(&again, &in, &len);
    assert(event == TAR_MEMBER && is_same(m, &again.member));
    tar_reader_done(&again);
}

static void
note_member(struct digest *d, const struct tar_member *m)
{
    assert(strlen(m->name) < LIMIT_TAR_NAME_BYTES &&
           strlen(m->link) < LIMIT_TAR_NAME_BYTES);
    assert(m->size >= 0 && m->mode <= 07777);
    assert(m->mtime.tv_nsec >= 0 && m->mtime.tv_nsec < 1000000000);
    add(d, m->name, strlen(m->name));
    add(d, m->link, strlen(m->link));
    add(d, &m->size, sizeof(m->size));
    if (*m->name != '\0' && m->type >= TAR_FILE && m->type <= '6')
        check_member(m);
}

/* Note an event; false when it is the last one. */
static bool
note(struct digest *d, const struct tar_reader *t, enum tar_event event)
{
    const uint8_t mark[2] = {0xff, (uint8_t)event};

    if (event != TAR_MORE && event != TAR_DATA)
        add(d, mark, sizeof(mark));
    switch (event) {
    case TAR_MEMBER:
        note_member(d, &t->member);
        break;
    case TAR_DATA:
        assert(t->data.len > 0);
        add(d, t->data.data, t->data.len);
        d->len += t->data.len;
        break;
    case TAR_FAILED:
        assert(t->fault != NULL);
        return false;
    case TAR_MORE:
    case TAR_MEMBER_END:
    case TAR_END:
        break;
    }
    return true;
}

/* Feed one piece from memory of its own; false when the stream failed. */
static bool
feed(struct digest *d, struct tar_reader *t, const uint8_t *piece, size_t len)
{
    uint8_t *copy = malloc(len);
    const uint8_t *in = copy;
    enum tar_event event = TAR_MEMBER;
    bool fine = copy != NULL;

    if (fine)
        memcpy(copy, piece, len);
    while (fine && event != TAR_MORE) {
        event = tar_reader_next(t, &in, &len);
        fine = note(d, t, event);
    }
    assert(!fine || len == 0);
    free(copy);
    return fine;
}

static struct digest
run(const uint8_t *data, size_t size, size_t piece)
{
    struct digest d = {.hash = 1};
    struct tar_reader t = {0};
    bool fine = true;

    for (size_t at = 0; at < size && fine; at += piece)
        fine = feed(&d, &t, data + at, MIN(piece, size - at));
    if (fine)
        (void)note(&d, &t, tar_reader_finish(&t));
    tar_reader_done(&t);
    return d;
}

/*
 * Give each header that looks like one its checksum, so that what is tried gets
 * beyond it.
 */
static void
repair(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK_BYTES <= size; at += TAR_BLOCK_BYTES) {
        uint8_t *block = data + at;
        uint32_t sum = 0;

        if (memcmp(block + 257, "ustar", 5) != 0)
            continue;
        memset(block + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
            sum += block[i];
        for (size_t i = 6; i-- > 0; sum /= 8)
            block[148 + i] = (uint8_t)('0' + sum % 8);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest whole;
    struct digest cut;
    uint8_t *copy;
    size_t piece;

    if (size < 2)
        return 0;
    piece = (size_t)data[0] + 1;
    size--;
    copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 1, size);
    repair(copy, size);
    whole = run(copy, size, size);
    cut = run(copy, size, piece);
    assert(whole.hash == cut.hash && whole.len == cut.len);
    assert(whole.len <= size);
    free(copy);
    return 0;
}
