/*
 * Types by extension, types by content, and file names in headers: tables.
 */
#include "http/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/scope.h"

bool
content_is_separator(char c)
{
    return c != '\0' && strchr("()<>@,;:\\\"/[]?=", c) != NULL;
}

bool
content_is_token(char c)
{
    return c > ' ' && c < 0x7f && !content_is_separator(c);
}

/* ---- by extension -------------------------------------------------------- */

struct extension {
    const char *name;
    const char *type;
};

#define OFFICE "application/vnd.openxmlformats-officedocument."
#define UTF8   "; charset=utf-8"

/* Sorted by name. */
static const struct extension extensions[] = {
    {"ai", "application/postscript"},
    {"apk", "application/vnd.android.package-archive"},
    {"apng", "image/apng"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"com", "application/octet-stream"},
    {"css", "text/css" UTF8},
    {"csv", "text/csv" UTF8},
    {"doc", "application/msword"},
    {"docx", OFFICE "wordprocessingml.document"},
    {"ehtml", "text/html" UTF8},
    {"eml", "message/rfc822"},
    {"eps", "application/postscript"},
    {"exe", "application/octet-stream"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html" UTF8},
    {"html", "text/html" UTF8},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar" UTF8},
    {"jfif", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript" UTF8},
    {"json", "application/json"},
    {"m4a", "audio/mp4"},
    {"mjs", "text/javascript" UTF8},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"pdf", "application/pdf"},
    {"pjp", "image/jpeg"},
    {"pjpeg", "image/jpeg"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", OFFICE "presentationml.presentation"},
    {"ps", "application/postscript"},
    {"rdf", "application/rdf+xml"},
    {"rtf", "application/rtf"},
    {"shtml", "text/html" UTF8},
    {"svg", "image/svg+xml"},
    {"text", "text/plain" UTF8},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"txt", "text/plain" UTF8},
    {"vtt", "text/vtt" UTF8},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webm", "audio/webm"},
    {"webp", "image/webp"},
    {"xbl", "text/xml" UTF8},
    {"xbm", "image/x-xbitmap"},
    {"xht", "application/xhtml+xml"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", OFFICE "spreadsheetml.sheet"},
    {"xml", "text/xml" UTF8},
    {"xsl", "text/xml" UTF8},
    {"zip", "application/zip"},
};

static int
compare_extension(const void *key, const void *element)
{
    const struct extension *e = element;

    return strcmp(key, e->name);
}

bool
content_extension(struct str path, char ret[CONTENT_EXTENSION_SIZE])
{
    const char *from = path.data;
    size_t len = 0;

    while (len < path.len && from[path.len - 1 - len] != '.') {
        char c = from[path.len - 1 - len];

        if (c == '/' || c == '\0' || len + 1 == CONTENT_EXTENSION_SIZE)
            return false;
        len++;
    }
    if (len == 0 || len == path.len)
        return false;
    memcpy(ret, from + path.len - len, len);
    ret[len] = '\0';
    return true;
}

const char *
content_type_by_extension(const char *extension)
{
    const struct extension *found =
        bsearch(extension, extensions, ARRAY_LEN(extensions),
                sizeof(extensions[0]), compare_extension);

    return found != NULL ? found->type : NULL;
}

/* Types that are packed, by how they begin. */
static const char *const compressed[] = {
    "video/",
    "audio/aac",
    "audio/flac",
    "audio/mp",
    "audio/ogg",
    "audio/webm",
    "image/apng",
    "image/avif",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/webp",
    "font/woff",
    OFFICE,
    "application/epub+zip",
    "application/gzip",
    "application/java-archive",
    "application/ogg",
    "application/vnd.android.package-archive",
    "application/vnd.oasis.opendocument.",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip",
    "application/x-compress",
    "application/x-gzip",
    "application/x-rar",
    "application/x-xz",
    "application/zip",
    "application/zstd",
};

bool
content_is_compressed(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(compressed); i++)
        if (strncmp(type, compressed[i], strlen(compressed[i])) == 0)
            return true;
    return false;
}

/* ---- by content ---------------------------------------------------------- */

/* Tags that begin a page, after white space, ended by a blank or `>`. */
static const char *const html_tags[] = {
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
};

struct signature {
    const char *bytes; /* `?` where `wild` says so */
    uint8_t len;
    uint8_t wild_from; /* bytes [wild_from, wild_to) may be anything */
    uint8_t wild_to;
    const char *type;
};

#define EXACT(bytes, type)                   \
    {                                        \
        bytes, sizeof(bytes) - 1, 0, 0, type \
    }
#define WILD(bytes, from, to, type)              \
    {                                            \
        bytes, sizeof(bytes) - 1, from, to, type \
    }

/* In the order in which they are tried; those before mp4, which has a rule. */
static const struct signature signatures[] = {
    EXACT("%PDF-", "application/pdf"),
    EXACT("%!PS-Adobe-", "application/postscript"),
    WILD("\xFE\xFF??", 2, 4, "text/plain; charset=utf-16be"),
    WILD("\xFF\xFE??", 2, 4, "text/plain; charset=utf-16le"),
    WILD("\xEF\xBB\xBF?", 3, 4, "text/plain; charset=utf-8"),
    EXACT("\x00\x00\x01\x00", "image/x-icon"),
    EXACT("\x00\x00\x02\x00", "image/x-icon"),
    EXACT("BM", "image/bmp"),
    EXACT("GIF87a", "image/gif"),
    EXACT("GIF89a", "image/gif"),
    WILD("RIFF????WEBPVP", 4, 8, "image/webp"),
    EXACT("\x89PNG\x0D\x0A\x1A\x0A", "image/png"),
    EXACT("\xFF\xD8\xFF", "image/jpeg"),
    WILD("FORM????AIFF", 4, 8, "audio/aiff"),
    EXACT("ID3", "audio/mpeg"),
    EXACT("OggS\x00", "application/ogg"),
    EXACT("MThd\x00\x00\x00\x06", "audio/midi"),
    WILD("RIFF????AVI ", 4, 8, "video/avi"),
    WILD("RIFF????WAVE", 4, 8, "audio/wave"),
};

static const struct signature signatures_behind_mp4[] = {
    EXACT("\x1A\x45\xDF\xA3", "video/webm"),
    WILD("??????????????????????????????????LP", 0, 34,
         "application/vnd.ms-fontobject"),
    EXACT("\x00\x01\x00\x00", "font/ttf"),
    EXACT("OTTO", "font/otf"),
    EXACT("ttcf", "font/collection"),
    EXACT("wOFF", "font/woff"),
    EXACT("wOF2", "font/woff2"),
    EXACT("\x1F\x8B\x08", "application/x-gzip"),
    EXACT("PK\x03\x04", "application/zip"),
    EXACT("Rar!\x1A\x07\x00", "application/x-rar-compressed"),
    EXACT("Rar!\x1A\x07\x01\x00", "application/x-rar-compressed"),
    EXACT("\x00\x61\x73\x6D", "application/wasm"),
};

static bool
is_html(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(html_tags); i++) {
        const char *tag = html_tags[i];
        size_t n = strlen(tag);
        size_t at = 0;

        if (len < n + 1 || (data[n] != ' ' && data[n] != '>'))
            continue;
        while (at < n) {
            bool letter = tag[at] >= 'A' && tag[at] <= 'Z';

            if ((letter ? data[at] & 0xDF : data[at]) != (uint8_t)tag[at])
                break;
            at++;
        }
        if (at == n)
            return true;
    }
    return false;
}

