/*
 * From blocks to members: extended headers are gathered and applied to the
 * member behind them.
 */
#include "filesystem/tar_reader.h"

#include <string.h>

#include "base/scope.h"
#include "limits.h"

static enum tar_event
fail(struct tar_reader *t, const char *fault)
{
    t->state = TAR_IN_FAILURE;
    t->fault = fault;
    return TAR_FAILED;
}

static enum tar_event
fail_memory(struct tar_reader *t)
{
    return fail(t, "out of memory");
}

/* ---- extended headers ---------------------------------------------------- */

static bool
is_extension(char type)
{
    return type == TAR_PAX || type == TAR_PAX_GLOBAL || type == TAR_GNU_NAME ||
           type == TAR_GNU_LINK;
}

static enum tar_event
begin_extension(struct tar_reader *t)
{
    bool pax = t->header.type == TAR_PAX || t->header.type == TAR_PAX_GLOBAL;

    if (t->header.size > (pax ? LIMIT_TAR_PAX_BYTES : LIMIT_TAR_NAME_BYTES))
        return fail(t, pax ? "an extended header is too long"
                           : "a name is too long");
    t->left = t->header.size;
    t->padding = tar_padding(t->left);
    buf_truncate(&t->extension, 0);
    t->has_extension = true;
    t->state = TAR_IN_EXTENSION;
    return TAR_MORE;
}

/* A name by GNU's header: it ends at its NUL. */
static enum tar_event
take_name(struct tar_reader *t, struct str text, struct buf *name)
{
    buf_truncate(name, 0);
    buf_append(name, text.data, strnlen(text.data, text.len));
    return name->failed ? fail_memory(t) : TAR_MORE;
}

static enum tar_event
take_global(struct tar_reader *t, struct str records)
{
    const char *fault = tar_pax_read(records, &t->global);

    /* Legal, but no archive has them: all members would be one. */
    if (fault == NULL && (t->global.path.data != NULL ||
                          t->global.link.data != NULL || t->global.has_size))
        fault = "a global pax header names a path or a size";
    return fault != NULL ? fail(t, fault) : TAR_MORE;
}

/* The extension is complete: keep what it says for the next member. */
static enum tar_event
end_extension(struct tar_reader *t)
{
    struct buf spare = t->records;
    struct str text = STR("");
    const char *fault;

    t->state = TAR_IN_PADDING;
    if (t->extension.failed)
        return fail_memory(t);
    if (t->extension.len > 0)
        text = (struct str){(const char *)buf_data(&t->extension),
                            t->extension.len};
    if (t->header.type == TAR_GNU_NAME)
        return take_name(t, text, &t->name);
    if (t->header.type == TAR_GNU_LINK)
        return take_name(t, text, &t->link);
    if (t->header.type == TAR_PAX_GLOBAL)
        return take_global(t, text);
    /* They stay where they are, as strings point into them. */
    t->records = t->extension;
    t->extension = spare;
    t->pax = (struct tar_pax){0};
    fault = tar_pax_read(text, &t->pax);
    return fault != NULL ? fail(t, fault) : TAR_MORE;
}

static enum tar_event
read_extension(struct tar_reader *t, const uint8_t **in, size_t *len)
{
    size_t n = (size_t)MIN((uint64_t)t->left, (uint64_t)*len);

    buf_append(&t->extension, *in, n);
    *in += n;
    *len -= n;
    t->left -= (int64_t)n;
    return t->left == 0 ? end_extension(t) : TAR_MORE;
}

/* ---- members ------------------------------------------------------------- */

/*
 * Settle a name: that of the pax header, else GNU's, else the block's own.
 * Returns NULL after a failure.
 */
static const char *
settle(struct buf *name, struct str pax, const char *own)
{
    if (pax.data != NULL) {
        buf_truncate(name, 0);
        buf_append(name, pax.data, pax.len);
    } else if (name->len == 0) {
        buf_append_str(name, own);
    }
    buf_append_byte(name, '\0');
    return name->failed ? NULL : (const char *)buf_data(name);
}

static struct timespec
mtime_of(const struct tar_reader *t)
{
    if (t->pax.has_mtime)
        return t->pax.mtime;
    if (t->global.has_mtime)
        return t->global.mtime;
    return (struct timespec){.tv_sec = t->header.mtime};
}

/* One letter for each kind, and the size only where content follows. */
static void
settle_type(struct tar_member *m)
{
    size_t len = strlen(m->name);

    if (m->type == '\0' || m->type == '7')
        m->type = TAR_FILE;
    if (m->type == TAR_FILE && len > 0 && m->name[len - 1] == '/')
        m->type = TAR_DIRECTORY;
    /* What the other known types state as size is not content. */
    if (m->type >= TAR_HARD_LINK && m->type <= '6')
        m->size = 0;
}

