/*
 * Quoted-printable: plain runs are copied, the rest goes byte by byte.
 */
#include "http/quoted_printable.h"

#include <errno.h>
#include <string.h>

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

static bool
is_plain(char c)
{
    return c != '=' && ((c > ' ' && c <= '~') || (unsigned char)c >= 0x80);
}

/* What was held is content after all. */
static void
flush(struct quoted_printable *q, struct buf *out)
{
    if (q->escape_len > 0)
        buf_append(out, q->escape, q->escape_len);
    if (q->blanks_len > 0)
        buf_append(out, q->blanks, q->blanks_len);
    q->escape_len = 0;
    q->blanks_len = 0;
}

static void
end_line(struct quoted_printable *q, struct buf *out)
{
    bool cr = q->blanks_len > 0 && q->blanks[q->blanks_len - 1] == '\r';

    if (q->escape_len == 2)
        buf_append(out, q->escape, 2);
    if (q->escape_len != 1)
        buf_append_str(out, cr ? "\r\n" : "\n");
    q->escape_len = 0;
    q->blanks_len = 0;
}

/* The byte that follows `=` and perhaps one digit; false when it is not part
 * of an escape. */
static bool
take_digit(struct quoted_printable *q, char c, struct buf *out)
{
    if (q->escape_len == 0 || q->blanks_len > 0 || hex_value(c) < 0)
        return false;
    if (q->escape_len == 1) {
        q->escape[q->escape_len++] = c;
    } else {
        buf_append_byte(out,
                        (uint8_t)(hex_value(q->escape[1]) * 16 + hex_value(c)));
        q->escape_len = 0;
    }
    return true;
}

static int
take_byte(struct quoted_printable *q, char c, struct buf *out)
{
    if (c == '\n') {
        end_line(q, out);
    } else if (c == ' ' || c == '\t' || c == '\r') {
        if (q->blanks_len == sizeof(q->blanks))
            return -EBADMSG;
        q->blanks[q->blanks_len++] = c;
    } else if (!take_digit(q, c, out)) {
        flush(q, out);
        if (c == '=')
            q->escape[q->escape_len++] = c;
        else if (is_plain(c))
            buf_append_byte(out, (uint8_t)c);
        else
            return -EBADMSG;
    }
    return 0;
}

int
quoted_printable_decode(struct quoted_printable *q, struct str in,
                        struct buf *out)
{
    for (size_t i = 0; i < in.len;) {
        size_t run = i;

        while (run < in.len && q->escape_len == 0 && q->blanks_len == 0 &&
               is_plain(in.data[run]))
            run++;
        if (run > i)
            buf_append(out, in.data + i, run - i);
        i = run;
        if (i < in.len && take_byte(q, in.data[i++], out) < 0)
            return -EBADMSG;
    }
    return out->failed ? -ENOMEM : 0;
}

int
quoted_printable_finish(struct quoted_printable *q, struct buf *out)
{
    /* A `=` alone joins with nothing; an escape cut short is itself. */
    if (q->escape_len == 2)
        buf_append(out, q->escape, 2);
    q->escape_len = 0;
    q->blanks_len = 0;
    return out->failed ? -ENOMEM : 0;
}
