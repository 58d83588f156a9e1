/*
 * multipart/form-data: a state for each place in the stream, and one rule that
 * makes cuts harmless: the delimiter begins with the only CR (or LF) in it, so
 * a beginning of it that turns out to be data holds no second beginning.
 */
#include "http/multipart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "http/content.h"
#include "http/media_type.h"
#include "limits.h"

int
multipart_init(struct multipart *m, struct str boundary)
{
    *m = (struct multipart){.state = MULTIPART_LINE};
    if (boundary.len == 0 || boundary.len > MULTIPART_BOUNDARY_MAX)
        return -EINVAL;
    for (size_t i = 0; i < boundary.len; i++)
        if ((unsigned char)boundary.data[i] < ' ')
            return -EINVAL;
    memcpy(m->delim, "\r\n--", 4);
    memcpy(m->delim + 4, boundary.data, boundary.len);
    m->delim_len = 4 + boundary.len;
    /* So that a held delimiter and the dash behind it are one range. */
    m->delim[m->delim_len] = '-';
    return 0;
}

static void
part_done(struct multipart_part *part)
{
    free(part->name);
    free(part->filename);
    *part = (struct multipart_part){0};
}

void
multipart_done(struct multipart *m)
{
    part_done(&m->part);
    buf_done(&m->head);
}

const char *
multipart_error(const struct multipart *m)
{
    return m->error;
}

static enum multipart_event
fail(struct multipart *m, const char *error)
{
    m->state = MULTIPART_ERROR;
    m->error = error;
    return MULTIPART_FAILED;
}

/* ---- before the first boundary ------------------------------------------- */

static enum multipart_event
skip_line(struct multipart *m, const uint8_t *in, size_t len, size_t *used)
{
    const uint8_t *end = memchr(in, '\n', len);

    *used = end != NULL ? (size_t)(end - in) + 1 : len;
    if (end != NULL)
        m->state = MULTIPART_LINE;
    return MULTIPART_MORE;
}

static void
begin_tail(struct multipart *m, bool final)
{
    m->state = MULTIPART_TAIL;
    m->tail = final ? MULTIPART_TAIL_BLANK : MULTIPART_TAIL_OPEN;
    m->final = final;
    m->matched = 0;
    m->dash = false;
}

/* Compare a line of the preamble with `--boundary`. */
static enum multipart_event
match_line(struct multipart *m, const uint8_t *in, size_t len, size_t *used)
{
    size_t want = m->delim_len - 2;
    size_t i = 0;

    while (i < len && m->matched < want &&
           in[i] == (uint8_t)m->delim[2 + m->matched]) {
        i++;
        m->matched++;
    }
    *used = i;
    if (m->matched == want) {
        begin_tail(m, false);
    } else if (i < len) {
        m->matched = 0;
        m->state = MULTIPART_SKIP;
    }
    return MULTIPART_MORE;
}

/* ---- the line of a boundary ---------------------------------------------- */

static enum multipart_event
end_tail(struct multipart *m)
{
    if (m->final) {
        m->state = MULTIPART_EPILOGUE;
        return MULTIPART_END;
    }
    m->state = MULTIPART_HEAD;
    m->line_start = 0;
    m->parts++;
    buf_reset(&m->head, 4096);
    return MULTIPART_MORE;
}

/* The line goes on as that of a boundary does not. */
static enum multipart_event
end_junk(struct multipart *m, bool at_newline)
{
    if (m->parts > 0)
        return fail(m, "multipart: expecting a new Part");
    m->state = at_newline ? MULTIPART_LINE : MULTIPART_SKIP;
    return MULTIPART_MORE;
}

static enum multipart_event
tail_step(struct multipart *m, uint8_t c)
{
    bool cr = m->tail == MULTIPART_TAIL_CR;

    if (c == '\n' && m->tail != MULTIPART_TAIL_DASH) {
        /* The first boundary decides how all lines end. */
        if (m->parts == 0 && !m->final)
            m->lf = !cr;
        return m->final || m->lf == !cr ? end_tail(m) : end_junk(m, true);
    }
    if (m->tail == MULTIPART_TAIL_DASH && c == '-') {
        m->final = true;
        m->tail = MULTIPART_TAIL_BLANK;
    } else if (m->tail == MULTIPART_TAIL_OPEN && c == '-') {
        m->tail = MULTIPART_TAIL_DASH;
    } else if (m->tail == MULTIPART_TAIL_DASH || cr) {
        return end_junk(m, c == '\n');
    } else if (c == '\r') {
        m->tail = MULTIPART_TAIL_CR;
    } else if (c == ' ' || c == '\t') {
        m->tail = MULTIPART_TAIL_BLANK;
    } else {
        return end_junk(m, false);
    }
    return MULTIPART_MORE;
}

