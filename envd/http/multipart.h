/*
 * multipart/form-data, incrementally: bytes in, parts and ranges of their
 * content out, nothing copied but the heads of parts.
 *
 * A delimiter is found wherever the input is cut, because of a beginning of it
 * only the length is remembered: the held bytes are those of the delimiter.
 *
 * Rule: RFC 2046, 5.1; RFC 7578.  Context: any, one thread at a time.
 */
#ifndef ENVD_HTTP_MULTIPART_H
#define ENVD_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* The longest boundary; the standard allows 70. */
#define MULTIPART_BOUNDARY_MAX 255

enum multipart_event {
    MULTIPART_MORE,     /* all input is consumed */
    MULTIPART_PART,     /* the head of a part is complete: see `part` */
    MULTIPART_DATA,     /* bytes of its content: see `data` */
    MULTIPART_PART_END, /* its content is complete */
    MULTIPART_END,      /* the last boundary; what follows is ignored */
    MULTIPART_FAILED,   /* see multipart_error(); stays failed */
};

enum multipart_state {
    MULTIPART_LINE,     /* in a line before the first boundary */
    MULTIPART_SKIP,     /* the same, in a line that is none */
    MULTIPART_TAIL,     /* behind `--boundary`, in its line */
    MULTIPART_HEAD,     /* in the headers of a part */
    MULTIPART_BODY,     /* in its content */
    MULTIPART_EPILOGUE, /* behind the last boundary */
    MULTIPART_ERROR,
};

/* In the line of a boundary. */
enum multipart_tail {
    MULTIPART_TAIL_OPEN,  /* nothing yet */
    MULTIPART_TAIL_DASH,  /* `-` */
    MULTIPART_TAIL_BLANK, /* blanks, perhaps behind `--` */
    MULTIPART_TAIL_CR,
};

/* What the head of a part says. */
struct multipart_part {
    bool form_data;      /* Content-Disposition is well-formed and says so */
    char *name;          /* owned; NULL when there is none */
    char *filename;      /* owned, as sent; NULL when there is none */
    size_t filename_len; /* bytes; it may hold NUL bytes */
    bool quoted_printable;
};

/* A parser; fields are its own, but for `part` and `data`. */
struct multipart {
    struct multipart_part part; /* at MULTIPART_PART, until the next one */
    struct str data;            /* at MULTIPART_DATA, until the next call */

    enum multipart_state state;
    enum multipart_tail tail;
    bool final;         /* the boundary of this line is the last one */
    bool lf;            /* lines end in LF alone */
    bool dash;          /* a `-` behind the held delimiter */
    unsigned int parts; /* begun so far */
    size_t matched;     /* bytes of the delimiter that are held */
    size_t held_from;   /* of them, those before this one are not data */
    size_t line_start;  /* of the present line, in `head` */
    struct buf head;    /* of the part being read */
    const char *error;
    size_t delim_len; /* of CR LF `--boundary`, without the dash behind it */
    char delim[4 + MULTIPART_BOUNDARY_MAX + 1];
};

/*
 * Begin.  Returns 0, or -EINVAL when the boundary is empty, too long or holds
 * control characters.
 */
int multipart_init(struct multipart *m, struct str boundary);
void multipart_done(struct multipart *m);

/*
 * Go on to the next event.
 *
 * in, len  input, advanced past what was consumed; `data` may point into it
 *
 * Call it until MULTIPART_MORE, then with the next input.
 */
enum multipart_event multipart_next(struct multipart *m, const uint8_t **in,
                                    size_t *len);

/*
 * There is no more input.  Call it until it returns MULTIPART_END or
 * MULTIPART_FAILED; a part whose boundary has come ends with
 * MULTIPART_PART_END first.  The last boundary may be missing.
 */
enum multipart_event multipart_finish(struct multipart *m);

/* What failed, in words that go into a message; static. */
const char *multipart_error(const struct multipart *m);

#endif
