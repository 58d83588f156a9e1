/*
 * Sockets beside TCP: where they may be, who may come.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/listen.h"
#include "guest/port_holder.h"
#include "loop/loop.h"

static char folder[64];

static int
setup(void **state)
{
    (void)state;
    (void)strcpy(folder, "/tmp/envd-listen-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int
teardown(void **state)
{
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/link", folder);
    (void)unlink(path);
    return rmdir(folder);
}

static const char *
in_folder(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void
test_unix_mode_and_replacement(void **state)
{
    const char *path = in_folder("s");
    struct stat st;
    int fd = listen_unix_open(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
    assert_int_equal(listen_family(fd), -1);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(listen_family(fd), AF_UNIX);
    assert_true(listen_unix_is(fd, path));
    assert_false(listen_unix_is(fd, in_folder("other")));
    assert_false(listen_unix_is(fd, NULL));
    assert_false(listen_vsock_is(fd, 5));

    /* somebody listens; nobody does any more */
    assert_int_equal(listen_unix_open(in_folder("s")), -EADDRINUSE);
    (void)close(fd);
    fd = listen_unix_open(in_folder("s"));
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(unlink(in_folder("s")), 0);

    /* anything else is left alone */
    fd = open(in_folder("s"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)close(fd);
    assert_int_equal(listen_unix_open(in_folder("s")), -EEXIST);
    assert_int_equal(unlink(in_folder("s")), 0);
    assert_int_equal(symlink("elsewhere", in_folder("s")), 0);
    assert_int_equal(listen_unix_open(in_folder("s")), -EEXIST);
}

static void
test_unix_directories(void **state)
{
    char path[256];

    (void)state;
    assert_int_equal(listen_unix_open("relative"), -EINVAL);
    assert_int_equal(listen_unix_open("/"), -EINVAL);
    assert_int_equal(listen_unix_open(in_folder(".")), -EINVAL);
    assert_int_equal(listen_unix_open(in_folder("..")), -EINVAL);
    assert_int_equal(listen_unix_open(in_folder("none/s")), -ENOENT);
    /* sticky is not enough for the directory itself */
    assert_int_equal(listen_unix_open("/tmp/envd-listen-never"), -EPERM);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(listen_unix_open(in_folder("s")), -EPERM);
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(listen_unix_open(in_folder("s")), -EPERM);
    assert_int_equal(chmod(folder, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 12345, 12345), 0);
        assert_int_equal(listen_unix_open(in_folder("s")), -EPERM);
        assert_int_equal(chown(folder, 0, 0), 0);
    }
    /* by a link, and too long */
    assert_int_equal(symlink(folder, in_folder("link")), 0);
    assert_int_equal(listen_unix_open(in_folder("link/s")), -ENOTDIR);
    (void)snprintf(path, sizeof(path), "%s/%0120d", folder, 1);
    assert_int_equal(listen_unix_open(path), -ENAMETOOLONG);
}

static void
test_who_may_come(void **state)
{
    int pair[2];

    (void)state;
    assert_true(listen_admits_uid(0));
    assert_true(listen_admits_uid(geteuid()));
    assert_false(listen_admits_uid(geteuid() + 1));
    assert_false(listen_admits_uid(UINT32_MAX));
    assert_true(listen_admits_cid(VMADDR_CID_HOST));
    assert_false(listen_admits_cid(VMADDR_CID_LOCAL));
    assert_false(listen_admits_cid(VMADDR_CID_HYPERVISOR));
    assert_false(listen_admits_cid(VMADDR_CID_ANY));
    assert_false(listen_admits_cid(3));

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_true(listen_admits_unix(pair[0]));
    assert_false(listen_admits_vsock(pair[0]));
    assert_int_equal(listen_family(pair[0]), -1);
    (void)close(pair[0]);
    (void)close(pair[1]);
    assert_false(listen_admits_unix(-1));
}

static void
test_port_holder(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof(a);
    struct loop *loop = loop_new();
    struct port_holder owner;
    struct stat st;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t port;

    (void)state;
    assert_non_null(loop);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    port = ntohs(a.sin_port);
    assert_int_equal(port_holder_find(loop, port, &owner), 0);
    assert_int_equal(owner.uid, geteuid());
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(owner.inode, st.st_ino);
    (void)close(fd);
    assert_int_equal(port_holder_find(loop, port, &owner), -ENOENT);
    loop_free(loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unix_mode_and_replacement, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unix_directories, setup, teardown),
        cmocka_unit_test(test_who_may_come),
        cmocka_unit_test(test_port_holder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