static enum multipart_event
read_tail(struct multipart *m, const uint8_t *in, size_t len, size_t *used)
{
    enum multipart_event event = MULTIPART_MORE;
    size_t i = 0;

    while (i < len && event == MULTIPART_MORE && m->state == MULTIPART_TAIL)
        event = tail_step(m, in[i++]);
    *used = i;
    return event;
}

/* ---- the head of a part -------------------------------------------------- */

/*
 * Unfold in place: each continuation line joined to its header by one blank,
 * each header ended by one LF, without blanks at either end.  Returns the
 * length, or -1 when it begins with a continuation.
 */
static ptrdiff_t
unfold(char *text, size_t len)
{
    const char *end = text + len;
    char *out = text;

    for (const char *p = text; p < end;) {
        const char *next = memchr(p, '\n', (size_t)(end - p));
        struct str line = {p, (size_t)(next - p)};
        bool folded = *p == ' ' || *p == '\t';

        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        line = str_trim(line);
        if (folded && out == text)
            return -1;
        if (folded)
            out[-1] = ' ';
        memmove(out, line.data, line.len);
        out += line.len;
        *out++ = '\n';
        p = next + 1;
    }
    return out - text;
}

static int
read_disposition(struct multipart_part *part, struct str value)
{
    SCOPE(media_type_done) struct media_type type = {0};
    size_t len;
    int r = media_type_parse(value, &type);

    /* A malformed one names nothing; the part is then nobody's. */
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    part->form_data = str_eq(type.type, "form-data");
    r = media_type_param(&type, "name", &part->name, &len);
    if (r == 0 || r == -ENOENT)
        r = media_type_param(&type, "filename", &part->filename,
                             &part->filename_len);
    return r == -ENOENT ? 0 : r;
}

/* Take a header that matters; the first of each name counts. */
static int
read_header(struct multipart *m, struct str name, struct str value,
            unsigned int *seen)
{
    if (str_eq_nocase(name, "Content-Disposition") && (*seen & 1) == 0) {
        *seen |= 1;
        return read_disposition(&m->part, value);
    }
    if (str_eq_nocase(name, "Content-Transfer-Encoding") && (*seen & 2) == 0) {
        *seen |= 2;
        m->part.quoted_printable = str_eq_nocase(value, "quoted-printable");
    }
    return 0;
}

static bool
header_is_good(struct str name, struct str value)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!content_is_token(name.data[i]))
            return false;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.data[i] < ' ' && value.data[i] != '\t')
            return false;
    return true;
}

static enum multipart_event
end_head(struct multipart *m)
{
    char *text = (char *)buf_data(&m->head);
    /* Without the empty line at its end. */
    ptrdiff_t len = unfold(text, m->line_start);
    unsigned int seen = 0;

    part_done(&m->part);
    if (len < 0)
        return fail(m, "malformed MIME header");
    for (char *p = text, *end = text + len; p < end;) {
        char *next = memchr(p, '\n', (size_t)(end - p));
        char *colon = memchr(p, ':', (size_t)(next - p));
        struct str name;
        struct str value;

        if (colon == NULL)
            return fail(m, "malformed MIME header: missing colon");
        name = (struct str){p, (size_t)(colon - p)};
        value = str_trim((struct str){colon + 1, (size_t)(next - colon) - 1});
        if (!header_is_good(name, value))
            return fail(m, "malformed MIME header");
        if (read_header(m, name, value, &seen) < 0)
            return fail(m, "out of memory");
        p = next + 1;
    }
    /* A boundary right behind the head needs no line end of its own. */
    m->state = MULTIPART_BODY;
    m->matched = m->lf ? 1 : 2;
    m->held_from = m->matched;
    return MULTIPART_PART;
}

static enum multipart_event
read_head(struct multipart *m, const uint8_t *in, size_t len, size_t *used)
{
    const uint8_t *newline = memchr(in, '\n', len);
    size_t n = newline != NULL ? (size_t)(newline - in) + 1 : len;
    const uint8_t *line;
    size_t line_len;

    *used = n;
    if (m->head.len + n > LIMIT_MULTIPART_HEAD_BYTES)
        return fail(m, "multipart: message too large");
    buf_append(&m->head, in, n);
    if (m->head.failed)
        return fail(m, "out of memory");
    if (newline == NULL)
        return MULTIPART_MORE;
    line = buf_data(&m->head) + m->line_start;
    line_len = m->head.len - m->line_start;
    if (line_len == 1 || (line_len == 2 && line[0] == '\r'))
        return end_head(m);
    m->line_start = m->head.len;
    return MULTIPART_MORE;
}

/* ---- the content of a part ----------------------------------------------- */

/* The delimiter as the lines of this stream end. */
static struct str
delimiter(const struct multipart *m)
{
    size_t skip = m->lf ? 1 : 0;

    return (struct str){m->delim + skip, m->delim_len - skip};
}

