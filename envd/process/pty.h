/*
 * A pseudo-terminal for one command.
 */
#ifndef ENVD_PROCESS_PTY_H
#define ENVD_PROCESS_PTY_H

#include <stdint.h>
#include <sys/types.h>

/* What a terminal is to be. */
struct pty_spec {
    uid_t uid;
    gid_t gid;     /* (gid_t)-1: the group that devpts gives */
    uint32_t cols; /* modulo 65536 */
    uint32_t rows;
};

/*
 * Make a terminal.
 *
 * ret_master  on success non-blocking; the caller closes both
 * ret_slave   on success blocking, and nobody's controlling terminal
 * ret_what    on failure what failed, to go before errno's text: "" or
 *             "open /dev/ptmx: "; static
 *
 * Returns 0 or -errno.  Rule: pty(7), ioctl_tty(2).
 */
int pty_open(const struct pty_spec *spec, int *ret_master, int *ret_slave,
             const char **ret_what);

#endif
