/*
 * A scratch directory for tests of the filesystem, and short ways to fill it.
 * Header only, as each test program is one file.
 */
#ifndef ENVD_TESTS_SCRATCH_H
#define ENVD_TESTS_SCRATCH_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "filesystem/tree.h"

#define SCRATCH_USE __attribute__((unused)) static

static char scratch_root[4096];

/* Make it, below $TMPDIR or /tmp. */
SCRATCH_USE int
scratch_make(void **state)
{
    const char *tmp = getenv("TMPDIR");
    char path[1024];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/envd-test-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
    /* Without links, so that resolved paths can be compared. */
    assert_non_null(realpath(path, scratch_root));
    return chmod(scratch_root, 0755);
}

/* Remove it with all it holds. */
SCRATCH_USE int
scratch_remove(void **state)
{
    const atomic_bool cancel = false;
    struct status st = {0};
    int r = tree_remove(scratch_root, &cancel, &st);

    (void)state;
    if (r < 0)
        print_error("%s\n", status_message(&st));
    status_done(&st);
    return r;
}

/*
 * The absolute path of `name` (printf-like) in it.  Valid until eight more
 * were asked for.
 */
__attribute__((unused, format(printf, 1, 2))) static const char *
scratch(const char *name, ...)
{
    static char paths[8][16384];
    static unsigned int turn;
    char *out = paths[turn++ % 8];
    va_list args;
    int len = snprintf(out, sizeof(paths[0]), "%s/", scratch_root);

    va_start(args, name);
    (void)vsnprintf(out + len, sizeof(paths[0]) - (size_t)len, name, args);
    va_end(args);
    return out;
}

SCRATCH_USE void
scratch_file(const char *name, const char *content, mode_t mode)
{
    int fd = open(scratch("%s", name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                  0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)),
                     (ssize_t)strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

SCRATCH_USE void
scratch_dir(const char *name)
{
    assert_int_equal(mkdir(scratch("%s", name), 0755), 0);
}

SCRATCH_USE void
scratch_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, scratch("%s", name)), 0);
}

/* Whether something is there; a dangling link is. */
SCRATCH_USE bool
scratch_has(const char *name)
{
    struct stat st;

    return lstat(scratch("%s", name), &st) == 0;
}

/* Assert what a file holds; a link is not followed. */
SCRATCH_USE void
scratch_expect_file(const char *name, const char *content)
{
    char text[4096] = "";
    int fd = open(scratch("%s", name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) >= 0);
    assert_string_equal(text, content);
    assert_int_equal(close(fd), 0);
}

/* Assert code and text of a failure, and empty it. */
SCRATCH_USE void
scratch_expect_status(struct status *st, enum rpc_code code, const char *text)
{
    assert_string_equal(status_message(st), text);
    assert_int_equal(st->code, code);
    status_done(st);
}

/*
 * Make `levels` directories, one in the other, below the directory `name`; each
 * is called by the same 200 letters, so that twenty exceed PATH_MAX.  The
 * innermost holds the file `bottom`.
 */
SCRATCH_USE void
scratch_deep(const char *name, int levels)
{
    char step[201];
    int fd = open(scratch("%s", name), O_PATH | O_DIRECTORY | O_CLOEXEC);
    int next;

    memset(step, 'd', 200);
    step[200] = '\0';
    assert_true(fd >= 0);
    for (int i = 0; i < levels; i++) {
        assert_int_equal(mkdirat(fd, step, 0755), 0);
        next = openat(fd, step, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        assert_int_equal(close(fd), 0);
        fd = next;
    }
    next = openat(fd, "bottom", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(next >= 0);
    assert_int_equal(write(next, "deep", 4), 4);
    assert_int_equal(close(next), 0);
    assert_int_equal(close(fd), 0);
}

/* How many descriptors are open: a test compares before and after. */
SCRATCH_USE int
scratch_open_fds(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

/* Names of ids: 0 and 1 have some, others have none. */
SCRATCH_USE const char *
scratch_name_of(const void *ctx, unsigned int id)
{
    (void)ctx;
    return id == 0 ? "root" : id == 1 ? "d\xe6mon" : NULL;
}

static const struct entry_names scratch_names = {
    .of_uid = scratch_name_of,
    .of_gid = scratch_name_of,
};

#endif
