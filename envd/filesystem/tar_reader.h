/*
 * An archive being read: bytes in, members and their content out.
 *
 * What an archive may claim is bounded: names by LIMIT_TAR_NAME_BYTES, extended
 * headers by LIMIT_TAR_PAX_BYTES.  Zero-initialise it; tar_reader_done() ends
 * it.  Context: any, one thread at a time; does no I/O.
 */
#ifndef ENVD_FILESYSTEM_TAR_READER_H
#define ENVD_FILESYSTEM_TAR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "filesystem/tar.h"

enum tar_event {
    TAR_MORE,       /* all of the input is taken */
    TAR_MEMBER,     /* `member` is the next one */
    TAR_DATA,       /* `data` is content of it */
    TAR_MEMBER_END, /* it is complete */
    TAR_END,        /* the archive is complete; what follows does not matter */
    TAR_FAILED,     /* `fault` says why; nothing more comes */
};

struct tar_reader {
    struct tar_member member; /* valid until the next TAR_MEMBER */
    struct str data;          /* into the input */
    const char *fault;        /* static */

    /* Private from here on. */
    enum {
        TAR_IN_HEADER,
        TAR_IN_EXTENSION,
        TAR_IN_CONTENT,
        TAR_IN_PADDING,
        TAR_AFTER_END,
        TAR_IN_FAILURE,
    } state;
    uint8_t block[TAR_BLOCK_BYTES];
    size_t block_len;
    bool has_extension; /* the next header is what it is about */
    bool has_member;
    struct tar_header header;
    int64_t left;          /* bytes of content or extension */
    size_t padding;        /* bytes behind them */
    struct buf extension;  /* of the pax or GNU header being read */
    struct buf records;    /* of the last pax header */
    struct tar_pax pax;    /* of these records */
    struct tar_pax global; /* numbers that hold for all that follows */
    struct buf name;       /* long ones of GNU's, and what `member` points to */
    struct buf link;
};

/*
 * Take input up to the next event.
 *
 * in, len  advanced past what was consumed; after TAR_END all is consumed
 */
enum tar_event tar_reader_next(struct tar_reader *t, const uint8_t **in,
                               size_t *len);

/* There is no more input: TAR_END, or TAR_FAILED when it is cut short. */
enum tar_event tar_reader_finish(struct tar_reader *t);

void tar_reader_done(struct tar_reader *t);

#endif
