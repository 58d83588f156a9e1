/*
 * Certificates come into the trust store, and go; nothing else in it changes.
 */
#include "guest_fixture.h"

#include <pthread.h>

#include "base/fd.h"
#include "guest/ca_bundle.h"
#include "guest/pem.h"
#include "still.h"

#define PEM(body) \
    "-----BEGIN CERTIFICATE-----\n" body "\n-----END CERTIFICATE-----\n"

#define SYSTEM_1 PEM("c3lzdGVtIG9uZQ==")
#define SYSTEM_2 PEM("c3lzdGVtIHR3bw==\nbGluZQ==")
#define SYSTEM   "# one\n" SYSTEM_1 "\n" SYSTEM_2
#define A        PEM("QUFBQQ==")
#define B        PEM("QkJCQg==\nYmI=")
#define C        PEM("Q0NDQw==")

#define COPY "copies/" CA_COPY_NAME

static struct ca_bundle *bundle;

static void
agent_starts(void)
{
    bundle =
        ca_bundle_new(loop, pool, scratch("bundle.crt"), scratch("copies"));
}

static int
make(void **state)
{
    int r = fixture_make(state);

    scratch_file("bundle.crt", SYSTEM, 0644);
    agent_starts();
    return r;
}

static int
remove_all(void **state)
{
    fixture_end_pool();
    ca_bundle_free(bundle);
    return fixture_remove(state);
}

/* Its memory is forgotten, its files are not. */
static void
agent_restarts(void)
{
    WAIT_UNTIL(ca_bundle_idle(bundle));
    ca_bundle_free(bundle);
    agent_starts();
}

struct answer {
    int count;
    char error[512];
};

static void
on_answer(void *ctx, const char *error)
{
    struct answer *a = ctx;

    a->count++;
    (void)snprintf(a->error, sizeof(a->error), "%s",
                   error != NULL ? error : "");
}

static void
install_begin(const char *pem, struct answer *a)
{
    *a = (struct answer){0};
    ca_bundle_install(bundle, pem, strlen(pem), on_answer, a);
    assert_int_equal(a->count, 0);
}

/* Until the callback, and no longer. */
static void
install(const char *pem)
{
    struct answer a;

    install_begin(pem, &a);
    WAIT_UNTIL(a.count > 0);
    assert_int_equal(a.count, 1);
    assert_string_equal(a.error, "");
}

static void
install_all(const char *pem)
{
    install(pem);
    WAIT_UNTIL(ca_bundle_idle(bundle));
}

