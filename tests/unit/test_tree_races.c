/*
 * Trees that change under our hands, and trees that are all depth.
 */
#include "scratch.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/scope.h"
#include "filesystem/place.h"
#include "filesystem/tree.h"
#include "filesystem/tree_copying.h"

#define DEPTH 10000

/* As small as the stack of a worker. */
#define STACK_BYTES ((size_t)128 * 1024)

/* More than a walk holds open, less than the levels of a deep tree. */
#define DESCRIPTORS 100

static atomic_bool never;

/* ---- a directory that turns into a link, and back ------------------------ */

/*
 * t/sub holds `mine`, and is exchanged all the time with t/link, which leads
 * to a directory that is not part of the tree.
 */
struct exchange {
    pthread_t thread;
    atomic_bool stop;
    char a[4200];
    char b[4200];
};

static void *
exchange_run(void *arg)
{
    struct exchange *x = arg;

    while (!atomic_load(&x->stop))
        (void)renameat2(AT_FDCWD, x->a, AT_FDCWD, x->b, RENAME_EXCHANGE);
    return NULL;
}

static void
plant(void)
{
    scratch_dir("t");
    scratch_dir("t/sub");
    scratch_dir("t/sub/deep");
    scratch_file("t/sub/deep/mine", "mine", 0644);
    scratch_link("../outside", "t/link");
}

static void
exchange_begin(struct exchange *x)
{
    *x = (struct exchange){0};
    (void)snprintf(x->a, sizeof(x->a), "%s", scratch("t/sub"));
    (void)snprintf(x->b, sizeof(x->b), "%s", scratch("t/link"));
    assert_int_equal(pthread_create(&x->thread, NULL, exchange_run, x), 0);
}

static void
exchange_end(struct exchange *x)
{
    atomic_store(&x->stop, true);
    assert_int_equal(pthread_join(x->thread, NULL), 0);
}

static void
make_outside(void)
{
    scratch_dir("outside");
    scratch_dir("outside/deep");
    scratch_file("outside/deep/alien", "alien", 0600);
}

static int
no_alien(struct tree_visitor *v, const struct entry *e, struct status *st)
{
    (void)v;
    (void)st;
    assert_string_not_equal(e->name, "alien");
    return 0;
}

static void
test_listing_stays_inside(void **state)
{
    struct tree_visitor v = {.on_entry = no_alien};
    struct exchange x;

    (void)state;
    make_outside();
    plant();
    exchange_begin(&x);
    for (int i = 0; i < 500; i++) {
        struct status st = {0};

        assert_int_equal(
            tree_list(scratch("t"), 9, &scratch_names, &v, &never, &st), 0);
    }
    exchange_end(&x);
}

static void
test_removal_stays_inside(void **state)
{
    (void)state;
    make_outside();
    for (int i = 0; i < 100; i++) {
        struct exchange x;
        struct status st = {0};

        plant();
        exchange_begin(&x);
        (void)tree_remove(scratch("t"), &never, &st);
        exchange_end(&x);
        status_done(&st);
        assert_int_equal(tree_remove(scratch("t"), &never, &st), 0);
        scratch_expect_file("outside/deep/alien", "alien");
    }
}

/* Copy a name in a directory to `copy` beside it. */
static int
copy_at(int dir_fd, const char *name)
{
    char from_name[8];
    char to_name[] = "copy";
    const struct place from = {dir_fd, from_name};
    const struct place to = {dir_fd, to_name};

    (void)snprintf(from_name, sizeof(from_name), "%s", name);
    return tree_copy_at(&from, &to, NULL, &never);
}

static void
test_copy_stays_inside(void **state)
{
    struct exchange x;
    int fd = open(scratch("."), O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    make_outside();
    plant();
    exchange_begin(&x);
    for (int i = 0; i < 100; i++) {
        struct status st = {0};

        (void)copy_at(fd, "t");
        assert_false(scratch_has("copy/sub/deep/alien") &&
                     !scratch_has("copy/sub/deep/mine") &&
                     readlink(scratch("copy/sub"), (char[1]){0}, 1) < 0);
        assert_int_equal(tree_remove(scratch("copy"), &never, &st), 0);
    }
    exchange_end(&x);
    assert_int_equal(close(fd), 0);
}

/* ---- depth --------------------------------------------------------------- */

static void
make_deep(void)
{
    int fd = open(scratch("."), O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; i < DEPTH; i++) {
        int next;

        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        next = openat(fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        assert_int_equal(close(fd), 0);
        fd = next;
    }
    assert_int_equal(close(fd), 0);
}

struct counter {
    struct tree_visitor visitor;
    int count;
};

static int
count_one(struct tree_visitor *v, const struct entry *e, struct status *st)
{
    (void)e;
    (void)st;
    container_of(v, struct counter, visitor)->count++;
    return 0;
}

/* All that goes through trees, on the stack of a worker. */
static void *
go_deep(void *arg)
{
    struct counter c = {.visitor = {.on_entry = count_one}};
    int fd = open(scratch("."), O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct status st = {0};

    (void)arg;
    if (tree_list(scratch("."), UINT32_MAX, &scratch_names, &c.visitor, &never,
                  &st) == 0 &&
        c.count == DEPTH && copy_at(fd, "d") == 0 &&
        tree_remove(scratch("d"), &never, &st) == 0)
        arg = NULL;
    (void)close(fd);
    status_done(&st);
    return arg;
}

static void
test_ten_thousand_levels(void **state)
{
    pthread_attr_t attr;
    pthread_t thread;
    struct rlimit old;
    struct rlimit few;
    void *failed = NULL;
    struct status st = {0};

    (void)state;
    make_deep();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){DESCRIPTORS, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
    assert_int_equal(pthread_create(&thread, &attr, go_deep, &st), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_null(failed);
    assert_false(scratch_has("d"));
    assert_int_equal(tree_remove(scratch("copy"), &never, &st), 0);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_listing_stays_inside),
        TEST(test_removal_stays_inside),
        TEST(test_copy_stays_inside),
        TEST(test_ten_thousand_levels),
    };

    return cmocka_run_group_tests_name("tree_races", tests, NULL, NULL);
}
