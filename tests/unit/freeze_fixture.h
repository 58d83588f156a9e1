/*
 * A cgroup tree of plain directories with the freezer's files, and what the
 * kernel does about them: a cgroup has settled when it or one above it was
 * asked to freeze.  Tests say which cgroups behave otherwise.
 */
#ifndef TESTS_UNIT_FREEZE_FIXTURE_H
#define TESTS_UNIT_FREEZE_FIXTURE_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "guest/cgroup_tree.h"
#include "guest/freeze_place.h"
#include "guest/freeze_work.h"
#include "limits.h"
#include "loop/loop.h"

/* What is odd about one cgroup. */
struct odd {
    const char *path;
    int write_error;   /* of each write to cgroup.freeze */
    int request_error; /* of each read of it */
    int settled_error;
    int list_error;
    int looks;   /* until it has settled; -1: it never does */
    bool vanish; /* it is removed just before what has an error happens */
    void (*before_write)(void); /* what the guest does meanwhile */
    int reads;                  /* of its cgroup.events until now */
};

#define ODD_MAX  8
#define READ_MAX 256

struct fake {
    char dir[64];
    char self_file[96];
    struct cgroup_tree tree;
    struct freeze_state state;
    struct odd odd[ODD_MAX];
    size_t odd_count;
    char read_order[READ_MAX]; /* first letters of what was read settled */
    size_t reads;
    void (*on_list)(const char *path); /* before a directory is listed */
};

static struct fake fake;
__attribute__((unused)) static atomic_bool never_cancelled;

static struct odd *
odd_find(const char *path)
{
    for (size_t i = 0; i < fake.odd_count; i++)
        if (strcmp(fake.odd[i].path, path) == 0)
            return &fake.odd[i];
    return NULL;
}

__attribute__((unused)) static struct odd *
odd_add(const char *path)
{
    struct odd *o = &fake.odd[fake.odd_count++];

    assert_true(fake.odd_count <= ODD_MAX);
    *o = (struct odd){.path = path};
    return o;
}

static const char *
fake_path(const char *path, const char *file)
{
    static char paths[4][512];
    static unsigned int turn;
    char *out = paths[turn++ % 4];

    (void)snprintf(out, sizeof(paths[0]), "%s/%s/%s", fake.dir, path, file);
    return out;
}

static void
fake_put(const char *path, const char *file, const char *text)
{
    int fd = open(fake_path(path, file),
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* The files go with a cgroup, as the kernel has it. */
static void
fake_remove(const char *path)
{
    (void)nftw(fake_path(path, "."), remove_one, 8, FTW_DEPTH | FTW_PHYS);
    (void)rmdir(fake_path(path, ""));
}

/* Make a cgroup, and those above it. */
static void
fake_make(const char *path)
{
    char part[256];

    for (size_t len = strcspn(path, "/");;
         len += 1 + strcspn(path + len + 1, "/")) {
        (void)snprintf(part, sizeof(part), "%.*s", (int)len, path);
        if (mkdir(fake_path(part, ""), 0755) == 0) {
            fake_put(part, "cgroup.freeze", "0\n");
            fake_put(part, "cgroup.events", "populated 0\nfrozen 0\n");
        }
        if (path[len] == '\0')
            return;
    }
}

__attribute__((unused)) static void
fake_freeze(const char *path)
{
    fake_put(path, "cgroup.freeze", "1\n");
}

static bool
fake_is_frozen(const char *path)
{
    bool frozen = false;

    assert_int_equal(cgroup_tree_kernel.read_request(&fake.tree, path, &frozen),
                     0);
    return frozen;
}

static int
odd_error(const struct odd *o, int error)
{
    if (error != 0 && o->vanish) {
        fake_remove(o->path);
        return 0; /* the real call fails by itself */
    }
    return error;
}

static int
fake_read_request(const struct cgroup_tree *t, const char *path, bool *ret)
{
    const struct odd *o = odd_find(path);
    int r = o != NULL ? odd_error(o, o->request_error) : 0;

    return r < 0 ? r : cgroup_tree_kernel.read_request(t, path, ret);
}

static int
fake_write_request(const struct cgroup_tree *t, const char *path, bool frozen)
{
    const struct odd *o = odd_find(path);
    int r = o != NULL ? odd_error(o, o->write_error) : 0;

    if (o != NULL && o->before_write != NULL)
        o->before_write();
    return r < 0 ? r : cgroup_tree_kernel.write_request(t, path, frozen);
}

static int
fake_read_settled(const struct cgroup_tree *t, const char *path, bool *ret)
{
    struct odd *o = odd_find(path);
    int r = o != NULL ? odd_error(o, o->settled_error) : 0;
    char part[256];

    if (fake.reads < READ_MAX)
        fake.read_order[fake.reads++] = path[0];
    if (r == 0)
        r = cgroup_tree_kernel.read_settled(t, path, ret);
    if (r < 0)
        return r;
    *ret = false;
    for (size_t len = 0; len <= strlen(path); len++) {
        bool frozen = false;

        if (path[len] != '/' && path[len] != '\0')
            continue;
        (void)snprintf(part, sizeof(part), "%.*s", (int)len, path);
        if (cgroup_tree_kernel.read_request(t, part, &frozen) == 0 && frozen)
            *ret = true;
    }
    if (o != NULL && o->looks != 0)
        *ret = o->looks > 0 && ++o->reads >= o->looks && *ret;
    return 0;
}

static int
fake_list(const struct cgroup_tree *t, const char *path,
          struct cgroup_names *ret)
{
    const struct odd *o = odd_find(path);
    int r = o != NULL ? odd_error(o, o->list_error) : 0;

    if (fake.on_list != NULL)
        fake.on_list(path);
    *ret = (struct cgroup_names){0};
    return r < 0 ? r : cgroup_tree_kernel.list(t, path, ret);
}

static const struct cgroup_tree_ops fake_ops = {
    .read_request = fake_read_request,
    .write_request = fake_write_request,
    .read_settled = fake_read_settled,
    .list = fake_list,
};

/* The agent's own cgroup, as the kernel tells it. */
static void
fake_self(const char *text)
{
    int fd =
        open(fake.self_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static int
fake_setup(void **state)
{
    static const char *const layout[] = {"user", "ptys", "socats"};

    (void)state;
    /* In memory, where there is such a place. */
    fake = (struct fake){.dir = "/dev/shm/test_freeze_XXXXXX"};
    if (mkdtemp(fake.dir) == NULL) {
        (void)strcpy(fake.dir, "/tmp/test_freeze_XXXXXX");
        assert_non_null(mkdtemp(fake.dir));
    }
    (void)snprintf(fake.self_file, sizeof(fake.self_file), "%s.self", fake.dir);
    fake_self("12:cpu:/elsewhere\n0::/system.slice/envd.service\n");
    fake.tree = (struct cgroup_tree){
        .ops = &fake_ops,
        .root_fd = open(fake.dir, O_PATH | O_DIRECTORY | O_CLOEXEC),
        .self_file = fake.self_file,
        .prefix = "/",
    };
    assert_true(fake.tree.root_fd >= 0);
    fake.state.tree = fake.tree;
    fake.state.tree_max = LIMIT_FREEZE_TREE;
    for (size_t i = 0; i < ARRAY_LEN(layout); i++)
        fake_make(layout[i]);
    return 0;
}

static int
fake_teardown(void **state)
{
    (void)state;
    path_set_clear(&fake.state.record);
    fd_close(&fake.tree.root_fd);
    (void)nftw(fake.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return unlink(fake.self_file);
}

#endif
