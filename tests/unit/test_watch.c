/*
 * Watching directories: what each thing that happens is told as.
 */
#include "watch_fixture.h"

#include "limits.h"

struct sequence {
    const char *before; /* commands, before it is watched */
    const char *commands;
    const char *want;
    bool flat; /* not recursive */
};

/* All in the directory `w`, which is watched. */
static const struct sequence sequences[] = {
    {"", "touch w/f", "CREATE f\n", false},
    {"", "write w/f", "CREATE f\nWRITE f\n", false},
    {"write w/f", "truncate w/f", "WRITE f\n", false},
    {"write w/f", "append w/f", "WRITE f\n", false},
    {"write w/f", "mv w/f w/g", "RENAME f\nCREATE g\n", false},
    {"write w/f; write w/g", "mv w/f w/g", "RENAME f\nCREATE g\n", false},
    {"write w/f", "mv w/f f", "RENAME f\n", false},
    {"write f", "mv f w/f", "CREATE f\n", false},
    {"write w/f", "rm w/f", "REMOVE f\n", false},
    {"write w/f", "ln w/f w/g", "CREATE g\n", false},
    {"", "symlink nowhere w/l", "CREATE l\n", false},
    {"", "mkfifo w/p", "CREATE p\n", false},
    {"", "mkdir w/d", "CREATE d\n", false},
    {"", "mkdir w/d", "CREATE d\n", true},
    {"mkdir w/d", "chmod w/d", "CHMOD d\n", false},
    {"mkdir w/d", "chmod w/d", "CHMOD d\n", true},
    {"", "chmod w", "CHMOD .\n", false},
    {"", "chmod w", "CHMOD .\n", true},
    {"write w/f", "chmod w/f", "CHMOD f\n", false},
    {"mkdir w/d", "write w/d/f", "CREATE d/f\nWRITE d/f\n", false},
    {"mkdir w/d", "write w/d/f", "", true},
    {"mkdir w/d", "rmdir w/d", "REMOVE d\n", false},
    {"mkdir w/d; write w/d/f", "rm w/d/f; rmdir w/d", "REMOVE d/f\nREMOVE d\n",
     false},
    /* A directory renamed: itself only, and from then on the new name. */
    {"mkdir w/d; write w/d/f", "mv w/d w/e; append w/e/f",
     "RENAME d\nCREATE e\nWRITE e/f\n", false},
    /* Into the tree: all it holds. */
    {"mkdir d; mkdir d/a; write d/a/f; touch d/a/e; mkdir d/b; write d/c",
     "mv d w/d",
     "CREATE d\nCREATE d/a\nCREATE d/a/e\nCREATE d/a/f\nWRITE d/a/f\n"
     "CREATE d/b\nCREATE d/c\nWRITE d/c\n",
     false},
    {"mkdir d; write d/f", "mv d w/d", "CREATE d\n", true},
    /* Out of the tree: silence, also when another one takes the name. */
    {"mkdir w/d; mkdir w/d/s; write w/d/s/f",
     "mv w/d d; append d/s/f; mkdir w/d; append d/s/f", "RENAME d\nCREATE d\n",
     false},
    /* Siblings with a common prefix. */
    {"mkdir w/foo; mkdir w/foobar; write w/foobar/x",
     "mv w/foo w/baz; append w/foobar/x",
     "RENAME foo\nCREATE baz\nWRITE foobar/x\n", false},
    /* A name that is used again. */
    {"mkdir w/a; write w/a/f", "mv w/a w/b; mkdir w/a; append w/b/f",
     "RENAME a\nCREATE b\nCREATE a\nWRITE b/f\n", false},
    {"mkdir w/a; mkdir w/b; mkdir w/b/s; write w/b/s/f",
     "mv w/b w/a/b; append w/a/b/s/f", "RENAME b\nCREATE a/b\nWRITE a/b/s/f\n",
     false},
    /* The root itself. */
    {"write w/f; mkdir w/d", "rm w/f; rmdir w/d; rmdir w",
     "REMOVE f\nREMOVE d\nREMOVE .\n", false},
    {"write w/f", "mv w v; append v/f", "RENAME .\n", false},
    {"write w/f", "mv w v; append v/f", "RENAME .\n", true},
    {"", "rmdir w; mkdir w; touch w/f", "REMOVE .\n", false},
};

