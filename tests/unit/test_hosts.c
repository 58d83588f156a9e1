/*
 * One line of /etc/hosts, and nothing but that line.
 */
#include "guest_fixture.h"

#include "base/buf.h"
#include "guest/hosts.h"
#include "guest/trusted.h"

#define NAME "events.e2b.local"
#define OURS "127.0.0.3        events.e2b.local"

static void
expect_edit(const char *text, const char *addr, const char *expected)
{
    SCOPE(buf_done) struct buf out = {0};
    int r = hosts_edit(str_from(text), NAME, addr, &out);

    if (expected == NULL) {
        assert_int_equal(r, 0);
        assert_int_equal(out.len, 0);
        return;
    }
    assert_int_equal(r, 1);
    buf_append_byte(&out, '\0');
    assert_string_equal((const char *)buf_data(&out), expected);
}

static void
test_added(void **state)
{
#define BODY "# comment\n127.0.0.1 localhost\n10.0.0.1\tOther  # Kept"

    (void)state;
    expect_edit(BODY, "127.0.0.3", BODY "\n" OURS "\n");
    expect_edit(BODY "\n", "127.0.0.3", BODY "\n" OURS "\n");
    expect_edit("\n" BODY, "127.0.0.3", "\n" BODY "\n" OURS "\n");
    expect_edit("\n" BODY "\n", "127.0.0.3", "\n" BODY "\n" OURS "\n");
    expect_edit("", "127.0.0.3", OURS "\n");
    expect_edit("\n", "127.0.0.3", "\n" OURS "\n");
    /* An address longer than its column. */
    expect_edit("", "fd00:1:2:3:4:5:6:7",
                "fd00:1:2:3:4:5:6:7 events.e2b.local\n");
#undef BODY
}

static void
test_already_right(void **state)
{
    (void)state;
    expect_edit(OURS "\n", "127.0.0.3", NULL);
    expect_edit(OURS, "127.0.0.3", NULL);
    expect_edit("127.0.0.3 a EVENTS.e2b.LOCAL b # c\n", "127.0.0.3", NULL);
    expect_edit("::0003 events.e2b.local\n", "::3", NULL);
    /* The other family is not ours. */
    expect_edit("::1 events.e2b.local\n" OURS "\n", "127.0.0.3", NULL);
}

static void
test_replaced(void **state)
{
    (void)state;
    expect_edit("a\n127.0.0.2 events.e2b.local\nb\n", "127.0.0.3",
                "a\n" OURS "\nb\n");
    expect_edit("  127.0.0.2\tevents.e2b.local # of the host\n", "127.0.0.3",
                OURS " # of the host\n");
    expect_edit("127.0.0.2 Events.E2B.local events.e2b.local\r\n", "127.0.0.3",
                OURS "\r\n");
    /* Two of them become one. */
    expect_edit("127.0.0.2 events.e2b.local\nx\n127.0.0.4 events.e2b.local\n",
                "127.0.0.3", OURS "\nx\n");
    expect_edit(OURS "\n127.0.0.4 events.e2b.local # why\n", "127.0.0.3",
                OURS "\n# why\n");
    /* Each family has its own. */
    expect_edit("::1 events.e2b.local\n127.0.0.2 events.e2b.local\n",
                "127.0.0.3", "::1 events.e2b.local\n" OURS "\n");
    expect_edit("::1 events.e2b.local\n127.0.0.2 events.e2b.local\n", "fd00::1",
                "fd00::1          events.e2b.local\n"
                "127.0.0.2 events.e2b.local\n");
}

/* Names of others stay on their line, and the line as it is. */
static void
test_shared_lines(void **state)
{
    (void)state;
    expect_edit("127.0.0.2   One  events.e2b.local\tTwo # c\n", "127.0.0.3",
                "127.0.0.2   One\tTwo # c\n" OURS "\n");
    expect_edit("127.0.0.2 events.e2b.local one\n", "127.0.0.3",
                "127.0.0.2 one\n" OURS "\n");
    expect_edit("127.0.0.3 one\n", "127.0.0.3", "127.0.0.3 one\n" OURS "\n");
}