static int
occurs(const char *text)
{
    SCOPE(scope_free) char *all = NULL;
    int count = 0;

    assert_int_equal(fd_read_file(scratch("bundle.crt"), 1 << 24, &all, NULL),
                     0);
    for (const char *at = all; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static ino_t
inode_of(const char *name)
{
    struct stat info;

    assert_int_equal(lstat(scratch("%s", name), &info), 0);
    return info.st_ino;
}

/* ---- what is accepted ---------------------------------------------------- */

static void
test_check(void **state)
{
    static const struct {
        const char *pem;
        int r;
        const char *text;
    } rows[] = {
        {"", 0, ""},
        {" \n\t\r\n", 0, ""},
        {A, 1, ""},
        {"\n\n" A B "\n\n", 1, ""},
        {"# who\n" A, 1, ""},
        {"certificate", -1, "no PEM block"},
        {"-----BEGIN CERTIFICATE-----\nQQ==\n", -1, "an incomplete PEM block"},
        {A "-----BEGIN CERTIFICATE-----\n", -1, "an incomplete PEM block"},
        {"-----BEGIN CERTIFICATE-----\nQQ==\n" A, -1,
         "an incomplete PEM block"},
        {"-----BEGIN X-----\nQQ==\n-----END Y-----\n", -1,
         "an incomplete PEM block"},
        {" -----BEGIN X-----\nQQ==\n -----END X-----\n", -1,
         "an incomplete PEM block"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct status st = {0};

        assert_int_equal(ca_bundle_check(rows[i].pem, strlen(rows[i].pem), &st),
                         rows[i].r);
        assert_string_equal(status_message(&st), rows[i].text);
        status_done(&st);
    }
}

static void
test_check_limits(void **state)
{
    SCOPE(buf_done) struct buf many = {0};
    struct status st = {0};

    (void)state;
    for (int i = 0; i < 257; i++)
        buf_append_str(&many, A);
    assert_int_equal(
        ca_bundle_check((const char *)buf_data(&many), many.len, &st), -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT,
                          "more than 256 certificates");
    assert_int_equal(ca_bundle_check(A "\0x", sizeof(A "\0x") - 1, &st), -1);
    scratch_expect_status(&st, RPC_INVALID_ARGUMENT, "a NUL byte in the PEM");
}

/* ---- the table ----------------------------------------------------------- */

static void
test_first(void **state)
{
    struct stat info;

    (void)state;
    install(A);
    /* At once, before anything else is done. */
    scratch_expect_file("bundle.crt", SYSTEM A);
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM A);
    scratch_expect_file(COPY, A);
    assert_int_equal(stat(scratch(COPY), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    assert_int_equal(stat(scratch("copies"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0755);
}

static void
test_newlines(void **state)
{
    (void)state;
    scratch_file("bundle.crt", "last line", 0644);
    install_all("\n \n" A "\n\n\n");
    scratch_expect_file("bundle.crt", "last line\n" A);
    scratch_expect_file(COPY, A);
    /* The same but for blanks. */
    install_all(A);
    scratch_expect_file("bundle.crt", "last line\n" A);
    install_all("-----BEGIN CERTIFICATE-----\nQUFBQQ==\n"
                "-----END CERTIFICATE-----");
    scratch_expect_file("bundle.crt", "last line\n" A);
}

static void
test_same_again(void **state)
{
    ino_t before;

    (void)state;
    install_all(A);
    before = inode_of("bundle.crt");
    install_all(A);
    assert_int_equal(occurs(A), 1);
    assert_int_equal(inode_of("bundle.crt"), before);
}

static void
test_ten_at_once(void **state)
{
    struct answer answers[10];

    (void)state;
    for (int i = 0; i < 10; i++)
        install_begin(A, &answers[i]);
    for (int i = 0; i < 10; i++) {
        WAIT_UNTIL(answers[i].count == 1);
        assert_string_equal(answers[i].error, "");
    }
    assert_int_equal(occurs(A), 1);
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM A);
}

static void
test_other(void **state)
{
    struct stat info;

    (void)state;
    assert_int_equal(chmod(scratch("bundle.crt"), 0640), 0);
    install_all(A);
    install(B);
    assert_int_equal(occurs(B), 1);
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM B);
    scratch_expect_file(COPY, B);
    assert_int_equal(stat(scratch("bundle.crt"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    install_all(A);
    scratch_expect_file("bundle.crt", SYSTEM A);
}

/* Blank text neither installs a newline, nor has all newlines removed. */
static void
test_blank(void **state)
{
    (void)state;
    install_all("\n");
    install_all("");
    scratch_expect_file("bundle.crt", SYSTEM);
    assert_false(scratch_has("copies"));
    install_all(A);
    install_all(" \n\t\n");
    scratch_expect_file("bundle.crt", SYSTEM A);
    scratch_expect_file(COPY, A);
    install_all(B);
    scratch_expect_file("bundle.crt", SYSTEM B);
}

/* Only what is not in the new one goes, block by block. */
static void
test_blocks_are_whole(void **state)
{
    (void)state;
    install_all(A "# between\n" B);
    scratch_expect_file("bundle.crt", SYSTEM A B);
    scratch_expect_file(COPY, A "# between\n" B);
    install_all(B C B);
    scratch_expect_file("bundle.crt", SYSTEM B C);
    scratch_expect_file(COPY, B C B);
    install_all(A);
    scratch_expect_file("bundle.crt", SYSTEM A);
}

/* What the system itself trusts it goes on trusting. */
static void
test_the_systems_own(void **state)
{
    (void)state;
    install(SYSTEM_1);
    assert_true(occurs(SYSTEM_1) >= 1);
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM);
    install_all(A);
    scratch_expect_file("bundle.crt", SYSTEM A);
}

static void
test_restart_same(void **state)
{
    (void)state;
    install_all(A);
    agent_restarts();
    install(A);
    assert_true(occurs(A) >= 1);
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM A);
    /* It is still known as ours. */
    install_all(B);
    scratch_expect_file("bundle.crt", SYSTEM B);
}

static void
test_restart_other(void **state)
{
    (void)state;
    install_all(A);
    agent_restarts();
    install_all(B);
    scratch_expect_file("bundle.crt", SYSTEM A B);
    scratch_expect_file(COPY, B);
}

/* The system's tool makes the bundle anew, of its own and of our copy. */
static void
test_rebuilt_by_the_system(void **state)
{
    (void)state;
    install_all(A);
    scratch_file("bundle.crt", A SYSTEM, 0644);
    install_all(B);
    scratch_expect_file("bundle.crt", SYSTEM B);
    scratch_file("bundle.crt", SYSTEM, 0644);
    install_all(C);
    scratch_expect_file("bundle.crt", SYSTEM C);
}

/* ---- order --------------------------------------------------------------- */

static void
test_newer_ends_older(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        install(A);
        install(B);
        install(C);
    }
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM C);
    scratch_expect_file(COPY, C);
}

static void
test_queued(void **state)
{
    struct answer answers[4];

    (void)state;
    install_begin(A, &answers[0]);
    install_begin(B, &answers[1]);
    install_begin(A, &answers[2]);
    install_begin(A, &answers[3]);
    for (int i = 0; i < 4; i++)
        WAIT_UNTIL(answers[i].count == 1);
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file("bundle.crt", SYSTEM A);
    scratch_expect_file(COPY, A);
}

/* Background work that was ended for nothing is done after all. */
static void
test_tidied_after_a_failure(void **state)
{
    struct answer a;

    (void)state;
    scratch_dir("copies");
    scratch_file(COPY, C, 0644);
    if (!still_make(scratch(COPY)))
        skip();
    install(A);
    WAIT_UNTIL(still_stands());
    assert_int_equal(unlink(scratch("bundle.crt")), 0);
    install_begin(B, &a);
    fixture_turn();
    still_let_go();
    WAIT_UNTIL(a.count > 0);
    assert_string_not_equal(a.error, "");
    WAIT_UNTIL(ca_bundle_idle(bundle));
    scratch_expect_file(COPY, A);
}

/* A reader that never rests, and what it must always find. */
struct witness {
    pthread_t thread;
    char path[4200];
    _Atomic(const char *) expected;
    atomic_bool stop;
    atomic_uint reads;
    atomic_uint misses;
};

static void *
witness_run(void *arg)
{
    struct witness *w = arg;

    while (!atomic_load(&w->stop)) {
        const char *expected = atomic_load(&w->expected);
        char *text = NULL;

        if (fd_read_file(w->path, 1 << 24, &text, NULL) < 0 ||
            strstr(text, SYSTEM_2) == NULL || strstr(text, expected) == NULL)
            atomic_fetch_add(&w->misses,
                             expected == atomic_load(&w->expected) ? 1 : 0);
        free(text);
        atomic_fetch_add(&w->reads, 1);
    }
    return NULL;
}

/* Not while it is tidied, either. */
static void
test_never_without(void **state)
{
    static const char *const pems[] = {A, B, C};
    struct witness w = {.expected = SYSTEM_1};
    unsigned int reads = 0;

    (void)state;
    (void)snprintf(w.path, sizeof(w.path), "%s", scratch("bundle.crt"));
    assert_int_equal(pthread_create(&w.thread, NULL, witness_run, &w), 0);
    for (int i = 0; i < 60; i++) {
        install(pems[i % 3]);
        atomic_store(&w.expected, pems[i % 3]);
        if (i % 2 == 0)
            WAIT_UNTIL(ca_bundle_idle(bundle));
        WAIT_UNTIL(atomic_load(&w.reads) > reads);
        reads = atomic_load(&w.reads);
        atomic_store(&w.expected, SYSTEM_1);
    }
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(atomic_load(&w.misses), 0);
}

/* ---- failures ------------------------------------------------------------ */

static void
expect_error(const char *pem, const char *format_text, const char *path)
{
    struct answer a;
    char expected[5000];

    install_begin(pem, &a);
    WAIT_UNTIL(a.count > 0);
    (void)snprintf(expected, sizeof(expected), "%s%s%s",
                   "open CA bundle: open ", path, format_text);
    assert_string_equal(a.error, expected);
}

static void
test_no_bundle(void **state)
{
    (void)state;
    assert_int_equal(unlink(scratch("bundle.crt")), 0);
    expect_error(A, ": no such file or directory", scratch("bundle.crt"));
    assert_false(scratch_has("bundle.crt"));
    assert_false(scratch_has("copies"));
    /* It was not installed, so it is tried again. */
    scratch_file("bundle.crt", SYSTEM, 0644);
    install_all(A);
    scratch_expect_file("bundle.crt", SYSTEM A);
}

static void
test_not_a_file(void **state)
{
    (void)state;
    assert_int_equal(unlink(scratch("bundle.crt")), 0);
    assert_int_equal(mkfifo(scratch("bundle.crt"), 0644), 0);
    expect_error(A, ": not a regular file", scratch("bundle.crt"));
}

/* A full disk takes part of a write; no half of a certificate stays. */
static void
test_full_disk(void **state)
{
    SCOPE(buf_done) struct buf big = {0};
    struct ca_bundle *saved = bundle;
    struct answer a;
    char expected[5000];

    (void)state;
    scratch_dir("small");
    if (!fixture_own_mounts() ||
        mount("none", scratch("small"), "tmpfs", 0, "size=16k") < 0)
        skip();
    scratch_file("small/bundle.crt", SYSTEM, 0644);
    bundle = ca_bundle_new(loop, pool, scratch("small/bundle.crt"),
                           scratch("copies"));
    buf_append_str(&big, "-----BEGIN CERTIFICATE-----\n");
    for (int i = 0; i < 2000; i++)
        buf_append_str(&big, "QUFBQUFBQUFBQQ==\n");
    buf_append_str(&big, "-----END CERTIFICATE-----\n");
    buf_append_byte(&big, '\0');
    install_begin((const char *)buf_data(&big), &a);
    WAIT_UNTIL(a.count > 0);
    (void)snprintf(expected, sizeof(expected),
                   "append CA cert: write %s: no space left on device",
                   scratch("small/bundle.crt"));
    assert_string_equal(a.error, expected);
    scratch_expect_file("small/bundle.crt", SYSTEM);
    install_all(A);
    scratch_expect_file("small/bundle.crt", SYSTEM A);
    ca_bundle_free(bundle);
    bundle = saved;
    assert_int_equal(umount(scratch("small")), 0);
}

/* ---- others on the machine ----------------------------------------------- */

/* A link in the place of the copy leads root nowhere. */
static void
test_planted_copy(void **state)
{
    (void)state;
    scratch_file("victim", "untouched", 0644);
    scratch_dir("copies");
    assert_int_equal(chmod(scratch("copies"), 0777), 0);
    scratch_link("../victim", COPY);
    if (geteuid() == 0)
        assert_int_equal(lchown(scratch(COPY), 1000, 1000), 0);
    install_all(A);
    scratch_expect_file("victim", "untouched");
    scratch_expect_file(COPY, A);
}

/* So does one in the place of the directory. */
static void
test_planted_directory(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    scratch_dir("open");
    scratch_dir("victim");
    scratch_link("../victim", "open/copies");
    assert_int_equal(lchown(scratch("open/copies"), 1000, 1000), 0);
    assert_int_equal(chmod(scratch("open"), 0777), 0);
    ca_bundle_free(bundle);
    bundle = ca_bundle_new(loop, pool, scratch("bundle.crt"),
                           scratch("open/copies"));
    install_all(A);
    assert_false(scratch_has("victim/" CA_COPY_NAME));
    scratch_expect_file("bundle.crt", SYSTEM A);
}

/* As Fedora has it: the bundle is a link of root's. */
static void
test_linked_bundle(void **state)
{
    (void)state;
    scratch_dir("real");
    assert_int_equal(rename(scratch("bundle.crt"), scratch("real/it")), 0);
    scratch_link("real/it", "bundle.crt");
    install_all(A);
    install_all(B);
    assert_int_equal(unlink(scratch("bundle.crt")), 0);
    scratch_expect_file("real/it", SYSTEM B);
}

/* ---- tidying, the pure part ---------------------------------------------- */

static void
expect_tidy(const char *store, unsigned int added, bool wanted,
            const char *expected, unsigned int left)
{
    SCOPE(buf_done) struct buf out = {0};
    struct pem_block block = {
        .text = {A, sizeof(A) - 2}, .added = added, .wanted = wanted};
    int r = pem_tidy(str_from(store), &block, 1, &out);

    assert_int_equal(r, expected != NULL);
    assert_int_equal(block.added, left);
    if (expected == NULL)
        return;
    buf_append_byte(&out, '\0');
    assert_string_equal((const char *)buf_data(&out), expected);
}

static void
test_tidy(void **state)
{
    (void)state;
    expect_tidy("", 1, true, NULL, 0);
    expect_tidy(B A, 1, true, NULL, 1);
    expect_tidy(A A "x\n" A, 3, true, A "x\n", 1);
    expect_tidy(A B A, 1, true, A B, 0);
    expect_tidy(A B A, 2, false, B, 0);
    expect_tidy(A B A, 1, false, A B, 0);
    expect_tidy(A B A, 0, false, NULL, 0);
    /* The same in other words is another one; halves are none. */
    expect_tidy("x" A, 1, false, NULL, 0);
    expect_tidy("-----BEGIN CERTIFICATE-----\n" A, 1, false,
                "-----BEGIN CERTIFICATE-----\n", 0);
    expect_tidy(A "-----BEGIN CERTIFICATE-----\n", 1, false,
                "-----BEGIN CERTIFICATE-----\n", 0);
}

/* A worker that is left behind at the end goes on with what is its own. */
static void
test_left_behind(void **state)
{
    struct answer a;

    (void)state;
    if (!still_make(scratch("bundle.crt")))
        skip();
    install_begin(A, &a);
    WAIT_UNTIL(still_stands());
    fixture_end_pool();
    ca_bundle_free(bundle);
    bundle = NULL;
    still_let_go();
    WAIT_UNTIL(occurs(A) == 1);
    assert_int_equal(a.count, 0);
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, make, remove_all)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_limits),
        cmocka_unit_test(test_tidy),
        FIXTURE(test_first),
        FIXTURE(test_newlines),
        FIXTURE(test_same_again),
        FIXTURE(test_ten_at_once),
        FIXTURE(test_other),
        FIXTURE(test_blank),
        FIXTURE(test_blocks_are_whole),
        FIXTURE(test_the_systems_own),
        FIXTURE(test_restart_same),
        FIXTURE(test_restart_other),
        FIXTURE(test_rebuilt_by_the_system),
        FIXTURE(test_newer_ends_older),
        FIXTURE(test_queued),
        FIXTURE(test_tidied_after_a_failure),
        FIXTURE(test_never_without),
        FIXTURE(test_no_bundle),
        FIXTURE(test_not_a_file),
        FIXTURE(test_planted_copy),
        FIXTURE(test_planted_directory),
        FIXTURE(test_linked_bundle),
        FIXTURE(test_full_disk),
        FIXTURE(test_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
