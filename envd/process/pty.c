/*
 * Pseudo-terminals: the pair, its owner, its size.
 */
#include "process/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"
#include "process/spawn.h"

int
pty_resize(int tty_fd, uint32_t cols, uint32_t rows)
{
    struct winsize size = {
        .ws_row = (unsigned short)(rows & 0xffff),
        .ws_col = (unsigned short)(cols & 0xffff),
    };

    return ioctl(tty_fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int
pty_open(const struct pty_spec *spec, int *ret_master, int *ret_slave,
         const char **ret_what)
{
    SCOPE(fd_close) int master = -1;
    SCOPE(fd_close) int slave = -1;
    int unlocked = 0;
    int r;

    *ret_what = "open /dev/ptmx: ";
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0)
        return -errno;
    *ret_what = "";
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return -errno;
    /* By descriptor: a path below /dev/pts may be another mount's. */
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    /* A terminal that its user cannot open by name works: hence no error. */
    if (fchown(slave, spec->uid, spec->gid) == 0)
        (void)fchmod(slave, S_IRUSR | S_IWUSR | S_IWGRP);
    r = pty_resize(master, spec->cols, spec->rows);
    if (r < 0)
        return r;
    *ret_master = TAKE_FD(master);
    *ret_slave = TAKE_FD(slave);
    return 0;
}
