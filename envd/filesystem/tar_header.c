/*
 * Header blocks: 512 bytes of text fields, numbers in octal.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/scope.h"
#include "filesystem/tar.h"

/* The fields as they lie in a block. */
struct ustar {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "one block");

/* The largest numbers that fields of 8 and 12 bytes hold. */
#define OCTAL_7_MAX  INT64_C(07777777)
#define OCTAL_11_MAX INT64_C(077777777777)

/* ---- writing ------------------------------------------------------------- */

static void
put_text(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size));
}

/* `digits` octal digits and a NUL. */
static void
put_octal(char *field, int digits, uint64_t value)
{
    field[digits] = '\0';
    for (int i = digits - 1; i >= 0; i--) {
        field[i] = (char)('0' + value % 8);
        value /= 8;
    }
}

/* The sum of all bytes, with the checksum itself as blanks. */
static int32_t
sum_of(const struct ustar *h, bool as_signed)
{
    const char *p = (const char *)h;
    int32_t sum = 0;

    for (size_t i = 0; i < sizeof(*h); i++) {
        size_t at = i - offsetof(struct ustar, checksum);
        int c = at < sizeof(h->checksum) ? ' ' : p[i];

        sum += as_signed ? (signed char)c : (uint8_t)c;
    }
    return sum;
}

/*
 * Where a long name can be cut into prefix and name: the length of the prefix,
 * 0 when it fits without one, -1 when it does not fit.
 */
static int
split_at(const char *name)
{
    size_t len = strlen(name);
    const struct ustar *h = NULL;
    size_t from;

    if (len <= sizeof(h->name))
        return 0;
    from = len - sizeof(h->name) - 1;
    for (size_t i = MAX(from, (size_t)1); i <= sizeof(h->prefix) && i + 1 < len;
         i++)
        if (name[i] == '/')
            return (int)i;
    return -1;
}

static void
append_block(struct buf *out, struct ustar *h)
{
    memcpy(h->magic, "ustar", sizeof(h->magic));
    memcpy(h->version, "00", sizeof(h->version));
    put_octal(h->checksum, 6, (uint64_t)sum_of(h, false));
    h->checksum[7] = ' ';
    buf_append(out, h, sizeof(*h));
}

static void
pad(struct buf *out, size_t size)
{
    static const uint8_t zeros[TAR_BLOCK_BYTES];

    buf_append(out, zeros, tar_padding((int64_t)size));
}

static void
append_number(struct buf *records, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    tar_pax_append(records, key, text);
}

/* Seconds before the epoch count down, their fraction still counts up. */
static void
append_time(struct buf *records, const struct timespec *t)
{
    bool negative = t->tv_sec < 0 && t->tv_nsec > 0;
    int64_t seconds = negative ? t->tv_sec + 1 : t->tv_sec;
    long nanos = negative ? 1000000000 - t->tv_nsec : t->tv_nsec;
    char text[40];

    (void)snprintf(text, sizeof(text), "%s%" PRId64 ".%09ld",
                   negative && seconds == 0 ? "-" : "", seconds, nanos);
    tar_pax_append(records, "mtime", text);
}

/* What the fields of a header cannot hold. */
static void
append_records(struct buf *records, const struct tar_member *m)
{
    const struct ustar *h = NULL;

    if (split_at(m->name) < 0)
        tar_pax_append(records, "path", m->name);
    if (strlen(m->link) > sizeof(h->link))
        tar_pax_append(records, "linkpath", m->link);
    if (m->size > OCTAL_11_MAX)
        append_number(records, "size", (uint64_t)m->size);
    if (m->uid > OCTAL_7_MAX)
        append_number(records, "uid", m->uid);
    if (m->gid > OCTAL_7_MAX)
        append_number(records, "gid", m->gid);
    if (m->mtime.tv_nsec != 0 || m->mtime.tv_sec < 0 ||
        m->mtime.tv_sec > OCTAL_11_MAX)
        append_time(records, &m->mtime);
}

/* The value, or 0 where a pax record has it. */
static uint64_t
up_to(uint64_t value, int64_t max)
{
    return value <= (uint64_t)max ? value : 0;
}

static void
append_pax(struct buf *out, const struct buf *records)
{
    struct ustar h = {.type = TAR_PAX};

    put_text(h.name, sizeof(h.name), "././@PaxHeader");
    put_octal(h.mode, 7, 0644);
    put_octal(h.uid, 7, 0);
    put_octal(h.gid, 7, 0);
    put_octal(h.size, 11, records->len);
    put_octal(h.mtime, 11, 0);
    append_block(out, &h);
    buf_append(out, buf_data(records), records->len);
    pad(out, records->len);
}

