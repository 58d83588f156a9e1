/*
 * Symbolic links, followed one by one: the kernel gives up after 40, clients
 * count on 255.
 */
#include "filesystem/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/scope.h"
#include "filesystem/place.h"

/*
 * The walk: `out` is the part that is done, without a slash at its end (the
 * root is empty), `rest` what is still to do.
 */
struct resolver {
    char *out;
    size_t len;
    const char *rest;
    struct buf pending; /* what `rest` points into after the first link */
    unsigned int links;
};

static void
drop_last(struct resolver *r)
{
    while (r->len > 0 && r->out[r->len - 1] != '/')
        r->len--;
    if (r->len > 0)
        r->len--;
    r->out[r->len] = '\0';
}

static int
append(struct resolver *r, const char *name, size_t len)
{
    if (r->len + 1 + len >= PATH_MAX)
        return -ENAMETOOLONG;
    r->out[r->len++] = '/';
    memcpy(r->out + r->len, name, len);
    r->len += len;
    r->out[r->len] = '\0';
    return 0;
}

/* Replace the link at the end of `out` by its text, still to be walked. */
static int
follow(struct resolver *r)
{
    struct buf next = {0};
    char text[PATH_MAX];
    ssize_t len;

    if (++r->links > LINK_FOLLOWED_MAX)
        return -ELOOP;
    len = readlink(r->out, text, sizeof(text));
    if (len < 0)
        return -errno;
    buf_append(&next, text, (size_t)len);
    buf_append(&next, r->rest, strlen(r->rest) + 1);
    buf_done(&r->pending);
    r->pending = next;
    if (next.failed)
        return -ENOMEM;
    r->rest = (const char *)buf_data(&r->pending);
    if (text[0] == '/') {
        r->len = 0;
        r->out[0] = '\0';
    } else {
        drop_last(r);
    }
    return 0;
}

/* Walk one component, `len` bytes at the front of `rest`. */
static int
step(struct resolver *r, size_t len)
{
    const char *name = r->rest;
    struct stat st;
    int err;

    r->rest += len;
    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        drop_last(r);
        return 0;
    }
    err = append(r, name, len);
    if (err < 0)
        return err;
    if (lstat(r->out, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return follow(r);
    return S_ISDIR(st.st_mode) || *r->rest == '\0' ? 0 : -ENOTDIR;
}

/* Once more, after a refusal, with rights that are lent. */
static int
resolve_lent(const char *from, const char *path, char ret[PATH_MAX], int err)
{
    SCOPE(scope_free) char *joined = NULL;

    if (*path != '/' && asprintf(&joined, "%s/%s", from, path) < 0)
        joined = NULL;
    errno = -err;
    return place_real_lent(joined != NULL ? joined : path, ret) < 0 ? -errno
                                                                    : 0;
}

int
link_resolve(const char *from, const char *path, char ret[PATH_MAX])
{
    struct resolver r = {.out = ret, .rest = path};
    int err = 0;

    r.len = *path == '/' || strcmp(from, "/") == 0 ? 0 : strlen(from);
    if (r.len >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(ret, from, r.len);
    ret[r.len] = '\0';
    while (err == 0) {
        r.rest += strspn(r.rest, "/");
        if (*r.rest == '\0')
            break;
        err = step(&r, strcspn(r.rest, "/"));
    }
    buf_done(&r.pending);
    if (r.len == 0)
        memcpy(ret, "/", 2);
    return err == -EACCES || err == -EPERM ? resolve_lent(from, path, ret, err)
                                           : err;
}
