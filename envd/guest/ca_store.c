/*
 * The trust store on the disk.
 */
#include "guest/ca_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/file_at.h"
#include "guest/trusted.h"
#include "limits.h"

/* How often others may change the bundle between our reading and renaming. */
#define TRIES 4

/* ---- appending ----------------------------------------------------------- */

static int
append_lines(int fd, const char *text, size_t len, off_t size)
{
    char last = '\n';
    int r = 0;

    if (size > 0 && pread(fd, &last, 1, size - 1) < 0)
        return -errno;
    if (last != '\n')
        r = file_write_all(fd, "\n", 1);
    if (r == 0)
        r = file_write_all(fd, text, len);
    /* Where there is no disk behind it, it is as durable as it gets. */
    if (r == 0 && fdatasync(fd) < 0 && errno != EINVAL && errno != EROFS)
        r = -errno;
    return r;
}

int
ca_store_append(const char *bundle, const char *text, size_t len,
                struct status *st)
{
    SCOPE(fd_close)
    int fd = trusted_open(bundle, TRUSTED_LINKS,
                          O_RDWR | O_APPEND | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    int r;

    if (fd < 0)
        return status_errno(st, RPC_INTERNAL, -fd, "open CA bundle: open %s",
                            bundle);
    if (fstat(fd, &info) < 0)
        return status_errno(st, RPC_INTERNAL, errno, "append CA cert: stat %s",
                            bundle);
    if (!S_ISREG(info.st_mode))
        return status_set(st, RPC_INTERNAL,
                          "open CA bundle: open %s: not a regular file",
                          bundle);
    r = append_lines(fd, text, len, info.st_size);
    if (r == 0)
        return 0;
    (void)!ftruncate(fd, info.st_size);
    return status_errno(st, RPC_INTERNAL, -r, "append CA cert: write %s",
                        bundle);
}

/* ---- tidying ------------------------------------------------------------- */

static bool
holds_block(struct str text, struct str block)
{
    struct str found;
    int r;

    while ((r = pem_next(&text, &found)) != 0) {
        if (r > 0 && found.len == block.len &&
            memcmp(found.data, block.data, block.len) == 0)
            return true;
        if (text.len == 0)
            break;
    }
    return false;
}

/*
 * After a restart: what an earlier agent has left in the copy it had added to
 * the bundle, too.
 */
static void
count_earlier(struct ca_tidy *t, struct str copy)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->blocks[i].wanted && holds_block(copy, t->blocks[i].text))
            t->blocks[i].added++;
}

static int
tidy_once(struct ca_tidy *t, const struct trusted_place *place)
{
    SCOPE(scope_free) struct pem_block *blocks = NULL;
    SCOPE(scope_free) char *text = NULL;
    SCOPE(buf_done) struct buf out = {0};
    struct stat info;
    size_t len;
    int r = file_at_read(place->dir_fd, place->name, LIMIT_CA_BUNDLE_BYTES,
                         &text, &len, &info);

    if (r < 0)
        return r;
    blocks = calloc(t->count + 1, sizeof(*blocks));
    if (blocks == NULL)
        return -ENOMEM;
    memcpy(blocks, t->blocks, t->count * sizeof(*blocks));
    r = pem_tidy((struct str){text, len}, blocks, t->count, &out);
    if (r < 0)
        return r;
    if (job_cancelled(&t->job))
        return -ECANCELED;
    if (r > 0) {
        r = file_at_replace(place->dir_fd, place->name, &info, buf_data(&out),
                            out.len, true);
        if (r < 0)
            return r;
    }
    memcpy(t->blocks, blocks, t->count * sizeof(*blocks));
    t->tidied = true;
    return 0;
}

static int
tidy_bundle(struct ca_tidy *t)
{
    struct trusted_place place;
    int r = trusted_find(t->bundle, TRUSTED_LINKS, &place);

    if (r < 0)
        return r;
    for (int i = 0; i < TRIES; i++) {
        r = tidy_once(t, &place);
        if (r != -ESTALE)
            break;
    }
    fd_close(&place.dir_fd);
    return r;
}

void
ca_store_tidy(struct ca_tidy *t)
{
    struct trusted_place place;
    SCOPE(scope_free) char *copy = NULL;
    struct stat info;
    size_t len = 0;
    int r = trusted_find(t->copy, TRUSTED_REPLACE, &place);

    t->copy_error = r;
    if (r == 0)
        r = file_at_read(place.dir_fd, place.name, LIMIT_CA_BUNDLE_BYTES, &copy,
                         &len, &info);
    if (r == 0 && t->first)
        count_earlier(t, (struct str){copy, len});
    t->bundle_error = tidy_bundle(t);
    if (t->copy_error < 0)
        return;
    if (job_cancelled(&t->job))
        t->copy_error = -ECANCELED;
    else if (copy == NULL || len != t->pem_len ||
             memcmp(copy, t->pem, len) != 0)
        t->copy_error = file_at_replace(place.dir_fd, place.name, NULL, t->pem,
                                        t->pem_len, true);
    fd_close(&place.dir_fd);
}