/* What only looks like ours. */
static void
test_not_ours(void **state)
{
    static const char *const lines[] = {
        "# 127.0.0.2 events.e2b.local\n",
        "127.0.0.2 events.e2b.local.example\n",
        "127.0.0.2 my-events.e2b.local\n",
        "nonsense events.e2b.local\n",
        "127.0.0.2# events.e2b.local\n",
        "127.0.0.2 a #events.e2b.local\n",
        "127.0.0.300 events.e2b.local\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        char expected[256];

        (void)snprintf(expected, sizeof(expected), "%s" OURS "\n", lines[i]);
        expect_edit(lines[i], "127.0.0.3", expected);
    }
}

static void
test_bad_addresses(void **state)
{
    static const char *const bad[] = {
        "",           "nowhere",        "127.0.0",        "127.0.0.3 ",
        " 127.0.0.3", "[::1]",          "127.0.0.3:80",   "::1%lo",
        "1.2.3.4.5",  "127.0.0.3\nx y", "http://1.2.3.4",
    };
    struct buf out = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(hosts_family(bad[i]), 0);
        assert_int_equal(hosts_edit(str_from("x\n"), NAME, bad[i], &out),
                         -EINVAL);
    }
    assert_int_equal(hosts_edit(str_from("x\n"), "two names", "::1", &out),
                     -EINVAL);
    assert_int_equal(hosts_edit(str_from("x\n"), "", "::1", &out), -EINVAL);
    assert_int_equal(hosts_family("192.0.2.1"), 4);
    assert_int_equal(hosts_family("fd00::1"), 6);
}

/* ---- the file ------------------------------------------------------------ */

static ino_t
inode_of(const char *path)
{
    struct stat info;

    assert_int_equal(lstat(path, &info), 0);
    return info.st_ino;
}

static void
test_file(void **state)
{
    struct stat info;
    ino_t before;

    (void)state;
    scratch_file("hosts", "127.0.0.1 localhost\n", 0640);
    if (geteuid() == 0)
        assert_int_equal(chown(scratch("hosts"), 12, 34), 0);
    before = inode_of(scratch("hosts"));
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "127.0.0.3"), 1);
    scratch_expect_file("hosts", "127.0.0.1 localhost\n" OURS "\n");
    assert_int_equal(stat(scratch("hosts"), &info), 0);
    assert_int_not_equal(info.st_ino, before);
    assert_int_equal(info.st_mode & 07777, 0640);
    if (geteuid() == 0) {
        assert_int_equal(info.st_uid, 12);
        assert_int_equal(info.st_gid, 34);
    }
    before = info.st_ino;
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "127.0.0.3"), 0);
    assert_int_equal(inode_of(scratch("hosts")), before);
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "nowhere"), -EINVAL);
    assert_int_equal(inode_of(scratch("hosts")), before);
}

static void
test_missing_file(void **state)
{
    struct stat info;

    (void)state;
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "127.0.0.3"), 1);
    scratch_expect_file("hosts", OURS "\n");
    assert_int_equal(stat(scratch("hosts"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    assert_int_equal(hosts_map(scratch("none/hosts"), NAME, "::1"), -ENOENT);
    scratch_dir("dir");
    assert_int_equal(hosts_map(scratch("dir"), NAME, "::1"), -EINVAL);
}

static void
test_link(void **state)
{
    (void)state;
    scratch_dir("real");
    scratch_file("real/hosts", "x\n", 0644);
    scratch_link("real/hosts", "hosts");
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "127.0.0.3"), 1);
    scratch_expect_file("real/hosts", "x\n" OURS "\n");
    assert_int_equal(unlink(scratch("hosts")), 0);
    scratch_link("hosts", "hosts");
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "::1"), -ELOOP);
}