static bool
is_mp4(const uint8_t *data, size_t len)
{
    size_t box;

    if (len < 12 || memcmp(data + 4, "ftyp", 4) != 0)
        return false;
    box = (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 |
          data[3];
    if (box > len || box % 4 != 0)
        return false;
    /* Bytes 12 to 15 are the version of the major brand. */
    for (size_t at = 8; at < box; at += 4)
        if (at != 12 && memcmp(data + at, "mp4", 3) == 0)
            return true;
    return false;
}

static const char *
match(const struct signature *table, size_t count, const uint8_t *data,
      size_t len)
{
    for (size_t i = 0; i < count; i++) {
        const struct signature *s = &table[i];

        if (len >= s->len && memcmp(data, s->bytes, s->wild_from) == 0 &&
            memcmp(data + s->wild_to, s->bytes + s->wild_to,
                   (size_t)(s->len - s->wild_to)) == 0)
            return s->type;
    }
    return NULL;
}

static bool
is_text(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t b = data[i];

        if (b <= 0x08 || b == 0x0B || (b >= 0x0E && b <= 0x1F && b != 0x1B))
            return false;
    }
    return true;
}

const char *
content_sniff(const uint8_t *data, size_t len)
{
    const char *type;
    size_t blank = 0;

    if (len == 0)
        return "text/plain" UTF8;
    if (len > CONTENT_SNIFF_BYTES)
        len = CONTENT_SNIFF_BYTES;
    while (blank < len && memchr("\t\n\f\r ", data[blank], 5) != NULL)
        blank++;
    if (is_html(data + blank, len - blank))
        return "text/html" UTF8;
    if (len - blank >= 5 && memcmp(data + blank, "<?xml", 5) == 0)
        return "text/xml" UTF8;
    type = match(signatures, ARRAY_LEN(signatures), data, len);
    if (type == NULL && is_mp4(data, len))
        type = "video/mp4";
    if (type == NULL)
        type = match(signatures_behind_mp4, ARRAY_LEN(signatures_behind_mp4),
                     data, len);
    if (type == NULL)
        type =
            is_text(data, len) ? "text/plain" UTF8 : "application/octet-stream";
    return type;
}

/* ---- names in headers ---------------------------------------------------- */

/* Bytes outside printable ASCII do not go into a header as they are. */
static bool
needs_encoding(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < ' ' || (unsigned char)*s > '~')
            return true;
    return false;
}

static bool
is_token(const char *s)
{
    if (*s == '\0')
        return false;
    while (*s != '\0')
        if (!content_is_token(*s++))
            return false;
    return true;
}

static void
append_encoded(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (content_is_token(*s) && strchr("*'%", *s) == NULL)
            buf_append_byte(out, (uint8_t)*s);
        else
            buf_appendf(out, "%%%02X", (unsigned int)(unsigned char)*s);
    }
}

static void
append_quoted(struct buf *out, const char *s)
{
    buf_append_byte(out, '"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)*s);
    }
    buf_append_byte(out, '"');
}

void
content_disposition(struct buf *out, const char *filename)
{
    buf_append_str(out, "inline; filename");
    if (needs_encoding(filename)) {
        buf_append_str(out, "*=utf-8''");
        append_encoded(out, filename);
    } else if (is_token(filename)) {
        buf_append_byte(out, '=');
        buf_append_str(out, filename);
    } else {
        buf_append_byte(out, '=');
        append_quoted(out, filename);
    }
}