static void
test_sequences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sequences); i++) {
        const struct sequence *c = &sequences[i];
        struct watch_options o = {.recursive = !c->flat};
        struct listener l = {0};
        size_t root_len = strlen(scratch_root);
        char name[32];

        (void)snprintf(name, sizeof(name), "/case%zu", i);
        scratch_dir(name + 1);
        (void)snprintf(scratch_root + root_len, sizeof(scratch_root) - root_len,
                       "%s", name);
        scratch_dir("w");
        act_all(c->before);
        listener_open(&l, scratch("w"), &o);
        listener_wait(&l);
        assert_null(l.st.message);
        act_all(c->commands);
        settle(&l);
        buf_append_byte(&l.text, '\0');
        if (strcmp((const char *)buf_data(&l.text), c->want) != 0)
            print_error("%s; %s\n", c->before, c->commands);
        buf_truncate(&l.text, l.text.len - 1);
        expect_text(&l, c->want);
        listener_close(&l);
        loop_run_deferred(fix.loop);
        *strrchr(scratch_root, '/') = '\0';
    }
}

/* A file that is written by somebody who had it open when it was removed. */
static void
test_unlinked(void **state)
{
    struct listener l = {0};
    int fd;

    (void)state;
    act("write f");
    fd = open(scratch("f"), O_WRONLY | O_CLOEXEC);
    listener_open(&l, scratch_root, NULL);
    listener_wait(&l);
    act("rm f");
    settle(&l);
    expect_text(&l, "REMOVE f\n");
    assert_int_equal(write(fd, "x", 1), 1);
    settle(&l);
    expect_text(&l, "WRITE f\n");
    (void)close(fd);
    listener_close(&l);
}

struct refusal {
    const char *path;
    enum rpc_code code;
    const char *text; /* %s: the path, each */
};

static void
test_refusals(void **state)
{
    static const struct refusal refusals[] = {
        {"none", RPC_NOT_FOUND,
         "path %s not found: stat %s: no such file or directory"},
        {"f", RPC_INVALID_ARGUMENT, "path %s not a directory"},
        {"f/x", RPC_INTERNAL,
         "error statting path %s: stat %s: not a directory"},
        {"loop", RPC_INTERNAL,
         "error statting path %s: stat %s: too many levels of symbolic links"},
    };

    (void)state;
    act_all("write f; symlink loop loop");
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct listener l = {0};
        const char *path = scratch("%s", refusals[i].path);
        char want[1024];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(want, sizeof(want), refusals[i].text, path, path);
#pragma GCC diagnostic pop
        listener_open(&l, path, NULL);
        listener_wait(&l);
        scratch_expect_status(&l.st, refusals[i].code, want);
        listener_close(&l);
        loop_run_deferred(fix.loop);
    }
}

static void
test_paths(void **state)
{
    struct listener l = {0};
    char path[8192];

    (void)state;
    act_all("mkdir d; mkdir d/s; symlink d link");
    (void)snprintf(path, sizeof(path), "%s//./x/../link/", scratch_root);
    act("mkdir x");
    listener_open(&l, path, NULL);
    assert_string_equal(watch_path(l.w), scratch("link"));
    listener_wait(&l);
    assert_null(l.st.message);
    act_all("touch d/f; touch d/s/g");
    settle(&l);
    expect_text(&l, "CREATE f\nCREATE s/g\n");
    listener_close(&l);
}

