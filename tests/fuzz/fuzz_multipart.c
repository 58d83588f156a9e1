/*
 * Multipart: whole and cut into pieces, a body gives the same events and the
 * same content.  The first byte is the size of the pieces, the boundary is `B`.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "http/multipart.h"
#include "http/quoted_printable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
    uint64_t hash; /* of content and the events between */
    uint64_t len;  /* bytes of content */
};

static void
add(struct digest *d, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        d->hash = (d->hash ^ p[i]) * 0x100000001b3U;
}

/* Note an event; false when it is the last one. */
static bool
note(struct digest *d, const struct multipart *m, enum multipart_event event)
{
    const uint8_t mark[2] = {0xff, (uint8_t)event};

    switch (event) {
    case MULTIPART_DATA:
        assert(m->data.len > 0);
        add(d, m->data.data, m->data.len);
        d->len += m->data.len;
        return true;
    case MULTIPART_PART:
        add(d, mark, sizeof(mark));
        assert(m->part.filename == NULL || m->part.filename_len < 65536);
        add(d, m->part.filename != NULL ? m->part.filename : "",
            m->part.filename != NULL ? m->part.filename_len : 0);
        return true;
    case MULTIPART_PART_END:
        add(d, mark, sizeof(mark));
        return true;
    case MULTIPART_MORE:
        return true;
    case MULTIPART_END:
    case MULTIPART_FAILED:
        add(d, mark, sizeof(mark));
        return false;
    }
    return false;
}

/* Feed one piece from memory of its own; false when the stream failed. */
static bool
feed(struct digest *d, struct multipart *m, const uint8_t *piece, size_t len)
{
    uint8_t *copy = malloc(len);
    const uint8_t *in = copy;
    bool fine = copy != NULL;

    if (fine)
        memcpy(copy, piece, len);
    while (fine && len > 0) {
        enum multipart_event event = multipart_next(m, &in, &len);

        fine = note(d, m, event) || event == MULTIPART_END;
    }
    free(copy);
    return fine;
}

static struct digest
run(const uint8_t *data, size_t size, size_t piece)
{
    struct digest d = {.hash = 1};
    struct multipart m;
    bool fine = true;

    (void)multipart_init(&m, STR("B"));
    for (size_t at = 0; at < size && fine; at += piece)
        fine = feed(&d, &m, data + at, MIN(piece, size - at));
    while (fine)
        fine = note(&d, &m, multipart_finish(&m));
    multipart_done(&m);
    return d;
}

/* Quoted-printable: the same for whole and cut content. */
static void
run_quoted(const uint8_t *data, size_t size, size_t cut)
{
    SCOPE(buf_done) struct buf whole = {0};
    SCOPE(buf_done) struct buf parts = {0};
    struct quoted_printable q = {0};
    const char *s = (const char *)data;
    int r = quoted_printable_decode(&q, (struct str){s, size}, &whole);
    int r2;

    if (r == 0)
        r = quoted_printable_finish(&q, &whole);
    q = (struct quoted_printable){0};
    r2 = quoted_printable_decode(&q, (struct str){s, cut}, &parts);
    if (r2 == 0)
        r2 = quoted_printable_decode(&q, (struct str){s + cut, size - cut},
                                     &parts);
    if (r2 == 0)
        r2 = quoted_printable_finish(&q, &parts);
    assert(r == r2);
    assert(r < 0 || (whole.len == parts.len && whole.len <= size + 256));
    assert(r < 0 || whole.len == 0 ||
           memcmp(buf_data(&whole), buf_data(&parts), whole.len) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest whole;
    struct digest cut;
    size_t piece;

    if (size < 2)
        return 0;
    piece = (size_t)data[0] + 1;
    data++;
    size--;
    whole = run(data, size, size);
    cut = run(data, size, piece);
    assert(whole.hash == cut.hash && whole.len == cut.len);
    assert(whole.len <= size);
    run_quoted(data, size, MIN(piece, size));
    return 0;
}
