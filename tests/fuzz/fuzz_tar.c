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
    /* Records and name may be longer together than what they came from. */
    if (event == TAR_MEMBER) {
        assert(strcmp(m->name, again.member.name) == 0);
        assert(strcmp(m->link, again.member.link) == 0);
        assert(m->size == again.member.size && m->uid == again.member.uid);
        assert(m->gid == again.member.gid && m->mode == again.member.mode);
        assert(m->mtime.tv_sec == again.member.mtime.tv_sec);
        assert(m->mtime.tv_nsec == again.member.mtime.tv_nsec);
    } else {
        assert(*m->name == '\0' || m->type < TAR_FILE || m->type > '6');
    }
    tar_reader_done(&again);
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
        assert(strlen(t->member.name) < LIMIT_TAR_NAME_BYTES);
        assert(strlen(t->member.link) < LIMIT_TAR_NAME_BYTES);
        assert(t->member.size >= 0 && t->member.mode <= 07777);
        assert(t->member.mtime.tv_nsec >= 0 &&
               t->member.mtime.tv_nsec < 1000000000);
        add(d, t->member.name, strlen(t->member.name));
        add(d, t->member.link, strlen(t->member.link));
        add(d, &t->member.size, sizeof(t->member.size));
        if (*t->member.name != '\0' && t->member.type >= TAR_FILE &&
            t->member.type <= '6')
            check_member(&t->member);
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
