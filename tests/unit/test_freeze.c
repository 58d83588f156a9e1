/*
 * What a freeze, a thaw and an audit do to a tree: each row of the contract, on
 * plain directories.
 */
#include "freeze_fixture.h"

#include <stdatomic.h>

/* ---- running ------------------------------------------------------------- */

static struct freeze_run last;

static const struct freeze_result *
freeze(enum freeze_mode mode, int64_t max_wait_ms, int64_t max_cgroups)
{
    freeze_run_done(&last);
    last = (struct freeze_run){
        .params = {mode, max_wait_ms, max_cgroups},
    };
    freeze_sweep(&fake.state, &last);
    freeze_settle(&fake.tree, &last, &never_cancelled);
    return &last.result;
}

static struct thaw_result
thaw(void)
{
    struct thaw_run run = {0};

    freeze_thaw(&fake.state, &run);
    return run.result;
}

static struct freeze_audit
audit(uint32_t max)
{
    struct audit_run run = {0};

    freeze_audit(&fake.tree, max, &run);
    assert_int_equal(run.error, 0);
    return run.result;
}

static int
teardown(void **state)
{
    freeze_run_done(&last);
    last = (struct freeze_run){0};
    return fake_teardown(state);
}

/* The tree of a machine under systemd. */
static void
make_machine(void)
{
    static const char *const paths[] = {
        "init.scope",
        "niteshift/deep/deeper",
        "system.slice/customer.service",
        "system.slice/envd.service",
        "system.slice/rpcbind.service",
        "system.slice/rpcbind.socket",
        "system.slice/systemd-journald.service",
        "user.slice",
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        fake_make(paths[i]);
}

static void
assert_frozen(const char *const *paths, bool frozen)
{
    for (; *paths != NULL; paths++) {
        print_message("%s\n", *paths);
        assert_int_equal(fake_is_frozen(*paths), frozen);
    }
}

/* ---- our own place ------------------------------------------------------- */

static const struct {
    const char *text;
    const char *prefix;
    const char *self; /* NULL: an error */
} selves[] = {
    {"0::/system.slice/envd.service\n", "/", "system.slice/envd.service"},
    {"0::/", "/", ""},
    {"0::/\n", "/", ""},
    {"1:name=systemd:/a\n0::/b\n", "/", "b"},
    {"12:0::/a\n0::/b\n", "/", "b"},
    {"1:name=systemd:/a\n", "/", NULL},
    {"", "/", NULL},
    {"0::/../elsewhere\n", "/", ""},
    {"0::/a/b\n", "/a", "b"},
    {"0::/ab\n", "/a", ""},
    {"0::/a\n", "/a", ""},
    {"0::/other\n", "/a/b", ""},
    {"0::/x:y\n", "/", "x:y"},
};

static void
test_self(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(selves); i++) {
        SCOPE(scope_free) char *self = NULL;
        int r = freeze_self_parse(str_from(selves[i].text), selves[i].prefix,
                                  &self);

        print_message("%zu\n", i);
        assert_int_equal(r, selves[i].self != NULL ? 0 : -ENOENT);
        if (r == 0)
            assert_string_equal(self, selves[i].self);
    }
}

static void
test_descended(void **state)
{
    static const char *const expected[][5] = {
        {"", "system.slice", NULL},
        {"", "system.slice", "system.slice/envd.service", NULL},
        {"", "a", "a/b", "system.slice", NULL},
    };
    static const char *const of[] = {"", "system.slice/envd.service", "a/b"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(of); i++) {
        for (size_t k = 0;; k++) {
            SCOPE(scope_free) char *path = freeze_descended(of[i], k);

            print_message("%zu %zu\n", i, k);
            if (expected[i][k] == NULL) {
                assert_null(path);
                break;
            }
            assert_non_null(path);
            assert_string_equal(path, expected[i][k]);
            assert_true(freeze_is_descended(of[i], path));
        }
    }
    assert_false(freeze_is_descended("a/b", "a/bc"));
    assert_false(freeze_is_descended("a/b", "a/b/c"));
    assert_false(freeze_is_descended("", "init.scope"));
    assert_true(freeze_is_allowed("init.scope"));
    assert_true(freeze_is_allowed("socats/x/y"));
    assert_false(freeze_is_allowed("socats2"));
    assert_false(freeze_is_allowed("system.slice"));
}

