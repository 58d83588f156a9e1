/*
 * Users, groups and names from files of our own.
 */
#include "security/user.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "security/accounts.h"

static char dir[] = "/tmp/test_user_XXXXXX";
static char passwd[64];
static char group[64];

static void
write_text(const char *path, const char *text)
{
    SCOPE(fd_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int
setup(void **state)
{
    struct user_db *db;

    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(passwd, sizeof(passwd), "%s/passwd", dir);
    (void)snprintf(group, sizeof(group), "%s/group", dir);
    db = user_db_new(passwd, group);
    *state = db;
    return db != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
    user_db_free(*state);
    (void)unlink(passwd);
    (void)unlink(group);
    if (rmdir(dir) < 0)
        return -1;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return 0;
}

/* ---- lines --------------------------------------------------------------- */

static void
test_passwd_lines(void **state)
{
    static const struct {
        const char *line;
        const char *name; /* NULL: does not count */
        uint32_t uid;
        uint32_t gid;
        const char *home;
    } cases[] = {
        {"root:x:0:0:root:/root:/bin/bash", "root", 0, 0, "/root"},
        {"u:x:1000:1001:Name,,,:/home/u:", "u", 1000, 1001, "/home/u"},
        {"u:x:1:2:::", "u", 1, 2, ""},
        {" \tu:x:1:2::/h:/s \r", "u", 1, 2, "/h"},
        {"u:x:1:2::/h:/s:more:fields", "u", 1, 2, "/h"},
        {"u:x:01:002::/h:/s", "u", 1, 2, "/h"},
        {"u s:x:1:2::/h:/s", "u s", 1, 2, "/h"},
        {"u:x:4294967294:1::/h:/s", "u", 4294967294U, 1, "/h"},
        {"", NULL, 0, 0, NULL},
        {"   ", NULL, 0, 0, NULL},
        {"# u:x:1:2::/h:/s", NULL, 0, 0, NULL},
        {"  #u:x:1:2::/h:/s", NULL, 0, 0, NULL},
        {"+u:x:1:2::/h:/s", NULL, 0, 0, NULL},
        {"-u:x:1:2::/h:/s", NULL, 0, 0, NULL},
        {"+::::::", NULL, 0, 0, NULL},
        {":x:1:2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:1:2::/h", NULL, 0, 0, NULL}, /* six fields */
        {"u", NULL, 0, 0, NULL},
        {"u:x::2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:1:::/h:/s", NULL, 0, 0, NULL},
        {"u:x:one:2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:1:2x::/h:/s", NULL, 0, 0, NULL},
        {"u:x: 1:2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:-1:2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:0x1:2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:4294967295:2::/h:/s", NULL, 0, 0, NULL}, /* "no change" */
        {"u:x:1:4294967295::/h:/s", NULL, 0, 0, NULL},
        {"u:x:4294967296:2::/h:/s", NULL, 0, 0, NULL},
        {"u:x:99999999999999999999:2::/h:/s", NULL, 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct passwd_line user;

        if (passwd_line_parse(str_from(cases[i].line), &user) !=
            (cases[i].name != NULL))
            fail_msg("'%s'", cases[i].line);
        if (cases[i].name == NULL)
            continue;
        assert_true(str_eq(user.name, cases[i].name));
        assert_true(str_eq(user.home, cases[i].home));
        assert_int_equal(user.uid, cases[i].uid);
        assert_int_equal(user.gid, cases[i].gid);
    }
    assert_false(
        passwd_line_parse(STR("u\0:x:1:2::/h:/s"), &(struct passwd_line){0}));
}

static void
test_group_lines(void **state)
{
    static const struct {
        const char *line;
        const char *name; /* NULL: does not count */
        uint32_t gid;
        bool lists_user;
    } cases[] = {
        {"sudo:x:27:user", "sudo", 27, true},
        {"sudo:x:27:user,b", "sudo", 27, true},
        {"sudo:x:27:a,user", "sudo", 27, true},
        {"sudo:x:27:a,user,b \n", "sudo", 27, true},
        {"sudo:x:27:users,auser", "sudo", 27, false},
        {"sudo:x:27:", "sudo", 27, false},
        {"sudo:x:27:,,", "sudo", 27, false},
        {"user:x:27:", "user", 27, false},
        {"sudo:x:27:user:", "sudo", 27, false}, /* a field too many */
        {"sudo:x:27:a:user", "sudo", 27, false},
        {"sudo:x:27", NULL, 0, false},
        {"sudo:x:two:user", NULL, 0, false},
        {"sudo:x:-1:user", NULL, 0, false},
        {"sudo:x:4294967295:user", NULL, 0, false},
        {"#sudo:x:27:user", NULL, 0, false},
        {"+sudo:x:27:user", NULL, 0, false},
        {"-sudo:x:27:user", NULL, 0, false},
        {":x:27:user", NULL, 0, false},
        {"", NULL, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct group_line line;

        if (group_line_parse(str_from(cases[i].line), &line) !=
            (cases[i].name != NULL))
            fail_msg("'%s'", cases[i].line);
        if (cases[i].name == NULL)
            continue;
        assert_true(str_eq(line.name, cases[i].name));
        assert_int_equal(line.gid, cases[i].gid);
        assert_int_equal(group_line_lists(&line, "user"), cases[i].lists_user);
    }
}

/* ---- lookups ------------------------------------------------------------- */

static void
test_find(void **state)
{
    static const gid_t groups[] = {1000, 27, 4};
    struct user_db *db = *state;
    struct user u;

    write_text(passwd, "root:x:0:0:root:/root:/bin/bash\n"
                       "broken\n"
                       "user:x:bad:1::/:/\n"
                       "user:x:1000:1000::/home/user:/bin/sh\n"
                       "user:x:1:1::/second:/bin/sh\n"
                       "last:x:7:8::/l:/bin/sh");
    write_text(group, "root:x:0:\nsudo:x:27:user,x\nuser:x:1000:user\n"
                      "adm:x:4:a,user\nother:x:5:a");
    assert_int_equal(user_find(db, "user", &u), 0);
    assert_int_equal(u.uid, 1000);
    assert_int_equal(u.gid, 1000);
    assert_string_equal(u.name, "user");
    assert_string_equal(u.home, "/home/user");
    assert_int_equal(u.group_count, ARRAY_LEN(groups));
    assert_memory_equal(u.groups, groups, sizeof(groups));
    user_done(&u);
    assert_null(u.name);
    assert_int_equal(user_find(db, "last", &u), 0);
    assert_int_equal(u.group_count, 1);
    assert_int_equal(u.groups[0], 8);
    user_done(&u);
    assert_int_equal(user_find(db, "", &u), -ENOENT);
    assert_int_equal(user_find(db, "1000", &u), -ENOENT);
    assert_int_equal(user_find(db, "User", &u), -ENOENT);
    assert_int_equal(user_find(db, "use", &u), -ENOENT);
    assert_int_equal(user_find(db, "broken", &u), -ENOENT);
    assert_int_equal(user_find(db, "user:x", &u), -ENOENT);
}

static void
test_many_groups(void **state)
{
    struct user u;
    FILE *f;

    write_text(passwd, "user:x:1:2::/:/\n");
    f = fopen(group, "we");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++)
        (void)fprintf(f, "g%d:x:%d:user\n", i, 100 + i);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(user_find(*state, "user", &u), 0);
    assert_int_equal(u.group_count, 1001);
    assert_int_equal(u.groups[1000], 1099);
    user_done(&u);
}

static void
test_files_missing(void **state)
{
    struct user_db *db = *state;
    struct user_names *names;
    struct user u;

    assert_int_equal(user_find(db, "root", &u), -ENOENT);
    names = user_names_ref(db);
    assert_null(user_name_of_uid(names, 0));
    assert_null(user_name_of_gid(names, 0));
    user_names_unref(names);
    /* No group file: the primary group only. */
    write_text(passwd, "root:x:0:0::/root:/bin/sh\n");
    assert_int_equal(user_find(db, "root", &u), 0);
    assert_int_equal(u.group_count, 1);
    user_done(&u);
    assert_int_equal(unlink(passwd), 0);
    assert_int_equal(user_find(db, "root", &u), -ENOENT);
    /* Not a file: nobody waits for its other end. */
    assert_int_equal(mkfifo(passwd, 0600), 0);
    assert_int_equal(user_find(db, "root", &u), -ENOENT);
}

static void
test_changes_are_seen(void **state)
{
    struct user_db *db = *state;
    struct user u;
    char other[80];

    write_text(group, "");
    write_text(passwd, "a:x:1:1::/one:/\n");
    assert_int_equal(user_find(db, "a", &u), 0);
    user_done(&u);
    /* In place, longer. */
    write_text(passwd, "a:x:1:1::/longer:/\n");
    assert_int_equal(user_find(db, "a", &u), 0);
    assert_string_equal(u.home, "/longer");
    user_done(&u);
    /* Another file of the same size and time. */
    struct stat st;
    assert_int_equal(stat(passwd, &st), 0);
    (void)snprintf(other, sizeof(other), "%s.new", passwd);
    write_text(other, "a:x:1:1::/LONGER:/\n");
    const struct timespec times[] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
    assert_int_equal(rename(other, passwd), 0);
    assert_int_equal(user_find(db, "a", &u), 0);
    assert_string_equal(u.home, "/LONGER");
    assert_int_equal(u.group_count, 1);
    user_done(&u);
    write_text(group, "g:x:9:a\n");
    assert_int_equal(user_find(db, "a", &u), 0);
    assert_int_equal(u.group_count, 2);
    user_done(&u);
}

static void
test_unchanged_file_is_not_read(void **state)
{
    struct rlimit files;
    struct rlimit none;
    struct user u;

    write_text(passwd, "a:x:1:1::/one:/\n");
    write_text(group, "");
    assert_int_equal(user_find(*state, "a", &u), 0);
    user_done(&u);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = (struct rlimit){0, files.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(user_find(*state, "a", &u), 0);
    user_done(&u);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    /* Changed, but without a descriptor to spare: what is known stands. */
    write_text(passwd, "b:x:1:1::/other:/\n");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(user_find(*state, "a", &u), 0);
    user_done(&u);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(user_find(*state, "a", &u), -ENOENT);
    assert_int_equal(user_find(*state, "b", &u), 0);
    user_done(&u);
}

/* ---- names --------------------------------------------------------------- */

static void
test_names(void **state)
{
    struct user_db *db = *state;
    struct user_names *names;
    struct user_names *later;
    struct user user;

    write_text(passwd, "root:x:0:0::/:/\ntoor:x:0:0::/:/\nz:x:500:1::/:/\n"
                       "a:x:4294967294:1::/:/\nb:x:3:1::/:/\n");
    write_text(group, "wheel:x:0:\ntty:x:5:\nbad:x:y:\nfive:x:5:a:b\n");
    names = user_names_ref(db);
    assert_string_equal(user_name_of_uid(names, 0), "root");
    assert_string_equal(user_name_of_uid(names, 500), "z");
    assert_string_equal(user_name_of_uid(names, 3), "b");
    assert_string_equal(user_name_of_uid(names, 4294967294U), "a");
    assert_null(user_name_of_uid(names, 1));
    assert_null(user_name_of_uid(names, (uid_t)-1));
    assert_string_equal(user_name_of_gid(names, 0), "wheel");
    assert_string_equal(user_name_of_gid(names, 5), "tty");
    assert_null(user_name_of_gid(names, 500));
    later = user_names_ref(db);
    assert_ptr_equal(later, names); /* one while nothing changes */
    user_names_unref(later);

    write_text(passwd, "renamed:x:0:0::/:/\n");
    assert_int_equal(user_find(db, "nobody-of-that-name", &user), -ENOENT);
    later = user_names_ref(db);
    assert_ptr_not_equal(later, names);
    assert_string_equal(user_name_of_uid(later, 0), "renamed");
    assert_string_equal(user_name_of_uid(names, 0), "root");
    user_names_unref(names);
    user_names_unref(later);
    user_names_unref(NULL);
}

static void *
read_names(void *ctx)
{
    struct user_names *names = ctx;

    for (int i = 0; i < 1000; i++)
        if (user_name_of_uid(names, 0) == NULL)
            return NULL;
    user_names_unref(names);
    return ctx;
}

static void
test_names_outlive_the_database(void **state)
{
    pthread_t threads[4];
    struct user_db *db;

    write_text(passwd, "root:x:0:0::/:/\n");
    write_text(group, "");
    db = user_db_new(passwd, group);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, read_names, user_names_ref(db)),
            0);
    write_text(passwd, "");
    user_names_unref(user_names_ref(db));
    user_db_free(db);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *result;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    (void)state;
}

static void
test_system_files(void **state)
{
    struct user_db *db = user_db_new(NULL, NULL);
    struct user u;

    (void)state;
    assert_int_equal(user_find(db, "root", &u), 0);
    assert_int_equal(u.uid, 0);
    user_done(&u);
    user_db_free(db);
    user_db_free(NULL);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwd_lines),
        cmocka_unit_test(test_group_lines),
        TEST(test_find),
        TEST(test_many_groups),
        TEST(test_files_missing),
        TEST(test_changes_are_seen),
        TEST(test_unchanged_file_is_not_read),
        TEST(test_names),
        TEST(test_names_outlive_the_database),
        cmocka_unit_test(test_system_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