/* Links that somebody else has put where everybody may write. */
static void
test_planted_link(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_file("victim", "x\n", 0644);
    scratch_dir("open");
    scratch_link("../victim", "open/hosts");
    assert_int_equal(lchown(scratch("open/hosts"), 1000, 1000), 0);
    assert_int_equal(chmod(scratch("open"), 0777), 0);
    assert_int_equal(hosts_map(scratch("open/hosts"), NAME, "127.0.0.3"),
                     -EPERM);
    scratch_expect_file("victim", "x\n");
    /* Root's own is followed there, too. */
    assert_int_equal(lchown(scratch("open/hosts"), 0, 0), 0);
    assert_int_equal(hosts_map(scratch("open/hosts"), NAME, "127.0.0.3"), 1);
    scratch_expect_file("victim", "x\n" OURS "\n");
}

/* As container engines do it: the file is a mount point. */
static void
test_bind_mount(void **state)
{
    ino_t before;

    (void)state;
    if (!fixture_own_mounts())
        skip();
    scratch_file("source", "127.0.0.2 events.e2b.local\nlast\n", 0644);
    scratch_file("hosts", "", 0644);
    if (mount(scratch("source"), scratch("hosts"), NULL, MS_BIND, NULL) < 0)
        skip();
    before = inode_of(scratch("hosts"));
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "127.0.0.3"), 1);
    assert_int_equal(inode_of(scratch("hosts")), before);
    scratch_expect_file("source", OURS "\nlast\n");
    /* A shorter text leaves nothing of the longer one. */
    scratch_file("hosts", OURS "\n127.0.0.4 events.e2b.local\n", 0644);
    assert_int_equal(hosts_map(scratch("hosts"), NAME, "127.0.0.3"), 1);
    scratch_expect_file("hosts", OURS "\n");
    assert_int_equal(umount(scratch("hosts")), 0);
}

/* ---- one after the other ------------------------------------------------- */

struct answer {
    int count;
    int r;
};

static void
on_answer(void *ctx, int r)
{
    struct answer *a = ctx;

    a->count++;
    a->r = r;
}

static void
test_changes_take_turns(void **state)
{
    struct hosts *h = hosts_new(pool, scratch("hosts"));
    struct answer answers[5] = {{0}};

    (void)state;
    scratch_file("hosts", "127.0.0.1 localhost\n", 0644);
    for (int i = 0; i < 5; i++) {
        char addr[32];

        (void)snprintf(addr, sizeof(addr), "127.0.0.%d", 10 + i);
        assert_int_equal(
            hosts_set_event_address(h, addr, on_answer, &answers[i]), 0);
        assert_int_equal(answers[i].count, 0);
    }
    assert_int_equal(hosts_set_event_address(h, "", on_answer, NULL), -EINVAL);
    assert_int_equal(hosts_set_event_address(h, "x", NULL, NULL), -EINVAL);
    for (int i = 0; i < 5; i++)
        WAIT_UNTIL(answers[i].count == 1);
    assert_int_equal(answers[0].r, 1);
    for (int i = 1; i < 4; i++)
        assert_int_equal(answers[i].r, -ECANCELED);
    assert_int_equal(answers[4].r, 1);
    scratch_expect_file("hosts", "127.0.0.1 localhost\n"
                                 "127.0.0.14       events.e2b.local\n");
    assert_int_equal(hosts_set_event_address(h, "127.0.0.14", NULL, NULL), 0);
    fixture_end_pool();
    hosts_free(h);
    hosts_free(NULL);
}

static void
test_too_many_changes(void **state)
{
    struct hosts *h = hosts_new(pool, scratch("hosts"));
    struct answer answer = {0};
    int taken = 0;

    (void)state;
    while (hosts_set_event_address(h, "::1", on_answer, &answer) == 0)
        taken++;
    assert_int_equal(taken, 65);
    fixture_end_pool();
    hosts_free(h);
}

#define FIXTURE(test) \
    cmocka_unit_test_setup_teardown(test, fixture_make, fixture_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_added),
        cmocka_unit_test(test_already_right),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_shared_lines),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_bad_addresses),
        FIXTURE(test_file),
        FIXTURE(test_missing_file),
        FIXTURE(test_link),
        FIXTURE(test_planted_link),
        FIXTURE(test_changes_take_turns),
        FIXTURE(test_too_many_changes),
        FIXTURE(test_bind_mount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
