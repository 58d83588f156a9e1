/*
 * What is in one directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "watch/scan.h"

static bool
is_dots(const char *name)
{
    return name[0] == '.' &&
           (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static bool
is_ignored(struct scan *s, const char *name)
{
    size_t len = s->path.len;
    const char *path = name;
    bool matches;

    if (s->ignore_count == 0)
        return false;
    if (s->ignore_paths) {
        if (len > 0)
            buf_append_byte(&s->path, '/');
        buf_append(&s->path, name, strlen(name) + 1);
        if (!s->path.failed)
            path = (const char *)buf_data(&s->path);
    }
    matches = ignore_matches(s->ignore, s->ignore_count, path, name);
    buf_truncate(&s->path, len);
    return matches;
}

static uint64_t
mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* A value that is different, as good as certainly, when the file is. */
static uint64_t
stamp_of(const struct statx *st)
{
    uint64_t h = mix(st->stx_mode & S_IFMT, st->stx_ino);

    if (S_ISREG(st->stx_mode) || S_ISLNK(st->stx_mode)) {
        h = mix(h, st->stx_size);
        h = mix(h, (uint64_t)st->stx_mtime.tv_sec);
        h = mix(h, st->stx_mtime.tv_nsec);
    }
    return h != STAMP_UNKNOWN ? h : 1;
}

/* Look at one entry; false when it is gone. */
static bool
look_at(int fd, unsigned char type, struct found *f)
{
    struct statx st;

    f->is_dir = type == DT_DIR;
    if (f->is_dir)
        return true;
    if (statx(fd, f->name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
              STATX_TYPE | STATX_INO | STATX_SIZE | STATX_MTIME, &st) < 0)
        return errno != ENOENT;
    f->is_dir = S_ISDIR(st.stx_mode);
    f->is_regular = S_ISREG(st.stx_mode);
    f->has_content = f->is_regular && st.stx_size > 0;
    f->stamp = stamp_of(&st);
    return true;
}

/* Types and names as the kernel gives them: type, name, NUL; and so on. */
static int
read_names(struct scan *s, int fd, struct buf *text, size_t *ret_count)
{
    ssize_t n;

    while ((n = getdents64(fd, s->batch, SCAN_BATCH_BYTES)) > 0) {
        if (job_cancelled(&s->job))
            return -ECANCELED;
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *d = (const void *)(s->batch + at);

            at += d->d_reclen;
            if (is_dots(d->d_name) || is_ignored(s, d->d_name))
                continue;
            buf_append_byte(text, d->d_type);
            buf_append(text, d->d_name, strlen(d->d_name) + 1);
            (*ret_count)++;
        }
    }
    if (text->failed)
        return -ENOMEM;
    return n < 0 && errno != ENOENT ? -errno : 0;
}

static int
compare_found(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->name,
                  ((const struct found *)b)->name);
}

/* Names twice (a directory read while it changes may give them): once. */
static void
drop_doubles(struct record *r)
{
    size_t kept = 0;

    for (size_t i = 0; i < r->count; i++) {
        if (kept > 0 && strcmp(r->found[kept - 1].name, r->found[i].name) == 0)
            continue;
        r->found[kept++] = r->found[i];
    }
    r->count = kept;
}

static int
index_names(struct record *r, uint32_t seed)
{
    r->names.seed = seed;
    for (size_t i = 0; i < r->count; i++) {
        const struct found *f = &r->found[i];
        struct name_slot *slot =
            names_put(&r->names, f->name, f->is_dir ? NAME_DIR : 0);

        if (slot == NULL)
            return -ENOMEM;
        slot->value = f->is_dir ? slot_token(r->token) : f->stamp;
    }
    return 0;
}

int
scan_list(struct scan *s, int fd, struct record *r, struct buf *ret_dirs)
{
    struct buf text = {0};
    size_t count = 0;
    int result = read_names(s, fd, &text, &count);
    const char *at = (const char *)buf_data(&text);

    r->found = calloc(count + 1, sizeof(*r->found));
    if (r->found == NULL)
        result = -ENOMEM;
    for (size_t i = 0; i < count && result == 0; i++) {
        struct found *f = &r->found[r->count];

        *f = (struct found){.name = at + 1};
        if (look_at(fd, (unsigned char)*at, f))
            r->count++;
        at += strlen(at + 1) + 2;
        if (i % 1024 == 0 && job_cancelled(&s->job))
            result = -ECANCELED;
    }
    r->text = (char *)text.mem;
    if (result < 0)
        return result;
    if (r->count > 0)
        qsort(r->found, r->count, sizeof(*r->found), compare_found);
    drop_doubles(r);
    for (size_t i = 0; i < r->count; i++) {
        if (r->found[i].is_dir)
            buf_append(ret_dirs, r->found[i].name,
                       strlen(r->found[i].name) + 1);
    }
    if (s->silent && (result = index_names(r, s->seed)) < 0)
        return result;
    r->is_listed = true;
    return ret_dirs->failed ? -ENOMEM : 0;
}
