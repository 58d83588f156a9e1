/*
 * Programs around a pause: root's alone, in order, in time.
 */
#include "guest_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "api/helper_spawn.h"
#include "base/fd.h"
#include "guest/helper.h"
#include "guest/hooks.h"
#include "guest/trusted.h"
#include "process/spawn.h"
#include "still.h"

#define EVENT "pre-freeze"
#define DIR   "hooks/" EVENT

static struct hooks *hooks;

static int
make(void **state)
{
    int r = fixture_make(state);

    spawn_init();
    scratch_dir("hooks");
    hooks = hooks_new(loop, pool, &api_helper_spawner, scratch("hooks"));
    return r;
}

static int
remove_all(void **state)
{
    fixture_end_pool();
    hooks_free(hooks);
    return fixture_remove(state);
}

struct answer {
    int count;
    struct hooks_result result;
};

static void
on_answer(void *ctx, const struct hooks_result *result)
{
    struct answer *a = ctx;

    a->count++;
    a->result = *result;
}

static struct hooks_result
run(const char *event)
{
    struct answer a = {0};

    hooks_run(hooks, event, on_answer, &a);
    assert_int_equal(a.count, 0);
    WAIT_UNTIL(a.count == 1);
    return a.result;
}

static void
expect(struct hooks_result got, unsigned int ran, unsigned int failed,
       int error)
{
    assert_int_equal(got.error, error);
    assert_int_equal(got.ran, ran);
    assert_int_equal(got.failed, failed);
    assert_false(got.cut);
}

/* A script that appends a line to `log`, and does what is said. */
static void
script(const char *name, mode_t mode, const char *what)
{
    char path[256];
    char text[8192];

    (void)snprintf(path, sizeof(path), DIR "/%s", name);
    (void)snprintf(text, sizeof(text),
                   "#!/bin/sh\necho \"%s $# $1\" >>%s\n%s\n", name,
                   scratch("log"), what);
    scratch_file(path, text, mode);
}

static void
test_none(void **state)
{
    (void)state;
    expect(run(EVENT), 0, 0, 0);
    scratch_dir(DIR);
    expect(run(EVENT), 0, 0, 0);
    assert_int_equal(rmdir(scratch(DIR)), 0);
    assert_int_equal(rmdir(scratch("hooks")), 0);
    expect(run(EVENT), 0, 0, 0);
}

static void
test_in_order(void **state)
{
    (void)state;
    scratch_dir(DIR);
    script("20_second", 0755, "");
    script("10-first", 0700, "exit 3");
    script("Z9", 0755, "kill -9 $$");
    script("30.bak", 0755, "");
    script("40~", 0755, "");
    script(".hidden", 0755, "");
    script("50plain", 0644, "");
    scratch_dir(DIR "/60dir");
    expect(run(EVENT), 3, 2, 0);
    scratch_expect_file("log", "10-first 1 " EVENT "\n20_second 1 " EVENT "\n"
                               "Z9 1 " EVENT "\n");
    /* Other events have others. */
    expect(run("post-thaw"), 0, 0, 0);
}

/* Two events at once take turns. */
static void
test_turns(void **state)
{
    struct answer one = {0};
    struct answer two = {0};

    (void)state;
    scratch_dir(DIR);
    scratch_dir("hooks/post-thaw");
    script("a", 0755, "sleep 0.05; echo end >>\"${0%/*}/../../log\"");
    script("b", 0755, "");
    assert_int_equal(rename(scratch(DIR "/b"), scratch("hooks/post-thaw/b")),
                     0);
    hooks_run(hooks, EVENT, on_answer, &one);
    hooks_run(hooks, "post-thaw", on_answer, &two);
    WAIT_UNTIL(two.count == 1);
    assert_int_equal(one.count, 1);
    scratch_expect_file("log", "a 1 " EVENT "\nend\nb 1 post-thaw\n");
}

/* ---- whose they are ------------------------------------------------------ */

static void
test_refused_programs(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_dir(DIR);
    scratch_dir("open");
    script("good", 0755, "");
    script("group", 0775, "");
    script("others", 0757, "");
    script("foreign", 0755, "");
    assert_int_equal(chown(scratch(DIR "/foreign"), 1000, 1000), 0);
    /* Links of root's lead to programs of root's, where only root writes. */
    script("there", 0755, "");
    assert_int_equal(rename(scratch(DIR "/there"), scratch("there")), 0);
    scratch_link("../../there", DIR "/link");
    script("loose", 0755, "");
    assert_int_equal(rename(scratch(DIR "/loose"), scratch("open/loose")), 0);
    scratch_link("../../open/loose", DIR "/loose");
    scratch_link("../../nothing", DIR "/nothing");
    assert_int_equal(chmod(scratch("open"), 0777), 0);
    expect(run(EVENT), 2, 0, 0);
    scratch_expect_file("log", "good 1 " EVENT "\nthere 1 " EVENT "\n");
}