static enum tar_event
begin_member(struct tar_reader *t)
{
    struct tar_member *m = &t->member;

    *m = (struct tar_member){
        .type = t->header.type,
        .name = settle(&t->name, t->pax.path, t->header.name),
        .link = settle(&t->link, t->pax.link, t->header.link),
        .size = t->pax.has_size ? t->pax.size : t->header.size,
        .mode = t->header.mode,
        .uid = t->header.uid,
        .gid = t->header.gid,
        .mtime = mtime_of(t),
    };
    if (m->name == NULL || m->link == NULL)
        return fail_memory(t);
    if (t->name.len > LIMIT_TAR_NAME_BYTES ||
        t->link.len > LIMIT_TAR_NAME_BYTES)
        return fail(t, "a name is too long");
    if (t->pax.has_uid || t->global.has_uid)
        m->uid = t->pax.has_uid ? t->pax.uid : t->global.uid;
    if (t->pax.has_gid || t->global.has_gid)
        m->gid = t->pax.has_gid ? t->pax.gid : t->global.gid;
    settle_type(m);
    t->left = m->size;
    t->padding = tar_padding(m->size);
    t->has_extension = false;
    t->has_member = true;
    t->state = TAR_IN_CONTENT;
    return TAR_MEMBER;
}

/* The member was told of; what belonged to it alone is forgotten. */
static enum tar_event
end_member(struct tar_reader *t)
{
    buf_truncate(&t->name, 0);
    buf_truncate(&t->link, 0);
    t->pax = (struct tar_pax){0};
    t->state = TAR_IN_PADDING;
    return TAR_MEMBER_END;
}

static enum tar_event
read_content(struct tar_reader *t, const uint8_t **in, size_t *len)
{
    size_t n = (size_t)MIN((uint64_t)t->left, (uint64_t)*len);

    if (t->left == 0)
        return end_member(t);
    if (n == 0)
        return TAR_MORE;
    t->data = (struct str){(const char *)*in, n};
    *in += n;
    *len -= n;
    t->left -= (int64_t)n;
    return TAR_DATA;
}

static enum tar_event
take_header(struct tar_reader *t)
{
    t->block_len = 0;
    switch (tar_header_read(t->block, &t->header)) {
    case TAR_BLOCK_ZERO:
        if (t->has_extension)
            return fail(t, "an extended header without a member");
        t->state = TAR_AFTER_END;
        return TAR_END;
    case TAR_BLOCK_BAD:
        return fail(t, t->has_member || t->has_extension
                           ? "not a header where one should be"
                           : "not a tar archive");
    case TAR_BLOCK_HEADER:
        break;
    }
    if (is_extension(t->header.type))
        return begin_extension(t);
    if (t->header.type == TAR_VOLUME_LABEL) {
        t->left = 0;
        t->padding = 0;
        return TAR_MORE;
    }
    return begin_member(t);
}

static enum tar_event
read_header(struct tar_reader *t, const uint8_t **in, size_t *len)
{
    size_t n = MIN(sizeof(t->block) - t->block_len, *len);

    memcpy(t->block + t->block_len, *in, n);
    t->block_len += n;
    *in += n;
    *len -= n;
    return t->block_len == sizeof(t->block) ? take_header(t) : TAR_MORE;
}

static enum tar_event
skip_padding(struct tar_reader *t, const uint8_t **in, size_t *len)
{
    size_t n = MIN(t->padding, *len);

    *in += n;
    *len -= n;
    t->padding -= n;
    if (t->padding == 0)
        t->state = TAR_IN_HEADER;
    return TAR_MORE;
}

enum tar_event
tar_reader_next(struct tar_reader *t, const uint8_t **in, size_t *len)
{
    enum tar_event event = TAR_MORE;

    do {
        switch (t->state) {
        case TAR_IN_HEADER:
            event = read_header(t, in, len);
            break;
        case TAR_IN_EXTENSION:
            event = read_extension(t, in, len);
            break;
        case TAR_IN_CONTENT:
            event = read_content(t, in, len);
            break;
        case TAR_IN_PADDING:
            event = skip_padding(t, in, len);
            break;
        case TAR_AFTER_END:
            *in += *len;
            *len = 0;
            break;
        case TAR_IN_FAILURE:
            return TAR_FAILED;
        }
        /* A member without content ends without input. */
    } while (event == TAR_MORE &&
             (*len > 0 || (t->state == TAR_IN_CONTENT && t->left == 0)));
    return event;
}

enum tar_event
tar_reader_finish(struct tar_reader *t)
{
    bool between = t->state == TAR_IN_HEADER && t->block_len == 0;

    if (t->state == TAR_IN_FAILURE)
        return TAR_FAILED;
    if (t->state == TAR_AFTER_END ||
        (between && t->has_member && !t->has_extension))
        return TAR_END;
    return fail(t, t->has_member || t->has_extension || t->block_len > 0
                       ? "unexpected end of the archive"
                       : "the archive is empty");
}

void
tar_reader_done(struct tar_reader *t)
{
    buf_done(&t->extension);
    buf_done(&t->records);
    buf_done(&t->name);
    buf_done(&t->link);
}