void
tar_header_append(struct buf *out, const struct tar_member *m)
{
    SCOPE(buf_done) struct buf records = {0};
    struct ustar h = {.type = m->type};
    int prefix = split_at(m->name);

    append_records(&records, m);
    out->failed = out->failed || records.failed;
    if (records.len > 0)
        append_pax(out, &records);
    if (prefix > 0) {
        memcpy(h.prefix, m->name, (size_t)prefix);
        put_text(h.name, sizeof(h.name), m->name + prefix + 1);
    } else {
        put_text(h.name, sizeof(h.name), m->name);
    }
    put_octal(h.mode, 7, m->mode & 07777);
    put_octal(h.uid, 7, up_to(m->uid, OCTAL_7_MAX));
    put_octal(h.gid, 7, up_to(m->gid, OCTAL_7_MAX));
    put_octal(h.size, 11, up_to((uint64_t)m->size, OCTAL_11_MAX));
    put_octal(h.mtime, 11, up_to((uint64_t)m->mtime.tv_sec, OCTAL_11_MAX));
    put_text(h.link, sizeof(h.link), m->link);
    put_text(h.user, sizeof(h.user) - 1, m->user != NULL ? m->user : "");
    put_text(h.group, sizeof(h.group) - 1, m->group != NULL ? m->group : "");
    put_octal(h.major, 7, 0);
    put_octal(h.minor, 7, 0);
    append_block(out, &h);
}

/* ---- reading ------------------------------------------------------------- */

/*
 * A number: octal text between blanks and NULs, or, with the first bit set, 255
 * or fewer bits in two's complement.  Returns false when it is neither, or does
 * not fit.
 */
static bool
get_number(const char *field, size_t size, int64_t *ret)
{
    const uint8_t *p = (const uint8_t *)field;
    uint64_t value = 0;
    size_t i = 0;

    if ((p[0] & 0x80) != 0) {
        uint8_t fill = (p[0] & 0x40) != 0 ? 0xff : 0;

        value = fill != 0 ? UINT64_MAX : 0;
        for (i = 0; i < size; i++) {
            uint8_t byte = i == 0 && fill == 0 ? p[i] & 0x7f : p[i];

            if (i + 8 < size && byte != fill)
                return false;
            value = value << 8 | byte;
        }
        *ret = (int64_t)value;
        return (*ret < 0) == (fill != 0);
    }
    while (i < size && p[i] == ' ')
        i++;
    for (; i < size && p[i] >= '0' && p[i] <= '7'; i++)
        value = value * 8 + (uint64_t)(p[i] - '0');
    *ret = (int64_t)value; /* 12 digits are 36 bits */
    while (i < size && (p[i] == ' ' || p[i] == '\0'))
        i++;
    return i == size;
}

static bool
get_unsigned(const char *field, size_t size, uint64_t *ret)
{
    int64_t value;

    if (!get_number(field, size, &value) || value < 0)
        return false;
    *ret = (uint64_t)value;
    return true;
}

static char *
get_text(char *out, const char *field, size_t size)
{
    char *end = mempcpy(out, field, strnlen(field, size));

    *end = '\0';
    return end;
}

static bool
is_zero(const uint8_t block[TAR_BLOCK_BYTES])
{
    return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK_BYTES - 1) == 0;
}

enum tar_block
tar_header_read(const uint8_t block[TAR_BLOCK_BYTES], struct tar_header *ret)
{
    struct ustar h;
    uint64_t mode;
    int64_t sum;
    char *at = ret->name;

    if (is_zero(block))
        return TAR_BLOCK_ZERO;
    memcpy(&h, block, sizeof(h));
    /* Some old writers added signed bytes. */
    if (!get_number(h.checksum, sizeof(h.checksum), &sum) ||
        (sum != sum_of(&h, false) && sum != sum_of(&h, true)))
        return TAR_BLOCK_BAD;
    ret->type = h.type;
    /* GNU's own format has other things where the prefix would be. */
    if (memcmp(h.magic, "ustar", sizeof(h.magic)) == 0 && h.prefix[0] != '\0') {
        at = get_text(at, h.prefix, sizeof(h.prefix));
        *at++ = '/';
    }
    (void)get_text(at, h.name, sizeof(h.name));
    (void)get_text(ret->link, h.link, sizeof(h.link));
    if (!get_unsigned(h.mode, sizeof(h.mode), &mode) ||
        !get_unsigned(h.uid, sizeof(h.uid), &ret->uid) ||
        !get_unsigned(h.gid, sizeof(h.gid), &ret->gid) ||
        !get_number(h.size, sizeof(h.size), &ret->size) || ret->size < 0 ||
        !get_number(h.mtime, sizeof(h.mtime), &ret->mtime))
        return TAR_BLOCK_BAD;
    ret->mode = (uint32_t)(mode & 07777);
    return TAR_BLOCK_HEADER;
}