static void
test_refused_directories(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_dir(DIR);
    script("good", 0755, "");
    assert_int_equal(chmod(scratch(DIR), 0775), 0);
    expect(run(EVENT), 0, 0, -EPERM);
    assert_int_equal(chmod(scratch(DIR), 0755), 0);
    assert_int_equal(chown(scratch(DIR), 1000, 0), 0);
    expect(run(EVENT), 0, 0, -EPERM);
    assert_int_equal(chown(scratch(DIR), 0, 0), 0);
    assert_int_equal(chmod(scratch("hooks"), 0777), 0);
    expect(run(EVENT), 0, 0, -EPERM);
    assert_int_equal(chmod(scratch("hooks"), 01777), 0);
    expect(run(EVENT), 0, 0, -EPERM);
    assert_int_equal(chmod(scratch("hooks"), 0755), 0);
    assert_int_equal(chown(scratch_root, 1000, 0), 0);
    expect(run(EVENT), 0, 0, -EPERM);
    assert_int_equal(chown(scratch_root, 0, 0), 0);
    assert_false(scratch_has("log"));
    expect(run(EVENT), 1, 0, 0);
}

static void
test_many(void **state)
{
    char name[16];

    (void)state;
    scratch_dir(DIR);
    for (int i = 99; i >= 0; i--) {
        (void)snprintf(name, sizeof(name), "p%02d", i);
        scratch_file(scratch(DIR "/%s", name) + strlen(scratch_root) + 1,
                     "#!/bin/true\n", 0644);
    }
    script("p98", 0755, "");
    script("p63", 0755, "");
    script("p00", 0755, "");
    expect(run(EVENT), 2, 0, 0);
    scratch_expect_file("log", "p00 1 " EVENT "\np63 1 " EVENT "\n");
}

/* ---- time ---------------------------------------------------------------- */

static bool
is_alive(const char *pid_file)
{
    char path[64];
    SCOPE(scope_free) char *text = NULL;

    assert_int_equal(fd_read_file(scratch("%s", pid_file), 64, &text, NULL), 0);
    (void)snprintf(path, sizeof(path), "/proc/%ld/cmdline",
                   strtol(text, NULL, 10));
    free(TAKE_PTR(text));
    /* What is a zombie has none. */
    return fd_read_file(path, 4096, &text, NULL) == 0 && *text != '\0';
}

static void
test_too_long(void **state)
{
    int64_t since = loop_now_ms();
    struct hooks_result got;

    (void)state;
    scratch_dir(DIR);
    for (int i = 0; i < 6; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "h%d", i);
        script(name, 0755, "exec sleep 600");
    }
    got = run(EVENT);
    assert_true(got.cut);
    assert_int_equal(got.error, 0);
    assert_true(got.ran >= 3 && got.ran < 6);
    assert_int_equal(got.failed, got.ran);
    assert_true(loop_now_ms() - since >= 3000);
    assert_true(loop_now_ms() - since < 30000);
}

/* What a program leaves in its group goes with it. */
static void
test_background(void **state)
{
    char what[4500];

    (void)state;
    scratch_dir(DIR);
    (void)snprintf(what, sizeof(what), "sleep 600 & echo $! >%s; exit 0",
                   scratch("pid"));
    script("a", 0755, what);
    expect(run(EVENT), 1, 0, 0);
    WAIT_UNTIL(!is_alive("pid"));
}

/* A flood of output neither stops it nor is kept. */
static void
test_output(void **state)
{
    (void)state;
    scratch_dir(DIR);
    script("a", 0755,
           "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); "
           "echo 0123456789012345678901234567890123456789; "
           "echo 0123456789012345678901234567890123456789 >&2; "
           "done");
    expect(run(EVENT), 1, 0, 0);
}

/* ---- one helper ---------------------------------------------------------- */

struct helped {
    struct helper helper;
    int count;
    struct helper_exit end;
};

static void
on_helper_end(struct helper *h, const struct helper_exit *end)
{
    struct helped *x = container_of(h, struct helped, helper);

    x->count++;
    x->end = *end;
}