static void
test_overlap(void **state)
{
    struct watch_options flat = {.close_write = true};
    struct listener all = {0};
    struct listener sub = {0};
    struct listener link = {0};
    struct listener flat_sub = {0};

    (void)state;
    act_all("mkdir d; mkdir d/s; mkdir d/s/t; symlink d/s l");
    listener_open(&all, scratch_root, NULL);
    listener_open(&sub, scratch("d/s"), NULL);
    listener_open(&link, scratch("l"), NULL);
    listener_open(&flat_sub, scratch("d/s"), &flat);
    listener_wait(&all);
    listener_wait(&sub);
    listener_wait(&link);
    listener_wait(&flat_sub);
    assert_int_equal(fix.hub->node_count, 4);
    act_all("write d/s/t/f; write d/s/g; chmod d/s");
    settle(&all);
    settle(&sub);
    settle(&link);
    settle(&flat_sub);
    expect_text(&all, "CREATE d/s/t/f\nWRITE d/s/t/f\nCREATE d/s/g\n"
                      "WRITE d/s/g\nCHMOD d/s\n");
    expect_text(&sub, "CREATE t/f\nWRITE t/f\nCREATE g\nWRITE g\nCHMOD .\n");
    expect_text(&link, "CREATE t/f\nWRITE t/f\nCREATE g\nWRITE g\nCHMOD .\n");
    expect_text(&flat_sub, "CREATE g\nWRITE g\nCLOSE_WRITE g\nCHMOD .\n");
    listener_close(&all);
    listener_close(&link);
    listener_close(&sub);
    assert_int_equal(fix.hub->node_count, 1);
    settle(&flat_sub);
    act("append d/s/g");
    settle(&flat_sub);
    expect_text(&flat_sub, "WRITE g\nCLOSE_WRITE g\n");
    /* What is watched anew after its last user went works, too. */
    listener_open(&all, scratch_root, NULL);
    all.opened = false;
    listener_wait(&all);
    act("write d/s/t/h");
    settle(&all);
    expect_text(&all, "CREATE d/s/t/h\nWRITE d/s/t/h\n");
    listener_close(&all);
    listener_close(&flat_sub);
}

/* Every entry of trees that grow as fast as they can, each once. */
static void
test_bursts(void **state)
{
    struct listener l = {0};
    char path[256];
    char want[512];
    const char *at;
    char *text;

    (void)state;
    listener_open(&l, scratch_root, NULL);
    listener_wait(&l);
    for (int i = 0; i < 200; i++) {
        int len = snprintf(path, sizeof(path), "%d", i);

        for (int depth = 0; depth < 8; depth++) {
            scratch_dir(path);
            len += snprintf(path + len, sizeof(path) - (size_t)len, "/d");
        }
        act((snprintf(want, sizeof(want), "write %s", path), want));
        if (i % 10 == 0)
            turn();
    }
    settle(&l);
    buf_append_byte(&l.text, '\0');
    text = (char *)buf_data(&l.text);
    for (int i = 0; i < 200; i++) {
        int len = snprintf(path, sizeof(path), "%d", i);

        for (int depth = 0; depth < 9; depth++) {
            (void)snprintf(want, sizeof(want), "CREATE %s\n", path);
            at = i == 0 && depth == 0 ? text : strstr(text, want);
            assert_non_null(at);
            len += snprintf(path + len, sizeof(path) - (size_t)len, "/d");
        }
    }
    assert_int_equal(l.events, 200 * 10);
    listener_close(&l);
}

static void
test_transient(void **state)
{
    struct listener l = {0};
    char *text;

    (void)state;
    listener_open(&l, scratch_root, NULL);
    listener_wait(&l);
    for (int i = 0; i < 300; i++) {
        act_all(
            "mkdir d; mkdir d/e; write d/e/f; rm d/e/f; rmdir d/e; rmdir d");
        if (i % 7 == 0)
            turn();
    }
    settle(&l);
    buf_append_byte(&l.text, '\0');
    text = (char *)buf_data(&l.text);
    assert_non_null(strstr(text, "REMOVE d\n"));
    assert_int_equal(fix.hub->node_count, 1);
    buf_truncate(&l.text, 0);
    act("mkdir d");
    settle(&l);
    expect_text(&l, "CREATE d\n");
    act("touch d/f");
    settle(&l);
    expect_text(&l, "CREATE d/f\n");
    listener_close(&l);
}

static void
test_names(void **state)
{
    struct listener l = {0};

    (void)state;
    listener_open(&l, scratch_root, NULL);
    listener_wait(&l);
    act_all("mkdir d\xff; touch d\xff/\xc3");
    settle(&l);
    expect_text(&l, "CREATE d\xff\nCREATE d\xff/\xc3\n");
    listener_close(&l);
}

/* Deeper than a path can say, and than a walk holds descriptors. */
static void
test_deep(void **state)
{
    struct listener l = {0};

    (void)state;
    act("mkdir w");
    scratch_deep("", 60);
    listener_open(&l, scratch("w"), NULL);
    listener_wait(&l);
    assert_int_equal(
        rename(scratch("dddddddddddddddddddddddddddddddddddddddddddddddddd"
                       "dddddddddddddddddddddddddddddddddddddddddddddddddd"
                       "dddddddddddddddddddddddddddddddddddddddddddddddddd"
                       "dddddddddddddddddddddddddddddddddddddddddddddddddd"),
               scratch("w/d")),
        0);
    settle(&l);
    assert_int_equal(l.events, 60 + 2);
    assert_int_equal(fix.hub->node_count, 61);
    listener_close(&l);
}

