/*
 * Files of profiles, compiled and kept as long as they stay what they are.
 */
#include "api/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/profile_read.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"
#include "security/seccomp.h"

#define NAME_MAX_BYTES 64

struct profile {
    TAILQ_ENTRY(profile) link;
    char name[NAME_MAX_BYTES + 1];
    struct stat stamp;
    struct sock_fprog program;
};

struct profiles {
    const char *dir;
    TAILQ_HEAD(profile_list, profile) list; /* the last used first */
    size_t count;
};

struct profiles *
profiles_new(const char *dir)
{
    struct profiles *p = xcalloc(1, sizeof(*p));

    p->dir = dir;
    TAILQ_INIT(&p->list);
    return p;
}

static void
forget(struct profiles *p, struct profile *one)
{
    TAILQ_REMOVE(&p->list, one, link);
    p->count--;
    free(one->program.filter);
    free(one);
}

void
profiles_free(struct profiles *p)
{
    struct profile *one;

    if (p == NULL)
        return;
    while ((one = TAILQ_FIRST(&p->list)) != NULL)
        forget(p, one);
    free(p);
}

/* One name of a file, that is no other's: no slash, no dot in front. */
static bool
is_name(struct str name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    if (name.len == 0 || name.len > NAME_MAX_BYTES || name.data[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] == '\0' || strchr(allowed, name.data[i]) == NULL)
            return false;
    return true;
}

static bool
is_ours_alone(const struct stat *st)
{
    return (st->st_uid == 0 || st->st_uid == geteuid()) &&
           (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool
is_unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size &&
           memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

/* Open the file of a profile, which no other user can have put there. */
static int
open_file(const char *dir, const char *file, int *ret_fd, struct stat *ret)
{
    SCOPE(fd_close)
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    SCOPE(fd_close) int fd = -1;

    if (dir_fd < 0 || fstat(dir_fd, ret) < 0)
        return -errno;
    if (!is_ours_alone(ret))
        return -EPERM;
    /* Opening a FIFO could hold up the loop. */
    fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, ret) < 0)
        return -errno;
    if (!S_ISREG(ret->st_mode) || !is_ours_alone(ret))
        return -EPERM;
    if (ret->st_size > LIMIT_SECCOMP_FILE_BYTES)
        return -EFBIG;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int
read_file(int fd, size_t size, struct sock_fprog *ret, struct status *st)
{
    SCOPE(scope_free) char *text = malloc(size + 1);
    ssize_t len;

    if (text == NULL)
        return status_set(st, RPC_RESOURCE_EXHAUSTED, "out of memory");
    len = pread(fd, text, size, 0);
    if (len < 0)
        return status_errno(st, RPC_FAILED_PRECONDITION, errno, "read");
    text[len] = '\0';
    return profile_read(text, (size_t)len, ret, st);
}

static struct profile *
find_kept(struct profiles *p, struct str name)
{
    struct profile *one;

    TAILQ_FOREACH (one, &p->list, link)
        if (str_eq(name, one->name))
            return one;
    return NULL;
}

static struct profile *
keep(struct profiles *p, struct str name, const struct stat *stamp,
     const struct sock_fprog *program)
{
    struct profile *one = xcalloc(1, sizeof(*one));

    memcpy(one->name, name.data, name.len);
    one->stamp = *stamp;
    one->program = *program;
    TAILQ_INSERT_HEAD(&p->list, one, link);
    if (++p->count > LIMIT_SECCOMP_PROFILES)
        forget(p, TAILQ_LAST(&p->list, profile_list));
    return one;
}

static int
unknown(const struct profiles *p, struct str name, struct status *st)
{
    return status_set(st, RPC_INVALID_ARGUMENT,
                      "unknown profile \"%.*s\": neither \"hardened\" nor a "
                      "file in %s",
                      (int)MIN(name.len, (size_t)NAME_MAX_BYTES), name.data,
                      p->dir);
}

int
profiles_find(struct profiles *p, struct str name,
              const struct sock_fprog **ret, struct status *st)
{
    SCOPE(status_done) struct status cause = {0};
    SCOPE(fd_close) int fd = -1;
    struct sock_fprog program = {0};
    struct profile *one;
    struct stat stamp = {0};
    char file[NAME_MAX_BYTES + sizeof(".json")];
    int r;

    if (str_eq(name, "hardened")) {
        *ret = seccomp_hardened();
        return 0;
    }
    if (!is_name(name))
        return unknown(p, name, st);
    (void)snprintf(file, sizeof(file), "%.*s.json", (int)name.len, name.data);
    one = find_kept(p, name);
    r = open_file(p->dir, file, &fd, &stamp);
    if (one != NULL && (r < 0 || !is_unchanged(&one->stamp, &stamp)))
        forget(p, TAKE_PTR(one));
    if (r == -ENOENT)
        return unknown(p, name, st);
    if (r == -EPERM)
        (void)status_set(&cause, RPC_FAILED_PRECONDITION,
                         "not a file that root alone can write");
    else if (r < 0)
        (void)status_errno(&cause, RPC_FAILED_PRECONDITION, -r, "open");
    else if (one == NULL)
        r = read_file(fd, (size_t)stamp.st_size, &program, &cause);
    if (r < 0)
        return status_set(st, cause.code, "profile %s/%s: %s", p->dir, file,
                          status_message(&cause));
    if (one == NULL)
        one = keep(p, name, &stamp, &program);
    *ret = &one->program;
    return 0;
}