static void
help(struct helped *x, const char *code, int64_t ms)
{
    const char *const argv[] = {"/bin/sh", "-c", code, NULL};

    x->count = 0;
    assert_int_equal(helper_start(&x->helper, loop, &api_helper_spawner, argv,
                                  ms, on_helper_end),
                     0);
    assert_int_equal(x->count, 0);
}

static void
expect_output(struct helped *x, const char *text)
{
    buf_append_byte(&x->helper.output, '\0');
    assert_string_equal((const char *)buf_data(&x->helper.output), text);
}

static void
test_helper(void **state)
{
    struct helped x = {0};

    (void)state;
    /* Everybody may plant programs in /usr/local of some images. */
    help(&x, "pwd; echo $PATH; echo \"$LC_ALL-$HOME\"; exit 7", 30000);
    WAIT_UNTIL(x.count == 1);
    assert_int_equal(x.end.status, 7);
    assert_false(x.end.killed);
    assert_false(x.end.lost);
    expect_output(&x, "/\n/usr/sbin:/usr/bin:/sbin:/bin\nC-\n");
    help(&x, "echo error >&2", 30000);
    WAIT_UNTIL(x.count == 1);
    expect_output(&x, "error\n");
    help(&x, "echo out; read x; echo \"<$x>\"", 30000);
    WAIT_UNTIL(x.count == 1);
    assert_int_equal(x.end.status, 0);
    expect_output(&x, "out\n<>\n");
    help(&x, "trap '' TERM; sleep 600", 50);
    WAIT_UNTIL(x.count == 1);
    assert_int_equal(x.end.status, -1);
    assert_true(x.end.killed);
    help(&x, "sleep 600", 30000);
    helper_kill(&x.helper);
    helper_kill(&x.helper);
    WAIT_UNTIL(x.count == 1);
    assert_true(x.end.killed);
    help(&x, "sleep 600", 30000);
    helper_abandon(&x.helper);
    helper_abandon(&x.helper);
    assert_int_equal(x.count, 0);
    helper_free_output(&x.helper);
}

static void
test_helper_missing(void **state)
{
    static const char *const argv[] = {"/nowhere/at/all", NULL};
    struct helped x = {0};

    (void)state;
    assert_int_equal(helper_start(&x.helper, loop, &api_helper_spawner, argv,
                                  30000, on_helper_end),
                     0);
    WAIT_UNTIL(x.count == 1);
    assert_int_equal(x.end.status, 127);
    helper_free_output(&x.helper);
}

static int
spawn_nothing(void *ctx, const char *const *argv, const char *const *env,
              struct helper_child *ret)
{
    (void)ctx;
    (void)argv;
    (void)env;
    (void)ret;
    return -EAGAIN;
}

static void
test_spawn_fails(void **state)
{
    static const struct helper_spawner nothing = {spawn_nothing, NULL};
    struct hooks *h = hooks_new(loop, pool, &nothing, scratch("hooks"));
    struct answer a = {0};

    (void)state;
    scratch_dir(DIR);
    script("a", 0755, "");
    script("b", 0755, "");
    hooks_run(h, EVENT, on_answer, &a);
    WAIT_UNTIL(a.count == 1);
    expect(a.result, 2, 2, 0);
    hooks_free(h);
}

/* Whatever the turn that it is freed in. */
static void
test_freed_early(void **state)
{
    struct answer a = {0};

    (void)state;
    scratch_dir(DIR);
    script("a", 0755, "exec sleep 600");
    hooks_run(hooks, EVENT, on_answer, &a);
    hooks_run(hooks, EVENT, on_answer, &a);
    WAIT_UNTIL(scratch_has("log"));
    assert_int_equal(a.count, 0);
}

/* A worker that is left behind at the end goes on with what is its own. */
static void
test_left_behind(void **state)
{
    struct answer a = {0};

    (void)state;
    scratch_dir(DIR);
    script("a", 0755, "exit 0");
    if (!still_make(scratch(DIR)))
        skip();
    hooks_run(hooks, EVENT, on_answer, &a);
    WAIT_UNTIL(still_stands());
    fixture_end_pool();
    hooks_free(hooks);
    hooks = NULL;
    still_let_go();
    for (int i = 0; i < 200; i++)
        fixture_turn();
    assert_int_equal(a.count, 0);
}

/* ---- paths --------------------------------------------------------------- */