static void
test_ignore(void **state)
{
    static const char *const patterns[] = {"node_modules", "*.o", "a/b"};
    struct watch_options o = {
        .recursive = true, .ignore = patterns, .ignore_count = 3};
    struct listener l = {0};

    (void)state;
    act_all("mkdir node_modules; mkdir node_modules/x; mkdir a; mkdir a/b");
    listener_open(&l, scratch_root, &o);
    listener_wait(&l);
    assert_int_equal(fix.hub->node_count, 2);
    act_all("touch node_modules/x/f; touch a/b/f; touch a/c.o; touch a/c; "
            "mkdir d; mkdir d/node_modules; mkdir d/a; mkdir d/a/b");
    settle(&l);
    expect_text(&l, "CREATE a/c\nCREATE d\nCREATE d/a\nCREATE d/a/b\n");
    listener_close(&l);
}

static void
test_full(void **state)
{
    atomic_int left = 3;
    struct listener l = {0};
    struct listener m = {0};
    char want[4200];

    (void)state;
    fix.hub->watches_left = &left;
    act_all("mkdir w; mkdir w/a; mkdir w/b; mkdir w/c");
    listener_open(&l, scratch("w"), NULL);
    listener_wait(&l);
    (void)snprintf(want, sizeof(want),
                   "error adding path %s/w/c to watcher: "
                   "no space left on device",
                   scratch_root);
    scratch_expect_status(&l.st, RPC_INTERNAL, want);
    listener_close(&l);
    left = 4;
    listener_open(&m, scratch("w"), NULL);
    listener_wait(&m);
    assert_null(m.st.message);
    act("mkdir w/d");
    settle(&m);
    act_all("touch w/d/f; touch w/a/f");
    settle(&m);
    expect_text(&m, "CREATE d\nCREATE a/f\n");
    listener_close(&m);
    fix.hub->watches_left = NULL;
}

static void
test_coalesced(void **state)
{
    struct listener l = {.idle = true};

    (void)state;
    act_all("write f; write g");
    listener_open(&l, scratch_root, NULL);
    listener_wait(&l);
    for (int i = 0; i < 10; i++) {
        act_all("append f; chmod g");
        turn();
        hub_drain(fix.hub);
    }
    act_all("append f; append f");
    turn();
    hub_drain(fix.hub);
    assert_int_equal(l.readable, 1);
    assert_int_equal(l.w->queue.count, 21);
    listener_read(&l);
    listener_close(&l);
}

/* Events that were lost: what is different is told. */
static void
test_overflow(void **state)
{
    struct listener l = {0};

    (void)state;
    act_all("mkdir a; mkdir a/b; write a/f; write a/g; mkdir c; write c/f; "
            "touch h; symlink h s; mkdir k; write k/f");
    listener_open(&l, scratch_root, NULL);
    listener_wait(&l);
    hub_lose_events(fix.hub, 1000000);
    act_all("append a/f; rm a/g; mkdir a/b/n; write a/b/n/f; mv c d; touch i; "
            "append h; rm s; symlink i s; rm k/f; rmdir k; write k");
    settle(&l);
    /* The end of a watch is no event that can be lost. */
    expect_text(&l, "REMOVE k/f *\n");
    hub_lose_events(fix.hub, 0);
    settle(&l);
    expect_text(&l, "CREATE a/b/n *\nCREATE a/b/n/f *\n"
                    "WRITE a/b/n/f *\nWRITE a/f *\nREMOVE a/g *\nCREATE d *\n"
                    "REMOVE c/f *\nREMOVE c *\nCREATE d/f *\nWRITE d/f *\n"
                    "WRITE h *\nCREATE i *\nREMOVE k *\nCREATE k *\nWRITE k *\n"
                    "REMOVE s *\nCREATE s *\n");
    listener_close(&l);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_sequences), TEST(test_unlinked), TEST(test_refusals),
        TEST(test_paths),     TEST(test_overlap),  TEST(test_bursts),
        TEST(test_transient), TEST(test_names),    TEST(test_deep),
        TEST(test_ignore),    TEST(test_full),     TEST(test_coalesced),
        TEST(test_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