static enum multipart_event
give_data(struct multipart *m, const void *data, size_t len)
{
    m->data = (struct str){data, len};
    return len > 0 ? MULTIPART_DATA : MULTIPART_MORE;
}

/* What was held is data after all. */
static enum multipart_event
give_held(struct multipart *m)
{
    struct str d = delimiter(m);
    size_t from = m->held_from;
    size_t to = m->matched + (m->dash ? 1 : 0);

    m->matched = 0;
    m->held_from = 0;
    m->dash = false;
    return give_data(m, d.data + from, to - from);
}

static enum multipart_event
end_part(struct multipart *m, bool final)
{
    begin_tail(m, final);
    m->held_from = 0;
    return MULTIPART_PART_END;
}

/* Go on with a held beginning of the delimiter, or all of it. */
static enum multipart_event
match_delimiter(struct multipart *m, const uint8_t *in, size_t len,
                size_t *used)
{
    struct str d = delimiter(m);
    size_t i = 0;

    while (i < len && m->matched < d.len &&
           in[i] == (uint8_t)d.data[m->matched]) {
        i++;
        m->matched++;
    }
    if (m->matched == d.len && i < len && in[i] == '-' && !m->dash) {
        m->dash = true;
        i++;
    }
    *used = i;
    if (i == len)
        return MULTIPART_MORE;
    if (m->matched < d.len)
        return give_held(m);
    if (m->dash) {
        if (in[i] != '-')
            return give_held(m);
        *used = i + 1;
        return end_part(m, true);
    }
    if (memchr(" \t\r\n", in[i], 4) == NULL)
        return give_held(m);
    return end_part(m, false);
}

/*
 * Where the delimiter, or a beginning of it at the end of the input, stands;
 * `len` when there is none.  Its first byte is rare in most content and occurs
 * in it once, so that looking for that byte is quicker than any search for the
 * whole, and no byte is compared twice.
 */
static size_t
find_delimiter(struct str d, const uint8_t *in, size_t len)
{
    const uint8_t *end = in + len;
    const uint8_t *at = in;

    while ((at = memchr(at, *d.data, (size_t)(end - at))) != NULL) {
        if (memcmp(at, d.data, MIN(d.len, (size_t)(end - at))) == 0)
            return (size_t)(at - in);
        at++;
    }
    return len;
}

/* Content up to the delimiter, or what may become one. */
static enum multipart_event
scan_body(struct multipart *m, const uint8_t *in, size_t len, size_t *used)
{
    struct str d = delimiter(m);
    size_t at = find_delimiter(d, in, len);

    m->matched = MIN(len - at, d.len);
    *used = at + m->matched;
    return give_data(m, in, at);
}

static enum multipart_event
read_body(struct multipart *m, const uint8_t *in, size_t len, size_t *used)
{
    return m->matched > 0 ? match_delimiter(m, in, len, used)
                          : scan_body(m, in, len, used);
}

/* ---- the whole ----------------------------------------------------------- */

enum multipart_event
multipart_next(struct multipart *m, const uint8_t **in, size_t *len)
{
    enum multipart_event event = MULTIPART_MORE;

    while (*len > 0 && event == MULTIPART_MORE) {
        size_t used = *len;

        switch (m->state) {
        case MULTIPART_LINE:
            event = match_line(m, *in, *len, &used);
            break;
        case MULTIPART_SKIP:
            event = skip_line(m, *in, *len, &used);
            break;
        case MULTIPART_TAIL:
            event = read_tail(m, *in, *len, &used);
            break;
        case MULTIPART_HEAD:
            event = read_head(m, *in, *len, &used);
            break;
        case MULTIPART_BODY:
            event = read_body(m, *in, *len, &used);
            break;
        case MULTIPART_EPILOGUE:
            break;
        case MULTIPART_ERROR:
            return MULTIPART_FAILED;
        }
        *in += used;
        *len -= used;
    }
    return event;
}

enum multipart_event
multipart_finish(struct multipart *m)
{
    switch (m->state) {
    case MULTIPART_LINE:
    case MULTIPART_SKIP:
        return fail(m, "multipart: NextPart: EOF");
    case MULTIPART_TAIL:
        if (m->parts == 0 && !m->final)
            return fail(m, "multipart: NextPart: EOF");
        return MULTIPART_END;
    case MULTIPART_HEAD:
        if (m->head.len > 0)
            return fail(m, "unexpected EOF");
        return MULTIPART_END;
    case MULTIPART_BODY:
        if (m->matched < delimiter(m).len || m->dash)
            return fail(m, "unexpected EOF");
        return end_part(m, false);
    case MULTIPART_EPILOGUE:
        return MULTIPART_END;
    case MULTIPART_ERROR:
        return MULTIPART_FAILED;
    }
    return MULTIPART_FAILED;
}