static void
expect_find(const char *name, enum trusted_way way, int r, const char *dir,
            const char *last)
{
    struct trusted_place place;
    char expected[4200];

    assert_int_equal(trusted_find(scratch("%s", name), way, &place), r);
    if (r < 0)
        return;
    (void)snprintf(expected, sizeof(expected), "%s%s", scratch_root, dir);
    assert_string_equal(place.dir, expected);
    assert_string_equal(place.name, last);
    assert_int_equal(close(place.dir_fd), 0);
}

static void
test_paths(void **state)
{
    (void)state;
    scratch_dir("a");
    scratch_dir("a/b");
    scratch_file("a/file", "", 0644);
    scratch_link("a/b", "link");
    scratch_link("../file", "a/b/up");
    scratch_link("loop", "loop");
    scratch_link("/", "root");
    expect_find("a/b/c", TRUSTED_STRICT, 0, "/a/b", "c");
    expect_find("a//./b/c", TRUSTED_LINKS, 0, "/a/b", "c");
    expect_find("link/c", TRUSTED_STRICT, 0, "/a/b", "c");
    expect_find("link", TRUSTED_LINKS, 0, "/a", "b");
    expect_find("link", TRUSTED_REPLACE, 0, "", "link");
    expect_find("link/up", TRUSTED_LINKS, 0, "/a", "file");
    expect_find("a/none/c", TRUSTED_LINKS, -ENOENT, NULL, NULL);
    expect_find("a/file/c", TRUSTED_MAKE, -ENOTDIR, NULL, NULL);
    expect_find("loop/c", TRUSTED_LINKS, -ELOOP, NULL, NULL);
    expect_find("root", TRUSTED_LINKS, -EINVAL, NULL, NULL);
    expect_find("a/", TRUSTED_LINKS, -EINVAL, NULL, NULL);
    expect_find("a/../b", TRUSTED_LINKS, -EINVAL, NULL, NULL);
    expect_find("a/..", TRUSTED_LINKS, -EINVAL, NULL, NULL);
    expect_find("a/...", TRUSTED_LINKS, 0, "/a", "...");
    expect_find("new/er/est", TRUSTED_MAKE, 0, "/new/er", "est");
    assert_true(scratch_has("new/er"));
    assert_false(scratch_has("new/er/est"));
}

/* Two links that change places, again and again. */
struct swap {
    char here[4200];
    char there[4200];
    atomic_bool over;
};

static void *
swap_links(void *ctx)
{
    struct swap *s = ctx;

    while (!atomic_load(&s->over))
        (void)renameat2(AT_FDCWD, s->here, AT_FDCWD, s->there, RENAME_EXCHANGE);
    return NULL;
}

/* Root's link is followed, and never the one that takes its place. */
static void
test_link_exchanged(void **state)
{
    struct trusted_place place;
    struct swap s = {.over = false};
    pthread_t thread;
    char theirs[4200];
    int followed = 0;
    int strayed = 0;

    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_dir("mine");
    scratch_dir("theirs");
    scratch_dir("open");
    assert_int_equal(chmod(scratch("open"), 0777), 0);
    scratch_link("../mine", "open/way");
    scratch_link("../theirs", "open/other");
    assert_int_equal(lchown(scratch("open/other"), 1000, 1000), 0);
    (void)snprintf(s.here, sizeof(s.here), "%s", scratch("open/way"));
    (void)snprintf(s.there, sizeof(s.there), "%s", scratch("open/other"));
    (void)snprintf(theirs, sizeof(theirs), "%s", scratch("theirs"));
    assert_int_equal(pthread_create(&thread, NULL, swap_links, &s), 0);
    for (int i = 0; i < 20000 && strayed == 0; i++) {
        if (trusted_find(scratch("open/way/c"), TRUSTED_LINKS, &place) < 0)
            continue;
        followed++;
        strayed += strcmp(place.dir, theirs) == 0;
        assert_int_equal(close(place.dir_fd), 0);
    }
    atomic_store(&s.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(strayed, 0);
    assert_true(followed > 0);
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, make, remove_all)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE(test_none),
        FIXTURE(test_in_order),
        FIXTURE(test_turns),
        FIXTURE(test_refused_programs),
        FIXTURE(test_refused_directories),
        FIXTURE(test_many),
        FIXTURE(test_too_long),
        FIXTURE(test_background),
        FIXTURE(test_output),
        FIXTURE(test_helper),
        FIXTURE(test_helper_missing),
        FIXTURE(test_spawn_fails),
        FIXTURE(test_freed_early),
        FIXTURE(test_left_behind),
        FIXTURE(test_paths),
        FIXTURE(test_link_exchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