/* The prefix of a mount's root is "/": directories here are in no cgroup. */
static void
test_prefix(void **state)
{
    SCOPE(scope_free) char *prefix = freeze_root_prefix(fake.tree.root_fd);
    SCOPE(scope_free) char *none = freeze_root_prefix(-1);

    (void)state;
    assert_non_null(strstr(prefix, strrchr(fake.dir, '/')));
    assert_string_equal(none, "/");
}

/* ---- counting ------------------------------------------------------------ */

static void
test_all_read_back(void **state)
{
    const struct freeze_result *r = freeze(FREEZE_LEGACY, 1000, 0);

    (void)state;
    assert_int_equal(r->requested, 2);
    assert_int_equal(r->frozen, 2);
    assert_int_equal(r->not_frozen + r->failed + r->unobservable, 0);
    assert_int_equal(r->visited, 0);
    assert_int_equal(r->mode, FREEZE_LEGACY);
    assert_true(r->wait_ms < 1000);
    /* Again: the same. */
    assert_int_equal(freeze(FREEZE_LEGACY, 1000, 0)->frozen, 2);
    assert_true(fake_is_frozen("user") && fake_is_frozen("ptys"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(thaw().error, 0);
        assert_false(fake_is_frozen("user") || fake_is_frozen("ptys"));
    }
}

static void
test_unobservable(void **state)
{
    int64_t began = loop_now_ms();
    int fd = fake.tree.root_fd;
    const struct freeze_result *r;

    (void)state;
    fake.tree.root_fd = fake.state.tree.root_fd = -1;
    r = freeze(FREEZE_HIERARCHY, 10000, 0);
    assert_int_equal(r->requested, 2);
    assert_int_equal(r->unobservable, 2);
    assert_int_equal(r->frozen + r->not_frozen + r->failed, 0);
    assert_int_equal(r->mode, FREEZE_LEGACY);
    assert_true(loop_now_ms() - began < 1000);
    assert_int_equal(thaw().error, 0);
    assert_false(freeze_stands(&fake.state));
    fake.tree.root_fd = fd;
}

static void
test_never_stops(void **state)
{
    const struct freeze_result *r;

    (void)state;
    odd_add("user")->looks = -1;
    r = freeze(FREEZE_LEGACY, 20, 0);
    assert_int_equal(r->frozen, 1);
    assert_int_equal(r->not_frozen, 1);
    assert_int_equal(r->failed, 0);
    assert_true(r->wait_ms >= 20);
    assert_string_equal(last.moving.text, "user");
}

/* Looked at in rounds: as long as the slowest, not as all together. */
static void
test_polled_together(void **state)
{
    const struct freeze_result *r;

    (void)state;
    odd_add("user")->looks = 5;
    odd_add("ptys")->looks = 5;
    r = freeze(FREEZE_LEGACY, 10000, 0);
    assert_int_equal(r->frozen, 2);
    assert_int_equal(fake.reads, 10);
    for (size_t i = 0; i < fake.reads; i += 2)
        assert_memory_equal(fake.read_order + i, "pu", 2);
}

/* Beyond the first looks, too. */
static void
test_slow(void **state)
{
    const struct freeze_result *r;

    (void)state;
    odd_add("user")->looks = 14;
    r = freeze(FREEZE_LEGACY, 60000, 0);
    assert_int_equal(r->frozen, 2);
    assert_true(r->wait_ms >= 20);
}

static void
test_unreadable(void **state)
{
    int64_t began = loop_now_ms();
    const struct freeze_result *r;

    (void)state;
    odd_add("user")->settled_error = -EIO;
    r = freeze(FREEZE_LEGACY, 10000, 0);
    assert_int_equal(r->requested, 2);
    assert_int_equal(r->frozen, 1);
    assert_int_equal(r->failed, 1);
    assert_int_equal(r->not_frozen, 0);
    assert_int_equal(last.error, -EIO);
    assert_string_equal(last.refused.text, "user");
    assert_true(loop_now_ms() - began < 1000);
}

static void
test_write_refused(void **state)
{
    const struct freeze_result *r;

    (void)state;
    odd_add("user")->write_error = -EACCES;
    r = freeze(FREEZE_LEGACY, 1000, 0);
    assert_int_equal(r->requested, 1);
    assert_int_equal(r->frozen, 1);
    assert_int_equal(r->failed, 1);
    assert_true(fake_is_frozen("ptys"));
    assert_false(fake_is_frozen("user"));
}

static void
test_zero_budget(void **state)
{
    static const int64_t budgets[] = {0, -1, INT64_MIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(budgets); i++) {
        const struct freeze_result *r = freeze(FREEZE_LEGACY, budgets[i], 0);

        assert_int_equal(r->requested, 2);
        assert_int_equal(r->frozen, 0);
        assert_int_equal(r->not_frozen, 2);
        assert_int_equal(r->failed, 0);
    }
    assert_int_equal(fake.reads, 0);
    assert_true(fake_is_frozen("user") && fake_is_frozen("ptys"));
}

static void
test_nobody_waits(void **state)
{
    static atomic_bool cancelled = true;

    (void)state;
    odd_add("user")->looks = -1;
    last = (struct freeze_run){.params = {FREEZE_LEGACY, 10000, 0}};
    freeze_sweep(&fake.state, &last);
    freeze_settle(&fake.tree, &last, &cancelled);
    assert_int_equal(last.result.not_frozen, 1);
    assert_int_equal(last.result.failed, 0);
    assert_true(last.result.wait_ms < 2000);
}

static void
test_clamps(void **state)
{
    static const struct {
        int64_t given;
        uint32_t clamped;
    } rows[] = {
        {0, 512},       {-1, 512},         {INT64_MIN, 512}, {1, 1},
        {512, 512},     {4096, 4096},      {8192, 8192},     {8193, 8192},
        {163840, 8192}, {INT64_MAX, 8192},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(freeze_cgroups_clamped(rows[i].given),
                         rows[i].clamped);
    assert_int_equal(freeze_wait_clamped(-5), 0);
    assert_int_equal(freeze_wait_clamped(1500), 1500);
    assert_int_equal(freeze_wait_clamped(INT64_MAX), LIMIT_FREEZE_WAIT_MS);
}

/* ---- the hierarchy ------------------------------------------------------- */

static void
test_agent_in_service(void **state)
{
    static const char *const frozen[] = {
        "user",       "ptys",      "system.slice/customer.service",
        "user.slice", "niteshift", NULL};
    static const char *const others[] = {
        "system.slice",
        "system.slice/envd.service",
        "init.scope",
        "socats",
        "system.slice/systemd-journald.service",
        "system.slice/rpcbind.service",
        "system.slice/rpcbind.socket",
        "niteshift/deep",
        "niteshift/deep/deeper",
        NULL};
    const struct freeze_result *r;

    (void)state;
    make_machine();
    r = freeze(FREEZE_HIERARCHY, 1000, 0);
    assert_frozen(frozen, true);
    assert_frozen(others, false);
    assert_int_equal(r->mode, FREEZE_HIERARCHY);
    assert_int_equal(r->allowlisted, 5);
    assert_int_equal(r->requested, 5);
    assert_int_equal(r->frozen, 5);
    /* Seven in the root, five in system.slice. */
    assert_int_equal(r->visited, 12);
    assert_false(r->truncated);
    assert_int_equal(r->failed, 0);
}

static void
test_agent_in_root(void **state)
{
    static const char *const frozen[] = {"user",
                                         "ptys",
                                         "workload-a",
                                         "workload-b",
                                         "system.slice/customer.service",
                                         NULL};
    static const char *const others[] = {
        "system.slice",
        "init.scope",
        "system.slice/systemd-journald.service",
        "system.slice/rpcbind.service",
        "socats",
        NULL};

    (void)state;
    make_machine();
    fake_make("workload-a");
    fake_make("workload-b");
    fake_self("0::/\n");
    (void)freeze(FREEZE_HIERARCHY, 1000, 0);
    assert_frozen(frozen, true);
    assert_frozen(others, false);
}

static void
test_own_cgroup_unknown(void **state)
{
    const struct freeze_result *r;

    (void)state;
    make_machine();
    fake_self("3:cpu:/a\n");
    r = freeze(FREEZE_HIERARCHY, 1000, 0);
    assert_int_equal(r->mode, FREEZE_LEGACY);
    assert_int_equal(last.self_error, -ENOENT);
    assert_int_equal(r->frozen, 2);
    assert_false(fake_is_frozen("niteshift"));
    assert_false(fake.state.hierarchy);
    /* A legacy freeze does not need to know. */
    (void)thaw();
    (void)freeze(FREEZE_LEGACY, 1000, 0);
    assert_int_equal(last.self_error, 0);
}

static void
test_bound(void **state)
{
    const struct freeze_result *r;

    (void)state;
    make_machine();
    r = freeze(FREEZE_HIERARCHY, 1000, 3);
    assert_true(r->truncated);
    assert_int_equal(r->visited, 3);
    assert_int_equal(r->failed, 0);
}

static void
test_bound_spares_no_static(void **state)
{
    const struct freeze_result *r;

    (void)state;
    for (char name[] = "aaa0"; name[3] < '8'; name[3]++)
        fake_make(name);
    r = freeze(FREEZE_HIERARCHY, 1000, 4);
    assert_true(r->truncated);
    assert_true(fake_is_frozen("user") && fake_is_frozen("ptys"));
    /* In the order of their names. */
    assert_true(fake_is_frozen("aaa0") && fake_is_frozen("aaa3"));
    assert_false(fake_is_frozen("aaa4"));
}

/* As many as there are is not too many. */
static void
test_bound_that_fits(void **state)
{
    (void)state;
    fake_self("0::/\n");
    fake_make("a");
    assert_false(freeze(FREEZE_HIERARCHY, 0, 4)->truncated);
    (void)thaw();
    assert_true(freeze(FREEZE_HIERARCHY, 0, 3)->truncated);
}

static void
test_static_once(void **state)
{
    const struct freeze_result *r;

    (void)state;
    fake_make("customer");
    r = freeze(FREEZE_HIERARCHY, 1000, 0);
    assert_int_equal(r->requested, 3);
    assert_int_equal(r->frozen, 3);
}

static void
test_odd_root(void **state)
{
    char path[96];
    int fd;

    (void)state;
    fake_make("customer");
    (void)snprintf(path, sizeof(path), "%s/./", fake.dir);
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    fd_close(&fake.tree.root_fd);
    fake.tree.root_fd = fake.state.tree.root_fd = fd;
    assert_int_equal(freeze(FREEZE_HIERARCHY, 1000, 0)->frozen, 3);
    assert_int_equal(fake.state.scan_failed, 0);
}

/* Started as a command of another agent: it must not stop itself. */
static void
test_agent_in_static(void **state)
{
    (void)state;
    fake_make("user/p1");
    fake_make("user/p2");
    fake_self("0::/user/p1\n");
    assert_int_equal(freeze(FREEZE_LEGACY, 100, 0)->requested, 1);
    assert_false(fake_is_frozen("user"));
    assert_int_equal(freeze(FREEZE_HIERARCHY, 100, 0)->requested, 2);
    assert_false(fake_is_frozen("user") || fake_is_frozen("user/p1"));
    assert_true(fake_is_frozen("user/p2"));
}

static void
test_sweep_failures(void **state)
{
    struct odd *gone;
    const struct freeze_result *r;

    (void)state;
    make_machine();
    odd_add("niteshift")->write_error = -EIO;
    gone = odd_add("system.slice");
    gone->list_error = -EIO;
    r = freeze(FREEZE_HIERARCHY, 1000, 0);
    assert_int_equal(r->failed, 2);
    assert_int_equal(last.error, -EIO);
    assert_string_equal(last.refused.text, "niteshift, system.slice");
    assert_true(fake_is_frozen("user.slice"));
    (void)thaw();
    /* A directory that is gone when it would be listed is no failure. */
    fake.odd_count = 0;
    fake_remove("system.slice");
    assert_int_equal(freeze(FREEZE_HIERARCHY, 1000, 0)->failed, 0);
}

/* Sorted, directories only; of too many those that are first. */
static void
test_listing(void **state)
{
    struct cgroup_names names;
    char name[32];

    (void)state;
    for (int i = LIMIT_FREEZE_TREE * 2 + 10; i > 0; i--) {
        (void)snprintf(name, sizeof(name), "user/n%05d", i);
        assert_int_equal(mkdir(fake_path(name, ""), 0755), 0);
        if (i != 100 && i != 1)
            continue;
        assert_int_equal(cgroup_tree_kernel.list(&fake.tree, "user", &names),
                         0);
        assert_int_equal(names.count, LIMIT_FREEZE_TREE);
        assert_true(names.cut);
        for (size_t k = 0; k < names.count; k++) {
            (void)snprintf(name, sizeof(name), "n%05d", i + (int)k);
            assert_string_equal(names.names[k], name);
        }
        cgroup_names_done(&names);
    }
    assert_int_equal(symlink("user", fake_path("ptys", "link")), 0);
    assert_int_equal(cgroup_tree_kernel.list(&fake.tree, "ptys", &names), 0);
    assert_int_equal(names.count, 0);
    cgroup_names_done(&names);
    for (char one[] = "ptys/0"; one[5] < '3'; one[5]++)
        fake_make(one);
    assert_int_equal(cgroup_tree_kernel.list(&fake.tree, "ptys", &names), 0);
    assert_int_equal(names.count, 3);
    assert_false(names.cut);
    cgroup_names_done(&names);
    assert_int_equal(cgroup_tree_kernel.list(&fake.tree, "none", &names),
                     -ENOENT);
    assert_int_equal(
        cgroup_tree_kernel.list(&fake.tree, "user/cgroup.freeze", &names),
        -ENOTDIR);
}

/* ---- the guest's own ----------------------------------------------------- */

static void
test_guest_record(void **state)
{
    struct thaw_result t;

    (void)state;
    make_machine();
    fake_make("customer/deep/deeper");
    fake_freeze("customer");
    fake_freeze("customer/deep/deeper");
    fake_freeze("socats");
    fake_freeze("system.slice/systemd-journald.service");
    assert_int_equal(freeze(FREEZE_HIERARCHY, 1000, 0)->pre_frozen, 2);
    assert_int_equal(fake.state.record.count, 2);
    assert_true(path_set_has(&fake.state.record, "customer"));
    assert_true(path_set_has(&fake.state.record, "customer/deep/deeper"));
    assert_false(fake_is_frozen("customer/deep"));
    /* Again in the same window: nothing of ours becomes the guest's. */
    assert_int_equal(freeze(FREEZE_HIERARCHY, 1000, 0)->pre_frozen, 2);
    t = thaw();
    assert_int_equal(t.error, 0);
    assert_int_equal(t.preserved, 2);
    assert_true(fake_is_frozen("customer"));
    assert_true(fake_is_frozen("customer/deep/deeper"));
    assert_false(fake_is_frozen("niteshift") || fake_is_frozen("user"));
    assert_int_equal(fake.state.record.count, 0);
}

static void
test_legacy_records(void **state)
{
    (void)state;
    fake_make("customer");
    fake_make("user/p1/container");
    fake_freeze("customer");
    fake_freeze("user/p1/container");
    assert_int_equal(freeze(FREEZE_LEGACY, 1000, 0)->pre_frozen, 2);
    assert_int_equal(thaw().preserved, 2);
    assert_true(fake_is_frozen("customer"));
    assert_true(fake_is_frozen("user/p1/container"));
}

static void
freeze_late(void)
{
    fake_freeze("late");
}

static void
test_frozen_meanwhile(void **state)
{
    static const int64_t bounds[] = {0, 1};

    (void)state;
    fake_self("0::/\n");
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        fake_make("late");
        /* `user` is written between the scan and the sweep of the root. */
        fake.odd_count = 0;
        odd_add("user")->before_write = freeze_late;
        assert_int_equal(freeze(FREEZE_HIERARCHY, 0, bounds[i])->pre_frozen, 1);
        assert_int_equal(last.result.truncated, bounds[i] == 1);
        fake.odd_count = 0;
        assert_int_equal(thaw().preserved, 1);
        assert_true(fake_is_frozen("late"));
        fake_remove("late");
    }
}

/* Without a fresh record, what is frozen may be ours. */
static void
test_second_adopts_nothing(void **state)
{
    (void)state;
    fake_make("customer");
    fake_make("late");
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    fake_freeze("late");
    assert_int_equal(freeze(FREEZE_HIERARCHY, 0, 0)->pre_frozen, 0);
    assert_int_equal(thaw().preserved, 0);
    assert_false(fake_is_frozen("late") || fake_is_frozen("customer"));
}

static void
test_all_writes_failed(void **state)
{
    struct thaw_result t;

    (void)state;
    fake_self("0::/\n");
    fake_make("customer");
    fake_make("other");
    fake_freeze("customer");
    odd_add("user")->write_error = -EIO;
    odd_add("ptys")->write_error = -EIO;
    odd_add("other")->write_error = -EIO;
    assert_int_equal(freeze(FREEZE_HIERARCHY, 100, 0)->requested, 0);
    assert_int_equal(last.result.failed, 3);
    assert_false(freeze_stands(&fake.state));
    fake.odd_count = 0;
    t = thaw();
    assert_false(t.stood);
    assert_true(fake_is_frozen("customer"));
    /* But after one that did write the window stays open. */
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    odd_add("user")->write_error = -EIO;
    odd_add("ptys")->write_error = -EIO;
    odd_add("other")->write_error = -EIO;
    assert_int_equal(freeze(FREEZE_HIERARCHY, 0, 0)->requested, 0);
    assert_true(freeze_stands(&fake.state));
    fake.odd_count = 0;
    t = thaw();
    assert_true(t.stood);
    assert_int_equal(t.thawed, 1);
    assert_false(fake_is_frozen("other"));
    assert_true(fake_is_frozen("customer"));
}

static void
test_scan_failures(void **state)
{
    const struct freeze_result *r;

    (void)state;
    fake_make("customer/deep");
    odd_add("customer/deep")->request_error = -EIO;
    r = freeze(FREEZE_LEGACY, 1000, 0);
    assert_int_equal(r->failed, 0);
    assert_int_equal(r->requested, 2);
    assert_int_equal(fake.state.scan_failed, 1);
}

/* ---- thaw ---------------------------------------------------------------- */

static void
test_thaw_finds_all(void **state)
{
    struct thaw_result t;

    (void)state;
    make_machine();
    (void)freeze(FREEZE_LEGACY, 0, 0);
    fake_freeze("niteshift/deep/deeper");
    fake_freeze("init.scope");
    fake_freeze("system.slice/rpcbind.socket");
    fake_freeze("system.slice");
    fake_freeze("system.slice/envd.service");
    t = thaw();
    assert_int_equal(t.error, 0);
    assert_true(t.stood);
    assert_int_equal(t.thawed, 3);
    assert_false(fake_is_frozen("niteshift/deep/deeper"));
    assert_false(fake_is_frozen("init.scope"));
    assert_false(fake_is_frozen("system.slice/rpcbind.socket"));
    /* Where we live we cannot have frozen. */
    assert_true(fake_is_frozen("system.slice"));
    assert_true(fake_is_frozen("system.slice/envd.service"));
    assert_false(freeze_stands(&fake.state));
}

static void
test_thaw_bound(void **state)
{
    struct thaw_result t;

    (void)state;
    make_machine();
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    fake.state.tree_max = 2;
    t = thaw();
    assert_true(t.truncated);
    assert_int_equal(t.error, -E2BIG);
    assert_true(freeze_stands(&fake.state));
    fake.state.tree_max = LIMIT_FREEZE_TREE;
    assert_int_equal(thaw().error, 0);
    assert_false(fake_is_frozen("user.slice"));
}

static void
test_thaw_of_nothing(void **state)
{
    (void)state;
    fake_make("customer");
    fake_freeze("customer");
    assert_false(thaw().stood);
    assert_true(fake_is_frozen("customer"));
}

/* An agent that crashed after a freeze leaves no record. */
static void
test_thaw_without_record(void **state)
{
    (void)state;
    fake_make("customer");
    fake_make("guests");
    fake_freeze("guests");
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    path_set_clear(&fake.state.record);
    fake.state = (struct freeze_state){
        .tree = fake.tree,
        .tree_max = LIMIT_FREEZE_TREE,
    };
    assert_true(freeze_stands(&fake.state));
    assert_int_equal(freeze(FREEZE_LEGACY, 0, 0)->pre_frozen, 0);
    assert_true(thaw().stood);
    assert_false(fake_is_frozen("customer") || fake_is_frozen("guests"));
}

/* Nor is it all thawed at once: what is left is found by the next try. */
static void
test_second_thaw_without_record(void **state)
{
    (void)state;
    fake_make("customer");
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    path_set_clear(&fake.state.record);
    fake.state = (struct freeze_state){
        .tree = fake.tree,
        .tree_max = LIMIT_FREEZE_TREE,
    };
    odd_add("customer")->write_error = -EIO;
    assert_int_equal(thaw().error, -EIO);
    assert_true(fake_is_frozen("customer"));
    assert_true(freeze_stands(&fake.state));
    fake.odd_count = 0;
    assert_int_equal(thaw().error, 0);
    assert_false(fake_is_frozen("customer"));
    assert_false(freeze_stands(&fake.state));
}

static void
list_removes(const char *path)
{
    if (strcmp(path, "late") == 0)
        fake_remove("late");
}

static void
test_thaw_vanishing(void **state)
{
    struct odd *o;

    (void)state;
    for (int i = 0; i < 3; i++) {
        fake_make("customer");
        fake_make("late/below");
        fake.odd_count = 0;
        (void)freeze(FREEZE_HIERARCHY, 0, 0);
        o = odd_add("late");
        o->vanish = true;
        o->request_error = i == 0 ? -1 : 0;
        o->write_error = i == 1 ? -1 : 0;
        fake.on_list = i == 2 ? list_removes : NULL;
        assert_int_equal(thaw().error, 0);
        assert_int_equal(access(fake_path("late", ""), F_OK), -1);
        assert_false(fake_is_frozen("customer"));
        fake.on_list = NULL;
    }
}

static void
test_thaw_failures(void **state)
{
    struct thaw_result t;

    (void)state;
    fake_make("a");
    fake_make("b/c");
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    odd_add("a")->write_error = -EIO;
    odd_add("user")->write_error = -EACCES;
    odd_add("b")->list_error = -EPERM;
    t = thaw();
    assert_int_equal(t.error, -EACCES);
    assert_int_equal(t.failed, 3);
    assert_false(fake_is_frozen("ptys") || fake_is_frozen("b"));
    assert_true(freeze_stands(&fake.state));
    fake.odd_count = 0;
    assert_int_equal(thaw().error, 0);
    assert_false(fake_is_frozen("a") || fake_is_frozen("user"));
}

/* ---- audit --------------------------------------------------------------- */

static void
test_audit(void **state)
{
    struct freeze_audit a;

    (void)state;
    fake_make("system.slice/envd.service");
    fake_make("system.slice/rpcbind.service");
    fake_make("system.slice/rpc-statd.service");
    fake_make("customer");
    /* Nothing was frozen at all. */
    a = audit(LIMIT_FREEZE_TREE);
    assert_int_equal(a.frozen, 0);
    assert_int_equal(a.escaped, 3);
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    assert_true(fake.state.hierarchy);
    a = audit(LIMIT_FREEZE_TREE);
    assert_int_equal(a.visited, 8);
    assert_int_equal(a.frozen, 3);
    assert_int_equal(a.escaped, 0);
    assert_int_equal(a.violations, 0);
    assert_false(a.truncated);
    fake_freeze("system.slice/rpcbind.service");
    assert_int_equal(audit(LIMIT_FREEZE_TREE).violations, 1);
    fake_put("system.slice/rpcbind.service", "cgroup.freeze", "0\n");
    fake_freeze("system.slice/rpc-statd.service");
    assert_int_equal(audit(LIMIT_FREEZE_TREE).violations, 1);
    fake_make("late");
    assert_int_equal(audit(LIMIT_FREEZE_TREE).escaped, 1);
    /* Below what is frozen nothing escapes. */
    fake_make("customer/deep/deeper");
    a = audit(LIMIT_FREEZE_TREE);
    assert_int_equal(a.frozen, 5);
    assert_int_equal(a.escaped, 1);
    /* Those who must go on may have cgroups. */
    fake_make("system.slice/rpcbind.service/below");
    assert_int_equal(audit(LIMIT_FREEZE_TREE).escaped, 1);
    a = audit(3);
    assert_true(a.truncated);
    assert_int_equal(a.visited, 3);
}

static void
test_audit_from_root(void **state)
{
    (void)state;
    make_machine();
    fake_self("0::/\n");
    (void)freeze(FREEZE_HIERARCHY, 0, 0);
    fake_freeze("system.slice");
    assert_true(audit(LIMIT_FREEZE_TREE).violations >= 3);
}

/* What cannot be read is passed over, its children are not. */
static void
test_audit_unreadable(void **state)
{
    struct freeze_audit a;
    struct audit_run run = {0};

    (void)state;
    fake_make("customer/deep");
    odd_add("customer")->settled_error = -EIO;
    a = audit(LIMIT_FREEZE_TREE);
    assert_int_equal(a.escaped, 3);
    assert_int_equal(a.visited, 5);
    fake_self("");
    freeze_audit(&fake.tree, 10, &run);
    assert_int_equal(run.error, -ENOENT);
}

/* Eight names, and no more of one than fits. */
static void
test_samples(void **state)
{
    struct freeze_sample s = {0};
    char name[300];

    (void)state;
    for (int i = 0; i < 20; i++)
        freeze_sample_add(&s, "n");
    assert_string_equal(s.text, "n, n, n, n, n, n, n, n");
    s = (struct freeze_sample){0};
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (int i = 0; i < 3; i++)
        freeze_sample_add(&s, name);
    assert_int_equal(s.count, 1);
    assert_int_equal(strlen(s.text), sizeof(name) - 1);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, fake_setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_self),
        ROW(test_descended),
        ROW(test_prefix),
        ROW(test_all_read_back),
        ROW(test_unobservable),
        ROW(test_never_stops),
        ROW(test_polled_together),
        ROW(test_slow),
        ROW(test_unreadable),
        ROW(test_write_refused),
        ROW(test_zero_budget),
        ROW(test_nobody_waits),
        ROW(test_clamps),
        ROW(test_agent_in_service),
        ROW(test_agent_in_root),
        ROW(test_own_cgroup_unknown),
        ROW(test_bound),
        ROW(test_bound_spares_no_static),
        ROW(test_bound_that_fits),
        ROW(test_static_once),
        ROW(test_odd_root),
        ROW(test_agent_in_static),
        ROW(test_sweep_failures),
        ROW(test_listing),
        ROW(test_guest_record),
        ROW(test_legacy_records),
        ROW(test_frozen_meanwhile),
        ROW(test_second_adopts_nothing),
        ROW(test_all_writes_failed),
        ROW(test_scan_failures),
        ROW(test_thaw_finds_all),
        ROW(test_thaw_bound),
        ROW(test_thaw_of_nothing),
        ROW(test_thaw_without_record),
        ROW(test_second_thaw_without_record),
        ROW(test_thaw_vanishing),
        ROW(test_thaw_failures),
        ROW(test_audit),
        ROW(test_audit_from_root),
        ROW(test_audit_unreadable),
        ROW(test_samples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
